//! From what a configuration says of a process to everything that starts it, resolved.
//!
//! Looks at files and may ask the user database, so it belongs on the thread that spawns, not on
//! the engine's.

#[cfg(test)]
mod tests;

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::resource::rlim_t;
use nix::unistd::{AccessFlags, access, getuid};

use crate::config::command::split;
use crate::model::spawn::{CommandError, SpawnError};
use crate::model::spec::{Account, ProcessSpec};
use crate::sys::clock;
use crate::sys::spawn::{
    Files, Identity, Plan, SpawnFailure, Spawned, Stage, Stderr, Stdio, start,
};
use crate::sys::user::GroupLists;

/// What children have from the daemon.
#[derive(Debug)]
pub struct Inheritance {
    /// The daemon's environment (C-208). Bytes: it need not be UTF-8.
    environment: Vec<(OsString, OsString)>,
    /// The limit of open files that is theirs; none is the daemon's.
    nofile: Option<(rlim_t, rlim_t)>,
    groups: GroupLists,
}

/// What the service manager tells the daemon alone: a child that took it for its own would speak
/// in the daemon's name, or take descriptors for its own that it does not have.
const FOR_THE_DAEMON: [&str; 7] = [
    "FDSTORE",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// The PATH of a daemon that has none (C-196).
pub const DEFAULT_PATH: &str = "/bin:/usr/bin:/usr/local/bin";

impl Inheritance {
    /// This environment without what is meant for the daemon alone, and the soft and hard limit of
    /// open files as they were before the daemon raised its own.
    #[must_use]
    pub fn new(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        nofile: Option<(rlim_t, rlim_t)>,
    ) -> Self {
        let environment = environment
            .into_iter()
            .filter(|(name, _)| !FOR_THE_DAEMON.iter().any(|own| name == own))
            .collect();
        Self { environment, nofile, groups: GroupLists::default() }
    }

    fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }
}

/// A process that is ready to be started.
#[derive(Debug)]
pub struct Resolved {
    /// How.
    pub plan: Plan,
    /// Its name, for messages.
    process: Arc<str>,
    /// The command as configured, for messages.
    command: String,
    /// Where it runs.
    directory: Option<PathBuf>,
    /// Whom it runs as.
    uid: Option<u32>,
}

impl Resolved {
    /// Makes its pipes.
    ///
    /// # Errors
    /// What `status` is to show.
    pub fn open_files(&self) -> Result<Files, SpawnError> {
        Files::open(&self.plan).map_err(|failure| self.explain(failure))
    }

    /// Starts it. Blocks as [`sys::spawn::start`](start) does.
    ///
    /// # Errors
    /// What `status` is to show, and the files for another try.
    pub fn start_with(&self, files: Files) -> Result<Spawned, (SpawnError, Files)> {
        start(&self.plan, files).map_err(|(failure, files)| (self.explain(failure), files))
    }

    /// The same with files that are opened for it.
    #[cfg(test)]
    pub(crate) fn start(&self) -> Result<Spawned, SpawnError> {
        self.start_with(self.open_files()?).map_err(|(error, _)| error)
    }

