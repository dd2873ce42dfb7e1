//! What an engine leaves to the one that comes after it in the same process: everything but the
//! clients. Data and descriptors travel apart, so that the data can be written down.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::logs::{ChannelKey, ChannelPlan, LogsLeft};
use super::stdin::Unwritten;
use crate::core::action::{Action, Generation, Sweep};
use crate::core::key::ProcKey;
use crate::core::process::Process;
use crate::core::supervisor::Supervisor;
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::FcgiSocket;
use crate::model::state::ProcessState::{Starting, Stopping};
use crate::sys::leftovers::Leftovers;

/// Where a descriptor is in the [`Baggage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot(usize);

/// Whether each of these slots is of one of so many descriptors, and none of another's.
///
/// # Errors
/// One that is not.
pub fn check_slots(
    slots: impl IntoIterator<Item = Slot>,
    descriptors: usize,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for slot in slots {
        if slot.0 >= descriptors {
            return Err(format!("descriptor {} is missing", slot.0));
        }
        if !seen.insert(slot) {
            return Err(format!("descriptor {} is used twice", slot.0));
        }
    }
    Ok(())
}

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

impl EngineLeft {
    /// Whether it fits together: the state and what was in hand are of the same processes.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), String> {
        let Unfinished { logs, pipes, held, .. } = &self.unfinished;
        self.supervisor.check()?;
        if self.supervisor.waiting() > 0 {
            return Err("requests wait, and nobody is there who made them".to_owned());
        }
        if pipes.len() != logs.descriptors() {
            return Err(format!("there are {} pipes for {}", pipes.len(), logs.descriptors()));
        }
        logs.check()?;
        self.check_children()?;
        self.check_spawns(held)
    }

    /// Each child is that of a process, and each process with a pid has one.
    pub(super) fn check_children(&self) -> Result<(), String> {
        let mut without: BTreeMap<_, _> = self
            .supervisor
            .processes()
            .filter(|process| process.pid() != 0)
            .map(|process| (process.key(), process))
            .collect();
        for ChildLeft { key, generation, pid, name, .. } in &self.unfinished.effects.children {
            let is_its = |process: &Process| {
                process.pid() == *pid
                    && process.is_current(*generation)
                    && process.spec().name == *name
            };
            if !without.remove(key).is_some_and(is_its) {
                return Err(format!("child {name} (pid {pid}): it is of no process"));
            }
        }
        match without.values().next() {
            Some(process) => {
                Err(format!("process {}: its child is not there", process.spec().name))
            }
            None => Ok(()),
        }
    }

    /// Each child that is to be made is awaited by its process, and no other is.
    fn check_spawns(&self, held: &[Action]) -> Result<(), String> {
        let mut awaited: BTreeMap<_, _> = self
            .supervisor
            .processes()
            .filter(|process| matches!(process.state(), Starting | Stopping))
            .filter(|process| process.pid() == 0 && !process.is_sweeping())
            .map(|process| (process.key(), process))
            .collect();
        for action in held {
            let Action::Spawn { key, generation, spec, .. } = action else { continue };
            let is_its = |process: &Process| process.is_current(*generation);
            if !awaited.remove(key).is_some_and(is_its) {
                return Err(format!("process {}: nobody waits for its start", spec.name));
            }
        }
        match awaited.values().next() {
            Some(process) => Err(format!("process {}: it is never started", process.spec().name)),
            None => Ok(()),
        }
    }

    /// The state, and the logs without their pipes: what can be tried out without a daemon.
    #[must_use]
    pub fn apart(self) -> (Supervisor, LogsLeft) {
        (self.supervisor, self.unfinished.logs)
    }

    /// Where its descriptors are.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let children = self.unfinished.effects.children.iter();
        let stdins = children.filter_map(|child| child.stdin.as_ref().map(|&(slot, _)| slot));
        let handles = self.unfinished.effects.children.iter();
        let handles = handles.filter_map(|child| child.foundling.as_ref()?.pidfd);
        let sockets = self.spawner.sockets.iter().map(|socket| socket.listener);
        let found = self.unfinished.found.iter().map(|found| found.pipe);
        let pipes = self.unfinished.pipes.iter().copied();
        pipes.chain(found).chain(stdins).chain(handles).chain(sockets)
    }
}
