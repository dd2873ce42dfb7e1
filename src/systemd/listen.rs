//! Sockets that the service manager opened for us, as sd_listen_fds(3) defines it: `LISTEN_PID`
//! says whom they are for, `LISTEN_FDS` how many there are from descriptor 3 on, `LISTEN_FDNAMES`
//! what each is called (`FileDescriptorName=` of its socket unit).

use std::env;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use nix::sys::socket::sockopt::{AcceptConn, SockType as SocketType};
use nix::sys::socket::{AddressFamily, SockType, SockaddrLike, SockaddrStorage};
use nix::sys::socket::{getsockname, getsockopt};
use thiserror::Error;

use crate::sys::inherited;

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;
/// What a socket is called whose unit gives it no name.
const UNNAMED: &str = "unknown";
/// What the variables are called.
const VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// A socket that somebody else opened.
#[derive(Debug)]
pub struct Activated {
    /// `FileDescriptorName=` of its socket unit; the unit's own name, when that gives none.
    pub name: String,
    /// The socket: listening, non-blocking, closed at an exec.
    pub socket: Socket,
}

/// A stream socket that listens.
#[derive(Debug)]
pub enum Socket {
    /// IPv4 or IPv6.
    Inet(TcpListener),
    /// In the file system, or abstract. Its file is the service manager's: do not remove it.
    Unix(UnixListener),
}

impl Activated {
    /// Another handle on its descriptor.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn share(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Socket::Inet(socket) => socket.as_fd(),
            Socket::Unix(socket) => socket.as_fd(),
        }
        .try_clone_to_owned()
    }

    /// Another handle on the same socket, for a front end that ends before the daemon does.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = match &self.socket {
            Socket::Inet(socket) => Socket::Inet(socket.try_clone()?),
            Socket::Unix(socket) => Socket::Unix(socket.try_clone()?),
        };
        Ok(Self { name: self.name.clone(), socket })
    }
}

impl fmt::Display for Activated {
    /// Its name and where it listens, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.name)?;
        match &self.socket {
            Socket::Inet(socket) => match socket.local_addr() {
                Ok(address) => write!(f, " at {address}"),
                Err(_) => Ok(()),
            },
            Socket::Unix(socket) => match socket.local_addr() {
                Ok(address) if address.as_pathname().is_some() => {
                    let path = address.as_pathname().unwrap_or("".as_ref());
                    write!(f, " at {}", path.display())
                }
                _ => Ok(()),
            },
        }
    }
}

/// Why a socket, or all of them, cannot be used.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The variables contradict themselves.
    #[error("the sockets of the service manager are left alone: {variable}={value:?} is not right")]
    Variable {
        /// Which.
        variable: &'static str,
        /// What it is.
        value: String,
    },
    /// One of them is something else.
    #[error(
        "the socket {name:?} of the service manager (descriptor {fd}) cannot be used: it is {what}"
    )]
    Unfit {
        /// What it is called.
        name: String,
        /// Its number.
        fd: RawFd,
        /// What it is.
        what: &'static str,
    },
    /// One of them cannot be looked at.
    #[error(
        "the socket {name:?} of the service manager (descriptor {fd}) cannot be used: {source}"
    )]
    System {
        /// What it is called.
        name: String,
        /// Its number.
        fd: RawFd,
        /// Why.
        source: io::Error,
    },
}

/// What was handed over.
#[derive(Debug, Default)]
pub struct Handed {
    /// The sockets that can be used.
    pub sockets: Vec<Activated>,
    /// What is wrong with the others; those are closed.
    pub errors: Vec<ListenError>,
    /// Descriptors that an earlier daemon put into the store, with their names.
    pub kept: Vec<(String, OwnedFd)>,
}

/// Takes over the sockets that the service manager opened for this process, and what `is_kept` says
/// of the name of that an earlier daemon put it into the store; removes the variables that tell of
/// them. To be called once, before there are threads and before a fork:
/// `LISTEN_PID` is about the process that was executed.
#[must_use]
pub fn take(is_kept: impl Fn(&str) -> bool) -> Handed {
    let [pid, count, names] = VARIABLES.map(env::var_os);
    let Some(pid) = pid else { return Handed::default() };
    let text = |value: Option<std::ffi::OsString>| {
        value.unwrap_or_default().to_string_lossy().into_owned()
    };
    let plan =
        plan(std::process::id(), &text(Some(pid)), &text(count), names.map(|n| text(Some(n))));
    inherited::forget_variables(&VARIABLES);
    let names = match plan {
        Ok(names) => names,
        Err(error) => return Handed { errors: vec![error], ..Handed::default() },
    };
    let mut handed = Handed::default();
    let count = u16::try_from(names.len()).unwrap_or(u16::MAX);
    let fds = FIRST..FIRST.saturating_add(count.into());
    let descriptors = inherited::take_descriptors(fds).unwrap_or_default();
    for ((fd, name), descriptor) in (FIRST..).zip(names).zip(descriptors) {
        match descriptor.map_err(|source| system(&name, fd, source)) {
            Ok(descriptor) if is_kept(&name) => handed.kept.push((name, descriptor)),
            Ok(descriptor) => match fit(name, descriptor) {
                Ok(socket) => handed.sockets.push(socket),
                Err(error) => handed.errors.push(error),
            },
            Err(error) => handed.errors.push(error),
        }
    }
    handed
}