    /// What a failure means for a person.
    fn explain(&self, failure: SpawnFailure) -> SpawnError {
        let process = self.process.clone();
        let command = || self.command.clone();
        let errno = failure.errno;
        match (failure.stage, errno) {
            (Stage::Pipes | Stage::Fork, Errno::EMFILE | Errno::ENFILE) => {
                SpawnError::TooManyFiles { process }
            }
            // A user over its limit is refused at the exec after becoming it.
            (Stage::Fork | Stage::Exec, Errno::EAGAIN) => SpawnError::TooManyProcesses { process },
            (Stage::Pipes | Stage::Fork | Stage::Exec, Errno::ENOMEM) => {
                SpawnError::NoMemory { process }
            }
            (Stage::Pipes, _) => SpawnError::Pipes { process, errno: errno.into() },
            (Stage::Fork, _) => SpawnError::Fork { process, errno: errno.into() },
            (Stage::Groups | Stage::Gid | Stage::Uid, _) => SpawnError::User {
                uid: self.uid.unwrap_or_default(),
                reason: refusal(failure.stage, errno),
            },
            (Stage::Chdir, _) => SpawnError::Directory {
                directory: self.directory.clone().unwrap_or_default(),
                errno: errno.into(),
            },
            (Stage::Exec, Errno::ENOEXEC) => SpawnError::Format { command: command() },
            (Stage::Exec, Errno::ENOENT) => match fs::File::open(self.file()) {
                Ok(file) => SpawnError::BadInterpreter {
                    command: command(),
                    interpreter: interpreter(file),
                },
                Err(_) => SpawnError::Exec { command: command(), errno: errno.into() },
            },
            (Stage::Exec, _) => SpawnError::Exec { command: command(), errno: errno.into() },
            (Stage::Cgroup, _) => SpawnError::Cgroup { errno: errno.into() },
            (Stage::ProcessGroup | Stage::Files | Stage::Limits, _) => {
                SpawnError::Setup { step: failure.stage.to_string(), errno: errno.into() }
            }
        }
    }

    /// The program as the daemon sees it.
    fn file(&self) -> PathBuf {
        let program = Path::new(OsStr::from_bytes(self.plan.program.as_bytes()));
        located(program, self.directory.as_deref())
    }
}

/// Upstream's words for a user that could not be become (C-123, C-207).
fn refusal(stage: Stage, errno: Errno) -> String {
    match stage {
        _ if errno == Errno::EPERM && !getuid().is_root() => {
            "Can't drop privilege as nonroot user".to_owned()
        }
        Stage::Groups => "Could not set groups of effective user".to_owned(),
        Stage::Gid => "Could not set group id of effective user".to_owned(),
        _ => format!("Could not set user id of effective user ({errno:?})"),
    }
}

/// What the `#!` line of a file names.
fn interpreter(file: impl Read) -> Option<String> {
    // The kernel reads no more of it either.
    let mut head = Vec::new();
    file.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let path = line.trim_ascii_start().split(|&byte| byte == b' ' || byte == b'\t').next()?;
    Some(String::from_utf8_lossy(path).into_owned())
}

/// Whether the command of a process can be run, as far as that can be told without trying: a
/// request to start it is refused otherwise (C-194 to C-198).
///
/// # Errors
/// Why not.
pub fn check(spec: &ProcessSpec, inheritance: &Inheritance) -> Result<(), CommandError> {
    words_and_program(spec, inheritance).map(drop)
}

/// Resolves a process to what starts it.
///
/// # Errors
/// The command cannot be run (C-194 to C-198).
pub fn resolve(spec: &ProcessSpec, inheritance: &Inheritance) -> Result<Resolved, CommandError> {
    let (words, program) = words_and_program(spec, inheritance)?;
    let c_string = |bytes: Vec<u8>| {
        CString::new(bytes).map_err(|_| CommandError::Unparsable {
            command: spec.command.clone(),
            reason: "embedded null byte".to_owned(),
        })
    };
    let all = |strings: Vec<Vec<u8>>| strings.into_iter().map(c_string).collect::<Result<_, _>>();
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    Ok(Resolved {
        process: spec.name.process.clone(),
        command: words[0].clone(),
        directory: spec.directory.clone(),
        uid: spec.user.as_ref().map(|user| user.uid),
        plan: Plan {
            program: c_string(bytes(&program))?,
            argv: all(words.into_iter().map(String::into_bytes).collect())?,
            envp: all(environment(spec, inheritance))?,
            cwd: spec.directory.as_deref().map(bytes).map(c_string).transpose()?,
            umask: spec.umask,
            identity: spec.user.as_ref().and_then(|user| identity(user, inheritance)),
            nofile: inheritance.nofile,
            cgroup: None,
            own_group: true,
            stdin: Stdio::Pipe,
            stdout: Stdio::Pipe,
            stderr: if spec.redirect_stderr { Stderr::Stdout } else { Stderr::Own(Stdio::Pipe) },
        },
    })
}

