//! How many may come in, by the files that the system lets this program open: a connection is one, and so is an
//! update or a model under way.

use fedtwin_daemon::transport::ConnectionLimits;

use crate::policy::Policy;

/// Shares of the open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Handshakes under way.
    pub handshakes: usize,
    /// Open connections.
    pub connections: usize,
    /// Files of updates and models under way.
    pub files: usize,
}

/// The system lets this program open too few files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system lets this program open {0} files and it needs {DESCRIPTORS_MIN}: raise the hard limit \
     (`ulimit -Hn`, or LimitNOFILE of its service)"
)]
pub struct TooFewFiles(u64);

impl Capacity {
    /// Shares out so many file descriptors.
    ///
    /// # Errors
    /// Refuses fewer than a coordinator can work with.
    pub fn of(descriptors: u64, policy: &Policy) -> Result<Self, TooFewFiles> {
        if descriptors < DESCRIPTORS_MIN {
            return Err(TooFewFiles(descriptors));
        }
        let free = usize::try_from(descriptors).unwrap_or(usize::MAX) - OWN_FILES;
        let defaults = ConnectionLimits::default();
        let handshakes = defaults.handshakes.min(free / 8);
        let files = FILES_MAX.min(free / 3);
        let connections = (policy.connections_max as usize).min(free - handshakes - files);
        if connections < policy.connections_max as usize {
            tracing::warn!(
                descriptors,
                connections,
                "policy.connections_max is more than this program may open files for"
            );
        }
        Ok(Self { handshakes, connections, files })
    }

    /// Returns what the listener takes.
    #[must_use]
    pub fn limits(&self, policy: &Policy) -> ConnectionLimits {
        let Self { handshakes, connections, .. } = *self;
        ConnectionLimits {
            handshakes,
            connections,
            connections_per_peer: policy.connections_per_peer_max as usize,
            ..ConnectionLimits::default()
        }
    }
}

/// The listener, logs, the runtime, and what is opened for a moment: mirrors (one for each message that is handled
/// at once), plans, models in the making, spools that are added up.
const OWN_FILES: usize = 128;
/// As many again as the coordinator's own.
const DESCRIPTORS_MIN: u64 = 256;
/// Updates and models under way: a thousand chunks of 64 KiB are under way then.
const FILES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_descriptors_and_are_never_empty() {
        let policy = Policy::default();
        for descriptors in (DESCRIPTORS_MIN..5000).chain([1 << 20, u64::MAX]) {
            let Capacity { handshakes, connections, files } = Capacity::of(descriptors, &policy).unwrap();
            assert!((handshakes + connections + files + OWN_FILES) as u64 <= descriptors, "{descriptors}");
            assert!(handshakes >= 16 && connections >= 64 && files >= 32, "{descriptors}");
        }
        let usual = Capacity::of(1 << 20, &policy).unwrap();
        assert_eq!(usual, Capacity { handshakes: 256, connections: 1024, files: 1024 });
        let refused = Capacity::of(DESCRIPTORS_MIN - 1, &policy).unwrap_err().to_string();
        assert!(refused.contains("ulimit -Hn"), "{refused}");
    }
}
