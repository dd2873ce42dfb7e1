//! The order in which pools learn what happened: what a process wrote before its end comes before
//! its end, although it may be read later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Run;
use super::supervisor::pairs;
use crate::model::event::Published;
use crate::model::time::Mono;

/// How long the end of a process, and what comes after it, waits for what it wrote. A log that
/// hangs holds events up no longer.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How many events may wait.
const EVENTS_MAX: usize = 4096;
/// How many bytes of output may wait.
const BYTES_MAX: usize = 8 << 20;

/// Events on their way to the pools.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outlet {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// How many channels of a run were not heard to their end.
    #[serde(with = "pairs")]
    open: BTreeMap<Run, u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    event: Arc<Published>,
    /// Not before all that this one wrote.
    after: Option<Run>,
    until: Mono,
}

impl Outlet {
    /// So many channels of a new run are heard.
    pub fn opened(&mut self, run: Run, channels: u8) {
        if channels > 0 {
            self.open.insert(run, channels);
        }
    }

    /// One of them was heard to its end.
    pub fn closed(&mut self, run: Run) {
        if let Some(channels) = self.open.get_mut(&run) {
            *channels -= 1;
            if *channels == 0 {
                self.open.remove(&run);
            }
        }
    }

    /// Adds an event; one that tells of the end of a run waits for what that wrote.
    pub fn push(&mut self, event: Arc<Published>, after: Option<Run>, now: Mono) {
        self.bytes += event.event.weight();
        self.waiting.push_back(Waiting { event, after, until: now + PATIENCE });
    }

    /// Adds what a run wrote, before the news of its end.
    pub fn push_output(&mut self, event: Arc<Published>, run: Run, now: Mono) {
        let end = self.waiting.iter().position(|waiting| waiting.after == Some(run));
        let at = end.unwrap_or(self.waiting.len());
        self.bytes += event.event.weight();
        self.waiting.insert(at, Waiting { event, after: None, until: now });
    }

    /// The next event that need not wait any longer.
    pub fn pop(&mut self, now: Mono) -> Option<Arc<Published>> {
        let first = self.waiting.front()?;
        if let Some(run) = first.after {
            let full = self.waiting.len() > EVENTS_MAX || self.bytes > BYTES_MAX;
            if self.open.contains_key(&run) && first.until > now && !full {
                return None;
            }
            self.open.remove(&run);
        }
        let event = self.waiting.pop_front()?.event;
        self.bytes -= event.event.weight();
        Some(event)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether its counts are right, with serials below this.
    ///
    /// # Errors
    /// One that is not.
    pub fn check(&self, serials: u64) -> Result<(), String> {
        let weights = self.waiting.iter().map(|waiting| waiting.event.event.weight());
        if weights.sum::<usize>() != self.bytes {
            return Err("the bytes are counted wrong".to_owned());
        }
        if let Some(waiting) = self.waiting.iter().find(|w| w.event.serial >= serials) {
            return Err(format!("event {} is still to come", waiting.event.serial));
        }
        match self.open.iter().find(|(_, channels)| !(1..=2).contains(*channels)) {
            Some((run, channels)) => Err(format!("process {} has {channels} channels", run.key)),
            None => Ok(()),
        }
    }

    /// When the first event waits no longer.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.waiting.front().map(|first| first.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::key::ProcKey;
    use crate::model::event::Event;
    use crate::model::state::DaemonState;

    const START: Mono = Mono(Duration::from_secs(1000));

    fn run(generation: u64) -> Run {
        Run { key: ProcKey(1), generation }
    }

    fn event(serial: u64) -> Arc<Published> {
        let event = Event::DaemonState(DaemonState::Running);
        Arc::new(Published { serial, at: crate::model::time::Wall::default(), event })
    }

    fn out(outlet: &mut Outlet, now: Mono) -> Vec<u64> {
        std::iter::from_fn(|| outlet.pop(now)).map(|event| event.serial).collect()
    }

    #[test]
    fn the_end_of_a_process_comes_after_all_that_it_wrote() {
        let mut outlet = Outlet::default();
        outlet.opened(run(1), 2);
        outlet.closed(run(1));
        outlet.push(event(0), Some(run(1)), START);
        outlet.push(event(1), None, START);
        outlet.push_output(event(2), run(2), START);
        outlet.push_output(event(3), run(1), START);
        assert_eq!(out(&mut outlet, START), [3], "what it wrote is told, its end not yet");
        outlet.push_output(event(4), run(1), START);
        outlet.closed(run(1));
        assert_eq!(out(&mut outlet, START), [4, 0, 1, 2]);
        assert!(outlet.is_empty() && outlet.open.is_empty());
        outlet.push(event(5), Some(run(1)), START);
        assert_eq!(out(&mut outlet, START), [5], "nothing is left to wait for");
    }

    #[test]
    fn a_log_that_hangs_does_not_hold_events_up_for_long() {
        let mut outlet = Outlet::default();
        outlet.opened(run(1), 1);
        outlet.push(event(0), Some(run(1)), START);
        assert_eq!(outlet.deadline(), Some(START + PATIENCE));
        assert_eq!(out(&mut outlet, START), [] as [u64; 0]);
        assert_eq!(out(&mut outlet, START + PATIENCE), [0]);
        outlet.closed(run(1));
        assert_eq!(outlet.deadline(), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut outlet = Outlet::default();
        outlet.opened(run(1), 1);
        outlet.push(event(0), Some(run(1)), START);
        (0..EVENTS_MAX as u64).for_each(|serial| outlet.push(event(serial + 1), None, START));
        assert_eq!(out(&mut outlet, START).len(), EVENTS_MAX + 1);
    }
}
