//! The part that runs in the child, between its birth and its exec.
//!
//! The child shares all memory with the daemon, whose other threads go on. So nothing here
//! allocates, locks, panics or calls into libc where libc does more than the system call: its
//! `setuid` and friends would tell the daemon's other threads to become that user too.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;

use super::{Plan, SpawnFailure, Stage};

#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
use libc::{SYS_setgid, SYS_setgroups, SYS_setuid};
// The plain calls have 16-bit ids there.
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
use libc::{
    SYS_setgid32 as SYS_setgid, SYS_setgroups32 as SYS_setgroups, SYS_setuid32 as SYS_setuid,
};

/// What the child needs, and the place where it says how it failed.
pub(super) struct Job<'a> {
    plan: &'a Plan,
    /// Pointers into `plan.argv` and a null.
    argv: Vec<*const c_char>,
    /// Pointers into `plan.envp` and a null.
    envp: Vec<*const c_char>,
    /// What becomes 0, 1 and 2; all above 2.
    fds: [c_int; 3],
    /// Stage and errno of the step that failed. Written by the child, read by the daemon after
    /// the child is gone: the daemon's thread is suspended meanwhile.
    failed: Cell<(c_int, c_int)>,
    /// Whether the child has to move into its cgroup, because it was not born there.
    enter_cgroup: Cell<bool>,
}

impl<'a> Job<'a> {
    pub(super) fn new(plan: &'a Plan, fds: [c_int; 3]) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
        };
        Self {
            plan,
            argv: pointers(&plan.argv),
            envp: pointers(&plan.envp),
            fds,
            failed: Cell::new((0, 0)),
            enter_cgroup: Cell::new(false),
        }
    }

    /// The cgroup that the child is to be in.
    pub(super) fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        self.plan.cgroup.as_ref().map(|cgroup| cgroup.as_fd())
    }

    /// The child moves into its cgroup by itself.
    pub(super) fn let_it_enter_its_cgroup(&self) {
        self.enter_cgroup.set(true);
    }

    /// The step that failed in the child.
    pub(super) fn failure(&self) -> Option<SpawnFailure> {
        let (stage, errno) = self.failed.get();
        Some(SpawnFailure { stage: Stage::from_raw(stage)?, errno: Errno::from_raw(errno) })
    }
}

/// The child. Never returns: it becomes the program, or ends.
pub(super) extern "C" fn run(job: *mut c_void) -> c_int {
    // SAFETY: `start` passes a pointer to a `Job` that outlives the child's stay in our memory.
    let job = unsafe { &*job.cast::<Job>() };
    let (stage, errno) = prepare_and_exec(job);
    job.failed.set((stage as c_int, errno));
    // SAFETY: ends this process at once, without anything of libc's.
    unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    127
}

/// The steps, in upstream's order (C-201). Returns only when one failed.
fn prepare_and_exec(job: &Job) -> (Stage, c_int) {
    let plan = job.plan;
    // SAFETY (the whole function): these are system calls, or wrappers of libc that are nothing
    // more, on this process's own attributes; the child shares none of them with the daemon but
    // the memory. Every pointer is to memory of `job`, valid and unchanged until the exec, strings
    // and arrays ending in a null. errno is that of the suspended thread.
    unsafe {
        default_signals();
        if job.enter_cgroup.get()
            && let Some(cgroup) = &plan.cgroup
            && let Err(errno) = enter(cgroup.as_raw_fd())
        {
            return (Stage::Cgroup, errno);
        }
        if plan.own_group && libc::setpgid(0, 0) != 0 {
            return (Stage::ProcessGroup, errno());
        }
        for (target, fd) in [(0, job.fds[0]), (1, job.fds[1]), (2, job.fds[2])] {
            if libc::dup2(fd, target) < 0 {
                return (Stage::Files, errno());
            }
        }
        // Ours are closed on exec already; this is for what others leaked into the daemon. A
        // kernel before 5.11 cannot, and the others' stay.
        libc::syscall(libc::SYS_close_range, 3, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if let Some((soft, hard)) = plan.nofile {
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
                return (Stage::Limits, errno());
            }
        }
        if let Some(identity) = &plan.identity {
            if libc::syscall(SYS_setgroups, identity.groups.len(), identity.groups.as_ptr()) != 0 {
                return (Stage::Groups, errno());
            }
            if libc::syscall(SYS_setgid, identity.gid) != 0 {
                return (Stage::Gid, errno());
            }
            if libc::syscall(SYS_setuid, identity.uid) != 0 {
                return (Stage::Uid, errno());
            }
        }
        if let Some(cwd) = &plan.cwd
            && libc::chdir(cwd.as_ptr()) != 0
        {
            return (Stage::Chdir, errno());
        }
        if let Some(umask) = plan.umask {
            libc::umask(umask);
        }
        unblock_signals();
        libc::execve(plan.program.as_ptr(), job.argv.as_ptr(), job.envp.as_ptr());
        (Stage::Exec, errno())
    }
}

/// Moves the calling process into a cgroup.
///
/// # Safety
/// Only system calls, on the calling process.
unsafe fn enter(cgroup: c_int) -> Result<(), c_int> {
    let itself = b"0";
    // SAFETY: the path ends in a null, `itself` is valid for its length, and the descriptor is
    // this process's alone.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CLOEXEC;
        let procs = libc::openat(cgroup, c"cgroup.procs".as_ptr(), flags);
        if procs < 0 {
            return Err(errno());
        }
        let written = libc::write(procs, itself.as_ptr().cast(), itself.len());
        let outcome = if written < 0 { Err(errno()) } else { Ok(()) };
        libc::close(procs);
        outcome
    }
}

/// The size in bytes of the kernel's signal set.
const SIGNAL_SET_SIZE: usize = 8;

/// Every disposition to its default (C-430). Directly, because libc hides two signals of its own.
///
/// # Safety
/// Changes the dispositions of the calling process.
unsafe fn default_signals() {
    // The kernel's `struct sigaction` is at most this large, and all zero it means SIG_DFL, no
    // flags, no mask, whatever the order of its fields on this machine.
    let default = [0u64; 8];
    for signal in 1..=64 {
        // SIGKILL and SIGSTOP refuse, and have no other disposition.
        // SAFETY: `default` is valid memory, larger than what is read.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                SIGNAL_SET_SIZE,
            );
        }
    }
}

/// # Safety
/// Changes the mask of the calling thread: no handler of ours may be installed any more.
unsafe fn unblock_signals() {
    let none = 0u64;
    // SAFETY: `none` is valid memory of the size that is read.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            ptr::null_mut::<u64>(),
            SIGNAL_SET_SIZE,
        );
    }
}

fn errno() -> c_int {
    Errno::last_raw()
}
