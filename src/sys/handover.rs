//! Another program in the place of this one: the same process, with its children and descriptors,
//! and with a state that travels in memory nobody can change any more (execve(2), memfd_create(2),
//! `F_ADD_SEALS` in fcntl(2)).

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::execve;

use super::{failpoint, signals};

/// What the memory is called in `/proc/PID/fd`.
const NAME: &str = "supervisor-state";
/// All that may not happen to a state.
const SEALS: SealFlag = SealFlag::F_SEAL_WRITE
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);
/// The largest state that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// Puts a state into memory of its own that nobody can change; closed at an exec.
///
/// # Errors
/// `ENOMEM`, `EMFILE`.
pub fn seal(state: &[u8]) -> io::Result<OwnedFd> {
    failpoint::before("memfd_create")?;
    let fd = memfd_create(NAME, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(state)?;
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(file.into())
}

/// Reads the state that came as this descriptor, without taking the descriptor over.
///
/// # Errors
/// It is no sealed memory, or not to be read.
pub fn unseal(fd: RawFd) -> io::Result<Vec<u8>> {
    let mut file = File::open(format!("/proc/self/fd/{fd}"))?;
    let seals = fcntl(&file, FcntlArg::F_GET_SEALS).unwrap_or_default();
    if !SealFlag::from_bits_retain(seals).contains(SEALS) {
        return Err(io::Error::other("it is not sealed"));
    }
    if file.metadata()?.len() > LARGEST {
        return Err(io::Error::from(Errno::EFBIG));
    }
    let mut state = Vec::new();
    file.read_to_end(&mut state)?;
    Ok(state)
}

/// Sets whether descriptors are closed at an exec.
fn set_closed_at_exec(fds: &[BorrowedFd<'_>], closed: bool) -> io::Result<()> {
    for fd in fds {
        let flags = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
        let mut wanted = flags;
        wanted.set(FdFlag::FD_CLOEXEC, closed);
        if wanted != flags {
            fcntl(fd, FcntlArg::F_SETFD(wanted))?;
        }
    }
    Ok(())
}

/// Replaces the program that this process runs. All its threads end; these descriptors stay open,
/// and signals that come meanwhile wait until the new program unblocks them
/// ([`super::signals::unblock_all`]). Comes back only when that failed; nothing has changed then.
#[must_use]
pub fn execute(
    program: &Path,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
    kept: &[BorrowedFd<'_>],
) -> io::Error {
    match try_execute(program, arguments, environment, kept) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn try_execute(
    program: &Path,
    arguments: &[OsString],
    environment: &[(OsString, OsString)],
    kept: &[BorrowedFd<'_>],
) -> io::Result<Infallible> {
    let program = CString::new(program.as_os_str().as_bytes())?;
    let text = |text: &OsString| CString::new(text.as_bytes());
    let arguments: Vec<_> = arguments.iter().map(text).collect::<Result<_, _>>()?;
    let variable = |(name, value): &(OsString, OsString)| {
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let environment: Vec<_> = environment.iter().map(variable).collect::<Result<_, _>>()?;
    let _blocked = signals::block_all();
    let outcome = set_closed_at_exec(kept, false)
        .and_then(|()| Ok(failpoint::before("execve")?))
        .and_then(|()| Ok(execve(&program, &arguments, &environment)?));
    set_closed_at_exec(kept, true)?;
    outcome
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use nix::sys::signal::SigSet;

    use super::*;

    #[test]
    fn a_sealed_state_is_read_and_never_changed() {
        let sealed = seal(b"state").unwrap();
        assert_eq!(unseal(sealed.as_raw_fd()).unwrap(), b"state");
        assert_eq!(unseal(sealed.as_raw_fd()).unwrap(), b"state", "the position is not shared");
        let mut file = File::from(sealed);
        assert_eq!(file.write(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(file.set_len(0).is_err());
    }

    #[test]
    fn what_is_not_sealed_is_no_state() {
        let file = tempfile::tempfile().unwrap();
        assert!(unseal(file.as_raw_fd()).is_err());
        let open = memfd_create("x", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        assert_eq!(unseal(open.as_raw_fd()).unwrap_err().to_string(), "it is not sealed");
        assert!(unseal(-1).is_err());
    }

    #[test]
    fn a_program_that_cannot_be_executed_changes_nothing() {
        let (reader, _writer) = io::pipe().unwrap();
        let kept = [reader.as_fd()];
        let error = execute(Path::new("/no/such/program"), &["x".into()], &[], &kept);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let flags = fcntl(&reader, FcntlArg::F_GETFD).unwrap();
        assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        assert_eq!(SigSet::thread_get_mask().unwrap(), SigSet::empty());
    }
}
