//! Where the servers listen. The sockets are opened before the daemon becomes another user and
//! goes to the background, and they stay open across a restart when they are still wanted: who
//! connects meanwhile waits instead of being refused.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{User, geteuid};
use thiserror::Error;

use super::tls::{self, Tls, TlsError};
use crate::config::settings::{Access, HttpAddress, HttpServer, TlsFiles};
use crate::model::record::{Level, Record};
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
mod tests {
    use std::net::TcpStream;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    use super::*;

    fn server(address: HttpAddress) -> HttpServer {
        let section = match address {
            HttpAddress::Inet { .. } => "inet_http_server",
            HttpAddress::Unix { .. } => "unix_http_server",
        };
        HttpServer { section: section.to_owned(), address, access: Access::Open, tls: None }
    }

    fn inet(port: u16) -> HttpServer {
        server(HttpAddress::Inet { host: "127.0.0.1".to_owned(), port })
    }

    fn unix(path: &Path, mode: u32) -> HttpServer {
        server(HttpAddress::Unix { path: path.to_owned(), mode, owner: None })
    }

    /// A port that is free now.
    fn free_port() -> u16 {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    }

    #[test]
    fn what_is_still_wanted_stays_open_and_the_rest_closes() {
        // C-131, C-390
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let port = free_port();
        let mut listeners = Listeners::default();
        let opened = listeners.open(&[inet(port), unix(&a, 0o700)], None);
        assert!(opened.errors.is_empty() && opened.notes.is_empty(), "{opened:?}");
        let (client, inode) =
            (UnixStream::connect(&a).unwrap(), std::fs::metadata(&a).unwrap().ino());

        let opened = listeners.open(&[unix(&a, 0o700), unix(&b, 0o770)], None);
        assert!(opened.errors.is_empty(), "{opened:?}");
        assert_eq!(std::fs::metadata(&a).unwrap().ino(), inode, "it is the same socket");
        assert_eq!(std::fs::metadata(&b).unwrap().permissions().mode() & 0o777, 0o770);
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        drop(client);

        // Another mode is another socket, at the same path.
        assert!(listeners.open(&[unix(&a, 0o777)], None).errors.is_empty());
        assert_eq!(std::fs::metadata(&a).unwrap().permissions().mode() & 0o777, 0o777);
        assert!(!b.exists());
        assert!(listeners.close().is_empty());
        assert!(!a.exists());
    }

    #[test]
    fn a_taken_port_and_a_live_socket_are_in_use() {
        // C-132, C-336
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let port = free_port();
        let servers = [inet(port), unix(&path, 0o700)];
        let mut first = Listeners::default();
        assert!(first.open(&servers, None).errors.is_empty());
        let opened = Listeners::default().open(&servers, None);
        assert_eq!(opened.errors.len(), 2);
        for error in opened.errors {
            assert!(matches!(error, ListenError::InUse { .. }), "{error}");
            assert!(error.to_string().starts_with(
                "Another program is already listening on a port that one of our HTTP servers is \
                 configured to use.  Shut this program down first before starting supervisord."
            ));
        }
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_page_for_people_is_left_out_where_its_port_is_taken() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let page = HttpServer { access: Access::Login, ..inet(port) };
        let other = inet(free_port());
        let mut listeners = Listeners::default();
        let opened = listeners.open(&[page.clone(), other.clone()], None);
        assert!(opened.errors.is_empty(), "{opened:?}");
        let [note] = &opened.notes[..] else { panic!("{opened:?}") };
        assert_eq!(note.level, Level::Error);
        assert!(note.text.starts_with(&format!("another program listens at 127.0.0.1:{port}")));
        assert!(!note.text.contains("  "), "{}", note.text);
        let served: Vec<_> = listeners.iter().map(|bound| bound.server().clone()).collect();
        assert_eq!(served, [other]);
        check(std::slice::from_ref(&page), &[]).unwrap();
        check(&[inet(port)], &[]).unwrap_err();
        drop(taken);
        let opened = listeners.open(&[page], None);
        assert!(opened.notes.is_empty() && listeners.iter().count() == 1, "{opened:?}");
    }

