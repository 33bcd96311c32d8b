//! What waits for an actor without waking it.
//!
//! A message to an actor on another thread wakes that thread, which costs more than all the rest
//! of telling how a request ended. What may wait a moment is left in an outbox instead; the actor
//! is told when it should look, not of each item.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items for one actor, the oldest first. It outlives an actor that is started again.
#[derive(Debug)]
pub struct Outbox<T> {
    waiting: Mutex<VecDeque<T>>,
    most: usize,
}

// === impl Outbox ===

impl<T> Outbox<T> {
    /// An empty one with room for `most` items.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { waiting: Mutex::new(VecDeque::new()), most }
    }

    /// Leaves an item; how many wait with it, or `None` when there was no room for it.
    pub fn push(&self, item: T) -> Option<usize> {
        let mut waiting = self.lock();
        if waiting.len() >= self.most {
            return None;
        }
        waiting.push_back(item);
        Some(waiting.len())
    }

    /// Takes the oldest items, `most` at most.
    pub fn take(&self, most: usize) -> Vec<T> {
        let mut waiting = self.lock();
        let size = waiting.len().min(most);
        waiting.drain(..size).collect()
    }

    /// Puts items back before all others; how many of the newest of them had no room.
    pub fn put_back(&self, mut items: Vec<T>) -> usize {
        let mut waiting = self.lock();
        let room = self.most.saturating_sub(waiting.len());
        let lost = items.len().saturating_sub(room);
        items.truncate(room);
        for item in items.into_iter().rev() {
            waiting.push_front(item);
        }
        lost
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // Nothing here panics half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_wait_in_order_and_within_the_bound() {
        let outbox = Outbox::new(3);
        assert_eq!([outbox.push(1), outbox.push(2), outbox.push(3), outbox.push(4)], [Some(1), Some(2), Some(3), None]);
        assert_eq!(outbox.take(2), [1, 2]);
        assert_eq!(outbox.push(5), Some(2));
        assert_eq!(outbox.put_back(vec![1, 2]), 1);
        assert_eq!(outbox.len(), 3);
        assert_eq!(outbox.take(usize::MAX), [1, 3, 5]);
        assert_eq!(outbox.len(), 0);
    }
}
