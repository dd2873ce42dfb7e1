//! Why a child could not be started.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fault::{Fault, FaultKind};
use super::text::repr;

/// An error number of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Errno(pub i32);

impl Errno {
    /// No such file or directory.
    pub const ENOENT: Errno = Errno(nix::errno::Errno::ENOENT as i32);

    /// What it means, in words.
    #[must_use]
    pub fn text(self) -> &'static str {
        nix::errno::Errno::from_raw(self.0).desc()
    }
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Self {
        Self(errno as i32)
    }
}

impl fmt::Display for Errno {
    /// The name, such as `ENOENT`; the number where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => write!(f, "{}", self.0),
            known => write!(f, "{known:?}"),
        }
    }
}

/// A command that cannot be run, as far as that can be told without trying (C-194 to C-198).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
pub enum CommandError {
    /// It cannot be split into words.
    #[error("can't parse command {}: {reason}", repr(command))]
    Unparsable {
        /// The command line.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no words.
    #[error("command is empty")]
    Empty,
    /// There is no such file, on the PATH or in its place.
    #[error("can't find command {}", repr(.0))]
    NotFound(String),
    /// It is a directory.
    #[error("command at {} is a directory", repr(.0))]
    Directory(String),
    /// It has no execute bit.
    #[error("command at {} is not executable", repr(.0))]
    NotExecutable(String),
    /// It may be executed, but not by the daemon.
    #[error("no permission to run command {}", repr(.0))]
    NoPermission(String),
}

impl CommandError {
    /// What a request to start the process fails with.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let kind = match self {
            Self::NotFound(_) => FaultKind::NoFile,
            _ => FaultKind::NotExecutable,
        };
        Fault::new(kind, self.to_string())
    }
}

/// Why a child could not be started. The text is what `status` and `spawnerr` show.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
pub enum SpawnError {
    /// The command cannot be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A log file cannot be opened.
    #[error("can't open log file {}: {errno}", repr(&path.to_string_lossy()))]
    LogFile {
        /// Its path.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The socket of a FastCGI program cannot be opened (C-400).
    #[error("Could not create FastCGI socket {url}: {reason}")]
    Socket {
        /// The socket as configured.
        url: String,
        /// Why.
        reason: String,
    },
    /// The daemon, or the system, has no room for more open files (C-200).
    #[error("too many open files to spawn '{process}'")]
    TooManyFiles {
        /// The name of the process.
        process: Arc<str>,
    },
    /// The user, or the system, has no room for more processes (C-200).
    #[error("Too many processes in process table to spawn '{process}'")]
    TooManyProcesses {
        /// The name of the process.
        process: Arc<str>,
    },
    /// There is not enough memory.
    #[error("unknown error during fork for '{process}': ENOMEM (not enough memory)")]
    NoMemory {
        /// The name of the process.
        process: Arc<str>,
    },
    /// The pipes could not be made for another reason (C-200).
    #[error("unknown error making dispatchers for '{process}': {errno}")]
    Pipes {
        /// The name of the process.
        process: Arc<str>,
        /// Why.
        errno: Errno,
    },
    /// The child could not be made for another reason (C-200).
    #[error("unknown error during fork for '{process}': {errno}")]
    Fork {
        /// The name of the process.
        process: Arc<str>,
        /// Why.
        errno: Errno,
    },
    /// It could not become its user (C-205, C-207).
    #[error("couldn't setuid to {uid}: {reason}")]
    User {
        /// The user.
        uid: u32,
        /// Why, in upstream's words where it has any.
        reason: String,
    },
    /// Its directory is missing, or it may not go there (C-205).
    #[error("couldn't chdir to {}: {errno}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The command is there, but what it says it is to be run by is not.
    #[error(
        "couldn't exec {command}: {} ({})", Errno::ENOENT,
        interpreter.as_ref().map_or_else(
            || "its loader or interpreter is missing".to_owned(),
            |path| format!("its interpreter {} is missing", repr(path)),
        )
    )]
    BadInterpreter {
        /// The command, as configured.
        command: String,
        /// What its `#!` line names; none when it has no such line.
        interpreter: Option<String>,
    },
    /// The command is no program.
    #[error("couldn't exec {command}: ENOEXEC (it is no program and has no #! line)")]
    Format {
        /// The command, as configured.
        command: String,
    },
    /// The command could not be executed for another reason (C-205).
    #[error("couldn't exec {command}: {errno}")]
    Exec {
        /// The command, as configured.
        command: String,
        /// Why.
        errno: Errno,
    },
    /// It could not be put into its cgroup. A program is started without one then, so nobody is
    /// shown this.
    #[error("couldn't move into the cgroup: {errno}")]
    Cgroup {
        /// Why.
        errno: Errno,
    },
    /// Its cgroup holds processes of an earlier run. They are ended first, so nobody is shown this.
    #[error("processes of an earlier run are left")]
    Occupied,
    /// Another step of the preparation failed in the child.
    #[error("{step} failed: {errno}")]
    Setup {
        /// Which.
        step: String,
        /// Why.
        errno: Errno,
    },
}

