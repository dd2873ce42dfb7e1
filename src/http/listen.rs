//! Where the servers listen. The sockets are opened before the daemon becomes another user and
//! goes to the background, and they stay open across a restart when they are still wanted: who
//! connects meanwhile waits instead of being refused.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{User, geteuid};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::tls::{self, Tls, TlsError};
use crate::config::settings::{Access, HttpAddress, HttpServer, TlsFiles};
use crate::model::record::{Level, Record};
use crate::runtime::handover::{Baggage, Slot};
use crate::sys::socket::{BindError, Listener};
use crate::sys::tcp;
use crate::systemd::listen::{self, Activated};

/// Why a server cannot listen; the text is upstream's, and more.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else does (C-132).
    #[error(
        "Another program is already listening on a port that one of our HTTP servers is \
         configured to use.  Shut this program down first before starting supervisord.  \
         ([{section}] {address})"
    )]
    InUse {
        /// The section of the server.
        section: String,
        /// Where.
        address: HttpAddress,
    },
    /// The file of a unix socket cannot be given away (C-337).
    #[error(
        "Not permitted to chown {path} to uid/gid ({uid}, {gid}); adjust \"sockchown\" value in \
         config file or on command line to values that the current user ({user}) can \
         successfully chown"
    )]
    Owner {
        /// The path.
        path: String,
        /// To whom.
        uid: u32,
        /// And to which group; -1 is unchanged.
        gid: i64,
        /// Who we are.
        user: String,
    },
    /// The host has no address.
    #[error(
        "Cannot open an HTTP server: [{section}] {address} is no address of this machine: {source}"
    )]
    Unknown {
        /// The section of the server.
        section: String,
        /// Where.
        address: HttpAddress,
        /// What the resolver says.
        source: io::Error,
    },
    /// There is something at the path of a unix socket that is not ours to remove (C-421).
    #[error("Cannot open an HTTP server: [{section}] {address} exists and is no socket")]
    NotASocket {
        /// The section of the server.
        section: String,
        /// Where.
        address: HttpAddress,
    },
    /// Its certificate cannot be served.
    #[error("Cannot open an HTTP server: {0}")]
    Tls(#[from] TlsError),
    /// The system refused (C-133).
    #[error(
        "Cannot open an HTTP server: socket.error reported errno.{errno:?} ({}): [{section}] \
         {address}: {}",
        *errno as i32,
        errno.desc()
    )]
    System {
        /// The section of the server.
        section: String,
        /// Where.
        address: HttpAddress,
        /// Why.
        errno: Errno,
    },
}

/// A socket that listens.
#[derive(Debug)]
enum Socket {
    Inet(TcpListener),
    /// With its file, which goes with it.
    Unix(Listener),
    /// From the service manager, which keeps it (systemd.socket(5)).
    Handed(Activated),
}

/// Another handle on a socket, for who serves it.
#[derive(Debug)]
pub enum Handle {
    /// TCP.
    Inet(TcpListener),
    /// A file.
    Unix(UnixListener),
}

/// A server and its socket.
#[derive(Debug)]
pub struct Bound {
    server: HttpServer,
    socket: Socket,
    tls: Option<Arc<Tls>>,
}

impl Bound {
    /// What it serves.
    #[must_use]
    pub fn server(&self) -> &HttpServer {
        &self.server
    }

    /// What it shakes hands with; none is plain HTTP.
    #[must_use]
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// Another handle on its socket.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn handle(&self) -> io::Result<Handle> {
        Ok(match &self.socket {
            Socket::Inet(socket) => Handle::Inet(socket.try_clone()?),
            Socket::Unix(socket) => Handle::Unix(socket.try_clone_socket()?),
            Socket::Handed(activated) => match &activated.socket {
                listen::Socket::Inet(socket) => Handle::Inet(socket.try_clone()?),
                listen::Socket::Unix(socket) => Handle::Unix(socket.try_clone()?),
            },
        })
    }
}

/// All sockets of the servers. Dropped, they close, and the files that are still ours go (C-131).
#[derive(Debug, Default)]
pub struct Listeners {
    bound: Vec<Bound>,
    /// Sockets of the service manager that no server has.
    handed: Vec<Activated>,
}

/// The sockets on their way to another program.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListenersLeft {
    bound: Vec<(HttpServer, SocketLeft)>,
    handed: Vec<HandedLeft>,
}

impl ListenersLeft {
    /// Where the descriptors are.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        let bound = self.bound.iter().map(|(_, socket)| match socket {
            SocketLeft::Inet(slot)
            | SocketLeft::Unix(slot, ..)
            | SocketLeft::Handed(HandedLeft { slot, .. }) => *slot,
        });
        bound.chain(self.handed.iter().map(|handed| handed.slot))
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum SocketLeft {
    Inet(Slot),
    /// With its file, and what that is known by.
    Unix(Slot, PathBuf, (u64, u64)),
    Handed(HandedLeft),
}

