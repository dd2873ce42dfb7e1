//! Unix stream sockets in the file system.
//!
//! A socket has its final mode from the moment its file exists: the kernel makes the file with the
//! mode of the unbound socket. (Upstream binds first and changes the mode after.)
//!
//! Paths longer than the 107 bytes of `sun_path` go through the directory's descriptor,
//! `/proc/self/fd/N/name`, for binding and for connecting.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect as connect_socket,
    getsockopt, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, chown};
use thiserror::Error;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody listens there already (C-132).
    #[error("somebody else is listening on {}", .0.display())]
    InUse(PathBuf),
    /// There is something else at this path, which is not ours to remove (C-421).
    #[error("{} exists and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// The file cannot be given to its owner (C-337).
    #[error("can't give {} to its owner: {errno}", path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The system refused.
    #[error("can't listen on {}: {source}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BindError {
    /// The error number, as upstream would have it (C-132, C-133).
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::InUse(_) | Self::NotASocket(_) => Errno::EADDRINUSE,
            Self::Owner { errno, .. } => *errno,
            Self::System { source, .. } => {
                source.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
            }
        }
    }
}

/// A listening socket and its file.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
    /// Whether there was a socket before that nobody listened on.
    replaced: bool,
}

impl Listener {
    /// Listens on this path; close-on-exec, non-blocking. The file gets exactly this mode, whatever
    /// the mask, and this owner. What a daemon left there that is gone is replaced.
    ///
    /// # Errors
    /// Somebody listens there, there is something that is no socket, or the system refused. No
    /// file is left behind then.
    pub fn bind(
        path: &Path,
        mode: u32,
        owner: Option<(u32, Option<u32>)>,
    ) -> Result<Self, BindError> {
        let replaced = remove_stale(path)?;
        let system = |source: io::Error| BindError::System { path: path.to_owned(), source };
        let mode = Mode::from_bits_truncate(mode);
        let fd = stream_socket().map_err(system)?;
        fchmod(&fd, mode).map_err(|errno| system(errno.into()))?;
        with_address(path, |address| bind(fd.as_raw_fd(), address)).map_err(|error| {
            if error.raw_os_error() == Some(libc::EADDRINUSE) {
                BindError::InUse(path.to_owned())
            } else {
                system(error)
            }
        })?;
        let finish = || -> Result<(u64, u64), BindError> {
            // Before anybody can connect. The mask has taken bits away, and a change of the owner
            // may have as well.
            if let Some((uid, gid)) = owner {
                chown(path, Some(Uid::from_raw(uid)), gid.map(Gid::from_raw))
                    .map_err(|errno| BindError::Owner { path: path.to_owned(), errno })?;
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode.bits())).map_err(system)?;
            listen(&fd, Backlog::MAXCONN).map_err(|errno| system(errno.into()))?;
            let file = fs::symlink_metadata(path).map_err(system)?;
            Ok((file.dev(), file.ino()))
        };
        match finish() {
            Ok(identity) => {
                Ok(Self { socket: fd.into(), path: path.to_owned(), identity, replaced })
            }
            Err(error) => {
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// Goes on with a socket that was bound here before another program took this one's place.
    #[must_use]
    pub fn adopt(socket: OwnedFd, path: &Path, identity: (u64, u64)) -> Self {
        Self { socket: socket.into(), path: path.to_owned(), identity, replaced: false }
    }

    /// What its file is known by: device and inode.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether a socket was replaced that nobody listened on any more (C-336).
    #[must_use]
    pub fn replaced(&self) -> bool {
        self.replaced
    }

    /// The listening socket.
    #[must_use]
    pub fn socket(&self) -> &UnixListener {
        &self.socket
    }

    /// Another handle on the listening socket, for whoever accepts from it.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn try_clone_socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless it is another's by now (C-131).
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn remove(self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(file) if (file.dev(), file.ino()) == self.identity => fs::remove_file(&self.path),
            _ => Ok(()),
        }
    }
}

/// Removes a socket at this path that nobody listens on any more; whether there was one.
fn remove_stale(path: &Path) -> Result<bool, BindError> {
    let Ok(file) = fs::symlink_metadata(path) else { return Ok(false) };
    if !file.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match connect_now(path) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => fs::remove_file(path)
            .map(|()| true)
            .map_err(|source| BindError::System { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // Also with a full queue, or no permission: somebody is there.
        _ => Err(BindError::InUse(path.to_owned())),
    }
}

/// Connects to the socket at this path, however long the path is. Blocks while the queue of the
/// listener is full.
///
/// # Errors
/// Whatever the operating system says.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::from(stream_socket()?);
    stream.set_nonblocking(false)?;
    with_address(path, |address| connect_socket(stream.as_raw_fd(), address))?;
    Ok(stream)
}

/// As [`connect`], without waiting.
fn connect_now(path: &Path) -> io::Result<()> {
    let fd = stream_socket()?;
    with_address(path, |address| connect_socket(fd.as_raw_fd(), address))
}

fn stream_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(socket(AddressFamily::Unix, SockType::Stream, flags, None)?)
}

