//! What a line of the daemon's own log says in a form for programs: its kind and its fields, as
//! the journal has them. The names and identifiers are a contract (docs/journal.md).

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $id:literal;)*) => {
        /// The kinds of line that are worth looking for. Each has a `MESSAGE_ID`, and an entry in
        /// the message catalog (`systemd/supervisor.catalog`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Kind] = &[$(Self::$variant),*];

            /// The `MESSAGE_ID`: 128 bits in hexadecimal.
            #[must_use]
            pub fn id(self) -> &'static str { match self { $(Self::$variant => $id),* } }
        }
    };
}

kinds! {
    /// The daemon is up.
    DaemonStarted = "ec76d0cb39344161ac0b3e274af2ab62";
    /// A child was made.
    ProcessSpawned = "1da73d36505a44879bba2208289fdcfa";
    /// A process stayed up for `startsecs`.
    ProcessRunning = "44af8a1ec5ff4447a98ae7ddb18dffaf";
    /// A process ended by itself, as expected.
    ProcessExited = "f41dcca0bf3f46e6ac967ce163f62924";
    /// A process ended by itself, too early or with an exit status that is not expected.
    ProcessFailed = "3b0ff73950994ba19f8e88eaf32ac0c6";
    /// A process stopped because it was told to.
    ProcessStopped = "93666b72271745a29b44c05a528c2dd1";
    /// A process could not be started and is not tried again.
    ProcessGaveUp = "76620515489c4dc795a46893479a9f87";
    /// No child could be made.
    SpawnError = "425e7164b4a24c39a21bfa70b71e5f59";
    /// A process did not stop in time and gets SIGKILL.
    ProcessKilled = "f87b031e16264c98a85c5b021e9c9126";
    /// A process left others behind when it ended.
    LeftBehind = "b56b9d9e14534e18b912f1ac19a62107";
    /// A signal could not be sent: nobody knows what the process does.
    ProcessUnknown = "60231249c7cc4828ac2387f78efdc7ec";
    /// The daemon was asked by a signal to end.
    ShutdownRequested = "b8fa72f30a994dec946d27369ed5a790";
    /// The daemon was asked by a signal to start again.
    RestartRequested = "5d94436d91ac4a35b6b6b3e368ba6950";
    /// A configuration has errors, and is not used.
    ConfigurationRefused = "366dfb43bf354db59088daa251e07cee";
    /// A group was added, changed or removed, as the configuration says.
    ConfigurationApplied = "9444a224c55748c2971620ab5f4ca73b";
    /// A client may not do what it asked for.
    AccessRefused = "9a7b8e2a70ae46b4af6e7d0e1f2859f8";
    /// A client asked for something that changes the state, and was allowed to.
    ActionAudited = "d6b905a2d7344849a42938eb86624488";
    /// A log cannot be written or rotated.
    LogTrouble = "231edfdd2e974a88a49d86fdc6aa573f";
    /// A part of a log is lost.
    OutputLost = "ab9451a8c5e243d9a3ae08cabd8ff09b";
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// The fields of journal entries that are Supervisor's own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Field { $($(#[$doc])* $variant,)* }

        impl Field {
            /// All fields.
            pub const ALL: &[Field] = &[$(Self::$variant),*];

            /// The name in the journal.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name),* } }
        }
    };
}

fields! {
    /// The process, as supervisorctl shows it: `group:name`, or `name` when both are the same.
    Process = "SUPERVISOR_PROCESS";
    /// The group of the process.
    Group = "SUPERVISOR_GROUP";
    /// The program: the name of its section without `program:`.
    Program = "SUPERVISOR_PROGRAM";
    /// The process id, also of a process that is gone.
    Pid = "SUPERVISOR_PID";
    /// The state that the process is in with this line.
    State = "SUPERVISOR_STATE";
    /// The exit code of a process that exited.
    ExitStatus = "SUPERVISOR_EXIT_STATUS";
    /// The signal that ended a process.
    ExitSignal = "SUPERVISOR_EXIT_SIGNAL";
    /// The signal that is sent, or was received.
    Signal = "SUPERVISOR_SIGNAL";
    /// What went wrong.
    Error = "SUPERVISOR_ERROR";
    /// The user id of a client.
    ClientUid = "SUPERVISOR_CLIENT_UID";
    /// The process id of a client.
    ClientPid = "SUPERVISOR_CLIENT_PID";
    /// The unit that a client runs in.
    ClientUnit = "SUPERVISOR_CLIENT_UNIT";
    /// What a client asked for.
    Action = "SUPERVISOR_ACTION";
    /// `stdout` or `stderr`: where a program wrote the line.
    Channel = "SUPERVISOR_CHANNEL";
    /// Why a program's line ends here: `line-max` when it is too long, `eof` at the end.
    LineBreak = "SUPERVISOR_LINE_BREAK";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_an_identifier_of_its_own() {
        let ids: HashSet<_> = Kind::ALL.iter().map(|kind| kind.id()).collect();
        assert_eq!(ids.len(), Kind::ALL.len());
        for id in ids {
            let plain = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            assert!(id.len() == 32 && id.bytes().all(plain), "{id}");
        }
    }

    #[test]
    fn field_names_are_such_as_the_journal_takes() {
        let names: HashSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::ALL.len());
        for name in names {
            assert!(name.len() <= 64 && name.starts_with("SUPERVISOR_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{name}");
        }
    }
}
