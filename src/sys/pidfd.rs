//! Signals to children, through pidfds where there are any.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;

use super::procfs;
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;

/// A handle on a process, closed on exec. It becomes readable when the process ends.
///
/// # Errors
/// `ESRCH` when there is no such process, `EMFILE`, or `ENOSYS` on an old kernel.
pub fn open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers; pidfd_open(pid, flags).
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the process of a handle has not ended, or is a zombie.
#[must_use]
pub fn is_alive(pidfd: &OwnedFd) -> bool {
    // Signal 0 is not sent to anybody.
    send_signal(Some(pidfd.as_fd()), 0, Signal(0)).is_ok()
}

/// How a process ended that is not our child, as far as the kernel tells: of a zombie, root may
/// know, and from Linux 6.15 on the pidfd of one that was reaped knows. None while it runs, or when
/// nobody tells.
#[must_use]
pub fn end(pidfd: BorrowedFd<'_>, pid: i32) -> Option<ExitStatus> {
    if nix::unistd::geteuid().is_root()
        && let Some(status) = procfs::zombie(pid)
        // It was not reaped while it was looked at, so the pid was its own.
        && send_signal(Some(pidfd), pid, Signal(0)).is_ok()
    {
        return Some(status);
    }
    let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the structure is as large as the number of the call says, writable, and outlives it.
    let told = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (told == 0 && info.mask & INFO_EXIT != 0).then(|| ExitStatus::from_wait(info.exit_code))
}

/// `struct pidfd_info` of linux/pidfd.h, as it was first.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    /// pid, tgid, ppid, and the user and group ids.
    ids: [u32; 11],
    exit_code: i32,
}

/// `_IOWR(0xff, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;
/// `PIDFD_INFO_EXIT`.
const INFO_EXIT: u64 = 1 << 3;

/// Sends a signal to one process: through its pidfd, or to its pid where the kernel has none or
/// it is not known.
///
/// # Errors
/// `ESRCH` when it is gone (C-189), `EPERM` when it belongs to somebody else (C-188).
pub fn send_signal(pidfd: Option<BorrowedFd>, pid: i32, signal: Signal) -> Result<(), Errno> {
    if let Some(pidfd) = pidfd {
        // SAFETY: no memory is passed; pidfd_send_signal(pidfd, signal, info, flags), where no
        // info means the same as with kill.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                pidfd.as_raw_fd(),
                signal.0,
                ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match Errno::result(sent) {
            Ok(_) => return Ok(()),
            Err(Errno::ENOSYS) => {}
            Err(errno) => return Err(errno),
        }
    }
    kill(pid, signal)
}

/// Sends a signal to the group of a process, and to the process itself where it has left that
/// group: upstream's group signals never reach such a child, and stop hangs (C-212, C-427).
///
/// # Errors
/// As [`send_signal`].
pub fn send_signal_to_group(
    pidfd: Option<BorrowedFd>,
    pid: i32,
    signal: Signal,
) -> Result<(), Errno> {
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    let left = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid)))
        .is_ok_and(|group| group.as_raw() != pid);
    let group = kill_raw(-pid, signal);
    if left || group == Err(Errno::ESRCH) { send_signal(pidfd, pid, signal) } else { group }
}

fn kill(pid: i32, signal: Signal) -> Result<(), Errno> {
    // 0 and negative numbers are groups, or everybody.
    if pid <= 0 { Err(Errno::ESRCH) } else { kill_raw(pid, signal) }
}

