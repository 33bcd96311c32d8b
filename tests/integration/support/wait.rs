//! How long tests wait, and for whom.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than anything a test waits for; only a bug makes a test wait so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Held by tests that measure time and by those that use all processors, so that neither spoils
/// the other.
pub fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks again until `done`; for effects that nobody announces.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "did not happen: {what}");
        std::thread::yield_now();
    }
}
