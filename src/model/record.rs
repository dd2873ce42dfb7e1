//! Lines of the daemon's own log (C-154).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exit::ExitStatus;
use super::message::{Field, Kind};
use super::name::ProcessName;
use super::signal::Signal;
use super::state::ProcessState;

/// How important a line is; the order is upstream's, most important first (C-060, C-154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Something is broken.
    Critical,
    /// An action failed.
    Error,
    /// Something a person should look at.
    Warn,
    /// What happened.
    Info,
    /// How it happened.
    Debug,
    /// Every request.
    Trace,
    /// Everything.
    Blather,
}

impl Level {
    /// The four letters in a log line.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Critical => "CRIT",
            Self::Error => "ERRO",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBG",
            Self::Trace => "TRAC",
            Self::Blather => "BLAT",
        }
    }

    /// Reads the name a configuration uses, in any case (C-060).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "critical" => Self::Critical,
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            "blather" => Self::Blather,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.tag())
    }
}

/// One line for the daemon's log. The time is added where it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How important it is.
    pub level: Level,
    /// The line, without time, level or newline.
    pub text: String,
    /// What kind of line it is, when it is one to look for.
    pub kind: Option<Kind>,
    /// The process it is about.
    pub subject: Option<Subject>,
    /// More of what it says, for structured logs. Empty for most lines, and then costs nothing.
    pub fields: Vec<(Field, String)>,
}

/// The process that a line is about, for structured logs. Nothing in it is copied or allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Which.
    pub name: ProcessName,
    /// The program it is of.
    pub program: Option<Arc<str>>,
    /// Its pid, or 0.
    pub pid: i32,
    /// Whether there is a child with that pid.
    pub alive: bool,
    /// The state it is in with this line.
    pub state: Option<ProcessState>,
    /// How its child ended.
    pub exit: Option<ExitStatus>,
    /// The signal that is sent to it.
    pub signal: Option<Signal>,
}

impl Subject {
    /// A process of which only the name is known.
    #[must_use]
    pub fn new(name: &ProcessName) -> Self {
        Self {
            name: name.clone(),
            program: None,
            pid: 0,
            alive: false,
            state: None,
            exit: None,
            signal: None,
        }
    }
}

impl Record {
    /// A line about nothing in particular.
    #[must_use]
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), kind: None, subject: None, fields: Vec::new() }
    }

    /// A line about a process.
    #[must_use]
    pub fn about(level: Level, process: &ProcessName, text: impl Into<String>) -> Self {
        Self { subject: Some(Subject::new(process)), ..Self::new(level, text) }
    }

    /// The same line, as one of a kind.
    #[must_use]
    pub fn of(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// The same line, about a process of which more is known.
    #[must_use]
    pub fn on(self, subject: Subject) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// The same line, about a process that is now in this state.
    #[must_use]
    pub fn state(mut self, state: ProcessState) -> Self {
        if let Some(subject) = &mut self.subject {
            subject.state = Some(state);
        }
        self
    }

    /// The same line, about a process whose child ended.
    #[must_use]
    pub fn ended(mut self, exit: ExitStatus) -> Self {
        if let Some(subject) = &mut self.subject {
            subject.exit = Some(exit);
            subject.alive = false;
        }
        self
    }

    /// The same line, about a process that gets this signal.
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        if let Some(subject) = &mut self.subject {
            subject.signal = Some(signal);
        }
        self
    }

    /// The same line with one more field.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "numbers and strings read better by value")]
    pub fn with(mut self, field: Field, value: impl ToString) -> Self {
        self.fields.push((field, value.to_string()));
        self
    }
}
