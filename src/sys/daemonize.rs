//! Going to the background.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, Pid, chdir, fork, pipe2, read, setsid, write};
use thiserror::Error;

use super::reap;
use crate::model::exit::ExitStatus;
use crate::model::record::{Level, Record};
use crate::model::text::repr;

/// Why the daemon could not go to the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DaemonizeError {
    /// Threads do not survive a fork: this is a mistake of the caller's.
    #[error("can't daemonize with {0} threads")]
    Threads(usize),
    /// The system refused a step.
    #[error("can't daemonize: {step} failed: {errno:?}")]
    Refused {
        /// Which.
        step: &'static str,
        /// Why.
        errno: Errno,
    },
}

/// The daemon, in the background.
#[derive(Debug)]
pub struct Daemonized {
    /// What became of the change of the directory (C-128).
    pub note: Option<Record>,
    /// To be used when the daemon is ready.
    pub ready: Ready,
}

/// The process that was started in the foreground waits for this: it exits with 0 when the daemon
/// is ready, so that whoever comes next finds it at work, and with the daemon's exit code when the
/// daemon ends before.
#[derive(Debug)]
#[must_use = "the foreground process waits until the daemon is ready"]
pub struct Ready(OwnedFd);

impl Ready {
    /// The daemon is ready: the foreground process exits with 0.
    pub fn report(self) {
        // If nobody waits any more there is nobody to tell.
        let _ = write(&self.0, b"\n");
    }
}

/// Forks once; the parent stays until the daemon is [`Ready`] and then exits. The child changes to
/// `directory`, has /dev/null as fds 0 to 2, a session of its own and this mask (C-127). It returns
/// from here; the parent does not.
///
/// # Errors
/// The process has threads, or the system refused. That `directory` cannot be changed to is no
/// error but a critical note (C-128).
pub fn daemonize(directory: Option<&Path>, mask: u32) -> Result<Daemonized, DaemonizeError> {
    let refused = |step| move |errno| DaemonizeError::Refused { step, errno };
    // Without /proc it cannot be told.
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(DaemonizeError::Threads(threads));
    }
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(
        |error: io::Error| DaemonizeError::Refused {
            step: "opening /dev/null",
            errno: error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw),
        },
    )?;
    let (waiting, ready) = pipe2(OFlag::O_CLOEXEC).map_err(refused("pipe"))?;
    // SAFETY: there is one thread, so the child has all that the parent had.
    match unsafe { fork() }.map_err(refused("fork"))? {
        ForkResult::Parent { child } => {
            drop(ready);
            await_daemon(&waiting, child)
        }
        ForkResult::Child => {
            drop(waiting);
            let note = directory.map(change_directory);
            nix::unistd::dup2_stdin(&null).map_err(refused("dup2"))?;
            nix::unistd::dup2_stdout(&null).map_err(refused("dup2"))?;
            nix::unistd::dup2_stderr(&null).map_err(refused("dup2"))?;
            setsid().map_err(refused("setsid"))?;
            umask(Mode::from_bits_truncate(mask));
            Ok(Daemonized { note, ready: Ready(ready) })
        }
    }
}

fn change_directory(directory: &Path) -> Record {
    let shown = repr(&directory.to_string_lossy());
    match chdir(directory) {
        Ok(()) => Record::new(Level::Info, format!("set current directory: {shown}")),
        Err(errno) => Record::new(
            Level::Critical,
            format!("can't chdir into {shown}: [Errno {}] {}: {shown}", errno as i32, errno.desc()),
        ),
    }
}

/// The rest of the parent's life.
fn await_daemon(waiting: &OwnedFd, child: Pid) -> ! {
    let mut byte = [0];
    let ready = loop {
        match read(waiting, &mut byte) {
            Err(Errno::EINTR) => {}
            result => break result == Ok(1),
        }
    };
    let code = if ready {
        0
    } else {
        match reap::wait(child.as_raw()) {
            Ok(ExitStatus::Code(code)) => code,
            _ => 1,
        }
    };
    // SAFETY: ends the process at once; what is to be flushed or removed at exit is the child's.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::sys::testing::alone;

    /// Daemonizes in a child of the test, and lets `daemon` run in the background with a file to
    /// write its findings to. Returns these and the exit code of the foreground process.
    fn background(
        directory: &Path,
        daemon: impl FnOnce(Daemonized, File) -> i32,
    ) -> (String, ExitStatus) {
        let (found, findings) = pipe2(OFlag::O_CLOEXEC).unwrap();
        // SAFETY: a test in a process of its own; its other thread waits for this one.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                drop(found);
                let code = match daemonize(Some(directory), 0o37) {
                    Ok(daemonized) => daemon(daemonized, findings.into()),
                    Err(error) => {
                        let _ = writeln!(File::from(findings), "{error}");
                        99
                    }
                };
                // SAFETY: the child must not go on with the test.
                unsafe { libc::_exit(code) }
            }
            ForkResult::Parent { child } => {
                drop(findings);
                let status = reap::wait(child.as_raw()).unwrap();
                let mut text = String::new();
                File::from(found).read_to_string(&mut text).unwrap();
                (text, status)
            }
        }
    }

    #[test]
    fn the_daemon_has_a_session_its_directory_and_no_terminal() {
        // C-127, C-128
        if !alone(module_path!(), "the_daemon_has_a_session_its_directory_and_no_terminal") {
            return;
        }
        let (text, status) = background(Path::new("/usr"), |daemonized, mut findings| {
            daemonized.ready.report();
            let _ = writeln!(findings, "{}", std::env::current_dir().unwrap().display());
            for fd in 0..3 {
                let file = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
                let _ = writeln!(findings, "{}", file.display());
            }
            let own_session = nix::unistd::getsid(None) == Ok(nix::unistd::getpid());
            let mask = umask(Mode::empty()).bits();
            let _ = writeln!(findings, "{own_session} {mask:o}");
            let note = daemonized.note.unwrap();
            let _ = writeln!(findings, "{} {}", note.level, note.text);
            7
        });
        assert_eq!(
            text,
            "/usr\n/dev/null\n/dev/null\n/dev/null\ntrue 37\n\
             INFO set current directory: '/usr'\n"
        );
        assert_eq!(status, ExitStatus::Code(0), "the foreground process saw it ready");
    }

    #[test]
    fn a_daemon_that_ends_before_it_is_ready_passes_its_code_on() {
        // C-119
        let name = "a_daemon_that_ends_before_it_is_ready_passes_its_code_on";
        if !alone(module_path!(), name) {
            return;
        }
        let (text, status) = background(Path::new("/nonexistent"), |daemonized, mut findings| {
            let _ = writeln!(findings, "{}", daemonized.note.unwrap().text);
            2
        });
        assert_eq!(
            text,
            "can't chdir into '/nonexistent': [Errno 2] No such file or directory: \
             '/nonexistent'\n"
        );
        assert_eq!(status, ExitStatus::Code(2));
    }

    #[test]
    fn a_process_with_threads_is_refused() {
        if !alone(module_path!(), "a_process_with_threads_is_refused") {
            return;
        }
        // The runner's and this one.
        let threads = fs::read_dir("/proc/self/task").unwrap().count();
        assert!(threads > 1);
        assert_eq!(daemonize(None, 0).unwrap_err(), DaemonizeError::Threads(threads));
    }
}
