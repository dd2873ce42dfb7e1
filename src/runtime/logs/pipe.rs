//! The children's pipes: taking over, draining, letting go.

use std::cmp::Reverse;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::unistd::read;

use super::handle::Attach;
use super::journal::{PIECE, ToJournal};
use super::lines::Lines;
use super::main_log::MainLog;
use super::output::Shape;
use super::pace::{Next, Pace};
use super::plan::{ChannelKey, ChannelPlan};
use super::plane::Plane;
use super::sinks::SinkId;
use super::syslog::{LONGEST, Syslog};
use super::text::echo;
use crate::core::ansi::Ansi;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::snapshot::Channel;
use crate::systemd::journal::{Entry, Journal};

/// Pipes of a channel that outlive their child, held open by its descendants.
const LINGERING: usize = 4;

/// What is moved between two pipes' turns without passing through this process.
const SPLICE_MOST: usize = 1 << 20;

/// Below this a copy is as cheap.
const SPLICE_LEAST: usize = 16 * 1024;

/// A pipe that fills up is made larger, if that is allowed: a few very much, others less, since
/// many large ones no longer fit the processor's caches.
const LARGE: i32 = 1 << 20;
const MEDIUM: i32 = 1 << 18;

/// How many pipes may be large, and how many larger than usual at all: their pages count against
/// a limit of the user.
const LARGE_PIPES: usize = 4;
const ENLARGED: usize = 64;

/// What is drained at one go when a child has ended: more than the largest pipe holds, so that a
/// descendant that never stops writing cannot keep the plane here.
const DRAIN_MOST: usize = 4 << 20;

const DEFAULT_CAPACITY: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Pipe {
    key: ChannelKey,
    generation: u64,
    pid: i32,
    plan: Arc<ChannelPlan>,
    fd: OwnedFd,
    sink: Option<SinkId>,
    ansi: Option<Ansi>,
    lines: Option<Lines>,
    journal: Option<ToJournal>,
    pace: Pace,
    enlarged: bool,
    /// The child is gone.
    ended: bool,
}

impl Pipe {
    pub(super) fn sink(&self) -> Option<SinkId> {
        self.sink
    }
}

/// What a look into a pipe found.
enum Taken {
    /// This many bytes; `emptied` is false when there may be more.
    Bytes { count: usize, emptied: bool },
    /// Its end.
    End,
    /// The sink takes nothing at the moment.
    Refused,
}

