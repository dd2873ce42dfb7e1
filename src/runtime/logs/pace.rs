//! How often a pipe is looked at. Moving each line as it comes costs more than upstream spends;
//! letting a pipe fill up stalls its writer. So a pipe that is busy is left alone for a moment,
//! and made larger if it fills meanwhile; one that is not busy is served at once.

use std::time::{Duration, Instant};

/// How long output gathers in a busy pipe.
pub(super) const GATHER: Duration = Duration::from_millis(1);

/// What to do with a pipe that has just been served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait for something to come.
    Arm,
    /// Look again after [`GATHER`].
    Gather,
    /// There is more: look again when the others had their turn.
    Again,
}

#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes the pipe holds.
    capacity: usize,
    /// Whether output came in the last moment.
    busy: bool,
    served: Option<Instant>,
    last: usize,
}

impl Pace {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, busy: false, served: None, last: 0 }
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

    /// How much the last look found.
    pub(super) fn last(&self) -> usize {
        self.last
    }

    /// After `got` bytes were taken; `emptied` is false when there may be more.
    pub(super) fn after(&mut self, got: usize, emptied: bool, now: Instant) -> Next {
        let soon = self.served.is_some_and(|before| now.duration_since(before) < 2 * GATHER);
        self.served = Some(now);
        self.last = got;
        if !emptied {
            self.busy = true;
            return Next::Again;
        }
        self.busy = got > 0 && (self.busy || soon);
        // A pipe that is half full already would be full after another wait.
        if self.busy && !self.is_cramped() { Next::Gather } else { Next::Arm }
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
        assert_eq!(pace.after(100, true, at(900_100)), Next::Gather);
        assert_eq!(pace.after(9_000, true, at(901_200)), Next::Gather);
        // Nothing came: back to sleep.
        assert_eq!(pace.after(0, true, at(902_300)), Next::Arm);
        assert_eq!(pace.after(100, true, at(999_000)), Next::Arm);
    }

    #[test]
    fn a_pipe_that_fills_up_is_not_waited_for_until_it_is_larger() {
        let (mut pace, now) = (Pace::new(65_536), Instant::now());
        assert_eq!(pace.after(65_536, false, now), Next::Again);
        assert_eq!(pace.after(40_000, true, now), Next::Arm);
        assert!(pace.is_cramped());
        pace.resized(1 << 20);
        assert_eq!(pace.after(40_000, true, now), Next::Gather);
    }
}
