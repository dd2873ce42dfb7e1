//! How a child ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::signal::Signal;

/// How a child ended, as the kernel told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExitStatus {
    /// It called `exit` with this code, 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
    },
    /// Nobody can tell: it was not a child of this daemon, and the kernel does not say.
    Unknown,
}

impl ExitStatus {
    /// What the kernel calls a wait status (wait(2)).
    #[must_use]
    pub fn from_wait(status: i32) -> Self {
        let signal = status & 0x7f;
        if signal == 0 {
            Self::Code((status >> 8) & 0xff)
        } else {
            Self::Signal { signal: Signal(signal), core_dumped: status & 0x80 != 0 }
        }
    }

    /// The exit code, and -1 for a death by signal, as upstream counts it (C-182, C-308), or when
    /// it is not known.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal { .. } | Self::Unknown => -1,
        }
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(self) -> Option<Signal> {
        match self {
            Self::Code(_) | Self::Unknown => None,
            Self::Signal { signal, .. } => Some(signal),
        }
    }
}

impl fmt::Display for ExitStatus {
    /// `exit status 2` or `terminated by SIGSEGV (core dumped)` (C-157, C-158).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Unknown => f.write_str("exit status unknown"),
            Self::Signal { signal, core_dumped } => {
                write!(f, "terminated by {signal}")?;
                if *core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
        }
    }
}
