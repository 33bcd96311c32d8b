//! The right to make an attempt, and how many are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OwnedSemaphorePermit;

/// How many attempts a provider has in flight. All clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<AtomicU32>);

/// An attempt that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<AtomicU32>);

/// The right to make one attempt. Held as long as the attempt runs, for a stream to its end.
#[derive(Debug)]
pub struct Permit {
    /// `None`: the provider is no longer configured.
    _running: Option<Running>,
    probe: Option<OwnedSemaphorePermit>,
}

// === impl InFlight ===

impl InFlight {
    /// Counts one more, unless `most` run already.
    pub(super) fn begin(&self, most: Option<u32>) -> Option<Running> {
        let more = |running: u32| if most.is_some_and(|most| running >= most) { None } else { running.checked_add(1) };
        // The number alone is shared, so no other memory has to be ordered by it.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Running(Arc::clone(&self.0)))
    }

    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether `most` run already.
    pub(super) fn is_full(&self, most: Option<u32>) -> bool {
        most.is_some_and(|most| self.count() >= most)
    }

    /// The number itself, for those who only read it.
    pub(super) fn counter(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.0)
    }

    /// Whether somebody else still counts by it, or may begin to.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Permit ===

impl Permit {
    pub(super) const fn new(running: Option<Running>, probe: Option<OwnedSemaphorePermit>) -> Self {
        Self { _running: running, probe }
    }

    /// Whether the attempt probes a provider whose circuit is half-open.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_run_as_may_and_each_counts_until_it_is_dropped() {
        let in_flight = InFlight::default();
        let first = in_flight.begin(Some(2)).unwrap();
        let second = in_flight.clone().begin(Some(2)).unwrap();
        assert!(in_flight.begin(Some(2)).is_none() && in_flight.is_full(Some(2)));
        assert_eq!(in_flight.count(), 2);
        let third = in_flight.begin(Some(3)).unwrap();
        drop((first, second));
        assert_eq!((in_flight.count(), in_flight.is_full(Some(1)), in_flight.is_full(None)), (1, true, false));
        drop(third);
        assert_eq!((in_flight.count(), in_flight.is_shared()), (0, false));
    }

    #[test]
    fn many_threads_never_run_more_than_may() {
        let in_flight = InFlight::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let running = in_flight.begin(Some(3));
                        assert!(in_flight.count() <= 3);
                        drop(running);
                    }
                });
            }
        });
        assert_eq!(in_flight.count(), 0);
    }
}
