//! Where a log goes that is no regular file: a pipe, a terminal, a socket, a device. Nothing here
//! ever waits, and the flags of a description that others share are left alone (C-375, C-377).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};

/// What a pipe takes at once when it says it takes something.
const ATOMIC: usize = 4096;

#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The description is in non-blocking mode.
    NonBlocking,
    /// It is not, and is not ours to change: ask before each small write.
    Asking,
    /// A socket has a flag for it.
    Socket,
}

impl Stream {
    pub(super) fn new(file: File) -> Self {
        let is_socket = fstat(&file)
            .is_ok_and(|meta| meta.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits());
        let nonblocking = fcntl(&file, FcntlArg::F_GETFL)
            .is_ok_and(|flags| OFlag::from_bits_truncate(flags).contains(OFlag::O_NONBLOCK));
        let how = match (is_socket, nonblocking) {
            (true, _) => How::Socket,
            (_, true) => How::NonBlocking,
            _ => How::Asking,
        };
        Self { file, how }
    }

    /// Writes a part of `data` if that is possible at once, else it is `WouldBlock`.
    pub(super) fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self.how {
            How::NonBlocking => (&self.file).write(data),
            How::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(self.file.as_raw_fd(), data, flags)?)
            }
            How::Asking => {
                let mut ask = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut ask, PollTimeout::ZERO)? == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                (&self.file).write(&data[..data.len().min(ATOMIC)])
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn fill(stream: &Stream) -> usize {
        let mut written = 0;
        loop {
            match stream.write(&[b'x'; 10_000]) {
                Ok(n) => written += n,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return written;
                }
            }
        }
    }

    #[test]
    fn a_full_blocking_pipe_is_not_waited_for_and_stays_blocking() {
        // C-377
        let (_reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let shared = writer.try_clone().unwrap();
        assert!(fill(&Stream::new(writer.into())) >= 4096);
        let flags = fcntl(&shared, FcntlArg::F_GETFL).unwrap();
        assert!(!OFlag::from_bits_truncate(flags).contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn a_full_socket_is_not_waited_for() {
        // C-377
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let fd: std::os::fd::OwnedFd = theirs.into();
        assert!(fill(&Stream::new(fd.into())) > 0);
    }
}