/// Whom to become; none when the daemon is that user already, whoever that is (C-207).
fn identity(user: &Account, inheritance: &Inheritance) -> Option<Identity> {
    (getuid().as_raw() != user.uid).then(|| Identity {
        uid: user.uid,
        gid: user.gid,
        groups: inheritance.groups.of(user, clock::now().mono),
    })
}

/// The environment as `NAME=value`: the daemon's, then the variables that say where the child is,
/// then the configured ones (C-208 to C-210). HOME and the like stay the daemon's.
fn environment(spec: &ProcessSpec, inheritance: &Inheritance) -> Vec<Vec<u8>> {
    let own = [
        ("SUPERVISOR_ENABLED", Some("1")),
        ("SUPERVISOR_SERVER_URL", spec.server_url.as_deref()),
        ("SUPERVISOR_PROCESS_NAME", Some(&*spec.name.process)),
        ("SUPERVISOR_GROUP_NAME", Some(&*spec.name.group)),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let configured = spec.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));

    let mut variables = inheritance.environment.clone();
    for (name, value) in own.chain(configured) {
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.into(),
            None => variables.push((name.into(), value.into())),
        }
    }
    variables
        .into_iter()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name.into_vec()
        })
        .collect()
}

/// The words of the command, and the file to execute for them.
fn words_and_program(
    spec: &ProcessSpec,
    inheritance: &Inheritance,
) -> Result<(Vec<String>, PathBuf), CommandError> {
    let words = split(&spec.command)
        .map_err(|reason| CommandError::Unparsable { command: spec.command.clone(), reason })?;
    let name = words.first().ok_or(CommandError::Empty)?;
    let directory = spec.directory.as_deref();
    let program = if name.contains('/') {
        let program = PathBuf::from(name);
        // A missing directory is told when the child goes there, not as a missing command.
        if program.is_absolute() || directory.is_none_or(Path::is_dir) {
            usable(&program, directory)?;
        }
        program
    } else {
        let configured = spec.environment.iter().find(|(variable, _)| variable == "PATH");
        let path = configured
            .map(|(_, value)| OsStr::new(value))
            .or_else(|| inheritance.variable("PATH"))
            .unwrap_or(OsStr::new(DEFAULT_PATH));
        search(OsStr::new(name), path, directory)?
    };
    Ok((words, program))
}

/// The first file on the path that can be executed; where there is none, what is wrong with the
/// first that exists (C-196, C-429). Relative entries are relative to the directory.
///
/// # Errors
/// There is no such file, or none that can be executed.
pub fn search(
    name: &OsStr,
    path: &OsStr,
    directory: Option<&Path>,
) -> Result<PathBuf, CommandError> {
    let mut problem = None;
    for entry in std::env::split_paths(path) {
        let candidate = entry.join(name);
        match usable(&candidate, directory) {
            Ok(()) => return Ok(candidate),
            Err(CommandError::NotFound(_)) => {}
            Err(other) => problem = problem.or(Some(other)),
        }
    }
    Err(problem.unwrap_or_else(|| CommandError::NotFound(name.to_string_lossy().into_owned())))
}

/// Whether this file can be executed, with upstream's checks (C-198). A relative one is looked at
/// from the child's directory, from where it will be executed (C-429).
///
/// # Errors
/// What is wrong with it.
pub fn usable(program: &Path, directory: Option<&Path>) -> Result<(), CommandError> {
    let shown = || program.to_string_lossy().into_owned();
    let file = located(program, directory);
    let found = fs::metadata(&file).map_err(|_: io::Error| CommandError::NotFound(shown()))?;
    if found.is_dir() {
        Err(CommandError::Directory(shown()))
    } else if found.permissions().mode() & 0o111 == 0 {
        Err(CommandError::NotExecutable(shown()))
    } else if access(&file, AccessFlags::X_OK).is_err() {
        Err(CommandError::NoPermission(shown()))
    } else {
        Ok(())
    }
}

/// Where the daemon finds what a child in this directory would execute.
fn located(program: &Path, directory: Option<&Path>) -> PathBuf {
    directory.map_or_else(|| program.to_owned(), |directory| directory.join(program))
}
