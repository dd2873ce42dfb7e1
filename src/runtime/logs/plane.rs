//! The thread: its loop, and what it is asked to do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use tokio::sync::mpsc;

use super::handle::{Command, Inbox};
use super::main_log::MainLog;
use super::output::Shape;
use super::peek::Peek;
use super::pipe::Pipe;
use super::plan::{ChannelKey, ChannelPlan};
use super::sink::Sink;
use super::sinks::{Sinks, await_room};
use super::stream::Stream;
use super::syslog::Syslog;
use super::tap::{Tapped, Taps};
use crate::model::message::Kind;
use crate::model::record::{Level, Record};
use crate::systemd::journal::{Journal, LineEnd, Source, of_record, priority};

const WAKE: u64 = 0;
const SYSLOG: u64 = 1;
const JOURNAL: u64 = 2;

/// Bytes that are read at once: upstream's piece.
const SCRATCH: usize = 128 * 1024;

/// Events that are looked at between two looks at the queue.
const EVENTS: usize = 256;

#[derive(Debug)]
pub(super) struct Plane {
    inbox: Arc<Inbox>,
    pub(super) epoll: Rc<Epoll>,
    pub(super) pipes: HashMap<u64, Pipe>,
    pub(super) by_channel: HashMap<ChannelKey, Vec<u64>>,
    pub(super) sinks: Sinks,
    pub(super) main: MainLog,
    pub(super) syslog: Syslog,
    pub(super) journal: Journal,
    stderr: Option<Stream>,
    pub(super) taps: Taps,
    pub(super) peek: Peek,
    pub(super) scratch: Vec<u8>,
    pub(super) stripped: Vec<u8>,
    /// Pipes that have, or may have, something to read.
    pub(super) ready: VecDeque<u64>,
    /// Pipes in which output gathers, and until when.
    pub(super) gathering: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Pipes whose sink or tap takes nothing more.
    pub(super) paused: Vec<u64>,
    /// How many pipes were made larger.
    pub(super) enlarged: usize,
    next_id: u64,
}

/// What the plane is born with.
#[derive(Debug)]
pub(super) struct Origin {
    pub inbox: Arc<Inbox>,
    pub level: Level,
    pub main: Option<Sink>,
    pub main_to_syslog: bool,
    pub main_to_journal: bool,
    pub copy: Option<Sink>,
    pub stderr: Option<Stream>,
    pub syslog: Syslog,
    pub journal: Journal,
    pub tapped: mpsc::UnboundedSender<Tapped>,
    pub careful: bool,
}

impl Plane {
    pub(super) fn new(origin: Origin) -> io::Result<Self> {
        let epoll = Rc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        epoll.add(&origin.inbox.wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        let mut sinks = Sinks::new(Rc::clone(&epoll));
        let mut next_id = JOURNAL;
        let mut add = |sink: Sink| {
            next_id += 1;
            sinks.add(next_id, sink);
            next_id
        };
        let (file, copy) = (origin.main.map(&mut add), origin.copy.map(&mut add));
        if let Some(file) = file {
            sinks.set_main(file);
        }
        Ok(Self {
            taps: Taps::new(origin.tapped, Arc::clone(&origin.inbox), origin.careful),
            inbox: origin.inbox,
            epoll,
            pipes: HashMap::new(),
            by_channel: HashMap::new(),
            sinks,
            main: MainLog::new(
                origin.level,
                file,
                origin.main_to_syslog,
                origin.main_to_journal,
                copy,
            ),
            syslog: origin.syslog,
            journal: origin.journal,
            stderr: origin.stderr,
            peek: Peek::new()?,
            scratch: vec![0; SCRATCH],
            stripped: Vec::new(),
            ready: VecDeque::new(),
            gathering: BinaryHeap::new(),
            paused: Vec::new(),
            enlarged: 0,
            next_id: next_id + 1,
        })
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS];
        loop {
            let waiting = self.inbox.take();
            if waiting.dropped > 0 {
                let text = format!("{} lines of this log were lost: too many", waiting.dropped);
                self.log(&Record::new(Level::Warn, text).of(Kind::OutputLost));
            }
            for command in waiting.commands {
                match command {
                    Command::Stop { by } => return self.finish(by),
                    // Whoever waited too long for it goes on with this one.
                    Command::HandOver { reply, .. } if reply.is_closed() => {}
                    Command::HandOver { by, reply } => return self.hand_over(by, reply),
                    command => self.obey(command),
                }
            }
            // One turn for each pipe, then the others and the queue get theirs.
            for _ in 0..self.ready.len() {
                if let Some(id) = self.ready.pop_front() {
                    self.turn(id);
                }
            }
            self.tell();
            if self.sinks.take_relief() | self.journal.take_relief() | self.taps.take_relief() {
                self.ready.extend(self.paused.drain(..));
            }
            match self.wait(&mut events) {
                Ok(n) => events[..n].iter().for_each(|event| self.event(event.data())),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => {
                    let text = format!("the log plane cannot wait for events: {errno}");
                    self.complain(&Record::new(Level::Critical, text));
                    return self.finish(Instant::now());
                }
            }
            self.time_passed(Instant::now());
        }
    }

