//! Looks into a pipe and takes nothing out of it. What was seen can then go where it belongs by one
//! system call, whenever the daemon may be killed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, tee};
use nix::unistd::{pipe2, read};

/// A pipe for copies of what stands in others; empty between two looks.
#[derive(Debug)]
pub(super) struct Peek {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
}

impl Peek {
    pub(super) fn new() -> nix::Result<Self> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let capacity = capacity(&writer)?;
        Ok(Self { reader, writer, capacity })
    }

    /// Copies what a pipe of this capacity holds, as far as it fits into the buffer. Tells how many
    /// bytes (0 is the end of the pipe) and whether that is all there was.
    ///
    /// # Errors
    /// `EAGAIN` when the pipe is empty.
    pub(super) fn look(
        &mut self,
        pipe: BorrowedFd<'_>,
        capacity: usize,
        into: &mut [u8],
    ) -> nix::Result<(usize, bool)> {
        if capacity > self.capacity
            && let Ok(size) = i32::try_from(capacity)
            && let Ok(size) = fcntl(&self.writer, FcntlArg::F_SETPIPE_SZ(size))
        {
            self.capacity = usize::try_from(size).unwrap_or(self.capacity);
        }
        // Both count in places for buffers, full ones or not: one that is as large has room for all.
        let fits = capacity <= self.capacity;
        let seen = tee(pipe, &self.writer, into.len(), SpliceFFlags::SPLICE_F_NONBLOCK)?;
        let mut copied = 0;
        while copied < seen {
            match read(&self.reader, &mut into[copied..seen]) {
                Ok(count) => copied += count,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok((seen, fits && seen < into.len()))
    }
}

/// What a pipe holds, up to so many bytes; it stays there.
///
/// # Errors
/// What the kernel says.
pub fn contents(pipe: &OwnedFd, most: usize) -> nix::Result<Vec<u8>> {
    let mut contents = vec![0; most];
    let looked = Peek::new()?.look(pipe.as_fd(), capacity(pipe)?, &mut contents);
    let count = match looked {
        Ok((count, _)) => count,
        Err(Errno::EAGAIN) => 0,
        Err(errno) => return Err(errno),
    };
    contents.truncate(count);
    Ok(contents)
}

/// How many bytes a pipe holds.
pub(super) fn capacity(pipe: &OwnedFd) -> nix::Result<usize> {
    let size = fcntl(pipe, FcntlArg::F_GETPIPE_SZ)?;
    usize::try_from(size).map_err(|_| Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn a_look_takes_nothing() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let (mut peek, mut seen) = (Peek::new().unwrap(), [0; 10]);
        assert_eq!(peek.look(reader.as_fd(), 65_536, &mut seen), Err(Errno::EAGAIN));
        File::from(writer).write_all(b"twelve bytes").unwrap();
        for _ in 0..3 {
            assert_eq!(peek.look(reader.as_fd(), 65_536, &mut seen), Ok((10, false)));
            assert_eq!(&seen, b"twelve byt");
        }
        let mut reader = File::from(reader);
        reader.read_exact(&mut seen).unwrap();
        assert_eq!(peek.look(reader.as_fd(), 65_536, &mut seen), Ok((2, true)));
        assert_eq!(reader.read(&mut seen).unwrap(), 2);
        assert_eq!(peek.look(reader.as_fd(), 65_536, &mut seen), Ok((0, true)));
    }

    #[test]
    fn a_large_pipe_is_seen_whole() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(1 << 18)).unwrap();
        File::from(writer).write_all(&vec![b'x'; 1 << 17]).unwrap();
        let (mut peek, mut seen) = (Peek::new().unwrap(), vec![0; 1 << 18]);
        let found = peek.look(reader.as_fd(), 1 << 18, &mut seen);
        assert_eq!(found, Ok((1 << 17, true)));
    }
}
