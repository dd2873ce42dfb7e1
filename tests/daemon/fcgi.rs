//! FastCGI programs and the sockets that their processes share.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::support::daemon::{Daemon, HEAD};
use crate::support::http::{ask, unix};
use crate::support::process::wait_gone;
use crate::support::scratch::Scratch;
use crate::support::{PATIENCE, require_root};

/// Says who it is to everybody who connects.
const WORKER: &str = r#"import os, socket
listener = socket.socket(fileno=0)
assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
assert os.get_blocking(0)
while True:
    client, _ = listener.accept()
    client.sendall(f"{os.environ['SUPERVISOR_PROCESS_NAME']} {os.getpid()}".encode())
    client.close()
"#;

/// A FastCGI program of the worker.
fn program(name: &str, socket: &str, more: &str) -> String {
    format!(
        "[fcgi-program:{name}]\ncommand=/usr/bin/python3 %(here)s/worker.py\nsocket={socket}\n\
         startsecs=0\nstartretries=1\n{more}\n"
    )
}

fn start(scratch: &Scratch, programs: &str) -> Daemon {
    scratch.write("worker.py", WORKER);
    Daemon::start(scratch, programs)
}

/// The answer of whoever accepts the connection.
fn answer(mut connection: impl Read) -> String {
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("an answer");
    text
}

