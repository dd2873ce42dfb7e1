//! What one input leads to: the actions it causes, and the transitions that requests wait for.

use super::action::Action;
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
}

impl Turn {
    /// A turn in which nothing happened yet.
    #[must_use]
    pub fn new(now: Now, accepting: bool) -> Self {
        Self { now, accepting, actions: Vec::new(), transitions: Vec::new() }
    }

    /// Adds an action.
    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Publishes an event.
    pub fn publish(&mut self, event: Event) {
        self.act(Action::Publish(event));
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
