//! The way into the log plane: a queue that nobody waits at.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use nix::sys::eventfd::EventFd;
use tokio::sync::{oneshot, watch};

use super::follow::Growth;
use super::handover::{Handed, LogsLeft};
use super::plan::{ChannelKey, ChannelPlan};
use crate::model::record::{Level, Record};
use crate::runtime::keep::{Keep, Kept};

/// Lines of the daemon's own log that may wait for the plane; more are counted and dropped.
const RECORDS_MAX: usize = 8_192;

/// A child's pipe, on its way to the plane.
#[derive(Debug)]
pub(super) struct Attach {
    pub key: ChannelKey,
    pub generation: u64,
    pub plan: Arc<ChannelPlan>,
    pub file: Option<File>,
    pub pipe: OwnedFd,
    pub kept: Option<Kept>,
    pub pid: i32,
}

/// What the plane is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Record(SystemTime, Record),
    Attach(Attach),
    Ended { key: ChannelKey, generation: u64 },
    Confirm { key: ChannelKey, generation: u64, bytes: usize },
    Note { key: ChannelKey, plan: Arc<ChannelPlan>, text: String },
    Remove(ChannelKey),
    Reopen,
    Follow { path: PathBuf, growth: watch::Sender<Growth> },
    Sync { key: Option<ChannelKey>, reply: Reply },
    Clear { key: ChannelKey, path: Option<PathBuf>, reply: Reply },
    ClearMain { reply: Reply },
    Stop { by: Instant },
    HandOver { by: Instant, reply: oneshot::Sender<Handed> },
    Adopt { left: LogsLeft, descriptors: Vec<OwnedFd>, keep: Keep },
}

pub(super) type Reply = oneshot::Sender<io::Result<()>>;

/// What waits for the plane.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub commands: Vec<Command>,
    records: usize,
    /// Records that found no room.
    pub dropped: u64,
    closed: bool,
}

/// The queue, and what wakes the plane.
///
/// Only records are bounded: every other command stands for something that exists once, such as
/// a pipe, and dropping it would lose output.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    pub wake: EventFd,
}

impl Inbox {
    pub(super) fn new(wake: EventFd) -> Self {
        Self { waiting: Mutex::default(), wake }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can leave the queue half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, command: Command) {
        let mut waiting = self.waiting();
        if waiting.closed {
            return;
        }
        if matches!(command, Command::Record(..)) {
            if waiting.records == RECORDS_MAX {
                waiting.dropped += 1;
                return;
            }
            waiting.records += 1;
        }
        let was_empty = waiting.commands.is_empty();
        waiting.commands.push(command);
        drop(waiting);
        if was_empty {
            // It only fails when the counter is at its limit, and then the plane is awake.
            let _ = self.wake.write(1);
        }
    }

    /// Everything that waits, in order.
    pub(super) fn take(&self) -> Waiting {
        let mut waiting = self.waiting();
        let closed = waiting.closed;
        mem::replace(&mut *waiting, Waiting { closed, ..Waiting::default() })
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        // Dropped after the lock is released: closing files may take time.
        let rest = mem::take(&mut waiting.commands);
        drop(waiting);
        drop(rest);
    }
}

/// A cheap handle on the log plane, for any thread. No method waits for the disk; the asynchronous
/// ones answer when the plane has got to it.
#[derive(Debug, Clone)]
pub struct LogHandle {
    pub(super) inbox: Arc<Inbox>,
    pub(super) level: Level,
    pub(super) in_journal: bool,
}

impl LogHandle {
    /// Logs a line, unless it is less important than the log's level. The time is now. When the
    /// plane cannot keep up, the line is dropped, and the log says how many were.
    pub fn record(&self, record: Record) {
        if self.logs(record.level) {
            self.inbox.push(Command::Record(SystemTime::now(), record));
        }
    }

    /// Whether lines of this level are logged at all.
    #[must_use]
    pub fn logs(&self, level: Level) -> bool {
        level <= self.level
    }

    /// Whether the daemon's own log is in the journal, and nowhere else.
    #[must_use]
    pub fn is_in_journal(&self) -> bool {
        self.in_journal
    }

    /// Takes over the reading end of a child's pipe, and what keeps it for the next daemon. `file`
    /// is what [`ChannelPlan::open_file`] gave; it is dropped when the same file is open already.
    pub fn attach(
        &self,
        key: ChannelKey,
        generation: u64,
        plan: Arc<ChannelPlan>,
        file: Option<File>,
        (pipe, kept): (OwnedFd, Option<Kept>),
        pid: i32,
    ) {
        let attach = Attach { key, generation, plan, file, pipe, kept, pid };
        self.inbox.push(Command::Attach(attach));
    }

    /// The child was reaped: what it wrote is drained. A pipe that something else still holds
    /// open is read on until its end (C-213, better), for a few such pipes of a channel.
    pub fn ended(&self, key: ChannelKey, generation: u64) {
        self.inbox.push(Command::Ended { key, generation });
    }

