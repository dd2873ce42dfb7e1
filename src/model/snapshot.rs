//! What readers see: an immutable picture of everything, published by the owner of the state.

use std::path::PathBuf;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::key::ProcKey;
use super::listener::ListenerState;
use super::name::ProcessName;
use super::signal::Signal;
use super::spec::{GroupSpec, ProcessSpec};
use super::state::{DaemonState, ProcessState};
use super::time::{Mono, Wall};

/// stdout or stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

impl Channel {
    /// `stdout` or `stderr`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The files a process logs to, with AUTO names resolved; none is no file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogPaths {
    /// The file of its stdout.
    pub stdout: Option<PathBuf>,
    /// The file of its stderr.
    pub stderr: Option<PathBuf>,
}

impl LogPaths {
    /// The file of a channel.
    #[must_use]
    pub fn of(&self, channel: Channel) -> Option<&PathBuf> {
        match channel {
            Channel::Stdout => self.stdout.as_ref(),
            Channel::Stderr => self.stderr.as_ref(),
        }
    }
}

/// One process at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSnapshot {
    /// What tells it from every other process, and from an earlier one of the same name.
    pub key: ProcKey,
    /// What it is configured as.
    pub spec: Arc<ProcessSpec>,
    /// Its state.
    pub state: ProcessState,
    /// Its pid while it lives, else 0.
    pub pid: i32,
    /// When it was last started, on both clocks.
    pub started: Option<(Mono, Wall)>,
    /// When it last ended or was stopped.
    pub stopped: Option<Wall>,
    /// How it last ended: the exit code, -1 for a signal; none when it did not end, or ended too
    /// quickly (C-308).
    pub exit_code: Option<i32>,
    /// The signal that ended it last; none when none did.
    pub exit_signal: Option<Signal>,
    /// How many times it was started again by itself since somebody, or the start of the daemon,
    /// started it.
    pub restarts: u32,
    /// Why it could not be started, or ended unexpectedly. Empty when all is well.
    pub spawn_error: Arc<str>,
    /// How many processes it left behind when its main process ended, as far as was seen.
    pub left: u32,
    /// The files it logs to.
    pub logs: Arc<LogPaths>,
    /// What it is doing as an event listener; none when it is none, or does not run.
    pub listener: Option<ListenerState>,
}

/// One active group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSnapshot {
    /// What it is configured as.
    pub spec: Arc<GroupSpec>,
    /// Its events, when it is a pool of event listeners.
    pub pool: Option<PoolSnapshot>,
}

/// The events of one pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolSnapshot {
    /// How many wait for a listener.
    pub queued: u64,
    /// How many are with a listener that has not answered.
    pub sent: u64,
    /// How many were discarded since it was added, because too many waited.
    pub dropped: u64,
}

/// Everything at one moment. Cloning is cheap: what did not change is shared.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The state of the daemon.
    pub state: DaemonState,
    /// The active processes, by group and name (C-218).
    pub processes: OrdMap<ProcessName, Arc<ProcessSnapshot>>,
    /// The active groups, by name.
    pub groups: OrdMap<Arc<str>, Arc<GroupSnapshot>>,
    /// The groups of the configuration as last read, active or not (C-259, C-310).
    pub configured: Arc<Vec<Arc<GroupSpec>>>,
}

impl Snapshot {
    /// Nothing at all, at work.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            state: DaemonState::Running,
            processes: OrdMap::new(),
            groups: OrdMap::new(),
            configured: Arc::new(Vec::new()),
        }
    }

    /// The processes of a group, by name.
    pub fn members<'a>(
        &'a self,
        group: &str,
    ) -> impl Iterator<Item = &'a Arc<ProcessSnapshot>> + use<'a> {
        let first = ProcessName::new(group, "");
        let group: Arc<str> = first.group.clone();
        self.processes
            .range(first..)
            .take_while(move |(name, _)| name.group == group)
            .map(|(_, process)| process)
    }
}
