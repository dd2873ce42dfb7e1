//! Everything a request can fail with, with upstream's codes (C-287). Every edge maps from this
//! one type: XML-RPC fault, D-Bus error name, text and exit code of supervisorctl.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $upper:literal, $bus:literal;)*) => {
        /// What kind of failure it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FaultKind { $($(#[$doc])* $variant,)* }

        impl FaultKind {
            /// All kinds, in the order of their codes.
            pub const ALL: &[FaultKind] = &[$(Self::$variant),*];

            /// Upstream's number.
            #[must_use]
            pub fn code(self) -> i32 { match self { $(Self::$variant => $code),* } }

            /// Upstream's name, such as `BAD_NAME`.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $upper),* } }

            /// The last part of the D-Bus error name, such as `BadName`.
            #[must_use]
            pub fn bus_name(self) -> &'static str { match self { $(Self::$variant => $bus),* } }
        }
    };
}

faults! {
    /// No such method.
    UnknownMethod = 1, "UNKNOWN_METHOD", "UnknownMethod";
    /// The wrong number or types of parameters.
    IncorrectParameters = 2, "INCORRECT_PARAMETERS", "IncorrectParameters";
    /// A parameter has an impossible value.
    BadArguments = 3, "BAD_ARGUMENTS", "BadArguments";
    /// The signature of an unknown method was asked for.
    SignatureUnsupported = 4, "SIGNATURE_UNSUPPORTED", "SignatureUnsupported";
    /// The daemon is stopping or restarting.
    ShutdownState = 6, "SHUTDOWN_STATE", "ShutdownState";
    /// No such process or group.
    BadName = 10, "BAD_NAME", "BadName";
    /// No such signal.
    BadSignal = 11, "BAD_SIGNAL", "BadSignal";
    /// The command or the log file is not there.
    NoFile = 20, "NO_FILE", "NoFile";
    /// The command cannot be executed.
    NotExecutable = 21, "NOT_EXECUTABLE", "NotExecutable";
    /// It was tried and failed.
    Failed = 30, "FAILED", "Failed";
    /// The process ended before it was running.
    AbnormalTermination = 40, "ABNORMAL_TERMINATION", "AbnormalTermination";
    /// The process could not be spawned, or ended too quickly.
    SpawnError = 50, "SPAWN_ERROR", "SpawnError";
    /// The process is already up.
    AlreadyStarted = 60, "ALREADY_STARTED", "AlreadyStarted";
    /// The process is not up.
    NotRunning = 70, "NOT_RUNNING", "NotRunning";
    /// Not a failure: the status of a process in a list of results.
    Success = 80, "SUCCESS", "Success";
    /// The group is already active.
    AlreadyAdded = 90, "ALREADY_ADDED", "AlreadyAdded";
    /// The group has processes that run.
    StillRunning = 91, "STILL_RUNNING", "StillRunning";
    /// The configuration cannot be read.
    CantReread = 92, "CANT_REREAD", "CantReread";
}

impl FaultKind {
    /// The kind with this code.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// What the detail of a NO_FILE begins with when the log is in the journal; a command that shows
/// it follows.
pub const IN_JOURNAL: &str = "it is in the journal, see: ";

/// A failure of a request: the kind, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of failure it is.
    pub kind: FaultKind,
    /// What it is about: a name, a path, a reason. May be empty.
    pub detail: String,
}

impl Fault {
    /// A failure of this kind, about `detail`.
    #[must_use]
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { kind, detail: String::new() }
    }
}

impl fmt::Display for Fault {
    /// `NAME` or `NAME: detail` (C-286).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.write_str(self.kind.name())
        } else {
            write!(f, "{}: {}", self.kind.name(), self.detail)
        }
    }
}

impl std::error::Error for Fault {}
