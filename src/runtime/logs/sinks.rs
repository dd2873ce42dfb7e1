//! All sinks: one for each file, however many write to it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::follow::Follows;
use super::output::{FileId, Shape};
use super::plan::ChannelPlan;
use super::sink::Sink;
use crate::model::record::Record;

/// Names a sink, and its event.
pub(super) type SinkId = u64;

#[derive(Debug)]
pub(super) struct Sinks {
    epoll: Rc<Epoll>,
    all: HashMap<SinkId, Sink>,
    /// Those that failed and are tried again later.
    failing: HashSet<SinkId>,
    /// The main log's own: what is wrong with it cannot be told in it.
    main: Option<SinkId>,
    pub follows: Follows,
    notices: Vec<Record>,
    complaints: Vec<Record>,
    /// A sink that made its writers wait does so no more.
    relieved: bool,
    congested: HashSet<SinkId>,
}

impl Sinks {
    pub(super) fn new(epoll: Rc<Epoll>) -> Self {
        Self {
            epoll,
            all: HashMap::new(),
            failing: HashSet::new(),
            main: None,
            follows: Follows::default(),
            notices: Vec::new(),
            complaints: Vec::new(),
            relieved: false,
            congested: HashSet::new(),
        }
    }

    pub(super) fn add(&mut self, id: SinkId, mut sink: Sink) {
        sink.users += 1;
        self.all.insert(id, sink);
        self.settle(id);
    }

    pub(super) fn set_main(&mut self, id: SinkId) {
        self.main = Some(id);
    }

    /// The sink for a channel's file: the one that has this file, or this name, or a new one
    /// under `new_id`.
    pub(super) fn join(
        &mut self,
        plan: &ChannelPlan,
        file: Option<File>,
        new_id: SinkId,
    ) -> Option<SinkId> {
        let path = plan.file.as_deref()?;
        let file_id = file.as_ref().and_then(|f| f.metadata().ok()).map(|m| FileId::of(&m));
        let same_file = |sink: &Sink| file_id.is_some() && sink.id() == file_id;
        let known = self
            .find(same_file)
            .or_else(|| self.by_name(path))
            .filter(|id| self.all.get(id).is_some_and(|sink| !sink.has_given_up()));
        let id = known.unwrap_or(new_id);
        let sink = self
            .all
            .entry(id)
            .or_insert_with(|| Sink::new(path.to_path_buf(), plan.auto, plan.rotation()));
        sink.users += 1;
        sink.also_named(path);
        // The newest plan holds, but not over the daemon's own.
        if self.main != Some(id) {
            sink.set_rotation(plan.rotation());
        }
        // If the name leads to a new file, that is the log now.
        if let Some(file) = file
            && sink.id() != file_id
        {
            sink.adopt(file);
        }
        self.settle(id);
        Some(id)
    }

    /// One user less; the last one closes the file.
    pub(super) fn leave(&mut self, id: SinkId) {
        self.apply(id, |sink| sink.users = sink.users.saturating_sub(1));
    }

    pub(super) fn by_name(&self, path: &Path) -> Option<SinkId> {
        self.find(|sink| sink.names().any(|name| name == path))
    }

    fn find(&self, wanted: impl Fn(&Sink) -> bool) -> Option<SinkId> {
        self.all.iter().find(|(_, sink)| wanted(sink)).map(|(id, _)| *id)
    }

    pub(super) fn ids(&self) -> Vec<SinkId> {
        self.all.keys().copied().collect()
    }

    pub(super) fn write(&mut self, id: SinkId, data: &[u8], shape: Shape) {
        self.apply(id, |sink| sink.write(data, shape));
    }

    /// Does something with a sink and draws the consequences.
    pub(super) fn apply<R>(&mut self, id: SinkId, act: impl FnOnce(&mut Sink) -> R) -> Option<R> {
        let result = act(self.all.get_mut(&id)?);
        self.settle(id);
        Some(result)
    }

    /// Whether output can be moved there from a pipe, as far as is known.
    pub(super) fn takes_pipes(&self, id: SinkId) -> bool {
        self.all.get(&id).is_some_and(Sink::takes_pipes)
    }

    pub(super) fn is_congested(&self, id: SinkId) -> bool {
        self.congested.contains(&id)
    }

    /// When to call [`retry`](Self::retry).
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.failing.iter().filter_map(|id| self.all.get(id)?.retry_at()).min()
    }

    /// Tries those again whose time has come.
    pub(super) fn retry(&mut self, now: Instant) {
        let is_due = |sink: &Sink| sink.retry_at().is_some_and(|at| at <= now);
        let due: Vec<_> = self
            .failing
            .iter()
            .copied()
            .filter(|id| self.all.get(id).is_some_and(is_due))
            .collect();
        for id in due {
            self.apply(id, Sink::resume);
        }
    }

    /// Tries all once more that hold something back; whether some still do for being slow.
    pub(super) fn last_try(&mut self, also_failing: bool) -> bool {
        for id in self.ids() {
            self.apply(id, |sink| {
                if sink.waits_for().is_some() || (also_failing && sink.is_holding()) {
                    sink.resume();
                }
            });
        }
        self.all.values().any(|sink| sink.waits_for().is_some())
    }

    /// What could not be written, for the end.
    pub(super) fn unwritten(&self) -> Vec<String> {
        let left = self.all.values().map(Sink::unwritten).filter(|(_, bytes)| *bytes > 0);
        left.map(|(path, bytes)| format!("{bytes} bytes for log {} are lost", path.display()))
            .collect()
    }

    pub(super) fn take_notices(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.notices)
    }

    /// What is wrong with the main log.
    pub(super) fn take_complaints(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.complaints)
    }

    pub(super) fn take_relief(&mut self) -> bool {
        std::mem::take(&mut self.relieved)
    }

    fn settle(&mut self, id: SinkId) {
        let Some(sink) = self.all.get_mut(&id) else { return };
        let news = sink.take_news();
        if !self.follows.is_empty() && (news.grew || news.rotations + news.truncations > 0) {
            self.follows.tell(sink.names(), &news, sink.size());
        }
        let told = if self.main == Some(id) { &mut self.complaints } else { &mut self.notices };
        told.extend(news.notices);
        if let Some(stream) = sink.waits_for() {
            await_room(&self.epoll, stream, id);
        }
        if sink.retry_at().is_some() {
            self.failing.insert(id);
        } else {
            self.failing.remove(&id);
        }
        if sink.is_congested() {
            self.congested.insert(id);
        } else if self.congested.remove(&id) {
            self.relieved = true;
        }
        if sink.has_given_up() || (sink.users == 0 && !sink.is_holding()) {
            self.failing.remove(&id);
            self.all.remove(&id);
        }
    }
}

/// Asks for one event when the stream takes something again. A stream that cannot be waited for
/// never blocks either.
pub(super) fn await_room(epoll: &Epoll, stream: BorrowedFd<'_>, id: u64) {
    let mut event = EpollEvent::new(EpollFlags::EPOLLOUT | EpollFlags::EPOLLONESHOT, id);
    if epoll.modify(stream, &mut event) == Err(Errno::ENOENT) {
        let _ = epoll.add(stream, event);
    }
}
