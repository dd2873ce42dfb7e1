//! `pidproxy`: runs a daemon that insists on a pid file, and passes signals on to it.
//!
//! `pidproxy PIDFILE COMMAND [ARGS]` starts COMMAND and passes TERM, HUP, INT, USR1, USR2 and QUIT
//! on to the process whose pid is in PIDFILE (C-388). COMMAND may stay, as a wrapper around the
//! real daemon, or end after the daemon went to the background.
//!
//! Upstream exits with 0 right after it has passed on TERM, INT or QUIT, and within 5 s of
//! COMMAND's end (C-389). supervisord then takes the program for stopped while the daemon is still
//! shutting down, and the next start finds its port taken; a daemon that went to the background is
//! taken for dead, and started again and again. So this one stays until the daemon has really
//! gone (C-448): it adopts what COMMAND leaves behind, waits for it, and exits with the status of
//! whichever of the two ended last; a death by the signal that asked for it counts as 0, as
//! upstream's exit does.
//!
//! A stop leaves nothing behind: where no daemon can be found in PIDFILE, COMMAND gets the signal
//! instead; and a COMMAND that stays after the daemon has gone gets it a second later.

mod children;

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal as Sig};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use thiserror::Error;

use self::children::Children;
use crate::model::signal::Signal;
use crate::model::spawn::CommandError;
use crate::runtime::command::{DEFAULT_PATH, search, usable};
use crate::sys::spawn::{Plan, SpawnFailure, Spawned, Stage, Stderr, Stdio, spawn};
use crate::sys::{pidfd, signals, subreaper};

/// What is passed on (C-388).
const FORWARDED: [Sig; 6] =
    [Sig::SIGTERM, Sig::SIGHUP, Sig::SIGINT, Sig::SIGUSR1, Sig::SIGUSR2, Sig::SIGQUIT];

/// How long a COMMAND may take to notice that its daemon has gone.
const GRACE: Duration = Duration::from_secs(1);

/// Why there is nothing to proxy for.
#[derive(Debug, Error)]
enum StartError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("can't run {command}: {failure}")]
    Spawn { command: String, failure: SpawnFailure },
    #[error("can't wait for signals: {}", .0.desc())]
    System(#[from] Errno),
}

impl StartError {
    /// As shells have it: 127 when the command is not there, 126 when it cannot be run.
    fn exit_code(&self) -> u8 {
        match self {
            Self::Command(CommandError::NotFound(_)) => 127,
            Self::Command(_) => 126,
            Self::Spawn { failure, .. } if failure.errno == Errno::ENOENT => 127,
            Self::Spawn { failure, .. } if failure.stage == Stage::Exec => 126,
            Self::Spawn { .. } | Self::System(_) => 1,
        }
    }
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "pidproxy".into());
    let pidfile = args.next();
    let command: Vec<OsString> = args.collect();
    let Some(pidfile) = pidfile.filter(|_| !command.is_empty()) else {
        let _ = std::io::stdout().write_all(usage(&name).as_bytes());
        return ExitCode::FAILURE;
    };
    match Proxy::start(pidfile.into(), command).and_then(|proxy| Ok(proxy.run()?)) {
        Ok(code) => code.into(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "pidproxy: {error}");
            error.exit_code().into()
        }
    }
}

/// C-386
fn usage(name: &OsStr) -> String {
    format!(
        "pidproxy -- run a command, and pass signals on to the process in its pid file.\n\n\
         Starts the command and stays until it and the process whose pid is in the pid file have \n\
         ended. Passes on TERM, HUP, INT, USR1, USR2 and QUIT.\n\n\
         Usage: {} <pidfile name> <command> [<cmdarg1> ...]\n",
        name.to_string_lossy()
    )
}

struct Proxy {
    pidfile: PathBuf,
    signals: SignalFd,
    children: Children,
    /// What asked for the end.
    stop: Option<Signal>,
    /// The process that was asked to end, until it has.
    stopping: Option<OwnedFd>,
    /// When COMMAND is asked to end too.
    deadline: Option<Instant>,
}

impl Proxy {
    /// Starts COMMAND.
    fn start(pidfile: PathBuf, command: Vec<OsString>) -> Result<Self, StartError> {
        signals::block(&FORWARDED)?;
        signals::block(&[Sig::SIGCHLD])?;
        let set: SigSet = FORWARDED.into_iter().chain([Sig::SIGCHLD]).collect();
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?;
        subreaper::adopt_orphans()?;
        let command = start_command(command)?;
        Ok(Self {
            pidfile,
            signals,
            children: Children::new(command.pid),
            stop: None,
            stopping: None,
            deadline: None,
        })
    }

