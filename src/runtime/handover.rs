//! What an engine leaves to the one that comes after it in the same process: everything but the
//! clients. Data and descriptors travel apart, so that the data can be written down.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::logs::LogsLeft;
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
    pub(super) group: Arc<str>,
    pub(super) program: Arc<str>,
    pub(super) socket: FcgiSocket,
    pub(super) users: Vec<(ProcKey, Generation)>,
    pub(super) listener: Slot,
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

/// What an engine had in hand.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unfinished {
    pub(super) effects: EffectsLeft,
    pub(super) logs: LogsLeft,
    /// The pipes of the logs, in their order.
    pub(super) pipes: Vec<Slot>,
    /// What was being done about leftovers.
    pub(super) sweeps: Vec<(ProcKey, Generation, Sweep)>,
    /// What was decided and not carried out.
    pub(super) held: Vec<Action>,
    /// Signals that came and were not looked at.
    pub(super) signals: Vec<Signal>,
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