    #[test]
    fn a_stale_socket_is_replaced_and_told() {
        // C-336, C-421
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let mut listeners = Listeners::default();
        let opened = listeners.open(&[unix(&path, 0o700)], None);
        assert_eq!(opened.stale, std::slice::from_ref(&path));
        UnixStream::connect(&path).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        let opened = Listeners::default().open(&[unix(&file, 0o700)], None);
        assert!(matches!(opened.errors[..], [ListenError::NotASocket { .. }]));
        assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
    }

    fn handed(name: &str) -> (Activated, u16) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        (Activated { name: name.to_owned(), socket: listen::Socket::Inet(socket) }, port)
    }

    #[test]
    fn a_socket_of_the_service_manager_serves_its_address_or_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = listen::Socket::Unix(UnixListener::bind(&path).unwrap());
        let file = Activated { name: "x".to_owned(), socket };
        let ((web, port), (other, second)) = (handed("supervisor.socket"), handed("http"));
        let (unused, _) = handed("dns");
        let mut listeners = Listeners::new(vec![web, other, unused, file]);
        let servers = [inet(port), inet(free_port()), unix(&path, 0o700)];
        for _ in 0..2 {
            // Again: a restart.
            let opened = listeners.open(&servers, None);
            assert!(opened.errors.is_empty() && opened.stale.is_empty(), "{opened:?}");
            let [moved, unused] = &opened.notes[..] else { panic!("{opened:?}") };
            assert!(moved.text.contains(&format!("\"http\" at 127.0.0.1:{second}")));
            assert!(unused.text.starts_with("no HTTP server is for the socket \"dns\""));
            let addresses: Vec<_> = listeners
                .iter()
                .map(|bound| match bound.handle().unwrap() {
                    Handle::Inet(socket) => socket.local_addr().unwrap().port(),
                    Handle::Unix(_) => 0,
                })
                .collect();
            assert_eq!(addresses, [port, second, 0]);
            check(&[inet(second)], &listeners.addresses()).unwrap();
        }
        assert!(listeners.close().is_empty());
        assert!(path.exists(), "it is the service manager's");
    }

    #[test]
    fn a_refusal_names_errno_and_server() {
        // C-133, C-134
        let nowhere = server(HttpAddress::Inet { host: "192.0.2.1".to_owned(), port: 9001 });
        let mut opened = Listeners::default().open(&[nowhere], None);
        assert_eq!(
            opened.errors.remove(0).to_string(),
            "Cannot open an HTTP server: socket.error reported errno.EADDRNOTAVAIL (99): \
             [inet_http_server] 192.0.2.1:9001: Cannot assign requested address"
        );
        let unknown = server(HttpAddress::Inet { host: "no.such.invalid".to_owned(), port: 1 });
        let mut opened = Listeners::default().open(&[unknown], None);
        let text = opened.errors.remove(0).to_string();
        assert!(text.starts_with("Cannot open an HTTP server: [inet_http_server] no.such.invalid"));
    }

    #[test]
    fn an_owner_that_is_not_permitted_is_told_as_upstream_does() {
        // C-337
        let owner = Some((0, None));
        let path = "/run/s".into();
        let server = server(HttpAddress::Unix { path, mode: 0o700, owner });
        let user = User::from_uid(geteuid()).unwrap().unwrap().name;
        assert_eq!(
            not_permitted(&server, owner).to_string(),
            format!(
                "Not permitted to chown /run/s to uid/gid (0, -1); adjust \"sockchown\" value in \
                 config file or on command line to values that the current user ({user}) can \
                 successfully chown"
            )
        );
    }

    #[test]
    fn a_check_opens_nothing_and_knows_what_we_hold() {
        // C-415
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (ours, theirs) = (free_port(), TcpListener::bind("127.0.0.1:0").unwrap());
        let theirs = theirs.local_addr().map(|address| (theirs, address.port())).unwrap();
        let mut listeners = Listeners::default();
        assert!(listeners.open(&[inet(ours)], None).errors.is_empty());
        let everywhere = server(HttpAddress::Inet { host: String::new(), port: ours });
        assert!(is_local(&inet(ours).address) && !is_local(&everywhere.address));
        check(&[everywhere, unix(&path, 0o700)], &listeners.addresses()).unwrap();
        assert!(!path.exists());
        let error = check(&[inet(theirs.1)], &listeners.addresses()).unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
    }
}
