//! Makes the child: a process that has our memory until it executes its program, and a stack of its
//! own. This thread is suspended meanwhile.

use std::ffi::{c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;

use super::child::{Job, run};
use super::{SpawnFailure, Stage};
use crate::sys::failpoint;

/// No exit signal is part of the flags: see the module above.
const FLAGS: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;

/// Makes the child, and waits until it has executed its program or ended.
pub(super) fn start(job: &Job) -> Result<(i32, Option<OwnedFd>), SpawnFailure> {
    let failed = |errno| SpawnFailure { stage: Stage::Fork, errno };
    failpoint::before("clone").map_err(failed)?;
    let stack = Stack::new().map_err(failed)?;
    if let Some(cgroup) = job.cgroup() {
        match into_cgroup::start(job, &stack, cgroup) {
            Ok((pid, pidfd)) => return Ok((pid, Some(pidfd))),
            // The cgroup, or the machine, has no room for it.
            Err(errno @ (Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)) => {
                return Err(failed(errno));
            }
            // The system cannot, or not with this cgroup: then the child's attempt tells why.
            Err(_) => job.let_it_enter_its_cgroup(),
        }
    }
    let mut pidfd: c_int = -1;
    // SAFETY: `run` gets a pointer to `job`, which outlives the call: with CLONE_VFORK this thread
    // is suspended until the child has left our memory by exec or exit. For the same reason the
    // child has `stack` for itself, and the two never write to the same memory at once. `pidfd` is
    // where the kernel puts the descriptor, before the child runs.
    let pid = unsafe {
        libc::clone(
            run,
            stack.top(),
            FLAGS,
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

/// From now on children move into their cgroups, as on an older kernel.
#[cfg(test)]
pub(crate) fn births_are_impossible() {
    into_cgroup::is_missing();
}

/// Birth in a cgroup. Moving a process there later makes the kernel wait for all its processors,
/// which takes milliseconds.
#[cfg(target_arch = "x86_64")]
mod into_cgroup {
    use std::arch::asm;
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Errno, FLAGS, FromRawFd, Job, OwnedFd, Stack, c_int, ptr, run};

    /// Linux 5.7, linux/sched.h; libc has no `clone3`, and its `clone` has 32 bits for flags.
    const CLONE_INTO_CGROUP: u64 = 1 << 33;

    /// The kernel, or a filter in front of it, does not know the call.
    static MISSING: AtomicBool = AtomicBool::new(false);

    #[cfg(test)]
    pub(super) fn is_missing() {
        MISSING.store(true, Ordering::Relaxed);
    }

    /// As [`start`](super::start).
    pub(super) fn start(
        job: &Job,
        stack: &Stack,
        cgroup: BorrowedFd,
    ) -> Result<(i32, OwnedFd), Errno> {
        if MISSING.load(Ordering::Relaxed) {
            return Err(Errno::ENOSYS);
        }
        let mut pidfd: c_int = -1;
        // SAFETY: a structure of integers, for which zero means "none".
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = u64::from(FLAGS.unsigned_abs()) | CLONE_INTO_CGROUP;
        args.pidfd = (&raw mut pidfd) as u64;
        args.stack = stack.bottom() as u64;
        args.stack_size = Stack::SIZE as u64;
        args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
        let pid: i64;
        // SAFETY: the parent sees a system call: it returns in rax and changes rcx and r11. The
        // child begins behind the same instruction with the same registers but an empty stack of
        // its own, aligned as a call needs it, and calls `run`, which never returns and so never
        // comes to code that the parent runs. `job`, `stack` and `pidfd` are as in `start` above.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "mov rdi, r8",
                "call rdx",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone3 => pid,
                in("rdi") &raw const args,
                in("rsi") size_of::<libc::clone_args>(),
                in("rdx") run as extern "C" fn(_) -> _,
                in("r8") ptr::from_ref(job),
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        match i32::try_from(pid) {
            // SAFETY: the kernel just made this descriptor for us, and nobody else knows it.
            Ok(pid @ 1..) => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
            Ok(error) => {
                let errno = Errno::from_raw(-error);
                if matches!(errno, Errno::ENOSYS | Errno::E2BIG | Errno::EINVAL | Errno::EPERM) {
                    MISSING.store(true, Ordering::Relaxed);
                }
                Err(errno)
            }
            Err(_) => Err(Errno::UnknownErrno),
        }
    }
}

/// Nobody has tried the instructions of other machines: there the child moves.
#[cfg(not(target_arch = "x86_64"))]
mod into_cgroup {
    use std::os::fd::BorrowedFd;

    use super::{Errno, Job, OwnedFd, Stack};

    #[cfg(test)]
    pub(super) fn is_missing() {}

    pub(super) fn start(_: &Job, _: &Stack, _: BorrowedFd) -> Result<(i32, OwnedFd), Errno> {
        Err(Errno::ENOSYS)
    }
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

    /// Its lowest usable byte.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    fn bottom(&self) -> *mut c_void {
        // SAFETY: inside the mapping.
        unsafe { self.base.byte_add(Self::GUARD) }
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
