//! What a process has from the one that executed it, beside its arguments: open descriptors and
//! variables.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Descriptors are given away once: nobody else may own them.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes these descriptors over, in this order, and sets them to be closed at an exec. Each is its
/// own result: `EBADF` for one that was not handed over.
///
/// Only the first call in the life of a process gets any; a later one is told `EALREADY`.
/// A descriptor that is closed at an exec already cannot have been inherited, it was opened here:
/// `EBUSY`.
///
/// # Errors
/// This is not the first call.
pub fn take_descriptors(
    fds: impl IntoIterator<Item = RawFd>,
) -> io::Result<Vec<io::Result<OwnedFd>>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(Errno::EALREADY.into());
    }
    Ok(fds.into_iter().map(take).collect())
}

fn take(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 {
        return Err(Errno::EBUSY.into()); // the standard ones are the library's
    }
    // SAFETY: only asked for its flags; a descriptor that is not open is answered with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = FdFlag::from_bits_retain(fcntl(borrowed, FcntlArg::F_GETFD)?);
    if flags.contains(FdFlag::FD_CLOEXEC) {
        return Err(Errno::EBUSY.into());
    }
    fcntl(borrowed, FcntlArg::F_SETFD(flags | FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, came over the exec (what Rust opens is close-on-exec), and is given
    // away here alone, once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Removes variables from the environment of this process. Only while it has one thread: false,
/// and nothing is removed, when it has more.
pub fn forget_variables(names: &[&str]) -> bool {
    // Without /proc it cannot be told: then better not.
    if !fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1) {
        return false;
    }
    for name in names {
        // SAFETY: there is one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
    true
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;
    use crate::sys::testing::alone;

    #[test]
    fn descriptors_are_taken_once_and_only_inherited_ones() {
        if !alone(module_path!(), "descriptors_are_taken_once_and_only_inherited_ones") {
            return;
        }
        let ours = fs::File::open("/dev/null").unwrap();
        let inherited = fs::File::open("/dev/null").unwrap().into_raw_fd();
        assert_eq!(inherited, ours.as_raw_fd() + 1, "nothing was opened between them");
        // SAFETY: it was opened above, and nobody owns it.
        let borrowed = unsafe { BorrowedFd::borrow_raw(inherited) };
        fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let taken = take_descriptors(ours.as_raw_fd()..inherited + 2).unwrap();
        let errno = |at: usize| taken[at].as_ref().unwrap_err().raw_os_error();
        assert_eq!(errno(0), Some(Errno::EBUSY as i32), "it is owned already");
        let owned = taken[1].as_ref().unwrap();
        let flags = fcntl(owned, FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags, FdFlag::FD_CLOEXEC.bits());
        assert_eq!(errno(2), Some(Errno::EBADF as i32), "it is not open");
        let again = take_descriptors([inherited]).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(Errno::EALREADY as i32));
    }

    #[test]
    fn the_environment_of_a_process_with_threads_is_left_alone() {
        // The runner's thread and this one.
        assert!(!forget_variables(&["PATH"]));
        assert!(std::env::var_os("PATH").is_some());
    }
}
