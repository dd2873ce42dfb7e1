//! The file descriptor store of the service manager: what is put there outlives this process, and
//! the next one gets it (sd_notify(3), `FDSTORE=1`; `FileDescriptorStoreMax=` in
//! systemd.service(5)).
//!
//! Messages carry descriptors and must not get lost, so sending waits for room: never on the
//! engine's thread. What was sent stays sent when this process is killed right afterwards: the
//! service manager reads messages before it looks at exits.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::pipe2;

use super::notify::unix_address;

/// How long a service manager may take no message before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to the store.
#[derive(Debug)]
pub struct Store {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Store {
    /// Speaks to the service manager at this address.
    ///
    /// # Errors
    /// No socket is to be had.
    pub(super) fn at(address: SocketAddr) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    /// Puts a descriptor there. One that is there already stays what it is called. It is not looked
    /// at what becomes of it (`FDPOLL=0`): a pipe at its end is kept until it was read.
    ///
    /// # Errors
    /// The service manager takes nothing, or is gone. That it has no room for it is not told.
    pub fn put(&self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        let text = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n");
        self.send(&text, &[fd.as_raw_fd()])
    }

    /// Removes what is there under this name.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.send(&format!("FDSTOREREMOVE=1\nFDNAME={name}\n"), &[])
    }

    /// Waits until all that was said so far was read, or so long.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn settle(&self, patience: Duration) -> io::Result<()> {
        let (waiting, ours) = pipe2(OFlag::O_CLOEXEC)?;
        self.send("BARRIER=1", &[ours.as_raw_fd()])?;
        drop(ours);
        let limit = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(waiting.as_fd(), PollFlags::empty())], limit)?;
        Ok(())
    }

    fn send(&self, text: &str, fds: &[RawFd]) -> io::Result<()> {
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let to = unix_address(&self.address)?;
        let text = [IoSlice::new(text.as_bytes())];
        loop {
            match sendmsg(self.socket.as_raw_fd(), &text, rights, MsgFlags::empty(), Some(&to)) {
                Err(nix::errno::Errno::EINTR) => {}
                outcome => return Ok(outcome.map(drop)?),
            }
        }
    }
}
