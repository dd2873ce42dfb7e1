//! What a process of an event listener pool is doing, with upstream's codes (C-348).

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of the protocol with one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ListenerState {
    /// It waits for an event.
    Ready,
    /// It has an event, and owes an answer.
    Busy,
    /// It was started, or has answered; it owes a `READY`.
    Acknowledged,
    /// It said something that is not of the protocol.
    Unknown,
}

impl ListenerState {
    /// Upstream's number for the state.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Ready => 10,
            Self::Busy => 20,
            Self::Acknowledged => 30,
            Self::Unknown => 40,
        }
    }

    /// The name as log lines and interfaces show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Busy => "BUSY",
            Self::Acknowledged => "ACKNOWLEDGED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for ListenerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_upstreams_codes() {
        // C-348
        use ListenerState::{Acknowledged, Busy, Ready, Unknown};
        let codes = [Ready, Busy, Acknowledged, Unknown].map(ListenerState::code);
        assert_eq!(codes, [10, 20, 30, 40]);
    }
}
