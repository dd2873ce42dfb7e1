//! The changes of all processes, bounded in number. Time and pictures are arguments.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::change::Change;
use crate::api::Askers;
use crate::http::web::data::millis;
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::name::ProcessName;
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::state::ProcessState;
use crate::model::time::Wall;

/// How many changes of one process are kept.
const KEPT: usize = 64;
/// How many processes are remembered beyond those that exist: an update may bring them back.
const GONE: usize = 256;

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct Book {
    stories: HashMap<ProcessName, Story>,
    /// The number of the newest change.
    count: u64,
    /// Who asked for what happens.
    askers: Askers,
}

/// What became of one process.
#[derive(Debug)]
struct Story {
    /// The state it is in, as far as was heard.
    now: ProcessState,
    changes: VecDeque<Change>,
    /// The newest change is not from an event: one may follow that tells it better.
    guessed: bool,
}

impl Book {
    /// What can be known from one picture: when it is in the state that it is in now.
    pub fn of(snapshot: &Snapshot, askers: Askers) -> Self {
        let mut book = Self { askers, ..Self::default() };
        for (name, process) in &snapshot.processes {
            let since = match process.started {
                Some((_, started)) if process.pid > 0 => Some(started),
                _ => process.stopped,
            };
            let mut story = Story { now: process.state, changes: VecDeque::new(), guessed: true };
            if let Some(since) = since {
                let change = book.guess(process, since);
                story.changes.push_back(change);
            }
            book.stories.insert(name.clone(), story);
        }
        book
    }

    /// The changes of a process that have a number above `after`, oldest first.
    pub fn changes(&self, name: &ProcessName, after: u64) -> Vec<Change> {
        let story = self.stories.get(name).map(|story| story.changes.iter());
        story.into_iter().flatten().filter(|change| change.number > after).cloned().collect()
    }

    /// The number of the newest change.
    pub fn newest(&self) -> u64 {
        self.count
    }

    /// How a process came to be as it is, by a picture.
    fn guess(&mut self, process: &ProcessSnapshot, at: Wall) -> Change {
        self.count += 1;
        let code = process.exit_code.filter(|&code| code >= 0).map(ExitStatus::Code);
        let signal = process.exit_signal;
        // Whether there was a core file, a picture does not tell.
        let ended = signal.map(|signal| ExitStatus::Signal { signal, core_dumped: false }).or(code);
        Change {
            number: self.count,
            at: millis(at),
            from: None,
            to: process.state,
            pid: process.pid,
            ended,
            why: why(process.state, ended, &process.spawn_error),
            restarts: process.restarts,
            by: None,
        }
    }

    /// Enters what happened.
    pub fn hear(&mut self, event: &Event, now: Wall) -> u64 {
        let Event::ProcessState { name, from, to, pid, ended, problem, restarts, .. } = event
        else {
            return self.count;
        };
        let by = self.who(name, *to, *restarts, now);
        let known = self.stories.get(name).map(|story| story.now);
        let story = self.stories.entry(name.clone()).or_insert(Story {
            now: *from,
            changes: VecDeque::new(),
            guessed: false,
        });
        let follows = known.is_none_or(|known| known == *from);
        // A picture may have shown it already.
        let foreseen = !follows && known == Some(*to) && story.guessed;
        if foreseen {
            story.changes.pop_back();
        }
        self.count += 1;
        let change = Change {
            number: self.count,
            at: millis(now),
            from: (follows || foreseen).then_some(*from),
            to: *to,
            pid: *pid,
            ended: *ended,
            why: why(*to, *ended, problem),
            restarts: *restarts,
            by,
        };
        story.enter(change, false);
        self.count
    }

    /// Who asked for this change.
    fn who(
        &self,
        name: &ProcessName,
        to: ProcessState,
        restarts: u32,
        now: Wall,
    ) -> Option<Arc<str>> {
        let is_asked_for = match to {
            ProcessState::Starting => restarts == 0,
            ProcessState::Stopping => true,
            _ => false,
        };
        is_asked_for.then(|| self.askers.who(name, now)).flatten()
    }

    /// Brings what was missed in line with how everything is.
    pub fn catch_up(&mut self, snapshot: &Snapshot, now: Wall) -> u64 {
        for (name, process) in &snapshot.processes {
            if self.stories.get(name).is_some_and(|story| story.now == process.state) {
                continue;
            }
            let change = self.guess(process, now);
            let new = Story { now: process.state, changes: VecDeque::new(), guessed: true };
            self.stories.entry(name.clone()).or_insert(new).enter(change, true);
        }
        self.tidy(snapshot)
    }

    /// Forgets processes that are gone, if they are many.
    pub fn tidy(&mut self, snapshot: &Snapshot) -> u64 {
        let newest = |story: &Story| story.changes.back().map_or(0, |change| change.number);
        let gone = self.stories.iter().filter(|(name, _)| !snapshot.processes.contains_key(*name));
        let mut gone: Vec<_> = gone.map(|(name, story)| (newest(story), name.clone())).collect();
        gone.sort_unstable();
        for (_, name) in gone.iter().take(gone.len().saturating_sub(GONE)) {
            self.stories.remove(name);
        }
        self.count
    }
}

impl Story {
    fn enter(&mut self, change: Change, guessed: bool) {
        self.now = change.to;
        self.guessed = guessed;
        if self.changes.len() == KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }
}

/// What there is to say beside how it ended.
fn why(to: ProcessState, ended: Option<ExitStatus>, problem: &Arc<str>) -> Arc<str> {
    // Of an end it says the same in upstream's words, which know no signals.
    let is_said = to == ProcessState::Exited && ended.is_some();
    if is_said { Arc::default() } else { Arc::clone(problem) }
}

#[cfg(test)]
mod tests;
