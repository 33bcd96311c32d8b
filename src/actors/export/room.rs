//! Places of a bounded queue, held from the end of a request until its events are sent or lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::telemetry::IntCounter;

/// Most bytes that one exporter holds: bodies still to be read, and events.
const MOST_BYTES: usize = 64 << 20;

/// How much may wait. Whatever leaves without having been sent is counted.
#[derive(Debug)]
pub(super) struct Room {
    most_events: usize,
    used: Mutex<Used>,
    dropped: IntCounter,
}

#[derive(Debug, Default, Clone, Copy)]
struct Used {
    events: usize,
    bytes: usize,
}

/// Places for the events of one request. Dropped without [`Ticket::sent`], its events are lost
/// and counted, whatever the reason: so none is lost silently.
#[derive(Debug)]
pub(super) struct Ticket {
    room: Arc<Room>,
    held: Used,
    is_sent: bool,
}

// === impl Room ===

impl Room {
    pub(super) fn new(most_events: usize, dropped: IntCounter) -> Arc<Self> {
        Arc::new(Self { most_events, used: Mutex::default(), dropped })
    }

    /// Places for all events of a request; without them all are counted as dropped.
    pub(super) fn reserve(self: &Arc<Self>, events: usize, bytes: usize) -> Option<Ticket> {
        let mut used = self.used();
        // Whatever its size, one request at a time has room.
        let has_room = used.events + events <= self.most_events && used.bytes.saturating_add(bytes) <= MOST_BYTES;
        if !has_room && used.events > 0 {
            drop(used);
            self.count_dropped(events);
            return None;
        }
        used.events += events;
        used.bytes = used.bytes.saturating_add(bytes);
        drop(used);
        Some(Ticket { room: Arc::clone(self), held: Used { events, bytes }, is_sent: false })
    }

    /// Events that wait, those under way included.
    pub(super) fn queued(&self) -> usize {
        self.used().events
    }

    /// Events that were lost so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    pub(super) fn count_dropped(&self, events: usize) {
        self.dropped.inc_by(u64::try_from(events).unwrap_or(u64::MAX));
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Two numbers are whole at any moment, also when whoever held them panicked.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Ticket ===

impl Ticket {
    /// Its events now take so many bytes.
    pub(super) fn resize(&mut self, bytes: usize) {
        let mut used = self.room.used();
        used.bytes = used.bytes.saturating_sub(self.held.bytes).saturating_add(bytes);
        self.held.bytes = bytes;
    }

    /// The other side has its events.
    pub(super) fn sent(mut self) {
        self.is_sent = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut used = self.room.used();
        used.events = used.events.saturating_sub(self.held.events);
        used.bytes = used.bytes.saturating_sub(self.held.bytes);
        drop(used);
        if !self.is_sent {
            self.room.count_dropped(self.held.events);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    fn room(most_events: usize) -> Arc<Room> {
        Room::new(most_events, Telemetry::new().unwrap().langfuse_dropped)
    }

    #[test]
    fn events_of_a_request_go_in_whole_or_not_at_all_and_none_is_lost_uncounted() {
        let room = room(7);
        let first = room.reserve(3, 10).unwrap();
        let second = room.reserve(3, 10).unwrap();
        assert!(room.reserve(2, 10).is_none());
        assert_eq!((room.queued(), room.dropped()), (6, 2));
        first.sent();
        assert_eq!((room.queued(), room.dropped()), (3, 2));
        drop(second);
        assert_eq!((room.queued(), room.dropped()), (0, 5));
    }

    #[test]
    fn bytes_are_bounded_too_but_one_request_always_has_room() {
        let room = room(100);
        let mut large = room.reserve(3, usize::MAX).unwrap();
        assert!(room.reserve(1, 1).is_none());
        large.resize(MOST_BYTES - 1);
        let small = room.reserve(1, 1).unwrap();
        assert!(room.reserve(1, 1).is_none());
        large.sent();
        small.sent();
        assert_eq!((room.queued(), room.dropped()), (0, 2));
    }
}