    /// So many bytes of what a listener said are in the state of the engine, which does not need to
    /// hear them again. For a plane that was started [`careful`](super::Surroundings::careful):
    /// they leave the pipe, and the next ones are told.
    pub fn confirm(&self, key: ChannelKey, generation: u64, bytes: usize) {
        self.inbox.push(Command::Confirm { key, generation, bytes });
    }

    /// Puts a line of supervisord's own into a child's log (C-205), with a newline at its end.
    pub fn note(&self, key: ChannelKey, plan: Arc<ChannelPlan>, text: impl Into<String>) {
        self.inbox.push(Command::Note { key, plan, text: text.into() });
    }

    /// The process is gone for good: drains its pipes and closes them. Its files stay (C-136).
    pub fn remove(&self, key: ChannelKey) {
        self.inbox.push(Command::Remove(key));
    }

    /// Opens the main log and all child logs by name again (C-143, C-378).
    pub fn reopen(&self) {
        self.inbox.push(Command::Reopen);
    }

    /// Subscribes to what happens to a log, by any of its configured names. The subscription
    /// fires once at first, so that nothing is missed between reading and subscribing.
    #[must_use]
    pub fn follow(&self, path: impl Into<PathBuf>) -> watch::Receiver<Growth> {
        let (growth, receiver) = watch::channel(Growth::default());
        self.inbox.push(Command::Follow { path: path.into(), growth });
        receiver
    }

    /// Answers when everything that was asked before is done, and everything that the channel's
    /// pipes held is where it belongs: before reading a log of a process that has just ended.
    ///
    /// # Errors
    /// The plane has stopped.
    pub async fn sync(&self, key: Option<ChannelKey>) -> io::Result<()> {
        self.ask(|reply| Command::Sync { key, reply }).await
    }

    /// Empties the log of a channel (C-315); `path` is where it is, so that a stopped process
    /// can be cleared too (C-431). Backups stay, and what is no regular file is left alone. A
    /// log that does not exist is clear already.
    ///
    /// # Errors
    /// What the system says of the file; or the plane has stopped.
    pub async fn clear(&self, key: ChannelKey, path: Option<PathBuf>) -> io::Result<()> {
        self.ask(|reply| Command::Clear { key, path, reply }).await
    }

    /// Empties the daemon's own log (C-295).
    ///
    /// # Errors
    /// `NotFound` when it is no file or the file is gone; else what the system says of it; or the
    /// plane has stopped.
    pub async fn clear_main(&self) -> io::Result<()> {
        self.ask(|reply| Command::ClearMain { reply }).await
    }

    async fn ask(&self, command: impl FnOnce(Reply) -> Command) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        self.inbox.push(command(reply));
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// The plane writes what it has read and ends; what goes to another daemon comes back. Slow
    /// streams are waited for until `by`.
    ///
    /// # Errors
    /// The plane has stopped.
    pub async fn hand_over(&self, by: Instant) -> io::Result<Handed> {
        let (reply, handed) = oneshot::channel();
        self.inbox.push(Command::HandOver { by, reply });
        handed.await.map_err(|_| stopped())
    }

    /// Goes on where another plane stopped; the descriptors are those that came with `left`, and are
    /// in the store already if there is one.
    pub fn adopt(&self, left: LogsLeft, descriptors: Vec<OwnedFd>, keep: Keep) {
        self.inbox.push(Command::Adopt { left, descriptors, keep });
    }

    pub(super) fn stop(&self, by: Instant) {
        self.inbox.push(Command::Stop { by });
    }
}

fn stopped() -> io::Error {
    io::Error::new(ErrorKind::BrokenPipe, "the log plane has stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(level: Level) -> LogHandle {
        let inbox = Arc::new(Inbox::new(EventFd::new().unwrap()));
        LogHandle { inbox, level, in_journal: false }
    }

    #[test]
    fn records_are_bounded_and_counted_when_nobody_takes_them() {
        let handle = handle(Level::Info);
        for n in 0..RECORDS_MAX + 3 {
            handle.record(Record::new(Level::Info, n.to_string()));
        }
        handle.record(Record::new(Level::Debug, "not logged at all"));
        handle.reopen();
        let waiting = handle.inbox.take();
        assert_eq!((waiting.commands.len(), waiting.dropped), (RECORDS_MAX + 1, 3));
        handle.record(Record::new(Level::Info, "room again"));
        assert_eq!(handle.inbox.take().commands.len(), 1);
    }

    #[test]
    fn a_stopped_plane_answers_every_question() {
        let handle = handle(Level::Info);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let asked = handle.clone();
        runtime.block_on(async {
            let question = tokio::spawn(async move { asked.clear_main().await });
            tokio::task::yield_now().await;
            handle.inbox.close();
            assert_eq!(question.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(handle.sync(None).await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    }
}
