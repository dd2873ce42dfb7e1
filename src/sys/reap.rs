//! Exits of children: first looked at, then reaped.
//!
//! Between [`peek`] and [`reap`] the child stays a zombie, so its pid cannot be given to another
//! process while the owner of the state still believes it is the child's: no signal can hit a
//! stranger.
//!
//! The kernel tells an exit as soon as it happens, which may be before the spawner thread has
//! handed over the pid. Whoever peeks a pid it does not know while a spawn is under way waits for
//! that spawn's outcome first; a child that failed before its exec is never seen here (see
//! [`spawn`](super::spawn)).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use nix::errno::Errno;

use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;

/// The first child that has ended and was not reaped yet, without reaping it; none when no child
/// has ended. Does not block. Known and unknown children (orphans that became ours) alike (C-138).
#[must_use]
pub fn peek() -> Option<(i32, ExitStatus)> {
    // ECHILD, no children at all, is the only error there is: nothing has ended.
    waitid(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT).ok().flatten()
}

/// How this child ended, without reaping it; none when it still runs. Does not block.
///
/// # Errors
/// `ECHILD` when there is no such child (any more).
pub fn peek_pid(pid: i32) -> Result<Option<ExitStatus>, Errno> {
    let id = libc::id_t::try_from(pid).map_err(|_| Errno::ECHILD)?;
    let exit = waitid(libc::P_PID, id, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)?;
    Ok(exit.map(|(_, status)| status))
}

/// Reaps this child; its pid is free for reuse afterwards. Does not block: none when it still
/// runs.
///
/// # Errors
/// `ECHILD` when there is no such child (any more).
pub fn reap(pid: i32) -> Result<Option<ExitStatus>, Errno> {
    let id = libc::id_t::try_from(pid).map_err(|_| Errno::ECHILD)?;
    let exit = waitid(libc::P_PID, id, libc::WEXITED | libc::WNOHANG)?;
    Ok(exit.map(|(_, status)| status))
}

/// Waits until this child has ended, and reaps it.
///
/// # Errors
/// `ECHILD` when there is no such child (any more).
pub fn wait(pid: i32) -> Result<ExitStatus, Errno> {
    let id = libc::id_t::try_from(pid).map_err(|_| Errno::ECHILD)?;
    let exit = waitid(libc::P_PID, id, libc::WEXITED)?;
    exit.map(|(_, status)| status).ok_or(Errno::ECHILD)
}

/// `waitid`, again after an interruption: the pid and how it ended, none under `WNOHANG` when
/// nothing has.
///
/// Not nix's: its answer has no room for a death by a real-time signal, and is an error then.
pub(super) fn waitid(
    kind: libc::idtype_t,
    id: libc::id_t,
    flags: libc::c_int,
) -> Result<Option<(i32, ExitStatus)>, Errno> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: `info` is writable memory of the right type, and outlives the call.
        let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), flags) };
        match Errno::result(result) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // SAFETY: the structure was zeroed, which is a valid value, and the kernel filled it in; the
    // fields read are those of SIGCHLD, the only signal waitid describes.
    let (pid, code, status) = unsafe {
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some((
        pid,
        match code {
            libc::CLD_EXITED => ExitStatus::Code(status),
            _ => {
                ExitStatus::Signal { signal: Signal(status), core_dumped: code == libc::CLD_DUMPED }
            }
        },
    )))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn shell(script: &str) -> i32 {
        i32::try_from(Command::new("/bin/sh").args(["-c", script]).spawn().unwrap().id()).unwrap()
    }

    /// The next exit of this child. Where tests share a process, others' children are left alone.
    fn await_exit(pid: i32) -> ExitStatus {
        let id = libc::id_t::try_from(pid).unwrap();
        waitid(libc::P_PID, id, libc::WEXITED | libc::WNOWAIT).unwrap().unwrap().1
    }

    #[test]
    fn an_exit_is_told_as_often_as_it_is_peeked_until_it_is_reaped() {
        // C-138
        let pid = shell("exit 7");
        let status = await_exit(pid);
        assert_eq!(status, ExitStatus::Code(7));
        assert!(peek().is_some(), "an ended child is seen among all");
        assert_eq!(peek_pid(pid), Ok(Some(status)));
        assert_eq!(peek_pid(pid), Ok(Some(status)));
        assert_eq!(reap(pid), Ok(Some(status)));
        assert_eq!(peek_pid(pid), Err(Errno::ECHILD));
        assert_eq!(reap(pid), Err(Errno::ECHILD));
    }

    #[test]
    fn a_child_that_runs_is_not_reaped() {
        let pid = shell("exec sleep 600");
        assert_eq!(reap(pid), Ok(None));
        assert_eq!(peek_pid(pid), Ok(None));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        wait(pid).unwrap();
    }

    #[test]
    fn deaths_by_signal_are_told_with_the_signal_even_a_real_time_one() {
        for number in [9, 15, 34, 64] {
            let pid = shell(&format!("kill -{number} $$"));
            assert_eq!(
                wait(pid),
                Ok(ExitStatus::Signal { signal: Signal(number), core_dumped: false })
            );
        }
    }
}
