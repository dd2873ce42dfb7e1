//! Starts children.
//!
//! Everything is resolved before the child exists ([`Plan`]); the child only makes system calls.
//! It shares the daemon's memory until it executes its program (`CLONE_VM | CLONE_VFORK`), so
//! starting one costs the same however large the daemon is, and it reports a failed step by
//! writing to that memory.
//!
//! Until its exec a child has the exit signal 0. Plain `waitid` calls do not see such children,
//! so one that fails before its exec is invisible to [`reap`](super::reap) and is reaped here;
//! the exec makes the exit signal SIGCHLD, and the child an ordinary one.
#![allow(unsafe_code)]

mod child;
mod clone;
#[cfg(test)]
pub(crate) use clone::births_are_impossible;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::rlim_t;
use nix::unistd::pipe2;
use thiserror::Error;

use super::reap::waitid;
use super::{failpoint, signals};
use crate::model::exit::ExitStatus;

/// All that is needed to start one child, resolved beforehand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file to execute; a relative path is relative to `cwd`.
    pub program: CString,
    /// Its arguments, the zeroth included.
    pub argv: Vec<CString>,
    /// Its environment, `NAME=value`.
    pub envp: Vec<CString>,
    /// Where it runs; none is the daemon's directory.
    pub cwd: Option<CString>,
    /// Its file mode mask; none is the daemon's.
    pub umask: Option<u32>,
    /// Whom it runs as; none is the daemon's user.
    pub identity: Option<Identity>,
    /// `RLIMIT_NOFILE` as soft and hard; none is the daemon's. The daemon raises its own, which
    /// must not reach children: old programs size tables and loops by it.
    pub nofile: Option<(rlim_t, rlim_t)>,
    /// The directory of the cgroup it is born in; none is the daemon's own cgroup. A step that
    /// fails at this is [`Stage::Cgroup`]: the caller may try again without.
    pub cgroup: Option<Arc<OwnedFd>>,
    /// Whether it leads a process group of its own (C-202), or stays in the caller's.
    pub own_group: bool,
    /// Its fd 0.
    pub stdin: Stdio,
    /// Its fd 1.
    pub stdout: Stdio,
    /// Its fd 2.
    pub stderr: Stderr,
}

/// A user to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups, the primary one first (C-124).
    pub groups: Arc<[u32]>,
}

/// What a standard descriptor of the child is connected to.
#[derive(Debug, Clone)]
pub enum Stdio {
    /// A new pipe to the daemon.
    Pipe,
    /// An open file, such as a FastCGI socket.
    Fd(Arc<OwnedFd>),
}

/// What the child's fd 2 is connected to.
#[derive(Debug, Clone)]
pub enum Stderr {
    /// Where its stdout goes (`redirect_stderr`).
    Stdout,
    /// Elsewhere.
    Own(Stdio),
}

/// A child that runs its program.
#[derive(Debug)]
pub struct Spawned {
    /// Its pid, and the id of its process group when it has its own (C-202).
    pub pid: i32,
    /// A handle on it; none on a kernel before 5.2.
    pub pidfd: Option<OwnedFd>,
    /// The end to write its stdin to, non-blocking; none when it is no pipe.
    pub stdin: Option<OwnedFd>,
    /// The end to read its stdout from, non-blocking; none when it is no pipe.
    pub stdout: Option<OwnedFd>,
    /// The end to read its stderr from, non-blocking; none when it is no pipe, or the same as
    /// stdout.
    pub stderr: Option<OwnedFd>,
}

/// The steps at which a start can fail, in their order (C-201).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Stage {
    /// Making the pipes, in the daemon.
    Pipes = 1,
    /// Making the child, in the daemon.
    Fork,
    /// Moving it into its cgroup, where it could not be born there.
    Cgroup,
    /// Making its process group.
    ProcessGroup,
    /// Connecting its fds 0, 1 and 2.
    Files,
    /// Setting its resource limits.
    Limits,
    /// Setting its supplementary groups.
    Groups,
    /// Setting its group.
    Gid,
    /// Setting its user.
    Uid,
    /// Changing to its directory.
    Chdir,
    /// Executing its program. `EINTR` says that a signal killed the child before.
    Exec,
}

impl Stage {
    fn from_raw(number: i32) -> Option<Self> {
        const ALL: [Stage; 11] = [
            Stage::Pipes,
            Stage::Fork,
            Stage::Cgroup,
            Stage::ProcessGroup,
            Stage::Files,
            Stage::Limits,
            Stage::Groups,
            Stage::Gid,
            Stage::Uid,
            Stage::Chdir,
            Stage::Exec,
        ];
        ALL.into_iter().find(|&stage| stage as i32 == number)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pipes => "making pipes",
            Self::Fork => "making the child",
            Self::Cgroup => "moving it into its cgroup",
            Self::ProcessGroup => "making its process group",
            Self::Files => "connecting its standard files",
            Self::Limits => "setting its limits",
            Self::Groups => "setting its supplementary groups",
            Self::Gid => "setting its group",
            Self::Uid => "setting its user",
            Self::Chdir => "changing the directory",
            Self::Exec => "executing the program",
        })
    }
}

/// A start that failed. Nothing is left of it: no child, no descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{stage} failed: {errno:?}")]
pub struct SpawnFailure {
    /// At which step.
    pub stage: Stage,
    /// Why.
    pub errno: Errno,
}