    /// Stays until it is all over: the exit code.
    fn run(mut self) -> Result<u8, Errno> {
        loop {
            if let Some(code) = self.over() {
                return Ok(code);
            }
            let (signalled, stopped) = self.wait()?;
            if signalled && let Some(info) = self.signals.read_signal()? {
                let signal = Signal(info.ssi_signo.cast_signed());
                if signal.0 == Sig::SIGCHLD as i32 {
                    self.children.reap(|| read_pid(&self.pidfile));
                } else {
                    self.forward(signal);
                }
            }
            if stopped {
                // Its SIGCHLD may come a moment later: its status counts before all is over.
                self.children.reap(|| read_pid(&self.pidfile));
                self.stopping = None;
                self.deadline = Some(Instant::now() + GRACE);
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                self.deadline = None;
                self.signal_command();
            }
        }
    }

    /// Waits for a signal, the end of the process that was asked to end, or the deadline; tells
    /// which of the first two it was.
    fn wait(&self) -> Result<(bool, bool), Errno> {
        let timeout = self.deadline.map_or(PollTimeout::NONE, |deadline| {
            // Rounded up, so that it is over when it is said to be.
            let left = deadline.saturating_duration_since(Instant::now()).as_millis() + 1;
            u16::try_from(left).unwrap_or(u16::MAX).into()
        });
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.stopping.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let happened = |fd: &PollFd| fd.any().unwrap_or(false);
        Ok((happened(&fds[0]), fds.get(1).is_some_and(happened)))
    }

    /// Passes a signal on to the process in the pid file (C-388).
    fn forward(&mut self, signal: Signal) {
        let stop = matches!(signal, Signal::TERM | Signal::INT | Signal::QUIT);
        if stop {
            self.stop = Some(signal);
        }
        let Some(pid) = read_pid(&self.pidfile) else {
            let text = format!("Can't read child pidfile {}!", self.pidfile.display());
            // Nobody may be reading; that is no reason to end.
            let _ = writeln!(std::io::stdout(), "{text}");
            if stop {
                self.signal_command();
            }
            return;
        };
        self.children.name(pid);
        // It may be no child of ours: then this is the only way to see it end.
        let handle = pidfd::open(pid).ok();
        match pidfd::send_signal(handle.as_ref().map(AsFd::as_fd), pid, signal) {
            Ok(()) if stop => self.stopping = handle,
            Err(_) if stop => self.signal_command(),
            Ok(()) => {}
            Err(errno) => {
                let text = format!("pidproxy: can't send {signal} to {pid}: {}", errno.desc());
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    /// Asks COMMAND to end, or what it left behind.
    fn signal_command(&self) {
        let Some(signal) = self.stop else { return };
        for pid in self.children.remaining() {
            // One that has just ended is no failure.
            let _ = pidfd::send_signal(None, pid, signal);
        }
    }

    /// The exit code, once it is all over.
    fn over(&self) -> Option<u8> {
        if self.stopping.is_some() {
            return None;
        }
        self.children.over(self.stop)
    }
}

/// The pid in the pid file. Nothing below 2 is one: those mean groups, everybody, or init.
fn read_pid(pidfile: &Path) -> Option<i32> {
    fs::read_to_string(pidfile).ok()?.trim().parse().ok().filter(|&pid| pid > 1)
}

/// Starts COMMAND in our own process group, with our own files.
fn start_command(command: Vec<OsString>) -> Result<Spawned, StartError> {
    let program = find(&command[0])?;
    let shown = command[0].to_string_lossy().into_owned();
    // What comes from our own arguments and environment has no null bytes.
    let c_string = |text: OsString| CString::new(text.into_vec()).unwrap_or_default();
    let envp = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        c_string(name)
    });
    let own = |fd: std::io::Result<OwnedFd>| match fd {
        Ok(fd) => Ok(Stdio::Fd(Arc::new(fd))),
        Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or_default())),
    };
    let plan = Plan {
        program: c_string(program.into()),
        envp: envp.collect(),
        argv: command.into_iter().map(c_string).collect(),
        cwd: None,
        umask: None,
        identity: None,
        nofile: None,
        cgroup: None,
        own_group: false,
        stdin: own(std::io::stdin().as_fd().try_clone_to_owned())?,
        stdout: own(std::io::stdout().as_fd().try_clone_to_owned())?,
        stderr: Stderr::Own(own(std::io::stderr().as_fd().try_clone_to_owned())?),
    };
    spawn(&plan).map_err(|failure| StartError::Spawn { command: shown, failure })
}

/// The file to execute: in the current directory, as upstream has it (C-387), else on the PATH
/// (C-448).
fn find(command: &OsStr) -> Result<PathBuf, CommandError> {
    let here = Path::new(".").join(command);
    if command.as_bytes().contains(&b'/') {
        return usable(Path::new(command), None).map(|()| command.into());
    }
    if usable(&here, None).is_ok() {
        return Ok(here);
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    search(command, &path, None)
}