    pub(super) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn log(&mut self, record: &Record) {
        self.log_at(SystemTime::now(), record);
    }

    fn log_at(&mut self, at: SystemTime, record: &Record) {
        self.main.push(&mut self.syslog, &mut self.journal, at, record);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Record(at, record) => self.log_at(at, &record),
            Command::Attach(attach) => self.attach(attach),
            Command::Adopt { left, descriptors, keep } => self.adopt(left, descriptors, &keep),
            Command::Ended { key, generation } => self.ended(key, generation),
            Command::Confirm { key, generation, bytes } => self.confirm(key, generation, bytes),
            Command::Note { key, plan, text } => self.note(key, &plan, text),
            Command::Remove(key) => self.remove(key),
            Command::Reopen => {
                // What was logged before belongs to the old file.
                self.tell();
                for id in self.sinks.ids() {
                    self.sinks.apply(id, Sink::reopen);
                }
            }
            Command::Follow { path, growth } => self.sinks.follows.add(path, growth),
            Command::Sync { key, reply } => {
                let channels =
                    key.map_or_else(|| self.by_channel.keys().copied().collect(), |key| vec![key]);
                for key in channels {
                    self.drain_channel(key);
                }
                self.tell();
                // Whoever asked may have gone away.
                let _ = reply.send(Ok(()));
            }
            Command::Clear { key, path, reply } => {
                let _ = reply.send(self.clear(key, path.as_deref()));
            }
            Command::ClearMain { reply } => {
                let _ = reply.send(self.clear_main());
            }
            // Handled where commands are taken.
            Command::Stop { .. } | Command::HandOver { .. } => {}
        }
    }

    fn event(&mut self, id: u64) {
        match id {
            // Fails only when somebody else has read it.
            WAKE => drop(self.inbox.wake.read()),
            SYSLOG => self.syslog.flush(),
            JOURNAL => self.journal.flush(),
            id if self.pipes.contains_key(&id) => self.ready.push_back(id),
            id => {
                self.sinks.apply(id, |sink| {
                    if sink.waits_for().is_some() {
                        sink.resume();
                    }
                });
            }
        }
    }

    fn time_passed(&mut self, now: Instant) {
        while let Some(Reverse((due, id))) = self.gathering.peek()
            && *due <= now
        {
            self.ready.push_back(*id);
            self.gathering.pop();
        }
        self.sinks.retry(now);
        if self.journal.retry_at().is_some_and(|at| at <= now) {
            self.journal.flush();
        }
    }

    /// Waits until something is ready or its time has come; without either, for as long as it
    /// takes.
    fn wait(&self, events: &mut [EpollEvent]) -> nix::Result<usize> {
        if !self.ready.is_empty() {
            return self.epoll.wait(events, EpollTimeout::ZERO);
        }
        let gathered = self.gathering.peek().map(|Reverse((due, _))| *due);
        let retries = [gathered, self.sinks.next_retry(), self.journal.retry_at()];
        let Some(due) = retries.into_iter().flatten().min() else {
            return self.epoll.wait(events, EpollTimeout::NONE);
        };
        // epoll_wait() counts in milliseconds.
        let left = TimeSpec::from_duration(due.saturating_duration_since(Instant::now()));
        ppoll(&mut [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)], Some(left), None)?;
        self.epoll.wait(events, EpollTimeout::ZERO)
    }

    /// Writes the lines of this turn, and what the sinks have to tell.
    fn tell(&mut self) {
        let mut notices = self.sinks.take_notices();
        notices.extend(self.syslog.take_notices());
        notices.extend(self.journal.take_notices());
        for notice in &notices {
            self.log(notice);
        }
        self.main.flush(&mut self.sinks);
        for complaint in self.sinks.take_complaints() {
            self.complain(&complaint);
        }
        if let Some(socket) = self.syslog.waits_for() {
            await_room(&self.epoll, socket, SYSLOG);
        }
        if let Some(socket) = self.journal.waits_for() {
            await_room(&self.epoll, socket, JOURNAL);
        }
    }

    /// The last resort, when the main log itself is in trouble.
    fn complain(&mut self, complaint: &Record) {
        if self.main.is_in_journal() {
            self.journal.send(of_record(complaint));
        } else if let Some(stderr) = &self.stderr {
            // There is nowhere left to say that this failed.
            let _ = stderr.write(format!("supervisord: {}\n", complaint.text).as_bytes());
        }
    }

    fn note(&mut self, key: ChannelKey, plan: &ChannelPlan, mut text: String) {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        self.drain_channel(key);
        let new_id = self.new_id();
        // A file that cannot be opened is the sink's trouble, and told there.
        let file = plan.open_file().unwrap_or_default();
        if let Some(sink) = self.sinks.join(plan, file, new_id) {
            self.sinks.write(sink, text.as_bytes(), Shape::Lines);
            self.sinks.leave(sink);
        }
        if plan.syslog {
            for line in text.lines() {
                self.syslog.send(format!("{} {line}", plan.name.process).as_bytes());
            }
        }
        if let Some(program) = &plan.journal {
            let source = Source::new(&plan.name, program, key.channel, 0);
            let priority = priority(Level::Error);
            for line in text.lines() {
                let entry = source.line(priority, line.as_bytes(), LineEnd::Newline, false);
                self.journal.send(entry);
            }
        }
    }

    fn clear(&mut self, key: ChannelKey, path: Option<&Path>) -> io::Result<()> {
        // What was written before is cleared too.
        self.drain_channel(key);
        let of_channel =
            || self.by_channel.get(&key)?.iter().rev().find_map(|id| self.pipes.get(id)?.sink());
        let sink = path.and_then(|path| self.sinks.by_name(path)).or_else(of_channel);
        match (sink.and_then(|id| self.sinks.apply(id, Sink::clear)), path) {
            (Some(outcome), _) => outcome,
            (None, Some(path)) => truncate(path),
            (None, None) => Ok(()),
        }
    }

    fn clear_main(&mut self) -> io::Result<()> {
        let Some(file) = self.main.file() else { return Err(ErrorKind::NotFound.into()) };
        self.log(&Record::new(Level::Info, "reopening log file"));
        self.tell();
        self.sinks.apply(file, Sink::clear).unwrap_or(Ok(()))
    }

    /// Takes no more commands.
    pub(super) fn retire(&mut self) {
        self.inbox.close();
        // Its counter would wake every round. The plane has no use for it any more.
        let _ = self.epoll.delete(&self.inbox.wake);
    }

    /// Drains and writes everything, and waits for slow streams until `by`.
    fn finish(mut self, by: Instant) {
        self.retire();
        let channels: Vec<_> = self.by_channel.keys().copied().collect();
        self.write_out(by, |plane| {
            for key in &channels {
                plane.drain_channel(*key);
            }
        });
        for key in channels {
            self.remove(key);
        }
        for text in self.sinks.unwritten() {
            let record = Record::new(Level::Error, text).of(Kind::OutputLost);
            self.log(&record);
            if !self.main.is_in_journal() {
                self.complain(&record);
            }
        }
        self.tell();
    }

    /// Writes everything, and waits for slow streams until `by`; `read` comes before each try.
    pub(super) fn write_out(&mut self, by: Instant, mut read: impl FnMut(&mut Self)) {
        let mut also_failing = true;
        let mut events = vec![EpollEvent::empty(); EVENTS];
        loop {
            read(self);
            self.syslog.flush();
            self.journal.flush();
            let slow = self.sinks.last_try(also_failing)
                | self.syslog.waits_for().is_some()
                | self.journal.waits_for().is_some();
            also_failing = false;
            self.tell();
            let left = by.saturating_duration_since(Instant::now());
            if !slow || left.is_zero() {
                break;
            }
            let wait = EpollTimeout::try_from(left.max(Duration::from_millis(1)));
            // Whatever it says, the next round finds out how things are.
            let _ = self.epoll.wait(&mut events, wait.unwrap_or(EpollTimeout::MAX));
        }
    }
}

/// Empties a file that no sink has open (C-431). What is no regular file is left alone.
fn truncate(path: &Path) -> io::Result<()> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    match OpenOptions::new().write(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => file.set_len(0),
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound) => Err(error),
        _ => Ok(()),
    }
}
