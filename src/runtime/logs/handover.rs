//! The log plane on its way to another daemon, and there. Nothing is read any more, nothing is
//! closed: what children write meanwhile waits in their pipes.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::journal::{JournalLeft, ToJournal};
use super::lines::Lines;
use super::pipe::Pipe;
use super::plan::{ChannelKey, ChannelPlan};
use super::plane::Plane;
use super::sink::{Held, Sink};
use super::tap::TapLeft;
use crate::core::action::Generation;
use crate::core::ansi::Ansi;
use crate::runtime::keep::{Keep, Name};

/// What another daemon has to know to go on without losing or repeating a byte.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LogsLeft {
    pub(super) pipes: Vec<PipeLeft>,
    pub(super) held: Vec<Held>,
    /// Datagrams that syslog and the journal have not taken.
    pub(super) syslog: Vec<Vec<u8>>,
    pub(super) journal: Vec<Vec<u8>>,
}

impl LogsLeft {
    /// How many descriptors belong to it.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.pipes.len()
    }
}

impl LogsLeft {
    /// Whether each pipe is as it may be between two pieces of output.
    ///
    /// # Errors
    /// One that is not.
    pub fn check(&self) -> Result<(), String> {
        for pipe in &self.pipes {
            let fits = pipe.lines.as_ref().is_none_or(Lines::fits)
                && pipe.journal.as_ref().is_none_or(JournalLeft::fits)
                && pipe.tap.as_ref().is_none_or(TapLeft::fits);
            if !fits {
                let (channel, name) = (pipe.key.channel.name(), &pipe.plan.name);
                return Err(format!("{channel} of {name}: what was begun does not fit"));
            }
        }
        match self.held.iter().find(|held| held.lost > u64::MAX / 2) {
            Some(held) => Err(format!("log {}: more was lost than can be", held.path.display())),
            None => Ok(()),
        }
    }

    /// Takes output in where each of the pipes stands, and forgets it.
    pub fn try_out(self, data: &[u8]) {
        for pipe in self.pipes {
            let PipeLeft { key, pid, plan, ansi, lines, journal, tap, .. } = pipe;
            if let Some(mut ansi) = ansi {
                ansi.strip(data, &mut Vec::new());
            }
            if let Some(mut lines) = lines {
                lines.feed(data, |_, _| ());
                lines.finish(|_, _| ());
            }
            if let Some(left) = journal {
                let mut journal = ToJournal::new(&plan.name, "program", key, pid);
                journal.resume(left);
                journal.feed(data, |_, _| ());
                journal.finish(|_, _| ());
            }
            if let Some(tap) = tap {
                tap.try_out(data);
            }
        }
    }
}

/// One pipe; its descriptor travels beside it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PipeLeft {
    pub key: ChannelKey,
    pub generation: Generation,
    pub pid: i32,
    pub plan: Arc<ChannelPlan>,
    pub ansi: Option<Ansi>,
    pub lines: Option<Lines>,
    pub journal: Option<JournalLeft>,
    /// None when its tap has ended.
    pub tap: Option<TapLeft>,
    pub ended: bool,
    pub left: Option<usize>,
}

/// What the plane left, with the pipes in the same order.
pub type Handed = (LogsLeft, Vec<OwnedFd>);

impl Plane {
    /// Writes what was read, waiting for slow streams until `by`, and gives everything away.
    pub(super) fn hand_over(mut self, by: Instant, reply: oneshot::Sender<Handed>) {
        self.retire();
        self.write_out(by, |_| {});
        let mut left = LogsLeft::default();
        let mut descriptors = Vec::new();
        let mut pipes: Vec<_> = self.pipes.drain().collect();
        // Several pipes of a channel go on in their order.
        pipes.sort_by_key(|(id, _)| *id);
        for (_, pipe) in pipes {
            let (pipe, fd) = pipe.hand_over();
            left.pipes.push(pipe);
            descriptors.push(fd);
        }
        for id in self.sinks.ids() {
            left.held.extend(self.sinks.apply(id, Sink::hand_over).flatten());
        }
        left.syslog = self.syslog.take_queue();
        left.journal = self.journal.take_queue();
        // If nobody waits for it any more, the daemon ends.
        let _ = reply.send((left, descriptors));
    }

    /// Goes on where another plane stopped.
    pub(super) fn adopt(&mut self, left: LogsLeft, descriptors: Vec<OwnedFd>, keep: &Keep) {
        let LogsLeft { pipes, held, syslog, journal } = left;
        let mut ids = Vec::new();
        for (pipe, fd) in pipes.into_iter().zip(descriptors) {
            let kept = keep.claim(Name::output(pipe.key, pipe.generation));
            ids.extend(self.take_pipe(pipe, None, fd, kept));
        }
        for Held { path, private, rotation, bytes, lost } in held {
            let id = self.sinks.by_name(&path).unwrap_or_else(|| {
                let id = self.new_id();
                self.sinks.add(id, Sink::new(path, private, rotation));
                self.sinks.leave(id);
                id
            });
            self.sinks.apply(id, |sink| sink.take_over(bytes, lost));
        }
        self.syslog.put_back(syslog);
        self.journal.put_back(journal);
        // A pipe whose child is gone may have reached its end meanwhile.
        self.ready.extend(ids);
    }
}

impl Pipe {
    fn hand_over(self) -> (PipeLeft, OwnedFd) {
        let Self { key, generation, pid, plan, fd, ansi, lines, journal, tap, ended, left, .. } =
            self;
        let journal = journal.map(ToJournal::hand_over);
        let tap = tap.map(super::tap::Tap::hand_over);
        (PipeLeft { key, generation, pid, plan, ansi, lines, journal, tap, ended, left }, fd)
    }
}
