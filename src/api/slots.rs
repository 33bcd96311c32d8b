//! How many generation requests may run at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of all requests of the process.
pub struct RequestSlots(Option<Arc<Semaphore>>);

/// The place of one request; free again when it is dropped.
pub(super) struct Slot(#[expect(dead_code, reason = "held, never looked at")] Option<OwnedSemaphorePermit>);

impl RequestSlots {
    /// Places for `most` requests; for any number with `None`.
    #[must_use]
    pub fn new(most: Option<usize>) -> Self {
        Self(most.map(|most| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))))
    }

    /// A place, if one is free.
    pub(super) fn take(&self) -> Option<Slot> {
        match &self.0 {
            None => Some(Slot(None)),
            Some(places) => Arc::clone(places).try_acquire_owned().ok().map(|place| Slot(Some(place))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        let slots = RequestSlots::new(Some(2));
        let (first, second) = (slots.take().unwrap(), slots.take().unwrap());
        assert!(slots.take().is_none());
        drop(first);
        let third = slots.take().unwrap();
        assert!(slots.take().is_none());
        drop((second, third));
        assert!(slots.take().is_some());
    }

    #[test]
    fn without_a_cap_there_is_always_a_place() {
        let slots = RequestSlots::new(None);
        let taken: Vec<Slot> = (0..1000).map_while(|_| slots.take()).collect();
        assert_eq!(taken.len(), 1000);
    }
}
