//! The last changes, ready to be sent.

use std::collections::VecDeque;

use bytes::Bytes;

/// Most bytes that are remembered; mappings may be long.
const MOST_BYTES: usize = 16 << 20;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The version that has it.
    pub(super) version: i64,
    /// The message that tells it, as JSON.
    pub(super) text: Bytes,
}

/// Every change above one version up to another.
#[derive(Debug)]
pub(super) struct Tail {
    /// Changes up to this version are forgotten.
    floor: i64,
    /// All changes up to this version are told.
    head: i64,
    /// Ascending; never only a part of a version.
    entries: VecDeque<Entry>,
    /// Most entries.
    capacity: usize,
    /// Bytes of all entries.
    bytes: usize,
}

// === impl Tail ===

impl Tail {
    /// An empty one from `version` on.
    pub(super) const fn new(version: i64, capacity: usize) -> Self {
        Self { floor: version, head: version, entries: VecDeque::new(), capacity, bytes: 0 }
    }

    /// Forgets everything and goes on from `version`.
    pub(super) fn restart(&mut self, version: i64) {
        *self = Self::new(version, self.capacity);
    }

    /// The version up to which all changes are told.
    pub(super) const fn head(&self) -> i64 {
        self.head
    }

    /// The changes above `version`, or `None` when some of them are forgotten.
    pub(super) fn above(&self, version: i64) -> Option<Vec<Bytes>> {
        let above = || self.entries.iter().filter(|entry| entry.version > version);
        (version >= self.floor).then(|| above().map(|entry| entry.text.clone()).collect())
    }

    /// Adds what follows, which reaches to `head`.
    pub(super) fn extend(&mut self, entries: &[Entry], head: i64) {
        self.entries.extend(entries.iter().cloned());
        self.bytes += entries.iter().map(|entry| entry.text.len()).sum::<usize>();
        self.head = head;
        while self.entries.len() > self.capacity || self.bytes > MOST_BYTES {
            self.forget_oldest();
        }
    }

    /// Forgets a whole version.
    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.front().map(|entry| entry.version) else {
            return;
        };
        self.floor = oldest;
        let gone = self.entries.iter().take_while(|entry| entry.version == oldest).count();
        let freed: usize = self.entries.drain(..gone).map(|entry| entry.text.len()).sum();
        self.bytes = self.bytes.saturating_sub(freed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(versions: &[i64]) -> Vec<Entry> {
        versions.iter().map(|version| Entry { version: *version, text: Bytes::from(version.to_string()) }).collect()
    }

    #[test]
    fn long_changes_are_forgotten_by_their_length() {
        let text = Bytes::from(vec![b'x'; MOST_BYTES / 3]);
        let mut tail = Tail::new(0, 100);
        for version in 1..=5 {
            tail.extend(&[Entry { version, text: text.clone() }], version);
        }
        assert_eq!((tail.above(1), tail.above(2).unwrap().len()), (None, 3));
    }

    #[test]
    fn only_what_is_whole_is_given() {
        let mut tail = Tail::new(10, 4);
        assert_eq!((tail.above(10), tail.above(9)), (Some(vec![]), None));
        tail.extend(&entries(&[11, 12, 12, 13]), 14);
        assert_eq!(tail.above(11).unwrap(), ["12", "12", "13"].map(Bytes::from));
        assert_eq!((tail.above(10).unwrap().len(), tail.head()), (4, 14));
        tail.extend(&entries(&[15, 16]), 16);
        assert_eq!(tail.above(11), None);
        assert_eq!(tail.above(12).unwrap(), ["13", "15", "16"].map(Bytes::from));
    }

    #[test]
    fn a_version_longer_than_the_tail_is_forgotten_as_a_whole() {
        let mut tail = Tail::new(0, 2);
        tail.extend(&entries(&[1, 2, 2, 2]), 2);
        assert_eq!((tail.above(1), tail.above(2)), (None, Some(vec![])));
        tail.restart(1);
        assert_eq!((tail.head(), tail.above(1)), (1, Some(vec![])));
    }
}
