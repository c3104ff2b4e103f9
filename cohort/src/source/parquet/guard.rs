//! Keeps a panic on rubbish from ending the program, and from printing what is in the file.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread reads what may be rubbish.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Returns what `read` does; nothing if it panicked, of which nothing is printed: the words may hold a value.
pub(super) fn guarded<T>(read: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                others(panic);
            }
        }));
    });
    IS_GUARDED.set(true);
    // What a panic leaves half done is not used again: its source is refused.
    let done = panic::catch_unwind(AssertUnwindSafe(read));
    IS_GUARDED.set(false);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_nothing_and_the_next_is_read() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| -> u8 { panic!("a value") }), None);
        assert_eq!(guarded(|| 2), Some(2));
        assert!(!IS_GUARDED.get());
    }
}
