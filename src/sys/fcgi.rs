//! Listening sockets for FastCGI programs: the daemon opens them, the programs accept on them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sys::socket::Backlog;
use socket2::SockRef;
use thiserror::Error;

use super::socket::{BindError, Listener};
use super::tcp;
use crate::model::spec::{FcgiAddress, FcgiSocket};

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The one in the file system.
    #[error(transparent)]
    Unix(#[from] BindError),
    /// The name of the host leads nowhere.
    #[error("can't find the address of {host}: {source}")]
    Host {
        /// The host as configured.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody listens there already.
    #[error("somebody else is listening on {0}")]
    InUse(SocketAddr),
    /// The system refused.
    #[error("can't listen on {address}: {source}")]
    System {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
}

/// A socket that listens, blocking as programs expect it on their stdin.
#[derive(Debug)]
pub struct FcgiListener {
    socket: Arc<OwnedFd>,
    /// In the file system.
    file: Option<Listener>,
}

impl FcgiListener {
    /// Opens it. May wait for the name of a host to be resolved.
    ///
    /// # Errors
    /// Why it cannot be opened. Nothing is left behind then.
    pub fn open(wanted: &FcgiSocket) -> Result<Self, OpenError> {
        let (socket, file): (OwnedFd, _) = match &wanted.address {
            FcgiAddress::Unix { path, mode, owner } => {
                let file = Listener::bind(path, *mode, *owner)?;
                match file.try_clone_socket() {
                    Ok(socket) => (socket.into(), Some(file)),
                    Err(source) => {
                        // What went wrong first is what matters.
                        let _ = file.remove();
                        return Err(OpenError::System {
                            address: path.display().to_string(),
                            source,
                        });
                    }
                }
            }
            FcgiAddress::Tcp { host, port } => {
                let unknown = |source| OpenError::Host { host: host.clone(), source };
                let address = tcp::resolve(host, *port).map_err(unknown)?;
                let socket = tcp::listen_on(address).map_err(|source| match source.kind() {
                    io::ErrorKind::AddrInUse => OpenError::InUse(address),
                    _ => OpenError::System { address: address.to_string(), source },
                })?;
                (socket.into(), None)
            }
        };
        let listener = Self { socket: Arc::new(socket), file };
        match listener.prepare(wanted.backlog) {
            Ok(()) => Ok(listener),
            Err(source) => {
                // As above.
                let _ = listener.close();
                Err(OpenError::System { address: wanted.address.to_string(), source })
            }
        }
    }

    /// Sets what differs from the daemon's own sockets. The backlog of a socket that listens can
    /// be changed.
    fn prepare(&self, backlog: Option<u16>) -> io::Result<()> {
        let socket = SockRef::from(&*self.socket);
        socket.set_nonblocking(false)?;
        socket.listen(backlog.map_or(Backlog::MAXCONN.into(), i32::from))
    }

    /// The socket, for the stdin of a program.
    #[must_use]
    pub fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    /// What its file is known by, if it has one: device and inode.
    #[must_use]
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.file.as_ref().map(Listener::identity)
    }

    /// Gives it away: the socket, and what its file is known by.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn hand_over(self) -> io::Result<(OwnedFd, Option<(u64, u64)>)> {
        let identity = self.identity();
        let socket = match Arc::try_unwrap(self.socket) {
            Ok(socket) => socket,
            Err(shared) => shared.try_clone()?,
        };
        Ok((socket, identity))
    }

    /// Goes on with a socket that was given away.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn adopt(wanted: &FcgiSocket, fd: OwnedFd, file: Option<(u64, u64)>) -> io::Result<Self> {
        let file = match (&wanted.address, file) {
            (FcgiAddress::Unix { path, .. }, Some(identity)) => {
                Some(Listener::adopt(fd.try_clone()?, path, identity))
            }
            _ => None,
        };
        Ok(Self { socket: Arc::new(fd), file })
    }

    /// Closes it here, and removes its file if it has one and that is not another's by now
    /// (C-424).
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn close(self) -> io::Result<()> {
        self.file.map_or(Ok(()), Listener::remove)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::super::socket::connect;
    use super::*;

    fn unix(path: &Path, mode: u32) -> FcgiSocket {
        FcgiSocket {
            address: FcgiAddress::Unix { path: path.to_owned(), mode, owner: None },
            backlog: Some(3),
        }
    }

    fn tcp(host: &str, port: u16) -> FcgiSocket {
        FcgiSocket { address: FcgiAddress::Tcp { host: host.to_owned(), port }, backlog: None }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn blocks(listener: &FcgiListener) -> bool {
        let flags = fcntl(listener.socket(), FcntlArg::F_GETFL).unwrap();
        !OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
    }

    #[test]
    fn a_unix_socket_blocks_has_its_mode_and_goes_with_its_file() {
        // C-402, C-403, C-424
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = FcgiListener::open(&unix(&path, 0o640)).unwrap();
        assert!(blocks(&listener));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        connect(&path).unwrap();
        let error = FcgiListener::open(&unix(&path, 0o640)).unwrap_err();
        assert_eq!(error.to_string(), format!("somebody else is listening on {}", path.display()));
        listener.close().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_taken_over_and_a_file_is_not() {
        // C-403, better
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(FcgiListener::open(&unix(&path, 0o600)).unwrap());
        assert!(path.exists());
        FcgiListener::open(&unix(&path, 0o600)).unwrap().close().unwrap();
        fs::write(&path, "precious").unwrap();
        let error = FcgiListener::open(&unix(&path, 0o600)).unwrap_err();
        assert_eq!(error.to_string(), format!("{} exists and is no socket", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn somebody_elses_file_is_not_removed() {
        // C-424, better
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let listener = FcgiListener::open(&unix(&path, 0o600)).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        listener.close().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn a_tcp_socket_blocks_and_can_be_opened_again_at_once() {
        // C-404: connections that were open linger, and are not in the way
        let port = free_port();
        let listener = FcgiListener::open(&tcp("localhost", port)).unwrap();
        assert!(blocks(&listener));
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let listening = TcpListener::from(listener.socket().try_clone().unwrap());
        drop(listening.accept().unwrap());
        drop((client, listening));
        listener.close().unwrap();
        let listener = FcgiListener::open(&tcp("127.0.0.1", port)).unwrap();
        let error = FcgiListener::open(&tcp("127.0.0.1", port)).unwrap_err();
        assert_eq!(error.to_string(), format!("somebody else is listening on 127.0.0.1:{port}"));
        drop(listener);
    }

    #[test]
    fn what_cannot_be_is_told_in_words() {
        let error = |wanted: &FcgiSocket| FcgiListener::open(wanted).unwrap_err().to_string();
        // An address for documentation, which no machine has.
        assert_eq!(
            error(&tcp("192.0.2.1", 9)),
            "can't listen on 192.0.2.1:9: Cannot assign requested address (os error 99)"
        );
        assert!(error(&tcp("no such host", 9)).starts_with("can't find the address of no such"));
        let nowhere = unix(Path::new("/nonexistent/a.sock"), 0o600);
        assert!(error(&nowhere).starts_with("can't listen on /nonexistent/a.sock: "));
    }

    #[test]
    fn ipv6_has_a_place_too() {
        assert!(blocks(&FcgiListener::open(&tcp("::1", free_port())).unwrap()));
    }
}