impl Plane {
    pub(super) fn attach(&mut self, attach: Attach) {
        let Attach { key, generation, plan, file, pipe: fd, pid } = attach;
        let id = self.new_id();
        let sink_id = self.new_id();
        let sink = self.sinks.join(&plan, file, sink_id);
        let flags = fcntl(&fd, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        let nonblocking = flags
            .and_then(|flags| fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)))
            .and_then(|_| self.epoll.add(&fd, awaited(id)));
        if let Err(errno) = nonblocking {
            let text = format!("can't read {} of {}: {errno}", key.channel.name(), plan.name);
            self.log(&Record::about(Level::Critical, &plan.name, text));
            if let Some(sink) = sink {
                self.sinks.leave(sink);
            }
            return;
        }
        let capacity = fcntl(&fd, FcntlArg::F_GETPIPE_SZ)
            .ok()
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(DEFAULT_CAPACITY);
        let pipe = Pipe {
            key,
            generation,
            pid,
            fd,
            sink,
            ansi: plan.strip_ansi.then(Ansi::default),
            lines: plan.syslog.then(|| Lines::new(LONGEST)),
            journal: plan
                .journal
                .as_deref()
                .map(|program| ToJournal::new(&plan.name, program, key, pid)),
            plan,
            pace: Pace::new(capacity),
            enlarged: false,
            ended: false,
        };
        self.pipes.insert(id, pipe);
        self.by_channel.entry(key).or_default().push(id);
    }

    pub(super) fn ended(&mut self, key: ChannelKey, generation: u64) {
        let of_child = |id: &u64| {
            self.pipes.get(id).is_some_and(|pipe| pipe.generation == generation && !pipe.ended)
        };
        let ids = self.by_channel.get(&key).map(Vec::as_slice).unwrap_or_default();
        for id in ids.iter().copied().filter(of_child).collect::<Vec<_>>() {
            self.drain(id);
            if let Some(pipe) = self.pipes.get_mut(&id) {
                pipe.ended = true;
                if let Some(journal) = &mut pipe.journal {
                    journal.ended();
                }
            }
            self.finish_lines(id);
        }
        let is_lingering = |id: &u64| self.pipes.get(id).is_some_and(|pipe| pipe.ended);
        let ids = self.by_channel.get(&key).map(Vec::as_slice).unwrap_or_default();
        let lingering: Vec<_> = ids.iter().copied().filter(is_lingering).collect();
        for id in &lingering[..lingering.len().saturating_sub(LINGERING)] {
            self.drain(*id);
            if let Some(pipe) = self.pipes.get(id) {
                let text = format!(
                    "{}: too many descendants of former runs hold its {} open, \
                     closing the one of pid {}",
                    pipe.plan.name,
                    key.channel.name(),
                    pipe.pid
                );
                let record = Record::about(Level::Warn, &pipe.plan.name, text);
                self.log(&record);
            }
            self.close(*id);
        }
    }

    /// Drains and closes all pipes of a channel.
    pub(super) fn remove(&mut self, key: ChannelKey) {
        self.drain_channel(key);
        for id in self.by_channel.get(&key).cloned().unwrap_or_default() {
            self.close(id);
        }
    }

    /// Moves what the pipes of a channel hold to where it belongs.
    pub(super) fn drain_channel(&mut self, key: ChannelKey) {
        for id in self.by_channel.get(&key).cloned().unwrap_or_default() {
            self.drain(id);
        }
    }

    /// One turn of a pipe: one piece of output, and when to look again.
    pub(super) fn turn(&mut self, id: u64) {
        let taken = self.take(id);
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        match taken {
            Taken::End => self.close(id),
            Taken::Refused => self.paused.push(id),
            Taken::Bytes { count, emptied } => {
                let now = Instant::now();
                let next = pipe.pace.after(count, emptied, now);
                if pipe.pace.is_cramped() && !pipe.enlarged && self.enlarged < ENLARGED {
                    enlarge(pipe, if self.enlarged < LARGE_PIPES { LARGE } else { MEDIUM });
                    self.enlarged += 1;
                }
                match next {
                    Next::Again => self.ready.push_back(id),
                    Next::Gather(wait) => self.gathering.push(Reverse((now + wait, id))),
                    // The pipe is registered as long as it is here.
                    Next::Arm => drop(self.epoll.modify(&pipe.fd, &mut awaited(id))),
                }
            }
        }
    }

    fn drain(&mut self, id: u64) {
        let mut drained = 0;
        while drained < DRAIN_MOST {
            match self.take(id) {
                Taken::Bytes { count: 0, .. } | Taken::Refused => return,
                Taken::Bytes { count, .. } => drained += count,
                Taken::End => return self.close(id),
            }
        }
    }

    fn take(&mut self, id: u64) -> Taken {
        let Some(pipe) = self.pipes.get_mut(&id) else { return Taken::Refused };
        if let Some(sink) = pipe.sink {
            if self.sinks.is_congested(sink) {
                return Taken::Refused;
            }
            let echoed = self.main.logs(Level::Debug);
            if pipe.plan.is_plain() && !echoed && pipe.pace.last() >= SPLICE_LEAST {
                let fd = pipe.fd.as_fd();
                match self.sinks.apply(sink, |sink| sink.splice(fd, SPLICE_MOST)) {
                    Some(Ok((0, _))) => return Taken::End,
                    Some(Ok((count, emptied))) => return Taken::Bytes { count, emptied },
                    Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                        return Taken::Bytes { count: 0, emptied: true };
                    }
                    // Read it, then; what cannot be written is held back.
                    _ => {}
                }
            }
        }
        let most = if pipe.journal.is_some() { PIECE } else { self.scratch.len() };
        if pipe.journal.is_some() && self.journal.is_congested() {
            return Taken::Refused;
        }
        let count = loop {
            match read(&pipe.fd, &mut self.scratch[..most]) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Taken::Bytes { count: 0, emptied: true },
                Err(_) => return Taken::End,
            }
        };
        if count == 0 {
            return Taken::End;
        }
        let emptied = count < most;
        self.stripped.clear();
        let scratch = std::mem::take(&mut self.scratch);
        self.deliver(id, &scratch[..count]);
        self.scratch = scratch;
        Taken::Bytes { count, emptied }
    }

    /// Brings output to all its places.
    fn deliver(&mut self, id: u64, data: &[u8]) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let data = match &mut pipe.ansi {
            Some(ansi) => {
                ansi.strip(data, &mut self.stripped);
                &self.stripped
            }
            None => data,
        };
        if data.is_empty() {
            return;
        }
        if let Some(sink) = pipe.sink {
            self.sinks.write(sink, data, Shape::Bytes);
        }
        let name = &pipe.plan.name.process;
        if let Some(lines) = &mut pipe.lines {
            lines.feed(data, |line, _| self.syslog.send(&[name.as_bytes(), b" ", line].concat()));
        }
        if let Some(journal) = &mut pipe.journal {
            let mut way = WayToJournal {
                journal: &mut self.journal,
                syslog: &mut self.syslog,
                main: &mut self.main,
                name: &pipe.plan.name,
                channel: pipe.key.channel,
            };
            journal.feed(data, |line, entry| way.send(line, entry));
        }
        if self.main.logs(Level::Debug) {
            let text = echo(name, pipe.key.channel, data);
            let record = Record::about(Level::Debug, &pipe.plan.name, text);
            self.main.push(&mut self.syslog, &mut self.journal, SystemTime::now(), &record);
        }
    }

    /// Lets out what was held back for a continuation that does not come.
    fn finish_lines(&mut self, id: u64) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let mut rest = Vec::new();
        if let Some(ansi) = &mut pipe.ansi {
            ansi.finish(&mut rest);
        }
        if let (Some(sink), false) = (pipe.sink, rest.is_empty()) {
            self.sinks.write(sink, &rest, Shape::Bytes);
        }
        let name = &pipe.plan.name.process;
        if let Some(lines) = &mut pipe.lines {
            let mut send = |line: &[u8], _| {
                self.syslog.send(&[name.as_bytes(), b" ", line].concat());
            };
            lines.feed(&rest, &mut send);
            lines.finish(send);
        }
        if let Some(journal) = &mut pipe.journal {
            let mut way = WayToJournal {
                journal: &mut self.journal,
                syslog: &mut self.syslog,
                main: &mut self.main,
                name: &pipe.plan.name,
                channel: pipe.key.channel,
            };
            journal.feed(&rest, |line, entry| way.send(line, entry));
            journal.finish(|line, entry| way.send(line, entry));
        }
    }

    fn close(&mut self, id: u64) {
        self.finish_lines(id);
        let Some(pipe) = self.pipes.remove(&id) else { return };
        self.enlarged -= usize::from(pipe.enlarged);
        if let Some(ids) = self.by_channel.get_mut(&pipe.key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_channel.remove(&pipe.key);
            }
        }
        if let Some(sink) = pipe.sink {
            self.sinks.leave(sink);
        }
    }
}

