//! What of an error others may read: one line, and nothing of this machine's folders.

use std::error::Error;
use std::io;

use fedtwin_proto::domain::as_reason;

/// Says in one line what went wrong, to whoever is not the coordinator's operator.
///
/// An error of the file system ends the line: what the system says of it may hold paths, and is in the
/// coordinator's own log, which has the whole chain.
#[must_use]
pub fn for_others(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !line.is_empty() {
            line.push_str(", because: ");
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            line.push_str(of_the_disk(error));
            break;
        }
        line.push_str(&error.to_string());
        next = error.source();
    }
    as_reason(&line)
}

/// What others read of a fault in the coordinator itself.
pub const FAULT: &str = "a fault of the coordinator; its own log says more";

fn of_the_disk(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the coordinator's disk is full",
        _ => "the coordinator's disk fails; its own log says how",
    }
}

#[cfg(test)]
mod tests {
    use fedtwin_audit_log::NotContinued;
    use fedtwin_daemon::program;

    use super::*;
    use crate::aggregate::AggregateError;
    use crate::initial::InitialError;
    use crate::mirror::MirrorError;
    use crate::spool::SpoolError;

    const PATH: &str = "/srv/fedtwin/secret-place";

    /// As the crate `tempfile` words it, with the path in the error's own text.
    fn full() -> io::Error {
        io::Error::new(
            io::ErrorKind::StorageFull,
            format!("No space left on device at path \"{PATH}/new-x\""),
        )
    }

    #[test]
    fn a_full_disk_is_told_in_one_line_without_the_coordinators_paths() {
        let site = || "va".parse().unwrap();
        let errors: [Box<dyn Error>; 5] = [
            Box::new(AggregateError::Storage { what: "write the new model", source: full() }),
            Box::new(InitialError::Storage(full())),
            Box::new(MirrorError::Storage { site: site(), source: full() }),
            Box::new(SpoolError::Storage { path: PATH.into(), source: full() }),
            Box::new(full()),
        ];
        for error in errors {
            assert!(program::describe(&*error).contains(PATH), "the coordinator's own log has it");
            let told = for_others(&*error);
            assert!(told.ends_with("the coordinator's disk is full"), "{told}");
            assert!(!told.contains(PATH) && told.lines().count() == 1, "{told}");
        }
        let misbehaved = MirrorError::NotContinued(NotContinued::Gap { held: 2, first: 9 });
        assert!(for_others(&misbehaved).contains(", because: "), "other causes are told");
    }
}
