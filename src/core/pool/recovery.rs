//! What of a pool is written down in case the daemon is killed, and how it goes on then: with which
//! events, which words of its listeners it knows, and whom an event did not reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::queue::{Queue, Queued};
use super::{Pool, Session};
use crate::core::action::Run;
use crate::core::key::ProcKey;
use crate::core::turn::Turn;
use crate::model::record::Level;
use crate::model::spec::ListenerPool;

/// A pool without its events.
#[derive(Debug, Serialize, Deserialize)]
pub struct PoolLeft {
    name: Arc<str>,
    settings: ListenerPool,
    next_serial: u64,
    dropped: u64,
    sessions: Vec<Session>,
    strikes: BTreeMap<ProcKey, u32>,
}

impl PoolLeft {
    /// With these events it is whole.
    #[must_use]
    pub fn with(self, events: Vec<Queued>) -> Pool {
        let Self { name, settings, next_serial, dropped, sessions, strikes } = self;
        let mut queue = Queue::default();
        for event in events {
            queue.put(event);
        }
        Pool { name, settings, queue, next_serial, dropped, sessions, strikes }
    }
}

impl Pool {
    /// From now on it is noted which events come and go.
    pub fn note_changes(&mut self) {
        self.queue.note_changes();
    }

    /// The events that came or went since it was last asked, by their number, and those that wait.
    pub fn take_changes(&mut self) -> Vec<(u64, Option<&Queued>)> {
        self.queue.take_changes()
    }

    /// The pool without its events.
    #[must_use]
    pub fn left(&self) -> PoolLeft {
        PoolLeft {
            name: Arc::clone(&self.name),
            settings: self.settings.clone(),
            next_serial: self.next_serial,
            dropped: self.dropped,
            sessions: self.sessions.clone(),
            strikes: self.strikes.clone(),
        }
    }

    /// A listener said something that is in its pipe still. What was heard before is passed over.
    pub fn hear_words(&mut self, run: Run, ordinal: u64, data: &[u8], turn: &mut Turn) {
        let Some(session) = self.session(run) else { return };
        let known = usize::try_from(session.heard.saturating_sub(ordinal)).unwrap_or(usize::MAX);
        session.heard = session.heard.max(ordinal.saturating_add(data.len() as u64));
        session.unconfirmed = data.to_vec();
        self.hear(run, data.get(known..).unwrap_or_default(), turn);
    }

    /// What was heard of a listener has left its pipe.
    pub fn taken(&mut self, run: Run) {
        if let Some(session) = self.session(run) {
            session.unconfirmed = Vec::new();
        }
    }

    /// The runs of its listeners.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        self.sessions.iter().map(|session| session.run)
    }

    /// What is in the pipe of a listener whose daemon was killed: some of the last words that were
    /// heard may be, and are passed over when they are told again. They are counted anew then.
    pub fn found_words(&mut self, run: Run, in_pipe: &[u8]) {
        let Some(session) = self.session(run) else { return };
        let last = std::mem::take(&mut session.unconfirmed);
        let left = (0..last.len()).find(|&at| in_pipe.starts_with(&last[at..]));
        session.unconfirmed = left.map_or_else(Vec::new, |at| last[at..].to_vec());
        session.heard = session.unconfirmed.len() as u64;
    }

    /// All of an event was written to a listener.
    pub fn delivered(&mut self, run: Run, serial: u64) {
        let Some(session) = self.session(run) else { return };
        if session.event.as_ref().is_some_and(|event| event.message.serial == serial) {
            session.doubtful = false;
        }
    }

    /// The daemon was killed, and nobody knows how far a listener got that an event was on its way
    /// to: others get the event, and it is started again.
    pub fn taken_back(&mut self, turn: &mut Turn) {
        let doubtful: Vec<Run> = self
            .sessions
            .iter()
            .filter(|session| session.event.is_some() && session.doubtful)
            .map(|session| session.run)
            .collect();
        for run in doubtful {
            if let Some(session) = self.session(run) {
                session.listener.give_up();
                if session.restartable && !session.exited {
                    session.restart_at = Some(turn.now.mono);
                }
                let text =
                    "is restarted: an event was on its way to it when supervisord was killed";
                session.say(Level::Warn, text, turn);
            }
            self.give_back(run, turn);
        }
    }
}