/// Where lines for the journal go, be it there or not.
struct WayToJournal<'a> {
    journal: &'a mut Journal,
    syslog: &'a mut Syslog,
    main: &'a mut MainLog,
    name: &'a ProcessName,
    channel: Channel,
}

impl WayToJournal<'_> {
    /// Sends a line to the journal; without one, to the daemon's log, where people look next.
    fn send(&mut self, line: &[u8], entry: Entry) {
        if !self.journal.is_there() {
            let echoed = self.main.logs(Level::Debug);
            let line = String::from_utf8_lossy(line);
            let text = format!("{} {}: {line}", self.name, self.channel.name());
            if echoed || self.main.push_text(self.syslog, SystemTime::now(), Level::Info, &text) {
                return;
            }
        }
        self.journal.send_output(entry);
    }
}

fn awaited(id: u64) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, id)
}

/// Makes a pipe larger; it is tried once, and a refusal does no harm.
fn enlarge(pipe: &mut Pipe, size: i32) {
    pipe.enlarged = true;
    for size in [size, MEDIUM] {
        if usize::try_from(size).is_ok_and(|size| size <= pipe.pace.capacity()) {
            return;
        }
        if let Ok(size) = fcntl(&pipe.fd, FcntlArg::F_SETPIPE_SZ(size)) {
            pipe.pace.resized(usize::try_from(size).unwrap_or(DEFAULT_CAPACITY));
            return;
        }
    }
}
