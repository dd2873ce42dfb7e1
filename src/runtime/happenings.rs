//! What happens, told to whoever listens. Nobody waits for those who are slow: what is too old for
//! them they miss, and of output and what clients send (which may be large) also what is too much
//! at once. Those who keep up miss nothing because of others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::model::event::Published;

/// Bytes of output that are kept for slow subscribers.
const MOST: usize = 16 << 20;

/// Where events are told. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Happenings {
    told: broadcast::Sender<Told>,
    kept: Arc<Mutex<Kept>>,
}

/// An event on its way.
#[derive(Debug, Clone)]
enum Told {
    /// One without output.
    Small(Arc<Published>),
    /// One with output, as long as it is kept.
    Large(Weak<Published>),
}

/// The newest output, for those who have not come to it yet.
#[derive(Debug, Default)]
struct Kept {
    /// How many events were told.
    count: u64,
    /// The number of each, and the event.
    output: VecDeque<(u64, Arc<Published>)>,
    bytes: usize,
}

impl Kept {
    fn drop_first(&mut self) {
        if let Some((_, event)) = self.output.pop_front() {
            self.bytes -= event.event.weight();
        }
    }

    /// Keeps nothing that all have come to: that is all but the newest `unread`.
    fn tidy(&mut self, unread: usize) {
        let read = self.count.saturating_sub(unread as u64);
        while self.output.front().is_some_and(|(number, _)| *number < read) {
            self.drop_first();
        }
    }

    fn keep(&mut self, event: Arc<Published>) {
        self.bytes += event.event.weight();
        self.output.push_back((self.count, event));
        while self.bytes > MOST {
            self.drop_first();
        }
    }
}

impl Happenings {
    /// A slow subscriber may lag behind so many events.
    #[must_use]
    pub fn new(behind: usize) -> Self {
        Self { told: broadcast::Sender::new(behind), kept: Arc::default() }
    }

    /// Tells of an event; whether anybody listens.
    pub fn tell(&self, event: Arc<Published>) -> bool {
        // Nothing that holds the lock leaves it half changed.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.tidy(self.told.len());
        let told = if event.event.weight() == 0 {
            Told::Small(event)
        } else {
            let told = Told::Large(Arc::downgrade(&event));
            kept.keep(event);
            told
        };
        kept.count += 1;
        self.told.send(told).is_ok()
    }

    /// Keeps nothing any more that everybody has heard.
    pub fn tidy(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).tidy(self.told.len());
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription { told: self.told.subscribe(), ahead: None }
    }
}

/// What one who listens hears.
#[derive(Debug)]
pub struct Subscription {
    told: broadcast::Receiver<Told>,
    /// What comes behind what was missed.
    ahead: Option<Arc<Published>>,
}

impl Subscription {
    /// The next event.
    ///
    /// # Errors
    /// Some were missed, or the engine is gone.
    pub async fn recv(&mut self) -> Result<Arc<Published>, RecvError> {
        if let Some(event) = self.ahead.take() {
            return Ok(event);
        }
        let told = self.told.recv().await?;
        there(told).ok_or_else(|| RecvError::Lagged(self.skip()))
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// There is none now, some were missed, or the engine is gone.
    pub fn try_recv(&mut self) -> Result<Arc<Published>, TryRecvError> {
        if let Some(event) = self.ahead.take() {
            return Ok(event);
        }
        let told = self.told.try_recv()?;
        there(told).ok_or_else(|| TryRecvError::Lagged(self.skip()))
    }

    /// How many events are there to be heard, or were missed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.told.len() + usize::from(self.ahead.is_some())
    }

    /// Counts an event that is not kept any more, and all after it that are not either.
    fn skip(&mut self) -> u64 {
        let mut missed = 1;
        loop {
            match self.told.try_recv().map(there) {
                Ok(None) => missed += 1,
                Ok(ahead) => self.ahead = ahead,
                Err(TryRecvError::Lagged(more)) => {
                    missed += more;
                    continue;
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => {}
            }
            if self.ahead.is_some() || self.told.is_empty() {
                return missed;
            }
        }
    }
}

fn there(told: Told) -> Option<Arc<Published>> {
    match told {
        Told::Small(event) => Some(event),
        Told::Large(event) => event.upgrade(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Period};
    use crate::model::time::Wall;

    fn event(serial: u64, bytes: usize) -> Arc<Published> {
        let event = match bytes {
            0 => Event::Tick { period: Period::Seconds5, when: 5 },
            _ => Event::Remote { kind: String::new(), data: "x".repeat(bytes) },
        };
        Arc::new(Published { serial, at: Wall::default(), event })
    }

    /// What is heard: serials, or how many were missed.
    fn heard(subscription: &mut Subscription) -> Vec<Result<u64, u64>> {
        let next = || match subscription.try_recv() {
            Ok(event) => Some(Ok(event.serial)),
            Err(TryRecvError::Lagged(missed)) => Some(Err(missed)),
            Err(_) => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn who_is_slow_misses_what_is_large_and_old_and_others_miss_nothing() {
        let happenings = Happenings::new(64);
        let (mut slow, mut quick) = (happenings.subscribe(), happenings.subscribe());
        for serial in 0..20 {
            happenings.tell(event(serial, if serial == 2 { 0 } else { MOST / 4 }));
            assert_eq!(heard(&mut quick), [Ok(serial)]);
        }
        let kept = happenings.kept.lock().unwrap().bytes;
        assert!(kept <= MOST, "{kept}");
        assert_eq!(slow.waiting(), 20);
        let end = [Ok(16), Ok(17), Ok(18), Ok(19)];
        assert_eq!(heard(&mut slow), [&[Err(2), Ok(2), Err(13)], &end[..]].concat());
        happenings.tidy();
        assert_eq!(happenings.kept.lock().unwrap().bytes, 0, "everybody has heard it");
    }

    #[test]
    fn nothing_is_kept_for_nobody_and_too_many_are_missed_by_number() {
        let happenings = Happenings::new(4);
        assert!(!happenings.tell(event(0, 1000)));
        happenings.tidy();
        assert_eq!(happenings.kept.lock().unwrap().bytes, 0);
        let mut slow = happenings.subscribe();
        for serial in 1..=10 {
            assert!(happenings.tell(event(serial, 1)));
        }
        assert_eq!(heard(&mut slow), [Err(6), Ok(7), Ok(8), Ok(9), Ok(10)]);
    }

    #[tokio::test]
    async fn who_waits_hears_of_what_was_missed_and_of_the_end() {
        let happenings = Happenings::new(4);
        let mut waits = happenings.subscribe();
        happenings.tell(event(0, MOST + 1));
        happenings.tell(event(1, 0));
        assert_eq!(waits.recv().await, Err(RecvError::Lagged(1)));
        assert_eq!(waits.recv().await.map(|event| event.serial), Ok(1));
        drop(happenings);
        assert_eq!(waits.recv().await, Err(RecvError::Closed));
    }
}
