//! The types of events and their hierarchy (C-357).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(in $parent:ident)?;)*) => {
        /// A type of events. Whoever subscribes to one gets the events of all types below it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventType { $($(#[$doc])* $variant,)* }

        impl EventType {
            /// All types, those that are only subscribed to and never sent included.
            pub const ALL: &[EventType] = &[$(Self::$variant),*];

            /// The name that configurations and headers use.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The type that it is a kind of; none for the root.
            #[must_use]
            pub fn parent(self) -> Option<Self> {
                match self { $(Self::$variant => types!(@parent $($parent)?),)* }
            }
        }
    };
    (@parent) => { None };
    (@parent $parent:ident) => { Some(Self::$parent) };
}

types! {
    /// Everything.
    Event = "EVENT";
    /// A process changed its state.
    ProcessState = "PROCESS_STATE" in Event;
    /// It is stopped.
    ProcessStateStopped = "PROCESS_STATE_STOPPED" in ProcessState;
    /// It ended by itself.
    ProcessStateExited = "PROCESS_STATE_EXITED" in ProcessState;
    /// It is being started.
    ProcessStateStarting = "PROCESS_STATE_STARTING" in ProcessState;
    /// It was told to stop.
    ProcessStateStopping = "PROCESS_STATE_STOPPING" in ProcessState;
    /// It ended too quickly.
    ProcessStateBackoff = "PROCESS_STATE_BACKOFF" in ProcessState;
    /// It is given up.
    ProcessStateFatal = "PROCESS_STATE_FATAL" in ProcessState;
    /// It is up.
    ProcessStateRunning = "PROCESS_STATE_RUNNING" in ProcessState;
    /// Nobody knows.
    ProcessStateUnknown = "PROCESS_STATE_UNKNOWN" in ProcessState;
    /// A process sent something to listeners.
    ProcessCommunication = "PROCESS_COMMUNICATION" in Event;
    /// In its stdout.
    ProcessCommunicationStdout = "PROCESS_COMMUNICATION_STDOUT" in ProcessCommunication;
    /// In its stderr.
    ProcessCommunicationStderr = "PROCESS_COMMUNICATION_STDERR" in ProcessCommunication;
    /// A process wrote something.
    ProcessLog = "PROCESS_LOG" in Event;
    /// To its stdout.
    ProcessLogStdout = "PROCESS_LOG_STDOUT" in ProcessLog;
    /// To its stderr.
    ProcessLogStderr = "PROCESS_LOG_STDERR" in ProcessLog;
    /// A client sent something to listeners.
    RemoteCommunication = "REMOTE_COMMUNICATION" in Event;
    /// The daemon changed its state.
    SupervisorStateChange = "SUPERVISOR_STATE_CHANGE" in Event;
    /// It is at work.
    SupervisorStateChangeRunning = "SUPERVISOR_STATE_CHANGE_RUNNING" in SupervisorStateChange;
    /// It began to stop.
    SupervisorStateChangeStopping = "SUPERVISOR_STATE_CHANGE_STOPPING" in SupervisorStateChange;
    /// Time passed.
    Tick = "TICK" in Event;
    /// Five seconds.
    Tick5 = "TICK_5" in Tick;
    /// A minute.
    Tick60 = "TICK_60" in Tick;
    /// An hour.
    Tick3600 = "TICK_3600" in Tick;
    /// A group came or went.
    ProcessGroup = "PROCESS_GROUP" in Event;
    /// It became active.
    ProcessGroupAdded = "PROCESS_GROUP_ADDED" in ProcessGroup;
    /// It is no longer active.
    ProcessGroupRemoved = "PROCESS_GROUP_REMOVED" in ProcessGroup;
}

impl EventType {
    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it is that type, or a kind of it.
    #[must_use]
    pub fn is_a(self, other: Self) -> bool {
        self == other || self.parent().is_some_and(|parent| parent.is_a(other))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_and_stand_below_their_base_types() {
        // C-357
        assert_eq!(EventType::ALL.len(), 27);
        for &kind in EventType::ALL {
            assert_eq!(EventType::parse(kind.name()), Some(kind));
            assert!(kind.is_a(EventType::Event), "{kind}");
            if let Some(parent) = kind.parent().filter(|&parent| parent != EventType::Event) {
                assert!(kind.name().starts_with(&format!("{parent}_")), "{kind}");
            }
        }
        assert_eq!(EventType::parse("tick_5"), None);
        assert_eq!(EventType::Event.parent(), None);
        assert_eq!(EventType::RemoteCommunication.parent(), Some(EventType::Event));
        assert!(EventType::Tick5.is_a(EventType::Tick));
        assert!(!EventType::Tick.is_a(EventType::Tick5));
        assert!(!EventType::ProcessLogStdout.is_a(EventType::ProcessState));
    }
}
