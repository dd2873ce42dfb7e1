//! No daemon was found: where it was looked for, and what came of it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::bus;
use super::client::CallError;
use super::tls;

/// Why nothing answers at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// There is no such socket (C-232).
    NoFile,
    /// Nobody listens there (C-231).
    Refused,
    /// This user may not connect.
    Denied,
    /// Something else, shown as `class` and `text`.
    Other {
        /// What kind of failure it is.
        class: String,
        /// The failure in words.
        text: String,
    },
}

/// One place that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The place.
    pub url: String,
    /// What came of it.
    pub reason: Reason,
    /// More about it, for a person.
    pub note: String,
    /// Whether a daemon is there all the same: it is not for this user, or does not answer.
    pub occupied: bool,
}

/// No daemon was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Every place that was tried, at least one.
    pub attempts: Vec<Attempt>,
    /// The configuration whose daemon was looked for.
    pub config_file: Option<PathBuf>,
}

impl Unreachable {
    /// What the message is about: a place where a daemon is, else the last one that was tried.
    #[must_use]
    pub fn headline(&self) -> &Attempt {
        let occupied = self.attempts.iter().find(|attempt| attempt.occupied);
        // There is always one: `connect` tries at least `serverurl`.
        occupied.unwrap_or_else(|| &self.attempts[self.attempts.len() - 1])
    }
}

impl Reason {
    /// Nothing answered in time.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::Other {
            class: "<class 'TimeoutError'>".into(),
            text: "[Errno 110] Connection timed out".into(),
        }
    }

    /// Why a connection could not be made.
    #[must_use]
    pub fn of_io(error: &io::Error) -> (Self, String) {
        if let Some((class, text, hint)) = tls::failure(error) {
            return (Self::Other { class, text }, hint);
        }
        let reason = match error.kind() {
            io::ErrorKind::NotFound => Self::NoFile,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::TimedOut => Self::timed_out(),
            _ => Self::Other { class: "<class 'OSError'>".into(), text: error.to_string() },
        };
        (reason, String::new())
    }

    /// Why D-Bus could not be spoken.
    #[must_use]
    pub fn of_zbus(error: zbus::Error) -> (Self, String) {
        match error {
            zbus::Error::InputOutput(error) | zbus::Error::Connection(error, _) => {
                Self::of_io(&error)
            }
            zbus::Error::Handshake(text) => (Self::Denied, text),
            other => Self::of_call(bus::call_error(other, "it")),
        }
    }

    /// Why a bus could not be joined. When that is denied, it is not by a daemon of ours.
    #[must_use]
    pub fn of_bus(error: zbus::Error) -> (Self, String) {
        match Self::of_zbus(error) {
            (Self::Denied, note) => {
                let class = "<class 'PermissionError'>".into();
                (Self::Other { class, text: "[Errno 13] Permission denied".into() }, note)
            }
            other => other,
        }
    }

    /// Why a daemon did not say who it is.
    #[must_use]
    pub fn of_call(error: CallError) -> (Self, String) {
        match error {
            CallError::Fault(fault) => {
                let class = "<class 'xmlrpc.client.Fault'>".into();
                (Self::Other { class, text: fault.to_string() }, String::new())
            }
            CallError::Denied(why) => (Self::Denied, why),
            CallError::Unauthorized { text, hint } => {
                let class = "<class 'xmlrpc.client.ProtocolError'>".into();
                (Self::Other { class, text }, hint)
            }
            CallError::Transport { class, text, hint } => (Self::Other { class, text }, hint),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => f.write_str("no such file"),
            Self::Refused => f.write_str("refused connection"),
            Self::Denied => f.write_str("permission denied"),
            Self::Other { text, .. } => f.write_str(text),
        }
    }
}