/// The names of the descriptors that are for this process; none when they are for another.
fn plan(
    own: u32,
    pid: &str,
    count: &str,
    names: Option<String>,
) -> Result<Vec<String>, ListenError> {
    let wrong = |variable, value: &str| {
        let value = value.chars().take(64).collect();
        ListenError::Variable { variable, value }
    };
    let pid: u32 = pid.parse().map_err(|_| wrong("LISTEN_PID", pid))?;
    if pid != own {
        return Ok(Vec::new());
    }
    let number: u16 = count.parse().map_err(|_| wrong("LISTEN_FDS", count))?;
    let number = usize::from(number);
    let Some(names) = names else { return Ok(vec![UNNAMED.to_owned(); number]) };
    let list: Vec<String> =
        names.split(':').filter(|_| number > 0).map(ToOwned::to_owned).collect();
    if list.len() == number { Ok(list) } else { Err(wrong("LISTEN_FDNAMES", &names)) }
}

/// A socket of this name, if it is one that clients can connect to.
///
/// # Errors
/// What it is instead.
pub fn fit(name: String, descriptor: OwnedFd) -> Result<Activated, ListenError> {
    let fd = descriptor.as_raw_fd();
    let unfit = |what| ListenError::Unfit { name: name.clone(), fd, what };
    let failed = |errno: nix::Error| match errno {
        nix::Error::ENOTSOCK => unfit("no socket"),
        other => system(&name, fd, other.into()),
    };
    if getsockopt(&descriptor, SocketType).map_err(failed)? != SockType::Stream {
        return Err(unfit("no stream socket (ListenStream=)"));
    }
    if !getsockopt(&descriptor, AcceptConn).map_err(failed)? {
        return Err(unfit("a connection, not a listening socket (Accept=no is needed)"));
    }
    let address: SockaddrStorage = getsockname(fd).map_err(failed)?;
    let nonblocking = |done: io::Result<()>| done.map_err(|source| system(&name, fd, source));
    let socket = match address.family() {
        Some(AddressFamily::Inet | AddressFamily::Inet6) => {
            let socket = TcpListener::from(descriptor);
            nonblocking(socket.set_nonblocking(true))?;
            Socket::Inet(socket)
        }
        Some(AddressFamily::Unix) => {
            let socket = UnixListener::from(descriptor);
            nonblocking(socket.set_nonblocking(true))?;
            Socket::Unix(socket)
        }
        _ => return Err(unfit("neither an internet nor a unix socket")),
    };
    Ok(Activated { name, socket })
}

fn system(name: &str, fd: RawFd, source: io::Error) -> ListenError {
    ListenError::System { name: name.to_owned(), fd, source }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn planned(pid: &str, count: &str, names: Option<&str>) -> Result<Vec<String>, String> {
        plan(7, pid, count, names.map(ToOwned::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_variables_say_whose_how_many_and_what_they_are_called() {
        assert_eq!(planned("7", "2", Some("http:unix")).unwrap(), ["http", "unix"]);
        assert_eq!(planned("7", "2", Some("http:")).unwrap(), ["http", ""]);
        assert_eq!(planned("7", "1", None).unwrap(), ["unknown"]);
        assert_eq!(planned("8", "1", None).unwrap(), [""; 0], "they are another's");
        assert_eq!(planned("7", "0", Some("")).unwrap(), [""; 0]);
        for (pid, count, names, told) in [
            ("x", "1", None, "LISTEN_PID=\"x\""),
            ("7", "", None, "LISTEN_FDS=\"\""),
            ("7", "-1", None, "LISTEN_FDS=\"-1\""),
            ("7", "65536", None, "LISTEN_FDS=\"65536\""),
            ("7", "2", Some("http"), "LISTEN_FDNAMES=\"http\""),
        ] {
            let error = planned(pid, count, names).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn sockets_that_listen_are_accepted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let activated = fit("http".to_owned(), listener.into()).unwrap();
        assert_eq!(activated.to_string(), format!("\"http\" at {address}"));
        let Socket::Inet(socket) = activated.try_clone().unwrap().socket else {
            panic!("not an internet socket: {activated:?}")
        };
        assert_eq!(socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(socket);
        TcpStream::connect(address).unwrap();

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let activated = fit("unix".to_owned(), UnixListener::bind(&path).unwrap().into()).unwrap();
        assert_eq!(activated.to_string(), format!("\"unix\" at {}", path.display()));
        assert!(matches!(activated.try_clone().unwrap().socket, Socket::Unix(_)));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_nobody_can_connect_to_is_refused_by_name() {
        let told = |fd: OwnedFd| fit("web".to_owned(), fd).unwrap_err().to_string();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(told(file.into()).ends_with("it is no socket"));
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(told(datagram.into()).contains("no stream socket"));
        let (connection, _other) = UnixStream::pair().unwrap();
        let error = told(connection.into());
        assert!(error.contains("not a listening socket") && error.contains("\"web\""), "{error}");
    }
}
