//! What happened: the one stream that D-Bus signals, event listeners and live pages are made
//! from (C-357).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exit::ExitStatus;
use super::name::ProcessName;
use super::state::{DaemonState, ProcessState};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A process changed its state (C-358 to C-361).
    ProcessState {
        /// Which.
        name: ProcessName,
        /// The state it left.
        from: ProcessState,
        /// The state it entered.
        to: ProcessState,
        /// Its pid; for STOPPED and EXITED the one it had, else 0.
        pid: i32,
        /// The backoff counter, for STARTING and BACKOFF.
        tries: u32,
        /// Whether an exit was expected, for EXITED.
        expected: bool,
        /// How its child ended; none when it had none since the last start, or it still lives.
        ended: Option<ExitStatus>,
        /// Why it could not be started, or ended unexpectedly. Empty when all is well.
        problem: Arc<str>,
        /// How many times it was started again by itself since somebody started it.
        restarts: u32,
    },
    /// A group became active.
    GroupAdded(Arc<str>),
    /// A group is no longer active.
    GroupRemoved(Arc<str>),
    /// The daemon is at work (`Running`) or began to stop (`Shutdown`, `Restarting`).
    DaemonState(DaemonState),
    /// A client sent an event of its own (C-366).
    Remote {
        /// Its type.
        kind: String,
        /// Its data.
        data: String,
    },
}
