//! What an engine that was killed leaves to the next one: made of what it had written down, and of
//! the descriptors that were kept for it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::channels::Channels;
use super::checkpoint::Pieces;
use super::driver::Written;
use super::effects::ChildKept;
use super::handover::{
    Baggage, ChildLeft, EffectsLeft, EngineLeft, FoundPipe, FoundlingLeft, Slot, SocketLeft,
    SocketOf, SpawnerLeft, Unfinished,
};
use super::keep::Name;
use super::logs::{LogsLeft, contents};
use crate::core::action::{Generation, Run};
use crate::core::key::ProcKey;
use crate::core::process::Process;
use crate::core::supervisor::Supervisor;
use crate::model::name::ProcessName;
use crate::model::snapshot::Channel;
use crate::model::spec::KillMode;
use crate::model::state::ProcessState;
use crate::sys::cgroup::Tree;
use crate::sys::leftovers::Leftovers;
use crate::sys::pidfd;

/// How far it is looked into the pipe of a listener, in bytes: as far as its words are told at once.
const WORDS: usize = 128 * 1024;

/// The descriptors that were kept.
pub type Descriptors = HashMap<Name, OwnedFd>;

/// What can be gone on with.
#[derive(Debug)]
pub struct Recovered {
    /// What the engine left.
    pub engine: EngineLeft,
    /// Programs of which a child may have been made that nobody knows of. It is to be ended before
    /// the engine goes on.
    pub unknown: Vec<ProcessName>,
}

/// Puts together what an engine left. Takes the descriptors that it needs; the others are nobody's.
///
/// # Errors
/// What was written down is not a state that can be gone on with.
pub fn recover(
    pieces: &Pieces,
    kept: &mut Descriptors,
    tree: &Tree,
    strip_ansi: bool,
    baggage: &mut Baggage,
) -> Result<Recovered, String> {
    let mut core = Vec::new();
    let mut children = BTreeMap::new();
    for (name, bytes) in pieces {
        match Written::of(name) {
            Some(Written::Core(piece)) => core.push((piece, bytes.as_slice())),
            Some(Written::Child(key)) => {
                let child: ChildKept = serde_json::from_slice(bytes)
                    .map_err(|error| format!("{name} cannot be read: {error}"))?;
                children.insert(key, child);
            }
            None => {}
        }
    }
    let mut supervisor = Supervisor::from_pieces(core.into_iter())?;
    supervisor.check()?;
    for run in supervisor.listeners() {
        let pipe = kept.get(&Name::Output(run, Channel::Stdout));
        let words = pipe.map_or(Ok(Vec::new()), |pipe| contents(pipe, WORDS));
        let words = words.map_err(|errno| format!("a pipe cannot be looked into: {errno}"))?;
        supervisor.found_words(run, &words);
    }
    let pipes = pipes(&supervisor, &children, strip_ansi, kept, baggage);
    let (children, sockets) = take_children(children, tree, kept, baggage);
    let idle = || supervisor.processes().filter(|process| process.pid() == 0);
    let engine = Unfinished {
        effects: EffectsLeft {
            children,
            left: idle().filter_map(|process| leftovers(process, tree)).collect(),
        },
        logs: LogsLeft::default(),
        pipes: Vec::new(),
        found: pipes,
        sweeps: Vec::new(),
        held: Vec::new(),
        signals: Vec::new(),
        taken_back: true,
    };
    let cgroups = idle().map(|process| process.spec().name.clone()).collect();
    let unknown = idle().filter(|process| is_under_way(process));
    let unknown = unknown.map(|process| process.spec().name.clone()).collect();
    let spawner = SpawnerLeft { sockets, cgroups };
    let engine = EngineLeft { supervisor, spawner, unfinished: engine };
    engine.check_children()?;
    Ok(Recovered { engine, unknown })
}

