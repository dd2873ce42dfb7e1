//! What an engine leaves to the one that comes after it in the same process: everything but the
//! clients. Data and descriptors travel apart, so that the data can be written down.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::logs::{ChannelKey, ChannelPlan, LogsLeft};
use super::stdin::Unwritten;
use crate::core::action::{Action, Generation, Sweep};
use crate::core::key::ProcKey;
use crate::core::supervisor::Supervisor;
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::FcgiSocket;
use crate::sys::leftovers::Leftovers;

/// Where a descriptor is in the [`Baggage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot(usize);

/// The descriptors that are handed over. Each is taken out once.
#[derive(Debug, Default)]
pub struct Baggage(Vec<Option<OwnedFd>>);

impl Baggage {
    /// What came from another program, in its order.
    #[must_use]
    pub fn new(descriptors: Vec<OwnedFd>) -> Self {
        Self(descriptors.into_iter().map(Some).collect())
    }

    /// Adds one.
    pub fn put(&mut self, fd: OwnedFd) -> Slot {
        self.0.push(Some(fd));
        Slot(self.0.len() - 1)
    }

    /// Adds one that may be missing; it is missed when it is taken out.
    pub fn put_or_leave(&mut self, fd: Option<OwnedFd>) {
        self.0.push(fd);
    }

    /// Takes some out.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_all(&mut self, slots: Vec<Slot>) -> io::Result<Vec<OwnedFd>> {
        slots.into_iter().map(|slot| self.take(slot)).collect()
    }

    /// Takes one out.
    ///
    /// # Errors
    /// It is not there: the state is not what was written.
    pub fn take(&mut self, slot: Slot) -> io::Result<OwnedFd> {
        let fd = self.0.get_mut(slot.0).and_then(Option::take);
        fd.ok_or_else(|| io::Error::other(format!("descriptor {} is missing", slot.0)))
    }

    /// All that are in it; none was taken out.
    pub fn iter(&self) -> impl Iterator<Item = &OwnedFd> {
        self.0.iter().flatten()
    }
}

/// A child that lives.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChildLeft {
    pub(super) key: ProcKey,
    pub(super) generation: Generation,
    pub(super) pid: i32,
    pub(super) name: ProcessName,
    pub(super) leftovers: Option<Leftovers>,
    /// Its stdin, and what it was not told yet; none when it is closed.
    pub(super) stdin: Option<(Slot, Vec<Unwritten>)>,
    /// The socket that it has, if it is a FastCGI program.
    pub(super) socket: Option<SocketOf>,
    /// It is a child of an earlier daemon, which was killed.
    pub(super) foundling: Option<FoundlingLeft>,
}

/// A program that is not a child of this process.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundlingLeft {
    /// The handle on it, which cannot be made anew: its pid may be another's by now. Without one it
    /// is gone.
    pub(super) pidfd: Option<Slot>,
}

/// What the children are known by.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EffectsLeft {
    pub(super) children: Vec<ChildLeft>,
    /// What is left of earlier runs, and for which spawn it was looked for.
    pub(super) left: Vec<(ProcKey, Generation, Leftovers)>,
}

/// The socket of a FastCGI program.
#[derive(Debug, Serialize, Deserialize)]
pub struct SocketLeft {
    pub(super) of: SocketOf,
    pub(super) users: Vec<(ProcKey, Generation)>,
    pub(super) listener: Slot,
}

/// Whose socket it is, and which one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SocketOf {
    pub(super) group: Arc<str>,
    pub(super) program: Arc<str>,
    pub(super) socket: FcgiSocket,
    /// Device and inode of its file.
    pub(super) file: Option<(u64, u64)>,
}

/// What the thread that spawns keeps.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SpawnerLeft {
    pub(super) sockets: Vec<SocketLeft>,
    /// Programs that are gone, while their cgroups are not.
    pub(super) cgroups: Vec<ProcessName>,
}

/// A pipe of which it is not known how far its output was understood: it is taken as one of a new
/// child.
#[derive(Debug, Serialize, Deserialize)]
pub struct FoundPipe {
    pub(super) key: ChannelKey,
    pub(super) generation: Generation,
    pub(super) pid: i32,
    pub(super) plan: Arc<ChannelPlan>,
    pub(super) pipe: Slot,
    /// Its child is gone.
    pub(super) ended: bool,
}

/// What an engine had in hand.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unfinished {
    pub(super) effects: EffectsLeft,
    pub(super) logs: LogsLeft,
    /// The pipes of the logs, in their order.
    pub(super) pipes: Vec<Slot>,
    /// Pipes of an engine that was killed.
    pub(super) found: Vec<FoundPipe>,
    /// What was being done about leftovers.
    pub(super) sweeps: Vec<(ProcKey, Generation, Sweep)>,
    /// What was decided and not carried out.
    pub(super) held: Vec<Action>,
    /// Signals that came and were not looked at.
    pub(super) signals: Vec<Signal>,
    /// The engine did not leave it: it was killed.
    pub(super) taken_back: bool,
}

/// All that an engine leaves.
#[derive(Debug, Serialize, Deserialize)]
pub struct EngineLeft {
    /// The state.
    pub supervisor: Supervisor,
    /// For [`Spawner::start`](super::spawner::Spawner::start).
    pub spawner: SpawnerLeft,
    /// For [`driver::start`](super::driver::start).
    pub unfinished: Unfinished,
}