/// Not nix's: its signals have no real-time ones.
fn kill_raw(pid: i32, signal: Signal) -> Result<(), Errno> {
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::kill(pid, signal.0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sys::reap;

    /// Reaped by the tests, by its pid.
    #[allow(clippy::zombie_processes)]
    fn start(argv: &[&str]) -> i32 {
        i32::try_from(Command::new(argv[0]).args(&argv[1..]).spawn().unwrap().id()).unwrap()
    }

    fn killed(signal: Signal) -> ExitStatus {
        ExitStatus::Signal { signal, core_dumped: false }
    }

    /// A Python program in a process group of its own, and its first line of output.
    #[allow(clippy::zombie_processes)]
    fn python(program: &str) -> (i32, String) {
        let mut child = Command::new("python3")
            .args(["-c", program])
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        (i32::try_from(child.id()).unwrap(), line.trim().to_owned())
    }

    #[test]
    fn a_signal_goes_through_the_pidfd_and_without_one_to_the_pid() {
        for by_fd in [true, false] {
            for signal in [Signal::TERM, Signal(35)] {
                let child = start(&["sleep", "600"]);
                let fd = by_fd.then(|| open(child).unwrap());
                send_signal(fd.as_ref().map(AsFd::as_fd), child, signal).unwrap();
                assert_eq!(reap::wait(child), Ok(killed(signal)));
            }
        }
    }

    #[test]
    fn how_a_process_ended_is_known_of_a_zombie_and_on_new_kernels_afterwards() {
        for (script, status) in
            [("exit 7", ExitStatus::Code(7)), ("kill -9 $$", killed(Signal::KILL))]
        {
            let child = start(&["sh", "-c", &format!("read x; {script}")]);
            let fd = open(child).unwrap();
            let mut ready = [nix::poll::PollFd::new(fd.as_fd(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut ready, 10_000u16).unwrap();
            if nix::unistd::geteuid().is_root() {
                assert_eq!(end(fd.as_fd(), child), Some(status));
            }
            reap::wait(child).unwrap();
            let told = end(fd.as_fd(), child);
            assert!(told == Some(status) || told.is_none(), "{told:?}");
        }
        let child = start(&["sleep", "600"]);
        let fd = open(child).unwrap();
        assert_eq!(end(fd.as_fd(), child), None);
        send_signal(Some(fd.as_fd()), child, Signal::KILL).unwrap();
        reap::wait(child).unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_told_as_gone() {
        // C-189
        let child = start(&["true"]);
        let fd = open(child).unwrap();
        reap::wait(child).unwrap();
        assert_eq!(send_signal(Some(fd.as_fd()), child, Signal::TERM), Err(Errno::ESRCH));
        for pid in [0, -1] {
            assert_eq!(send_signal(None, pid, Signal::TERM), Err(Errno::ESRCH));
            assert_eq!(send_signal_to_group(None, pid, Signal::TERM), Err(Errno::ESRCH));
        }
    }

    #[test]
    fn a_group_signal_reaches_every_member() {
        // C-212
        let (child, grandchild) = python(
            "import os, time\n\
             pid = os.fork()\n\
             if pid: print(pid, flush=True)\n\
             time.sleep(600)",
        );
        let grandchild = open(grandchild.parse().unwrap()).unwrap();
        send_signal_to_group(None, child, Signal::KILL).unwrap();
        assert_eq!(reap::wait(child), Ok(killed(Signal::KILL)));
        // The grandchild's pidfd becomes readable when it is gone too.
        let mut fds = [nix::poll::PollFd::new(grandchild.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut fds, 10_000u16), Ok(1));
    }

    #[test]
    fn a_group_signal_reaches_a_child_that_left_its_group() {
        // C-427: the group is gone, or still has other members.
        for keeper in ["", "if os.fork() == 0: time.sleep(600)\n"] {
            let (child, _) = python(&format!(
                "import os, time\n{keeper}\
                 os.setpgid(0, os.getpgid(os.getppid()))\n\
                 print('left', flush=True)\n\
                 time.sleep(600)",
            ));
            let fd = open(child).unwrap();
            send_signal_to_group(Some(fd.as_fd()), child, Signal::KILL).unwrap();
            assert_eq!(reap::wait(child), Ok(killed(Signal::KILL)));
        }
    }
}
