//! Signs of life. They come from the engine's own loop: while it does its work the service manager
//! hears from it, and when it is stuck it does not.

use std::time::Duration;

use crate::model::time::Mono;

/// When to give the next sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    every: Duration,
    next: Mono,
}

impl Watchdog {
    /// For a service manager that waits this long: two signs in that time, the first at once.
    #[must_use]
    pub fn new(patience: Duration, now: Mono) -> Self {
        // Not more often than the clock of timers can tell.
        Self { every: (patience / 2).max(Duration::from_millis(1)), next: now }
    }

    /// Whether it is time; if so the next time is set.
    pub fn is_due(&mut self, now: Mono) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }

    /// When it is time next.
    #[must_use]
    pub fn next(&self) -> Mono {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_signs_in_the_time_that_is_waited() {
        let at = |millis| Mono(Duration::from_millis(millis));
        let mut watchdog = Watchdog::new(Duration::from_secs(3), at(10_000));
        assert!(watchdog.is_due(at(10_000)));
        assert!(!watchdog.is_due(at(11_499)));
        assert_eq!(watchdog.next(), at(11_500));
        assert!(watchdog.is_due(at(11_900)));
        assert_eq!(watchdog.next(), at(13_400), "counted from the last sign");
        let mut hasty = Watchdog::new(Duration::from_micros(1), at(0));
        assert!(hasty.is_due(at(0)));
        assert!(hasty.next() > at(0), "never a busy loop");
    }
}