#[derive(Debug, Serialize, Deserialize)]
struct HandedLeft {
    name: String,
    slot: Slot,
}

/// What happened when sockets were opened.
#[derive(Debug, Default)]
pub struct Opened {
    /// Sockets that were found at a path, and nobody listened on (C-336).
    pub stale: Vec<PathBuf>,
    /// Lines for the log.
    pub notes: Vec<Record>,
    /// What could not be opened.
    pub errors: Vec<ListenError>,
}

impl Listeners {
    /// No server listens yet; these are the sockets that the service manager has opened.
    #[must_use]
    pub fn new(handed: Vec<Activated>) -> Self {
        Self { bound: Vec::new(), handed }
    }

    /// Listens for these servers, and for no others: what listens already where it shall goes on.
    /// A server whose address the service manager has opened, or for which it has a socket that
    /// is called `http`, `unix` or as the section, gets that one. The files of unix sockets belong
    /// to `account` (uid and gid) where the configuration does not say otherwise, because that is
    /// whom the daemon becomes.
    pub fn open(&mut self, servers: &[HttpServer], account: Option<(u32, u32)>) -> Opened {
        let mut opened = Opened::default();
        let certificates: Vec<_> =
            self.bound.iter().filter_map(|bound| bound.tls.clone()).collect();
        let mut before = Vec::new();
        for bound in std::mem::take(&mut self.bound) {
            match bound.socket {
                Socket::Handed(activated) => self.handed.push(activated),
                _ => before.push(bound),
            }
        }
        let keep = |server: &HttpServer| {
            let at = before.iter().position(|bound| bound.server.address == server.address)?;
            Some(before.swap_remove(at).socket)
        };
        let kept: Vec<_> = servers.iter().map(keep).collect();
        // What is not wanted any more may be in the way of what is.
        opened.notes.extend(close(before));
        for (server, kept) in servers.iter().zip(kept) {
            let tls = match certificate(server, &certificates, &mut opened.notes) {
                Ok(tls) => tls,
                Err(error) => {
                    opened.errors.push(error.into());
                    continue;
                }
            };
            let socket = match kept.or_else(|| self.handed_for(server, &mut opened.notes)) {
                Some(socket) => Ok(socket),
                None => listen_for(server, account, &mut opened.stale),
            };
            match socket {
                Ok(socket) => self.bound.push(Bound { server: server.clone(), socket, tls }),
                Err(ListenError::InUse { section, address }) if is_dispensable(server) => {
                    let text = format!(
                        "another program listens at {address}, so there is no web page; everything \
                         else runs (give [{section}] another port, or stop that program and \
                         restart supervisord)"
                    );
                    opened.notes.push(Record::new(Level::Error, text));
                }
                Err(error) => opened.errors.push(error),
            }
        }
        opened.notes.extend(self.handed.iter().map(|unused| {
            Record::new(Level::Warn, format!("no HTTP server is for the socket {unused}"))
        }));
        opened
    }

