//! Why a daemon does not start, for people and for the service manager.

use std::error::Error;
use std::io;

use nix::errno::Errno;

/// Why the daemon did not start.
#[derive(Debug)]
pub enum StartError {
    /// Arguments or configuration: exit code 2 (C-119).
    Usage(String),
    /// Another one runs already: exit code 2 (C-119).
    Running(String),
    /// The system refused something: exit code 1.
    System(String, Errno),
    /// Something else: exit code 1.
    Failed(String),
}

impl StartError {
    /// What a person is told.
    pub fn text(&self) -> &str {
        let (Self::Usage(text) | Self::Running(text) | Self::System(text, _) | Self::Failed(text)) =
            self;
        text
    }

    /// Whether no other try would change it: something has to be mended first.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Running(_))
    }

    /// For the service manager: the number of the error, and its name on D-Bus.
    pub fn codes(&self) -> (Option<Errno>, &'static str) {
        match self {
            Self::Usage(_) => (Some(Errno::EINVAL), "org.freedesktop.DBus.Error.InvalidArgs"),
            Self::Running(_) => {
                (Some(Errno::EADDRINUSE), "org.freedesktop.DBus.Error.AddressInUse")
            }
            Self::System(_, errno) => (Some(*errno), "org.freedesktop.DBus.Error.Failed"),
            Self::Failed(_) => (None, "org.freedesktop.DBus.Error.Failed"),
        }
    }
}

/// The system refused something.
pub(super) fn refused(error: &io::Error, what: &str) -> StartError {
    let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    StartError::System(format!("{what}: {error}"), errno)
}

/// A mistake in the arguments or the configuration.
pub(super) fn usage(error: &dyn Error) -> StartError {
    StartError::Usage(error.to_string())
}
