//! How often a pipe is looked at. Moving each line as it comes costs more than upstream spends;
//! letting a pipe fill up stalls its writer. So a pipe that is busy with small pieces is left
//! alone until it is about half full, but for a millisecond at most; one that brings large pieces
//! is made larger and served as they come, and one that is not busy is served at once.

use std::time::{Duration, Instant};

/// How long output gathers in a busy pipe, at most.
const LONGEST: Duration = Duration::from_millis(1);

/// Bytes that are worth a wake-up.
const LARGE: usize = 32 * 1024;

/// A wait that is not worth the timer.
const SHORTEST: Duration = Duration::from_micros(60);

/// What to do with a pipe that has just been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for something to come.
    Arm,
    /// Look again after this time.
    Gather(Duration),
    /// There is more: look again when the others had their turn.
    Again,
}

#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes the pipe holds.
    capacity: usize,
    /// Whether small pieces may wait for each other.
    gathers: bool,
    /// Whether output came in the last moment.
    busy: bool,
    served: Option<Instant>,
    last: usize,
}

impl Pace {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, gathers: true, busy: false, served: None, last: 0 }
    }

    /// That of a conversation: whoever writes waits for an answer, so nothing is left to gather.
    pub(super) fn prompt(capacity: usize) -> Self {
        Self { gathers: false, ..Self::new(capacity) }
    }

    /// The pipe was made larger.
    pub(super) fn resized(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether the last look found so much that a larger pipe would help.
    pub(super) fn is_cramped(&self) -> bool {
        self.last * 2 > self.capacity
    }

    /// After `got` bytes were taken; `emptied` is false when there may be more.
    pub(super) fn after(&mut self, got: usize, emptied: bool, now: Instant) -> Next {
        let elapsed = self.served.map(|before| now.duration_since(before));
        self.served = Some(now);
        self.last = got;
        if !emptied {
            self.busy = true;
            return Next::Again;
        }
        let soon = elapsed.filter(|elapsed| *elapsed < 2 * LONGEST);
        self.busy = got > 0 && (self.busy || soon.is_some());
        if !self.busy || !self.gathers || got >= LARGE {
            return Next::Arm;
        }
        match soon.map_or(LONGEST, |elapsed| self.time_to_half(got, elapsed)) {
            wait if wait < SHORTEST => Next::Arm,
            wait => Next::Gather(wait.min(LONGEST)),
        }
    }

    /// How long the pipe takes to be half full, if `got` bytes came in `elapsed`.
    fn time_to_half(&self, got: usize, elapsed: Duration) -> Duration {
        let nanos = elapsed.as_nanos() * (self.capacity as u128 / 2) / (got as u128).max(1);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_line_is_served_at_once_and_a_stream_of_lines_is_gathered() {
        let (mut pace, start) = (Pace::new(65_536), Instant::now());
        let at = |us| start + Duration::from_micros(us);
        assert_eq!(pace.after(100, true, at(0)), Next::Arm);
        assert_eq!(pace.after(100, true, at(900_000)), Next::Arm);
        assert_eq!(pace.after(100, true, at(900_100)), Next::Gather(LONGEST));
        assert_eq!(pace.after(9_000, true, at(901_200)), Next::Gather(LONGEST));
        // Nothing came: back to sleep.
        assert_eq!(pace.after(0, true, at(902_300)), Next::Arm);
        assert_eq!(pace.after(100, true, at(999_000)), Next::Arm);
    }

    #[test]
    fn a_conversation_is_served_as_it_comes() {
        let (mut pace, start) = (Pace::prompt(65_536), Instant::now());
        for answer in 0..10 {
            let at = start + Duration::from_micros(answer * 100);
            assert_eq!(pace.after(12, true, at), Next::Arm);
        }
        assert_eq!(pace.after(65_536, false, start + Duration::from_millis(2)), Next::Again);
    }

    #[test]
    fn a_writer_that_is_quick_is_not_kept_waiting() {
        let (mut pace, start) = (Pace::new(65_536), Instant::now());
        let at = |us| start + Duration::from_micros(us);
        assert_eq!(pace.after(65_536, false, at(0)), Next::Again);
        assert!(pace.is_cramped());
        pace.resized(1 << 18);
        assert_eq!(pace.after(65_536, true, at(100)), Next::Arm);
        assert!(!pace.is_cramped());
        // 16 KiB in 50 us: half full in 400 us.
        assert_eq!(pace.after(16_384, true, at(150)), Next::Gather(Duration::from_micros(400)));
        // 16 KiB in 5 us: half full before a timer fires.
        assert_eq!(pace.after(16_384, true, at(155)), Next::Arm);
    }
}