    /// Other handles on all sockets, for another program in this process.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn share(&self, baggage: &mut Baggage) -> io::Result<ListenersLeft> {
        let mut left = ListenersLeft::default();
        for activated in &self.handed {
            left.handed.push(share_handed(activated, baggage)?);
        }
        for Bound { server, socket, .. } in &self.bound {
            let socket = match socket {
                Socket::Inet(socket) => {
                    SocketLeft::Inet(baggage.put(socket.as_fd().try_clone_to_owned()?))
                }
                Socket::Unix(listener) => {
                    let slot = baggage.put(listener.try_clone_socket()?.into());
                    SocketLeft::Unix(slot, listener.path().to_owned(), listener.identity())
                }
                Socket::Handed(activated) => SocketLeft::Handed(share_handed(activated, baggage)?),
            };
            left.bound.push((server.clone(), socket));
        }
        Ok(left)
    }

    /// Goes on with sockets that were shared. [`open`](Self::open) finds the servers for them.
    ///
    /// # Errors
    /// One is missing, or is no socket.
    pub fn adopt(left: ListenersLeft, baggage: &mut Baggage) -> io::Result<Self> {
        let mut listeners = Self::default();
        for one in left.handed {
            listeners.handed.push(adopt_handed(one, baggage)?);
        }
        for (server, socket) in left.bound {
            let socket = match socket {
                SocketLeft::Inet(slot) => Socket::Inet(baggage.take(slot)?.into()),
                SocketLeft::Unix(slot, path, identity) => {
                    Socket::Unix(Listener::adopt(baggage.take(slot)?, &path, identity))
                }
                SocketLeft::Handed(one) => Socket::Handed(adopt_handed(one, baggage)?),
            };
            listeners.bound.push(Bound { server, socket, tls: None });
        }
        Ok(listeners)
    }

    /// The service manager's socket for a server.
    fn handed_for(&mut self, server: &HttpServer, notes: &mut Vec<Record>) -> Option<Socket> {
        let by_address = self.handed.iter().position(|handed| is_at(handed, &server.address));
        let by_name = || self.handed.iter().position(|handed| is_called(handed, server));
        let handed = self.handed.remove(by_address.or_else(by_name)?);
        if by_address.is_none() {
            let text = format!(
                "[{}] listens on the socket {handed} of the service manager, not at {}",
                server.section, server.address
            );
            notes.push(Record::new(Level::Warn, text));
        }
        Some(Socket::Handed(handed))
    }

    /// The addresses that are taken by us.
    #[must_use]
    pub fn addresses(&self) -> Vec<HttpAddress> {
        let ours = self.bound.iter().map(|bound| bound.server.address.clone());
        let handed = self.bound.iter().filter_map(|bound| match &bound.socket {
            Socket::Handed(activated) => Some(activated),
            _ => None,
        });
        let handed = handed.chain(&self.handed).filter_map(address_of);
        ours.chain(handed).collect()
    }

    /// The files of the certificates that are served.
    #[must_use]
    pub fn certificates(&self) -> Vec<TlsFiles> {
        let certificates = self.bound.iter().filter_map(Bound::tls);
        certificates.map(|tls| tls.files().clone()).collect()
    }

    /// The servers that listen.
    pub fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.bound.iter()
    }

    /// Closes all. What could not be removed comes back as lines to tell.
    #[must_use]
    pub fn close(mut self) -> Vec<Record> {
        close(std::mem::take(&mut self.bound))
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        drop(close(std::mem::take(&mut self.bound)));
    }
}

fn share_handed(activated: &Activated, baggage: &mut Baggage) -> io::Result<HandedLeft> {
    Ok(HandedLeft { name: activated.name.clone(), slot: baggage.put(activated.share()?) })
}

fn adopt_handed(left: HandedLeft, baggage: &mut Baggage) -> io::Result<Activated> {
    let HandedLeft { name, slot } = left;
    listen::fit(name, baggage.take(slot)?).map_err(io::Error::other)
}

/// Where the service manager's socket is, as a configuration would say it.
fn address_of(handed: &Activated) -> Option<HttpAddress> {
    match &handed.socket {
        listen::Socket::Inet(socket) => {
            let address = socket.local_addr().ok()?;
            Some(HttpAddress::Inet { host: address.ip().to_string(), port: address.port() })
        }
        listen::Socket::Unix(socket) => {
            let path = socket.local_addr().ok()?.as_pathname()?.to_owned();
            Some(HttpAddress::Unix { path, mode: 0, owner: None })
        }
    }
}

fn is_at(handed: &Activated, address: &HttpAddress) -> bool {
    match (&handed.socket, address) {
        (listen::Socket::Inet(socket), HttpAddress::Inet { host, port }) => {
            let wanted = tcp::resolve(host, *port).ok();
            wanted.is_some() && socket.local_addr().ok() == wanted
        }
        (listen::Socket::Unix(_), HttpAddress::Unix { path: wanted, .. }) => {
            matches!(address_of(handed), Some(HttpAddress::Unix { path, .. }) if path == *wanted)
        }
        _ => false,
    }
}

fn is_called(handed: &Activated, server: &HttpServer) -> bool {
    let kind = match (&handed.socket, &server.address) {
        (listen::Socket::Inet(_), HttpAddress::Inet { .. }) => "http",
        (listen::Socket::Unix(_), HttpAddress::Unix { .. }) => "unix",
        _ => return false,
    };
    handed.name == kind || handed.name == server.section
}

/// Whether programs run as well when its address is taken: a page for people, which the shipped
/// configuration has, on a port that others like too. Scripts cannot get in there. An upgrade
/// from 4.x, which had no such page, must not end with nothing running.
fn is_dispensable(server: &HttpServer) -> bool {
    server.access == Access::Login && matches!(server.address, HttpAddress::Inet { .. })
}

/// The certificate of a server, or the one that was read before when the daemon, which has been
/// root then, may not read it any more, or it went bad since it was checked.
fn certificate(
    server: &HttpServer,
    before: &[Arc<Tls>],
    notes: &mut Vec<Record>,
) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = &server.tls else { return Ok(None) };
    match Tls::open(&server.section, files) {
        Ok((tls, warnings)) => {
            notes.extend(warnings.into_iter().map(|text| Record::new(Level::Warn, text)));
            Ok(Some(tls))
        }
        Err(error) => match before.iter().find(|tls| tls.files() == files) {
            None => Err(error),
            Some(tls) => {
                let text = format!("{error}; the certificate that was read before is still served");
                notes.push(Record::new(Level::Warn, text));
                Ok(Some(Arc::clone(tls)))
            }
        },
    }
}

