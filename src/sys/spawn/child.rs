//! The part that runs in the child, between its birth and its exec.
//!
//! The child shares all memory with the daemon, whose other threads go on. So nothing here
//! allocates, locks, panics or calls into libc where libc does more than the system call: its
//! `setuid` and friends would tell the daemon's other threads to become that user too.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
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
        }
    }

    /// The step that failed in the child.
    pub(super) fn failure(&self) -> Option<SpawnFailure> {
        let (stage, errno) = self.failed.get();
        Some(SpawnFailure { stage: Stage::from_raw(stage)?, errno: Errno::from_raw(errno) })
    }
}

/// Makes the child, and waits until it has executed its program or ended.
pub(super) fn start(job: &Job) -> Result<(i32, Option<OwnedFd>), SpawnFailure> {
    let failed = |errno| SpawnFailure { stage: Stage::Fork, errno };
    let stack = Stack::new().map_err(failed)?;
    let mut pidfd: c_int = -1;
    // No exit signal is part of the flags: see the module above.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
    // SAFETY: `run` gets a pointer to `job`, which outlives the call: with CLONE_VFORK this thread
    // is suspended until the child has left our memory by exec or exit. For the same reason the
    // child has `stack` for itself, and the two never write to the same memory at once. `pidfd` is
    // where the kernel puts the descriptor, before the child runs.
    let pid = unsafe {
        libc::clone(
            run,
            stack.top(),
            flags,
            ptr::from_ref(job).cast_mut().cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    let pid = Errno::result(pid).map_err(failed)?;
    // A kernel before 5.2 ignores the flag and leaves the -1.
    // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

/// The child. Never returns: it becomes the program, or ends.
extern "C" fn run(job: *mut c_void) -> c_int {
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

/// Memory for the child's stack, with a page below that nobody can touch.
struct Stack {
    base: *mut c_void,
}

impl Stack {
    /// The child's deepest call is a few hundred bytes; unoptimised builds need more.
    const SIZE: usize = 64 * 1024;
    /// The largest page size there is on Linux, so that the guard is whole pages.
    const GUARD: usize = 64 * 1024;

    fn new() -> Result<Self, Errno> {
        // SAFETY: asks for new memory at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::GUARD + Self::SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let stack = Self { base };
        // SAFETY: the first pages of the mapping just made, which nobody uses yet.
        Errno::result(unsafe { libc::mprotect(base, Self::GUARD, libc::PROT_NONE) })?;
        Ok(stack)
    }

    /// Where it starts: it grows down.
    fn top(&self) -> *mut c_void {
        // SAFETY: the end of the mapping, one past its last byte.
        unsafe { self.base.byte_add(Self::GUARD + Self::SIZE) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; the child that used it has left our memory.
        unsafe { libc::munmap(self.base, Self::GUARD + Self::SIZE) };
    }
}
