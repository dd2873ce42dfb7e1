//! The events that wait for a listener of one pool, oldest first (C-349, C-351, C-352).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::event_type::EventType;
use crate::model::time::Mono;

/// Bytes of payloads that wait in one pool at most, but for a single event that is larger.
pub const BYTES_MAX: usize = 8 << 20;

/// How long an event that was not taken waits at first until it is sent again (C-407).
pub const RETRY_FIRST: Duration = Duration::from_millis(100);
/// How long it waits at most.
pub const RETRY_MOST: Duration = Duration::from_secs(30);

/// An event as listeners get it: of several pools, all get the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Counts the events that some pool gets (C-340).
    pub serial: u64,
    /// The type.
    pub event_type: EventType,
    /// The payload.
    pub payload: String,
}

/// A message in one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// What is sent.
    pub message: Arc<Message>,
    /// Counts the events of the pool (C-341).
    pub pool_serial: u64,
    /// How many listeners did not take it.
    pub failures: u32,
    /// When it may be sent.
    pub due: Mono,
}

/// The queue of one pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Queue {
    waiting: VecDeque<Queued>,
    bytes: usize,
    /// The numbers of events that came or went, for whoever writes them down; none when nobody
    /// does.
    #[serde(skip)]
    changed: Option<BTreeSet<u64>>,
}

impl Queue {
    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The oldest event.
    #[must_use]
    pub fn first(&self) -> Option<&Queued> {
        self.waiting.front()
    }

    /// Takes the oldest event out.
    pub fn pop(&mut self) -> Option<Queued> {
        let queued = self.waiting.pop_front()?;
        self.bytes -= queued.message.payload.len();
        self.note(queued.pool_serial);
        Some(queued)
    }

    /// Makes room for this one: the oldest event, while there is none.
    pub fn overflowing(&mut self, limit: usize, coming: &Message) -> Option<Queued> {
        let bytes = self.bytes.saturating_add(coming.payload.len());
        let full = self.len() >= limit || bytes > BYTES_MAX;
        full.then(|| self.pop()).flatten()
    }

    /// Whether its counts and its order are right, with serials below these.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self, pool_serials: u64, serials: u64) -> Result<(), String> {
        let payloads = self.waiting.iter().map(|queued| queued.message.payload.len());
        if payloads.sum::<usize>() != self.bytes {
            return Err("the bytes of its queue are counted wrong".to_owned());
        }
        if !self.waiting.iter().is_sorted_by(|a, b| a.pool_serial < b.pool_serial) {
            return Err("its queue is out of order".to_owned());
        }
        self.waiting.iter().try_for_each(|queued| queued.check(pool_serials, serials))
    }

    /// Puts an event where its number belongs: a new one at the end, one that comes back before
    /// all that are younger.
    pub fn put(&mut self, queued: Queued) {
        self.bytes += queued.message.payload.len();
        self.note(queued.pool_serial);
        let at = self.waiting.partition_point(|other| other.pool_serial < queued.pool_serial);
        self.waiting.insert(at, queued);
    }

    /// From now on it is noted which events come and go; all that wait count as new.
    pub fn note_changes(&mut self) {
        self.changed = Some(self.waiting.iter().map(|queued| queued.pool_serial).collect());
    }

    /// The numbers of events that came or went since it was last asked, and those that are there.
    pub fn take_changes(&mut self) -> Vec<(u64, Option<&Queued>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        let waiting = &self.waiting;
        let found = |serial: u64| {
            let at = waiting.binary_search_by_key(&serial, |queued| queued.pool_serial);
            at.ok().and_then(|at| waiting.get(at))
        };
        changed.into_iter().map(|serial| (serial, found(serial))).collect()
    }

    fn note(&mut self, pool_serial: u64) {
        if let Some(changed) = &mut self.changed {
            changed.insert(pool_serial);
        }
    }
}

impl Queued {
    /// Whether it was there before its pool, and all pools together, gave these serials.
    ///
    /// # Errors
    /// It was not.
    pub fn check(&self, pool_serials: u64, serials: u64) -> Result<(), String> {
        let serial = self.message.serial;
        let known = self.pool_serial < pool_serials && serial < serials;
        if known { Ok(()) } else { Err(format!("event {serial} is still to come")) }
    }

    /// A listener did not take it: it is sent again after a while, which grows.
    pub fn failed(&mut self, now: Mono) {
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        self.due = now + doubled.min(RETRY_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(pool_serial: u64, bytes: usize) -> Queued {
        let payload = "x".repeat(bytes);
        let message = Message { serial: pool_serial, event_type: EventType::Tick5, payload };
        Queued { message: Arc::new(message), pool_serial, failures: 0, due: Mono::default() }
    }

    fn push(queue: &mut Queue, queued: Queued) -> Vec<u64> {
        let dropped = std::iter::from_fn(|| queue.overflowing(3, &queued.message));
        let dropped = dropped.map(|old| old.pool_serial).collect();
        queue.put(queued);
        dropped
    }

    #[test]
    fn what_comes_back_is_first_again() {
        // C-351
        let mut queue = Queue::default();
        (0..4).for_each(|serial| queue.put(queued(serial, 1)));
        let (zero, one) = (queue.pop().unwrap(), queue.pop().unwrap());
        queue.put(zero);
        queue.put(one);
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|q| q.pool_serial).collect();
        assert_eq!(order, [0, 1, 2, 3]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn the_oldest_make_room() {
        // C-352
        let mut queue = Queue::default();
        for serial in 0..3 {
            assert_eq!(push(&mut queue, queued(serial, 1)), [] as [u64; 0]);
        }
        assert_eq!(push(&mut queue, queued(3, 1)), [0]);
        assert_eq!(push(&mut queue, queued(4, BYTES_MAX - 1)), [1, 2]);
        assert_eq!(push(&mut queue, queued(5, BYTES_MAX + 1)), [3, 4]);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn it_takes_longer_every_time_until_an_event_is_sent_again() {
        // C-407
        let (mut event, now) = (queued(0, 1), Mono(Duration::from_secs(50)));
        let mut delays = (0..40).map(|_| {
            event.failed(now);
            event.due - now
        });
        let first: Vec<Duration> = delays.by_ref().take(4).collect();
        assert_eq!(first, [100, 200, 400, 800].map(Duration::from_millis));
        assert_eq!(delays.last(), Some(RETRY_MOST));
    }
}