/// Looks whether the certificates of these servers could be served, and what should be said of
/// them. Those in `held` are served already, and need not be readable any more.
///
/// # Errors
/// The first that could not.
pub fn check_certificates(
    servers: &[HttpServer],
    held: &[TlsFiles],
) -> Result<Vec<String>, ListenError> {
    let mut warnings = Vec::new();
    for (server, files) in servers.iter().filter_map(|server| Some((server, server.tls.as_ref()?)))
    {
        match tls::check(&server.section, files) {
            Ok(said) => warnings.extend(said),
            Err(error) if error.is_permission() && held.contains(files) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(warnings)
}

/// Looks whether these servers could listen beside, or instead of, those at `held`.
///
/// # Errors
/// The first that could not.
pub fn check(servers: &[HttpServer], held: &[HttpAddress]) -> Result<(), ListenError> {
    let in_the_way = |address: &HttpAddress| held.iter().any(|held| overlap(held, address));
    for server in servers.iter().filter(|server| !in_the_way(&server.address)) {
        // Opened, and closed again before anybody is likely to notice.
        match listen_for(server, None, &mut Vec::new()) {
            Ok(Socket::Unix(listener)) => drop(listener.remove()),
            Ok(_) => {}
            Err(ListenError::InUse { .. }) if is_dispensable(server) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether only this machine gets to an address.
#[must_use]
pub fn is_local(address: &HttpAddress) -> bool {
    match address {
        HttpAddress::Unix { .. } => true,
        HttpAddress::Inet { host, .. } if host == "localhost" => true,
        HttpAddress::Inet { host, .. } => {
            host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    }
}

/// Whether only one socket can have both addresses.
fn overlap(one: &HttpAddress, other: &HttpAddress) -> bool {
    match (one, other) {
        (HttpAddress::Unix { path: one, .. }, HttpAddress::Unix { path: other, .. }) => {
            one == other
        }
        (HttpAddress::Inet { host: one, port }, HttpAddress::Inet { host: other, port: same })
            if port == same =>
        {
            match (tcp::resolve(one, *port), tcp::resolve(other, *port)) {
                (Ok(one), Ok(other)) => {
                    one == other || one.ip().is_unspecified() || other.ip().is_unspecified()
                }
                _ => false,
            }
        }
        _ => false,
    }
}

fn close(bound: Vec<Bound>) -> Vec<Record> {
    let mut notes = Vec::new();
    for Bound { server, socket, .. } in bound {
        if let Socket::Unix(listener) = socket
            && let Err(error) = listener.remove()
        {
            let text = format!("could not remove the socket {}: {error}", server.address);
            notes.push(Record::new(Level::Warn, text));
        }
    }
    notes
}

fn listen_for(
    server: &HttpServer,
    account: Option<(u32, u32)>,
    stale: &mut Vec<PathBuf>,
) -> Result<Socket, ListenError> {
    let section = || server.section.clone();
    let address = || server.address.clone();
    let system = |errno| match errno {
        Errno::EADDRINUSE => ListenError::InUse { section: section(), address: address() },
        errno => ListenError::System { section: section(), address: address(), errno },
    };
    match &server.address {
        HttpAddress::Inet { host, port } => {
            let resolved = tcp::resolve(host, *port).map_err(|source| ListenError::Unknown {
                section: section(),
                address: address(),
                source,
            })?;
            let socket = tcp::listen_on(resolved).map_err(|error| system(errno_of(&error)))?;
            Ok(Socket::Inet(socket))
        }
        HttpAddress::Unix { path, mode, owner } => {
            let given = owner.map(|(uid, gid)| (uid, gid.or(account.map(|(_, gid)| gid))));
            let owner = given.or(account.map(|(uid, gid)| (uid, Some(gid))));
            let listener = Listener::bind(path, *mode, owner).map_err(|error| match error {
                BindError::NotASocket(_) => {
                    ListenError::NotASocket { section: section(), address: address() }
                }
                BindError::Owner { errno: Errno::EPERM, .. } => not_permitted(server, owner),
                error => system(error.errno()),
            })?;
            if listener.replaced() {
                stale.push(path.clone());
            }
            Ok(Socket::Unix(listener))
        }
    }
}

fn not_permitted(server: &HttpServer, owner: Option<(u32, Option<u32>)>) -> ListenError {
    let (uid, gid) = owner.unwrap_or_default();
    let me = geteuid();
    let user = User::from_uid(me).ok().flatten();
    ListenError::Owner {
        path: server.address.to_string(),
        uid,
        gid: gid.map_or(-1, i64::from),
        user: user.map_or_else(|| me.to_string(), |user| user.name),
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[cfg(test)]
mod tests;
