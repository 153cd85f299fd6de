//! An answer to a read as it fills up, the same in every store.

use domain::limits::MAX_READ_BYTES;

use crate::Entry;

/// Collects events out of appends, in order, and finds gaps.
pub(crate) struct Page {
    after: u64,
    most: usize,
    bytes: usize,
    /// Number that the next append must begin with.
    next: u64,
    entries: Vec<Entry>,
}

impl Page {
    /// For the events above `after`, at most `most`; the first append added begins with number `first`.
    pub(crate) fn new(after: u64, most: usize, first: u64) -> Self {
        Self { after, most, bytes: 0, next: first, entries: Vec::new() }
    }

    /// Counts these bytes as well, which stand before it in the same answer.
    pub(crate) fn behind(self, bytes: usize) -> Self {
        Self { bytes: self.bytes + bytes, ..self }
    }

    /// Adds an append's events; true when the page is full.
    pub(crate) fn add(&mut self, first: u64, count: u64, events: &str) -> Result<bool, String> {
        if first != self.next {
            return Err(format!("event {} is missing, the next one is {first}", self.next));
        }
        for event in events.split('\n') {
            let seq = self.next;
            self.next += 1;
            if seq <= self.after {
                continue;
            }
            if self.entries.len() == self.most || (self.bytes >= MAX_READ_BYTES && !self.entries.is_empty()) {
                return Ok(true);
            }
            self.bytes += event.len();
            self.entries.push(Entry { seq, event: event.to_owned() });
        }
        if self.next == first + count {
            Ok(false)
        } else {
            Err(format!("the append at {first} should have {count} events and has {}", self.next - first))
        }
    }

    /// What is in it, when the appends added so far are all there are: the last one's last event must be `head`.
    pub(crate) fn ended(self, head: u64) -> Result<Vec<Entry>, String> {
        if self.next == head + 1 {
            Ok(self.entries)
        } else {
            Err(format!("its head is {head}, its events end at {}", self.next - 1))
        }
    }

    /// What is in it.
    pub(crate) fn entries(self) -> Vec<Entry> {
        self.entries
    }
}
