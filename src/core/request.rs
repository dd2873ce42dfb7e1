//! What clients ask the core for, and what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::GroupSpec;

/// Names one request; the runtime keeps the way back to the client under it. Every token is
/// answered exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

/// Which processes a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// One process: its fault is the fault of the request.
    Process(ProcessName),
    /// All processes of a group that the request applies to, with a result for each.
    Group(Arc<str>),
    /// All processes that the request applies to, with a result for each.
    All,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Start (C-300, C-301).
    Start {
        /// Which processes.
        scope: Scope,
        /// Answer only when they run or failed to.
        wait: bool,
        /// Processes whose command was found wanting before the core was asked: it does not try
        /// them, their fault is the answer. Looked up after the name and before the state.
        refused: BTreeMap<ProcessName, Fault>,
    },
    /// Stop (C-303, C-304).
    Stop {
        /// Which processes.
        scope: Scope,
        /// Answer only when they are stopped.
        wait: bool,
    },
    /// Send a signal (C-305, C-306).
    Signal {
        /// Which processes.
        scope: Scope,
        /// Which signal.
        signal: Signal,
    },
    /// Write to the stdin of a process (C-317).
    Stdin {
        /// Which process.
        name: ProcessName,
        /// What to write.
        data: Vec<u8>,
    },
    /// Make these the groups that `AddGroup` knows, and tell how they differ from the active
    /// ones (C-297).
    Reread {
        /// The groups of a valid configuration.
        groups: Arc<Vec<Arc<GroupSpec>>>,
    },
    /// Activate a group of the configuration (C-298).
    AddGroup(Arc<str>),
    /// Deactivate a group that is stopped (C-299).
    RemoveGroup(Arc<str>),
    /// Make an active group what the configuration says now. Processes that are configured as
    /// before are left alone; all others of the group have to be stopped (C-396, better).
    UpdateGroup(Arc<str>),
    /// Send an event of the client's own (C-318).
    RemoteEvent {
        /// Its type.
        kind: String,
        /// Its data.
        data: String,
    },
    /// Stop everything and exit (C-296).
    Shutdown,
    /// Go on as the program that is installed now, with the same processes.
    Upgrade,
    /// Stop everything and start again with a fresh configuration (C-296, C-390).
    Restart,
}

/// What became of one process in a request about many (C-301).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessResult {
    /// Which process.
    pub name: ProcessName,
    /// [`FaultKind::Success`], or what went wrong.
    pub status: FaultKind,
    /// `OK`, or the fault as text.
    pub description: String,
}

impl ProcessResult {
    /// The result of an outcome.
    #[must_use]
    pub fn new(name: ProcessName, outcome: Result<(), Fault>) -> Self {
        match outcome {
            Ok(()) => Self { name, status: FaultKind::Success, description: "OK".to_owned() },
            Err(fault) => Self { name, status: fault.kind, description: fault.to_string() },
        }
    }
}

/// How a newly read configuration differs from what is active (C-394).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// Groups that are not active yet.
    pub added: Vec<Arc<str>>,
    /// Active groups that are configured differently now.
    pub changed: Vec<Arc<str>>,
    /// Active groups that are gone from the configuration.
    pub removed: Vec<Arc<str>>,
}

/// What the core answers when nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It was done.
    Done,
    /// A result for each process of a group or of all.
    Results(Vec<ProcessResult>),
    /// What `Reread` found.
    Changes(Changes),
}