impl SpawnError {
    /// What goes into the log of the child's stderr, where users of upstream look for it (C-205);
    /// none when upstream made no child either.
    #[must_use]
    pub fn child_log_text(&self) -> Option<String> {
        match self {
            Self::User { .. }
            | Self::Directory { .. }
            | Self::BadInterpreter { .. }
            | Self::Format { .. }
            | Self::Exec { .. }
            | Self::Setup { .. } => {
                Some(format!("supervisor: {self}\nsupervisor: child process was not spawned\n"))
            }
            Self::Command(_)
            | Self::Cgroup { .. }
            | Self::Occupied
            | Self::LogFile { .. }
            | Self::Socket { .. }
            | Self::TooManyFiles { .. }
            | Self::TooManyProcesses { .. }
            | Self::NoMemory { .. }
            | Self::Pipes { .. }
            | Self::Fork { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_upstreams() {
        // C-194, C-195, C-198
        let command = |error: CommandError| error.to_string();
        assert_eq!(
            command(CommandError::Unparsable {
                command: "sh -c 'x".into(),
                reason: "No closing quotation".into()
            }),
            "can't parse command \"sh -c 'x\": No closing quotation"
        );
        assert_eq!(command(CommandError::Empty), "command is empty");
        assert_eq!(command(CommandError::NotFound("x".into())), "can't find command 'x'");
        assert_eq!(
            command(CommandError::Directory("/tmp".into())),
            "command at '/tmp' is a directory"
        );
        assert_eq!(
            command(CommandError::NotExecutable("/x".into())),
            "command at '/x' is not executable"
        );
        assert_eq!(
            command(CommandError::NoPermission("/x".into())),
            "no permission to run command '/x'"
        );
        // C-200
        assert_eq!(
            SpawnError::TooManyFiles { process: "web".into() }.to_string(),
            "too many open files to spawn 'web'"
        );
        assert_eq!(
            SpawnError::TooManyProcesses { process: "web".into() }.to_string(),
            "Too many processes in process table to spawn 'web'"
        );
        assert_eq!(
            SpawnError::Fork { process: "web".into(), errno: Errno(5) }.to_string(),
            "unknown error during fork for 'web': EIO"
        );
        assert_eq!(
            SpawnError::Pipes { process: "web".into(), errno: Errno(9999) }.to_string(),
            "unknown error making dispatchers for 'web': 9999"
        );
    }

    #[test]
    fn a_child_that_failed_says_so_in_its_log() {
        // C-205
        let missing = SpawnError::Directory { directory: "/x".into(), errno: Errno::ENOENT };
        assert_eq!(
            missing.child_log_text().unwrap(),
            "supervisor: couldn't chdir to /x: ENOENT\nsupervisor: child process was not spawned\n"
        );
        assert_eq!(SpawnError::Command(CommandError::Empty).child_log_text(), None);
    }

    #[test]
    fn a_missing_file_and_an_impossible_one_are_different_faults() {
        // C-198
        assert_eq!(CommandError::NotFound("x".into()).fault().kind, FaultKind::NoFile);
        assert_eq!(CommandError::Empty.fault().kind, FaultKind::NotExecutable);
        assert_eq!(
            CommandError::Directory("/tmp".into()).fault().to_string(),
            "NOT_EXECUTABLE: command at '/tmp' is a directory"
        );
    }

    #[test]
    fn errors_survive_a_handover() {
        let error = SpawnError::BadInterpreter {
            command: "./run".into(),
            interpreter: Some("/usr/bin/pyhton\r".into()),
        };
        assert_eq!(
            error.to_string(),
            "couldn't exec ./run: ENOENT (its interpreter '/usr/bin/pyhton\\r' is missing)"
        );
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<SpawnError>(&text).unwrap(), error);
    }
}