/// Does something with the address for this path.
fn with_address(path: &Path, act: impl FnOnce(&UnixAddr) -> nix::Result<()>) -> io::Result<()> {
    match UnixAddr::new(path) {
        Ok(address) => Ok(act(&address)?),
        Err(Errno::ENAMETOOLONG) => {
            let name = path.file_name().ok_or(Errno::EINVAL)?;
            let parent = match path.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            };
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let directory = open(parent, flags, Mode::empty())?;
            let short = format!("/proc/self/fd/{}", directory.as_raw_fd());
            Ok(act(&UnixAddr::new(&Path::new(&short).join(name))?)?)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Who is at the other end of a connection, as of when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its process; 0 when it is not of this pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Who is at the other end of this connection.
///
/// # Errors
/// It is no connected unix socket.
pub fn peer(connection: &impl AsFd) -> io::Result<Peer> {
    let credentials = getsockopt(connection, PeerCredentials)?;
    Ok(Peer { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use nix::sys::stat::umask;
    use tempfile::TempDir;

    use super::*;
    use crate::sys::testing::{alone, is_root};

    fn scratch() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        (dir, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_client_reaches_the_socket_and_is_known() {
        let (_dir, path) = scratch();
        let listener = Listener::bind(&path, 0o700, None).unwrap();
        let mut client = connect(&path).unwrap();
        let (mut connection, _) = listener.socket().accept().unwrap();
        let peer = peer(&connection).unwrap();
        assert_eq!(peer.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        client.write_all(b"hello").unwrap();
        drop(client);
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        listener.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_file_is_never_more_open_than_it_shall_be() {
        // C-403, better: what the kernel makes of the mode of an unbound socket, before any chmod.
        if !alone(module_path!(), "the_file_is_never_more_open_than_it_shall_be") {
            return;
        }
        let (_dir, path) = scratch();
        umask(Mode::empty());
        let fd = stream_socket().unwrap();
        fchmod(&fd, Mode::from_bits_truncate(0o600)).unwrap();
        with_address(&path, |address| bind(fd.as_raw_fd(), address)).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn the_mode_is_exact_whatever_the_mask() {
        if !alone(module_path!(), "the_mode_is_exact_whatever_the_mask") {
            return;
        }
        for mask in [0o000, 0o022, 0o777] {
            umask(Mode::from_bits_truncate(mask));
            for wanted in [0o700, 0o600, 0o770, 0o777] {
                let (_dir, path) = {
                    umask(Mode::empty());
                    let scratch = scratch();
                    umask(Mode::from_bits_truncate(mask));
                    scratch
                };
                let _listener = Listener::bind(&path, wanted, None).unwrap();
                assert_eq!(mode(&path), wanted);
            }
        }
    }

    #[test]
    fn the_owner_is_set() {
        if !is_root() {
            return;
        }
        let (_dir, path) = scratch();
        let _listener = Listener::bind(&path, 0o770, Some((65534, Some(65533)))).unwrap();
        let file = fs::symlink_metadata(&path).unwrap();
        assert_eq!((file.uid(), file.gid(), mode(&path)), (65534, 65533, 0o770));
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced() {
        let (_dir, path) = scratch();
        let first = Listener::bind(&path, 0o700, None).unwrap();
        assert!(!first.replaced());
        drop(first);
        assert!(path.exists());
        // It has a file again, and nobody listens when it is dropped.
        assert!(Listener::bind(&path, 0o700, None).unwrap().replaced());
        connect(&path).unwrap_err();
    }

    #[test]
    fn a_socket_in_use_is_left_to_its_owner() {
        // C-132
        let (_dir, path) = scratch();
        let listener = Listener::bind(&path, 0o700, None).unwrap();
        let error = Listener::bind(&path, 0o700, None).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)), "{error}");
        assert_eq!(error.errno(), Errno::EADDRINUSE);
        connect(&path).unwrap();
        listener.remove().unwrap();
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        // C-421
        let (_dir, path) = scratch();
        fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&path, 0o700, None).unwrap_err();
        assert!(matches!(error, BindError::NotASocket(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_refusal_is_told_and_leaves_nothing() {
        // C-133, C-421
        let nowhere = Path::new("/nonexistent/s.sock");
        assert_eq!(Listener::bind(nowhere, 0o700, None).unwrap_err().errno(), Errno::ENOENT);
        if !is_root() || !alone(module_path!(), "a_refusal_is_told_and_leaves_nothing") {
            return;
        }
        let (dir, path) = scratch();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        nix::unistd::seteuid(Uid::from_raw(65534)).unwrap();
        let error = Listener::bind(&path, 0o700, Some((1, None))).unwrap_err();
        nix::unistd::seteuid(Uid::from_raw(0)).unwrap();
        assert_eq!(error.errno(), Errno::EPERM);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_anothers_by_now_stays() {
        // C-131
        let (_dir, path) = scratch();
        let first = Listener::bind(&path, 0o700, None).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Listener::bind(&path, 0o700, None).unwrap();
        first.remove().unwrap();
        connect(second.path()).unwrap();
    }

    #[test]
    fn a_path_of_any_length_works() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(120)).join("y".repeat(120));
        fs::create_dir_all(&deep).unwrap();
        let path = deep.join("s.sock");
        let listener = Listener::bind(&path, 0o600, None).unwrap();
        assert_eq!(mode(&path), 0o600);
        connect(&path).unwrap();
        let error = Listener::bind(&path, 0o600, None).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)), "{error}");
        listener.remove().unwrap();
        assert!(!path.exists());
        let too_long = deep.join("z".repeat(120));
        assert_eq!(
            Listener::bind(&too_long, 0o600, None).unwrap_err().errno(),
            Errno::ENAMETOOLONG
        );
    }
}