/// Starts a child with all signals at their defaults and none blocked (C-430), and no descriptors
/// but 0, 1 and 2 (C-203).
///
/// Blocks until the child executes its program: call it from a thread that may wait for a hung
/// file system. Any number of threads may call it at once.
///
/// # Errors
/// The step that failed, and the files for another try. The child is gone then, and was never
/// visible to [`super::reap`].
pub fn start(plan: &Plan, files: Files) -> Result<Spawned, (SpawnFailure, Files)> {
    let started = {
        // A handler of the daemon's must not run in the child while it shares our memory, and
        // the mask also keeps a signal from cutting the waiting short.
        let _blocked = signals::block_all();
        let job = child::Job::new(plan, files.child_fds());
        clone::start(&job).and_then(|(pid, pidfd)| {
            ended_before_exec(pid, pidfd.as_ref().map(AsFd::as_fd), &job)
                .map_or(Ok((pid, pidfd)), Err)
        })
    };
    let (pid, pidfd) = match started {
        Ok(started) => started,
        Err(failure) => return Err((failure, files)),
    };
    Ok(Spawned {
        pid,
        pidfd,
        stdin: files.stdin.ours,
        stdout: files.stdout.ours,
        stderr: files.stderr.and_then(|stderr| stderr.ours),
    })
}

/// The same with pipes that are made for it.
///
/// # Errors
/// The step that failed.
pub fn spawn(plan: &Plan) -> Result<Spawned, SpawnFailure> {
    start(plan, Files::open(plan)?).map_err(|(failure, _)| failure)
}

/// Reaps a child that ended before its exec, and says why; none when the exec succeeded: then
/// there is no child any more that `__WCLONE` would find.
fn ended_before_exec(
    pid: i32,
    pidfd: Option<BorrowedFd>,
    job: &child::Job,
) -> Option<SpawnFailure> {
    let flags = libc::WEXITED | libc::__WCLONE;
    // Through the pidfd where there is one: the pid of a short-lived child could already be
    // another's.
    let (kind, id) = match pidfd {
        Some(fd) => (libc::P_PIDFD, fd.as_raw_fd()),
        None => (libc::P_PID, pid),
    };
    let ended = waitid(kind, id.unsigned_abs(), flags).ok().flatten()?;
    Some(job.failure().unwrap_or(SpawnFailure {
        stage: Stage::Exec,
        errno: match ended.1 {
            ExitStatus::Signal { .. } => Errno::EINTR,
            ExitStatus::Code(_) | ExitStatus::Unknown => Errno::UnknownErrno,
        },
    }))
}

/// Both ends of the child's standard files.
#[derive(Debug)]
pub struct Files {
    stdin: End,
    stdout: End,
    /// None: the same as stdout.
    stderr: Option<End>,
}

/// One standard file.
#[derive(Debug)]
struct End {
    /// The child's side; never 0, 1 or 2, which the child connects one after the other.
    theirs: Arc<OwnedFd>,
    /// Our side, when it is a pipe.
    ours: Option<OwnedFd>,
}

impl Files {
    /// Makes the pipes of a child that is to be started.
    ///
    /// # Errors
    /// Why they cannot be made.
    pub fn open(plan: &Plan) -> Result<Self, SpawnFailure> {
        Self::try_open(plan).map_err(|errno| SpawnFailure { stage: Stage::Pipes, errno })
    }

    /// Our ends of stdin, stdout and stderr, where these are pipes.
    #[must_use]
    pub fn ours(&self) -> [Option<BorrowedFd<'_>>; 3] {
        let stderr = self.stderr.as_ref().and_then(|end| end.ours.as_ref());
        [self.stdin.ours.as_ref(), self.stdout.ours.as_ref(), stderr]
            .map(|end| end.map(AsFd::as_fd))
    }

    fn try_open(plan: &Plan) -> Result<Self, Errno> {
        Ok(Self {
            stdin: End::open(&plan.stdin, Direction::ToChild)?,
            stdout: End::open(&plan.stdout, Direction::FromChild)?,
            stderr: match &plan.stderr {
                Stderr::Stdout => None,
                Stderr::Own(stdio) => Some(End::open(stdio, Direction::FromChild)?),
            },
        })
    }

    fn child_fds(&self) -> [i32; 3] {
        let stderr = self.stderr.as_ref().unwrap_or(&self.stdout);
        [&self.stdin, &self.stdout, stderr].map(|end| end.theirs.as_raw_fd())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToChild,
    FromChild,
}

impl End {
    fn open(stdio: &Stdio, direction: Direction) -> Result<Self, Errno> {
        match stdio {
            Stdio::Fd(fd) if fd.as_raw_fd() > 2 => Ok(Self { theirs: fd.clone(), ours: None }),
            Stdio::Fd(fd) => Ok(Self { theirs: Arc::new(duplicate(fd)?), ours: None }),
            Stdio::Pipe => {
                failpoint::before("pipe2")?;
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                let (read, write) = (above_stdio(read)?, above_stdio(write)?);
                let (theirs, ours) = match direction {
                    Direction::ToChild => (read, write),
                    Direction::FromChild => (write, read),
                };
                // Each end of a pipe has its own flags: the child's stays blocking (C-203).
                fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                Ok(Self { theirs: Arc::new(theirs), ours: Some(ours) })
            }
        }
    }
}

/// The same file under a number above 2. A daemon that runs with 0, 1 or 2 closed gets pipes
/// there: the child would lose them, and the daemon would print into them.
fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { duplicate(&fd) }
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
