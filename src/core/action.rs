//! What goes into the core and what comes out of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::key::ProcKey;
use super::request::{Reply, Request, Token};
use crate::model::event::{Period, Published};
use crate::model::exit::ExitStatus;
use crate::model::fault::Fault;
use crate::model::record::Record;
use crate::model::signal::Signal;
use crate::model::snapshot::{Channel, LogPaths};
use crate::model::spec::ProcessSpec;

/// Counts the spawns of a daemon's life. News that carries an older one than the process has is
/// about a run that is over, and is dropped.
pub type Generation = u64;

/// One spawn of a process, and the child that came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// Of which process.
    pub key: ProcKey,
    /// Which spawn.
    pub generation: Generation,
}

/// What is heard of a child's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Bytes of an event listener.
    Protocol(Vec<u8>),
    /// The same where they are told before they leave the pipe, so that no daemon that is killed
    /// takes them with it. They may be told again.
    Words {
        /// How many bytes it said before these.
        ordinal: u64,
        /// The bytes.
        data: Vec<u8>,
    },
    /// All words that were told have left the pipe.
    Taken,
    /// What is logged.
    Log(Vec<u8>),
    /// What stood between the tokens.
    Communication(Vec<u8>),
    /// Nothing follows of this channel. Comes once for each that is heard.
    End,
}

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The daemon is ready: activate the groups and start what is to be started.
    Boot,
    /// A child was made.
    Spawned {
        /// For which process.
        key: ProcKey,
        /// For which spawn.
        generation: Generation,
        /// Its pid.
        pid: i32,
    },
    /// No child could be made.
    SpawnFailed {
        /// For which process.
        key: ProcKey,
        /// For which spawn.
        generation: Generation,
        /// Why, as `status` shows it.
        error: String,
    },
    /// A child was reaped. A child of the core's is reported only after its `Spawned`.
    Exited {
        /// Its pid.
        pid: i32,
        /// How it ended.
        status: ExitStatus,
    },
    /// No child was made, because an earlier run of the process left others behind.
    Occupied {
        /// For which process.
        key: ProcKey,
        /// For which spawn.
        generation: Generation,
    },
    /// What a look at the leftovers of a run found, after a [`Action::Sweep`]: once when there
    /// are any, and once when there are none any more.
    Swept {
        /// Of which process.
        key: ProcKey,
        /// Of which spawn, or the last one before it.
        generation: Generation,
        /// What is left.
        left: Leftovers,
    },
    /// What became of a [`Action::Signal`].
    Signalled {
        /// To which process.
        key: ProcKey,
        /// For which spawn.
        generation: Generation,
        /// The request that waits for it.
        token: Option<Token>,
        /// Why it failed. That the process is gone already is no failure (C-189).
        outcome: Result<(), String>,
    },
    /// A client asks for something.
    Request {
        /// The way back.
        token: Token,
        /// What it asks.
        request: Request,
    },
    /// The client of a waiting request went away.
    Abandoned(Token),
    /// A child wrote something, on a channel that is heard.
    Heard {
        /// Which child.
        run: Run,
        /// Where to.
        channel: Channel,
        /// Its pid.
        pid: i32,
        /// What.
        what: Heard,
    },
    /// An event could not be written to a listener: it closed its stdin.
    Undelivered {
        /// Which listener.
        run: Run,
        /// The serial of the event.
        serial: u64,
    },
    /// All of an event was written to a listener. Told where it is written down.
    Delivered {
        /// Which listener.
        run: Run,
        /// The serial of the event.
        serial: u64,
    },
    /// An earlier daemon was killed, and this one goes on with its programs: what was under way
    /// then is begun again. Comes first of all.
    TakenBack,
    /// A client wants TICK events, or no longer.
    WantTicks {
        /// Which.
        period: Period,
        /// Whether it does.
        wanted: bool,
    },
    /// The daemon received a signal.
    Os(Signal),
    /// The configuration for a restart was read: go on, or say why not and stay up (C-415).
    RestartLoaded(Result<(), String>),
    /// Time passed: carry out what is due.
    Tick,
}

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignalScope {
    /// The process alone.
    Process,
    /// Its process group, or the process alone when it left the group it was made in (C-427).
    Group,
}

/// Processes that a run of a program left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leftovers {
    /// How many there are.
    pub count: u32,
    /// The first of them with their commands, for people.
    pub text: String,
}

/// What is to become of what a run left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sweep {
    /// Nothing.
    Watch,
    /// It gets SIGTERM.
    Terminate,
    /// It gets SIGKILL.
    Kill,
}

/// Why the engine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitKind {
    /// For good.
    Shutdown,
    /// To start again in the same process.
    Restart,
}

/// What the runtime is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Make a child, and report `Spawned` or `SpawnFailed`.
    Spawn {
        /// For which process.
        key: ProcKey,
        /// The number of this spawn.
        generation: Generation,
        /// What to run.
        spec: Arc<ProcessSpec>,
        /// Where its output goes.
        logs: Arc<LogPaths>,
    },
    /// Send a signal, and report `Signalled`.
    Signal {
        /// To which process.
        key: ProcKey,
        /// For which spawn.
        generation: Generation,
        /// Its pid: alive, or dead and not reaped.
        pid: i32,
        /// Which signal.
        signal: Signal,
        /// To whom.
        scope: SignalScope,
        /// The request that waits for the outcome.
        token: Option<Token>,
    },
    /// A child was reaped: read what it left in its pipes, close its stdin.
    Ended {
        /// Which process.
        key: ProcKey,
        /// Which spawn.
        generation: Generation,
    },
    /// Look after what runs of a process left behind, and report `Swept`. It replaces an earlier
    /// one of the same process.
    Sweep {
        /// Of which process.
        key: ProcKey,
        /// The spawn that it is about now.
        generation: Generation,
        /// What to do.
        sweep: Sweep,
    },
    /// Write to a child's stdin, and answer the token.
    WriteStdin {
        /// The request.
        token: Token,
        /// Which process.
        key: ProcKey,
        /// What to write.
        data: Vec<u8>,
    },
    /// Write an event to a listener, all of it, however long that takes, and report `Undelivered`
    /// when it cannot be.
    Deliver {
        /// Which listener.
        run: Run,
        /// The serial of the event.
        serial: u64,
        /// What to write.
        data: Vec<u8>,
    },
    /// A process became active: create the AUTO logs among these (C-136).
    CreateLogs {
        /// What it is configured as.
        spec: Arc<ProcessSpec>,
        /// Its logs.
        logs: Arc<LogPaths>,
    },
    /// A FastCGI program became active, with this among its processes: see whether its socket can
    /// be opened (C-399).
    TrySocket(Arc<ProcessSpec>),
    /// A process is no longer active: close its logs.
    Forget(ProcKey),
    /// Reopen all logs by name (C-143).
    ReopenLogs,
    /// Read the configuration for a restart, and report `RestartLoaded`.
    LoadForRestart,
    /// Tell everybody what happened.
    Publish(Arc<Published>),
    /// Write a line to the daemon's log.
    Log(Record),
    /// Answer a request.
    Reply {
        /// Which.
        token: Token,
        /// The answer.
        outcome: Result<Reply, Fault>,
    },
    /// Hand everything over to another program in this process, or say why that cannot be.
    HandOver {
        /// The request that asks for it; none for a signal.
        token: Option<Token>,
    },
    /// Everything is stopped: end the engine.
    Exit(ExitKind),
}
