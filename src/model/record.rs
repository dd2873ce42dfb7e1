//! Lines of the daemon's own log (C-154).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::ProcessName;

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
    /// The process it is about, for structured logs.
    pub process: Option<ProcessName>,
}

impl Record {
    /// A line about nothing in particular.
    #[must_use]
    pub fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), process: None }
    }

    /// A line about a process.
    #[must_use]
    pub fn about(level: Level, process: &ProcessName, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), process: Some(process.clone()) }
    }
}
