//! The states of a process and of the daemon, with upstream's codes (C-169, C-292).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProcessState {
    /// Not running: never started, or stopped on request.
    Stopped,
    /// Spawned, and not yet up for `startsecs`.
    Starting,
    /// Up for at least `startsecs`.
    Running,
    /// Ended too quickly; will be started again after a delay.
    Backoff,
    /// Told to stop, and not gone yet.
    Stopping,
    /// Ended by itself after it was running.
    Exited,
    /// Could not be started; stays down until somebody asks.
    Fatal,
    /// A signal could not be sent to it; nobody knows what it does.
    Unknown,
}

impl ProcessState {
    /// All states, in the order of their codes.
    pub const ALL: [ProcessState; 8] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Backoff,
        Self::Stopping,
        Self::Exited,
        Self::Fatal,
        Self::Unknown,
    ];

    /// Upstream's number for the state (C-169).
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Stopped => 0,
            Self::Starting => 10,
            Self::Running => 20,
            Self::Backoff => 30,
            Self::Stopping => 40,
            Self::Exited => 100,
            Self::Fatal => 200,
            Self::Unknown => 1000,
        }
    }

    /// The state with this code.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// The name as every interface shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "STOPPED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Backoff => "BACKOFF",
            Self::Stopping => "STOPPING",
            Self::Exited => "EXITED",
            Self::Fatal => "FATAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// In the stopped set: STOPPED, EXITED, FATAL, UNKNOWN (C-169).
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self, Self::Stopped | Self::Exited | Self::Fatal | Self::Unknown)
    }

    /// In the running set: RUNNING, BACKOFF, STARTING (C-169).
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Backoff | Self::Starting)
    }

    /// May be sent a signal: RUNNING, STARTING, STOPPING (C-169).
    #[must_use]
    pub fn is_signallable(self) -> bool {
        matches!(self, Self::Running | Self::Starting | Self::Stopping)
    }
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of the daemon itself (C-292).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DaemonState {
    /// Beyond repair. Upstream defines it and never enters it; neither do we.
    Fatal,
    /// At work.
    Running,
    /// Stopping everything, to start again.
    Restarting,
    /// Stopping everything, to exit.
    Shutdown,
}

impl DaemonState {
    /// Upstream's number for the state.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Fatal => 2,
            Self::Running => 1,
            Self::Restarting => 0,
            Self::Shutdown => -1,
        }
    }

    /// The name as every interface shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Running => "RUNNING",
            Self::Restarting => "RESTARTING",
            Self::Shutdown => "SHUTDOWN",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_sets_are_upstreams() {
        // C-169
        let codes: Vec<i32> = ProcessState::ALL.iter().map(|s| s.code()).collect();
        assert_eq!(codes, [0, 10, 20, 30, 40, 100, 200, 1000]);
        for state in ProcessState::ALL {
            assert_eq!(ProcessState::from_code(state.code()), Some(state));
            let sets = (state.is_stopped(), state.is_running(), state.is_signallable());
            let expected = match state.name() {
                "STOPPED" | "EXITED" | "FATAL" | "UNKNOWN" => (true, false, false),
                "RUNNING" | "STARTING" => (false, true, true),
                "BACKOFF" => (false, true, false),
                _ => (false, false, true),
            };
            assert_eq!(sets, expected, "{state}");
        }
    }
}
