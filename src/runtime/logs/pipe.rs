//! The children's pipes: taking over, letting go.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::handle::Attach;
use super::handover::PipeLeft;
use super::journal::ToJournal;
use super::lines::Lines;
use super::pace::{Next, Pace};
use super::peek;
use super::plan::{ChannelKey, ChannelPlan};
use super::plane::Plane;
use super::sinks::SinkId;
use super::syslog::LONGEST;
use super::tap::Tap;
use crate::core::action::Generation;
use crate::core::ansi::Ansi;
use crate::model::record::{Level, Record};
use crate::runtime::keep::Kept;

/// Pipes of a channel that outlive their child, held open by its descendants.
const LINGERING: usize = 4;

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
pub(super) const DRAIN_MOST: usize = 4 << 20;

const DEFAULT_CAPACITY: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Pipe {
    pub key: ChannelKey,
    pub generation: Generation,
    pub pid: i32,
    pub plan: Arc<ChannelPlan>,
    pub fd: OwnedFd,
    /// Takes it out of the store when it is closed.
    _kept: Option<Kept>,
    pub sink: Option<SinkId>,
    pub ansi: Option<Ansi>,
    pub lines: Option<Lines>,
    pub journal: Option<ToJournal>,
    /// None when it is not tapped, and when the tap has ended.
    pub tap: Option<Tap>,
    pace: Pace,
    enlarged: bool,
    /// The child is gone.
    pub ended: bool,
    /// Bytes after which nothing of a child that is gone is left; none when it was all read.
    pub left: Option<usize>,
}

impl Pipe {
    pub(super) fn sink(&self) -> Option<SinkId> {
        self.sink
    }

    /// Bytes that it holds.
    pub(super) fn capacity(&self) -> usize {
        self.pace.capacity()
    }

    /// When to look again, after `count` bytes were taken; `enlarged` counts the pipes that were
    /// made larger.
    pub(super) fn pace_after(
        &mut self,
        count: usize,
        emptied: bool,
        now: Instant,
        enlarged: &mut usize,
    ) -> Next {
        let next = self.pace.after(count, emptied, now);
        if self.pace.is_cramped() && !self.enlarged && *enlarged < ENLARGED {
            enlarge(self, if *enlarged < LARGE_PIPES { LARGE } else { MEDIUM });
            *enlarged += 1;
        }
        next
    }
}

impl Plane {
    pub(super) fn attach(&mut self, attach: Attach) {
        let Attach { key, generation, plan, file, pipe: fd, kept, pid } = attach;
        let journal = plan.journal.as_deref();
        let pipe = PipeLeft {
            key,
            generation,
            pid,
            ansi: plan.strip_ansi.then(Ansi::default),
            lines: plan.syslog.then(|| Lines::new(LONGEST)),
            journal: journal
                .map(|program| ToJournal::new(&plan.name, program, key, pid).hand_over()),
            tap: self.taps.open(&plan, key, generation, pid).map(Tap::hand_over),
            plan,
            ended: false,
            left: None,
        };
        let _ = self.take_pipe(pipe, file, fd, kept);
    }

    /// Reads from a pipe from now on, as one that stands like this; answers how it is called, if
    /// it can be read.
    pub(super) fn take_pipe(
        &mut self,
        pipe: PipeLeft,
        file: Option<File>,
        fd: OwnedFd,
        kept: Option<Kept>,
    ) -> Option<u64> {
        let PipeLeft { key, generation, pid, plan, ansi, lines, journal, tap, ended, left } = pipe;
        let id = self.new_id();
        let sink_id = self.new_id();
        let tap = tap.and_then(|left| {
            let mut tap = self.taps.open(&plan, key, generation, pid)?;
            tap.resume(left);
            Some(tap)
        });
        let journal = journal.and_then(|left| {
            let mut journal = ToJournal::new(&plan.name, plan.journal.as_deref()?, key, pid);
            journal.resume(left);
            Some(journal)
        });
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
            return None;
        }
        let capacity = peek::capacity(&fd).unwrap_or(DEFAULT_CAPACITY);
        let pace = if plan.tap.protocol { Pace::prompt(capacity) } else { Pace::new(capacity) };
        let pipe = Pipe {
            key,
            generation,
            pid,
            fd,
            _kept: kept,
            sink,
            ansi,
            lines,
            journal,
            tap,
            plan,
            pace,
            enlarged: false,
            ended,
            left,
        };
        self.pipes.insert(id, pipe);
        self.by_channel.entry(key).or_default().push(id);
        Some(id)
    }

    pub(super) fn ended(&mut self, key: ChannelKey, generation: Generation) {
        let of_child = |id: &u64| {
            self.pipes.get(id).is_some_and(|pipe| pipe.generation == generation && !pipe.ended)
        };
        let ids = self.by_channel.get(&key).map(Vec::as_slice).unwrap_or_default();
        for id in ids.iter().copied().filter(of_child).collect::<Vec<_>>() {
            if let Some(pipe) = self.pipes.get_mut(&id) {
                pipe.ended = true;
                pipe.left = Some(DRAIN_MOST);
                // It may have changed that itself; all that is there has to be seen.
                pipe.pace.resized(peek::capacity(&pipe.fd).unwrap_or(DEFAULT_CAPACITY));
            }
            self.drain(id);
        }
        let is_lingering = |id: &u64| self.pipes.get(id).is_some_and(|pipe| pipe.ended);
        let ids = self.by_channel.get(&key).map(Vec::as_slice).unwrap_or_default();
        let lingering: Vec<_> = ids.iter().copied().filter(is_lingering).collect();
        for id in &lingering[..lingering.len().saturating_sub(LINGERING)] {
            self.drain_all(*id);
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
        for id in self.by_channel.get(&key).cloned().unwrap_or_default() {
            self.drain_all(id);
            self.close(id);
        }
    }

    /// Moves what the pipes of a channel hold to where it belongs.
    pub(super) fn drain_channel(&mut self, key: ChannelKey) {
        for id in self.by_channel.get(&key).cloned().unwrap_or_default() {
            self.drain(id);
        }
    }

    /// Has the pipe looked at when there is something in it.
    pub(super) fn await_output(&self, id: u64) {
        if let Some(pipe) = self.pipes.get(&id) {
            // It is registered as long as it is here.
            let _ = self.epoll.modify(&pipe.fd, &mut awaited(id));
        }
    }

    pub(super) fn close(&mut self, id: u64) {
        self.finish_output(id);
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
