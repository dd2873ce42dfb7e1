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
    let (client, inode) = (UnixStream::connect(&a).unwrap(), std::fs::metadata(&a).unwrap().ino());

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