fn answer_at(path: &Path) -> String {
    answer(UnixStream::connect(path).expect("somebody listens"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// What the stdin of a process is.
fn stdin_of(pid: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/fd/0")).expect("it lives");
    link.display().to_string()
}

fn lines(daemon: &Daemon, needle: &str) -> usize {
    daemon.log().matches(needle).count()
}

// C-399, C-401, C-402, C-403, C-424
#[test]
fn processes_share_a_socket_that_lives_as_long_as_one_of_them() {
    let scratch = Scratch::new();
    let path = scratch.join("a.sock");
    let two = "numprocs=2\nprocess_name=%(process_num)d";
    let mut daemon = start(&scratch, &program("a", "unix://%(here)s/a.sock", two));
    let creating = format!("INFO Creating socket unix://{}", path.display());
    let closing = format!("INFO Closing socket unix://{}", path.display());
    daemon.expect_log_times("spawned:", 2);
    // It is tried first.
    assert_eq!((lines(&daemon, &creating), lines(&daemon, &closing)), (2, 1));
    let (first, second) = (daemon.pid_of("a:0"), daemon.pid_of("a:1"));
    assert_eq!(stdin_of(first), stdin_of(second));
    assert!(stdin_of(first).starts_with("socket:["));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);

    assert_eq!(daemon.ctl(&["stop", "a:0"]).stdout, "a:0: stopped\n");
    assert_eq!(answer_at(&path), format!("1 {second}"));
    daemon.ctl(&["start", "a:0"]);
    daemon.ctl(&["stop", "a:1"]);
    assert_eq!(answer_at(&path), format!("0 {}", daemon.pid_of("a:0")));
    assert_eq!((lines(&daemon, &creating), lines(&daemon, &closing)), (2, 1));

    daemon.ctl(&["stop", "a:0"]);
    daemon.expect_log_times(&closing, 2);
    // The line comes before the file goes; the next start comes after both.
    daemon.ctl(&["start", "a:0"]);
    assert!(answer_at(&path).starts_with("0 "));
    assert_eq!(lines(&daemon, &creating), 3);
    assert_eq!(daemon.stop().code, 0);
    assert_eq!(lines(&daemon, &closing), 3);
    assert!(!path.exists());
}

// C-402: there is nothing to write to.
#[test]
fn the_stdin_of_a_fastcgi_program_cannot_be_written() {
    let scratch = Scratch::new();
    let http = "[unix_http_server]\nfile=%(here)s/http.sock\n[rpcinterface:supervisor]\n\
                supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n";
    let daemon = start(&scratch, &(http.to_owned() + &program("a", "unix://%(here)s/a.sock", "")));
    daemon.expect_log("entered RUNNING state");
    let body = "<methodCall><methodName>supervisor.sendProcessStdin</methodName><params>\
                <param><value><string>a</string></value></param>\
                <param><value><string>x</string></value></param></params></methodCall>";
    let request = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(&unix(scratch.path(), "http.sock"), request);
    assert!(answer.text().contains("NO_FILE: a"), "{}", answer.text());
}

// C-400, C-404: upstream's daemon ends then.
#[test]
fn a_busy_port_fails_the_program_and_not_the_daemon() {
    let scratch = Scratch::new();
    let port = free_port();
    let other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let programs =
        program("a", &format!("tcp://localhost:{port}"), "") + "[program:b]\ncommand=sleep 100\n";
    let daemon = start(&scratch, &programs);
    let error = format!(
        "Could not create FastCGI socket tcp://localhost:{port}: somebody else is listening on \
         127.0.0.1:{port}"
    );
    daemon.expect_log(&format!("ERRO {error}"));
    daemon.expect_log("gave up: a entered FATAL state");
    let status = daemon.ctl(&["status"]).stdout;
    let line = status.lines().find(|line| line.starts_with("a ")).unwrap();
    assert!(line.contains("FATAL") && line.ends_with(&error), "{status}");
    assert!(
        status.contains("b                                RUNNING") || status.contains("STARTING")
    );

    drop(other);
    assert_eq!(daemon.ctl(&["start", "a"]).stdout, "a: started\n");
    let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(answer(connection), format!("a {}", daemon.pid_of("a")));
    // The connection lingers, and does not keep the port.
    assert_eq!(daemon.ctl(&["restart", "a"]).stdout, "a: stopped\na: started\n");
    answer(TcpStream::connect(("127.0.0.1", port)).unwrap());
}

// C-400, C-403, C-424
#[test]
fn what_is_at_the_path_already_is_left_alone_unless_it_is_a_dead_socket() {
    let scratch = Scratch::new();
    let alive = UnixListener::bind(scratch.join("alive.sock")).unwrap();
    drop(UnixListener::bind(scratch.join("dead.sock")).unwrap());
    scratch.write("file", "precious");
    let programs = ["alive.sock", "dead.sock", "file", "missing/a.sock"]
        .map(|name| program(&name[..4], &format!("unix://%(here)s/{name}"), "startretries=0"))
        .concat();
    let daemon = start(&scratch, &programs);
    daemon.expect_log_times("entered FATAL state", 3);
    let status = daemon.ctl(&["status"]).stdout;
    for expected in ["alive.sock", "exists and is no socket", "No such file or directory"] {
        assert!(status.contains(expected), "{status}");
    }
    assert!(answer_at(&scratch.join("dead.sock")).starts_with("dead "));
    assert_eq!(scratch.read("file"), "precious");
    let _client = UnixStream::connect(scratch.join("alive.sock")).unwrap();
    alive.accept().unwrap();

    // What somebody else puts there meanwhile stays, too.
    fs::remove_file(scratch.join("dead.sock")).unwrap();
    let other = UnixListener::bind(scratch.join("dead.sock")).unwrap();
    daemon.ctl(&["stop", "dead"]);
    daemon.expect_log_times("Closing socket", 2);
    let again = daemon.ctl(&["start", "dead"]).stdout;
    assert_eq!(again, "dead: ERROR (spawn error)\n");
    let _client = UnixStream::connect(scratch.join("dead.sock")).unwrap();
    other.accept().unwrap();
}

// C-401
#[test]
fn a_start_that_fails_leaves_no_socket_behind() {
    let scratch = Scratch::new();
    let text = "[fcgi-program:a]\ncommand=/nonexistent\nsocket=unix://%(here)s/a.sock\n\
                startretries=0\n";
    let daemon = start(&scratch, text);
    daemon.expect_log("entered FATAL state");
    daemon.expect_log_times("Closing socket", 2);
    // A restart begins when all that was under way is done.
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("entered FATAL state", 2);
    daemon.ctl(&["remove", "a"]);
    daemon.ctl(&["shutdown"]);
    assert!(wait_gone(daemon.pid(), PATIENCE));
    assert!(!scratch.join("a.sock").exists());
    assert_eq!(lines(&daemon, "Creating socket"), lines(&daemon, "Closing socket"));
}

// C-105, C-405, C-423: upstream runs it without any socket.
#[test]
fn programs_in_a_group_have_their_sockets() {
    let scratch = Scratch::new();
    let (port, programs) = (free_port(), "[group:g]\nprograms=a,b,c\n[program:c]\ncommand=cat\n");
    let programs = programs.to_owned()
        + &program("a", "unix://%(here)s/a.sock", "")
        + &program("b", &format!("tcp://127.0.0.1:{port}"), "");
    let daemon = start(&scratch, &programs);
    daemon.expect_log_times("spawned:", 3);
    assert!(answer_at(&scratch.join("a.sock")).starts_with("a "));
    assert!(answer(TcpStream::connect(("127.0.0.1", port)).unwrap()).starts_with("b "));
    assert!(stdin_of(daemon.pid_of("g:c")).starts_with("pipe:["));
}

// A socket has one program: upstream takes the path away from the first one.
#[test]
fn a_second_program_cannot_have_the_same_socket() {
    let scratch = Scratch::new();
    let programs = program("a", "unix://%(here)s/a.sock", "priority=1")
        + &program("b", "unix://%(here)s/a.sock", "");
    let daemon = start(&scratch, &programs);
    daemon.expect_log("gave up: b entered FATAL state");
    let status = daemon.ctl(&["status", "b"]).stdout;
    assert!(status.contains("program a in group a has it"), "{status}");
    assert!(answer_at(&scratch.join("a.sock")).starts_with("a "));
}

/// How many connections wait in the queue of a socket until it takes no more.
fn queue_of(path: &Path) -> usize {
    let mut waiting = Vec::new();
    loop {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let client = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        let address = UnixAddr::new(path).unwrap();
        match connect(std::os::fd::AsRawFd::as_raw_fd(&client), &address) {
            Ok(()) => waiting.push(client),
            Err(errno) => {
                assert_eq!(errno, nix::errno::Errno::EAGAIN);
                return waiting.len();
            }
        }
    }
}

// C-107, C-108, C-396, C-424: upstream does not see such a change.
#[test]
fn an_update_sees_every_part_of_the_socket() {
    let scratch = Scratch::new();
    let path = scratch.join("a.sock");
    let config = |more: &str| {
        let other = program("b", "unix://%(here)s/b.sock", "");
        format!(
            "{HEAD}[fcgi-program:a]\ncommand=sleep 100\nstartsecs=0\n\
             socket=unix://%(here)s/a.sock\nprocess_name=%(process_num)d\n{more}\n{other}"
        )
    };
    scratch.write("worker.py", WORKER);
    let file = scratch.write("supervisord.conf", config("numprocs=1\nsocket_backlog=1"));
    let daemon = Daemon::start_on(scratch.path(), &file, &[]);
    daemon.expect_log_times("spawned:", 2);
    let (first, other) = (daemon.pid_of("a:0"), daemon.pid_of("b"));
    // The kernel takes one more than it is told.
    assert_eq!(queue_of(&path), 2);

    scratch.write("supervisord.conf", config("numprocs=1\nsocket_backlog=3\nsocket_mode=0770"));
    let update = daemon.ctl(&["update"]).stdout;
    assert!(update.contains("a: updated process group"), "{update}");
    assert!(wait_gone(first, PATIENCE));
    daemon.expect_log_times("spawned:", 3);
    assert_eq!(queue_of(&path), 4);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o770);
    let first = daemon.pid_of("a:0");

    // More processes share the socket that is there.
    scratch.write("supervisord.conf", config("numprocs=2\nsocket_backlog=3\nsocket_mode=0770"));
    daemon.ctl(&["update"]);
    daemon.expect_log_times("spawned:", 4);
    assert_eq!(daemon.pid_of("a:0"), first);
    assert_eq!(stdin_of(first), stdin_of(daemon.pid_of("a:1")));
    assert_eq!(daemon.pid_of("b"), other);

    // A program that goes takes its socket with it.
    let rest = format!("{HEAD}{}", program("b", "unix://%(here)s/b.sock", ""));
    scratch.write("supervisord.conf", rest);
    daemon.ctl(&["update"]);
    daemon.expect_log_times(&format!("Closing socket unix://{}", path.display()), 3);
    assert!(answer_at(&scratch.join("b.sock")).starts_with("b "));
}

// C-390, C-401
#[test]
fn a_reload_opens_the_socket_again() {
    let scratch = Scratch::new();
    let path = scratch.join("a.sock");
    let daemon = start(&scratch, &program("a", "unix://%(here)s/a.sock", ""));
    daemon.expect_log("spawned: 'a'");
    answer_at(&path);
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("spawned: 'a'", 2);
    assert_eq!(answer_at(&path), format!("a {}", daemon.pid_of("a")));
    assert!(is_socket(&path));
}

// C-108, C-403
#[test]
fn the_socket_belongs_to_the_user_of_the_program_or_to_whom_it_is_given() {
    require_root();
    let scratch = Scratch::new();
    let programs = program("a", "unix://%(here)s/a.sock", "user=nobody")
        + &program(
            "b",
            "unix://%(here)s/b.sock",
            "user=nobody\nsocket_owner=daemon:sys\nsocket_mode=0620",
        );
    let daemon = start(&scratch, &programs);
    daemon.expect_log_times("spawned:", 2);
    let of = |name: &str| {
        let file = fs::metadata(scratch.join(name)).unwrap();
        (file.uid(), file.gid(), file.mode() & 0o7777)
    };
    assert_eq!(of("a.sock"), (65534, 65534, 0o700));
    assert_eq!(of("b.sock"), (1, 3, 0o620));
    assert!(answer_at(&scratch.join("b.sock")).starts_with("b "));
}
