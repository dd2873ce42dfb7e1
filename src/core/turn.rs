//! What one input leads to: the actions it causes, and the transitions that requests wait for.

use super::action::{Action, Run};
use super::key::ProcKey;
use crate::model::event::Event;
use crate::model::record::{Level, Record};
use crate::model::state::ProcessState;
use crate::model::time::Now;

/// A process went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Which.
    pub key: ProcKey,
    /// The state it entered.
    pub to: ProcessState,
    /// It stopped only to be started again at once.
    pub start_queued: bool,
}

/// The work on one input.
#[derive(Debug)]
pub struct Turn {
    /// The time of the input.
    pub now: Now,
    /// Whether the daemon is at work, so that processes may be spawned (C-151).
    pub accepting: bool,
    /// What to do.
    pub actions: Vec<Action>,
    /// What changed, for the waiters.
    pub transitions: Vec<Transition>,
    /// What happened and was not told yet, and which run has to be heard to its end before.
    pub events: Vec<(Event, Option<Run>)>,
    /// The run whose end is the subject now.
    pub ending: Option<Run>,
}

impl Turn {
    /// A turn in which nothing happened yet.
    #[must_use]
    pub fn new(now: Now, accepting: bool) -> Self {
        Self {
            now,
            accepting,
            actions: Vec::new(),
            transitions: Vec::new(),
            events: Vec::new(),
            ending: None,
        }
    }

    /// Adds an action.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Something happened that everybody is told.
    pub fn publish(&mut self, event: Event) {
        self.events.push((event, self.ending));
    }

    /// Logs a line about nothing in particular.
    pub fn log(&mut self, level: Level, text: impl Into<String>) {
        self.say(Record::new(level, text));
    }

    /// Logs a line.
    pub fn say(&mut self, record: Record) {
        self.act(Action::Log(record));
    }
}