/// Whether a child was being made.
fn is_under_way(process: &Process) -> bool {
    let state = process.state();
    matches!(state, ProcessState::Starting | ProcessState::Stopping) && !process.is_sweeping()
}

/// Where to look for what earlier runs of a program left behind.
fn leftovers(process: &Process, tree: &Tree) -> Option<(ProcKey, Generation, Leftovers)> {
    let spec = process.spec();
    let dir = tree.dir_of(&spec.name);
    let looked_for = spec.killmode != KillMode::Process && dir.exists();
    looked_for.then(|| (process.key(), process.run().generation, Leftovers::Cgroup(dir)))
}

/// The pipes of all runs of which something may still be read, the older ones first.
fn pipes(
    supervisor: &Supervisor,
    children: &BTreeMap<ProcKey, ChildKept>,
    strip_ansi: bool,
    kept: &mut Descriptors,
    baggage: &mut Baggage,
) -> Vec<FoundPipe> {
    let mut pipes = Vec::new();
    for process in supervisor.processes() {
        let key = process.key();
        let channels = Channels::new(process.spec(), &process.snapshot().logs, strip_ansi);
        for (channel, plan) in channels.each(key) {
            let of_channel = |name: &Name, _: &mut OwnedFd| {
                matches!(name, Name::Output(run, other)
                    if run.key == key && *other == channel.channel)
            };
            for (name, pipe) in kept.extract_if(of_channel) {
                let Name::Output(Run { generation, .. }, _) = name else { continue };
                let child = children.get(&key).filter(|child| child.generation == generation);
                pipes.push(FoundPipe {
                    key: channel,
                    generation,
                    pid: child.map_or(0, |child| child.pid),
                    plan: Arc::clone(plan),
                    pipe: baggage.put(pipe),
                    ended: child.is_none(),
                });
            }
        }
    }
    pipes.sort_by_key(|pipe: &FoundPipe| (pipe.key, pipe.generation));
    pipes
}

/// The children with their descriptors, and the sockets that they share.
fn take_children(
    children: BTreeMap<ProcKey, ChildKept>,
    tree: &Tree,
    kept: &mut Descriptors,
    baggage: &mut Baggage,
) -> (Vec<ChildLeft>, Vec<SocketLeft>) {
    let mut left = Vec::new();
    let mut sockets = HashMap::<SocketOf, (Slot, Vec<(ProcKey, Generation)>)>::new();
    for (key, child) in children {
        let ChildKept { generation, pid, name, leftovers, socket } = child;
        let run = Run { key, generation };
        let pidfd = kept.remove(&Name::Process(run)).or_else(|| find(pid, &tree.path_of(&name)));
        let stdin = kept.remove(&Name::Stdin(run));
        let listener = kept.remove(&Name::Socket(run));
        if let (Some(of), Some(listener)) = (&socket, listener) {
            let shared = sockets.entry(of.clone());
            let (_, users) = shared.or_insert_with(|| (baggage.put(listener), Vec::new()));
            users.push((key, generation));
        }
        left.push(ChildLeft {
            key,
            generation,
            pid,
            name,
            leftovers,
            stdin: stdin.map(|pipe| (baggage.put(pipe), Vec::new())),
            socket,
            foundling: Some(FoundlingLeft { pidfd: pidfd.map(|pidfd| baggage.put(pidfd)) }),
        });
    }
    let sockets = sockets.into_iter();
    (left, sockets.map(|(of, (listener, users))| SocketLeft { of, users, listener }).collect())
}

/// A handle on a process that none was kept of. Its pid may be another's by now, but that would not
/// be in its cgroup.
fn find(pid: i32, cgroup: &Path) -> Option<OwnedFd> {
    let handle = pidfd::open(pid).ok()?;
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let own = lines.lines().find_map(|line| line.strip_prefix("0::"))?;
    // It was the one that has the handle, unless that has ended.
    (Path::new(own) == cgroup && pidfd::is_alive(&handle)).then_some(handle)
}
