//! No daemon, the wrong one, a stopping one, one that breaks.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use supervisor::model::state::ProcessState as State;

use crate::fake::{Fake, Reply};
use crate::run::{Run, supervisorctl};

/// A configuration whose daemon does not run.
fn nobody(serverurl: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.conf");
    let text = format!(
        "[supervisord]\npidfile={}/s.pid\n[supervisorctl]\nserverurl={serverurl}\n",
        directory.path().display()
    );
    std::fs::write(&path, text).unwrap();
    (directory, path.display().to_string())
}

fn ctl(config: &str, args: &[&str]) -> Run {
    supervisorctl(&[&["-c", config], args].concat()).run(b"")
}

#[test]
fn a_missing_socket_is_told_in_upstreams_words_and_explained() {
    // C-228, C-232, C-233, C-266
    let (directory, config) = nobody("unix:///nonexistent/s.sock");
    let url = "unix:///nonexistent/s.sock no such file\n";
    for action in
        ["version", "pid", "start x", "stop all", "tail x", "tail -f x", "fg x", "clear x"]
    {
        ctl(&config, &[action]).expect(url, 7);
    }
    ctl(&config, &["restart", "x"]).expect(url, 7);
    let run = ctl(&config, &["status"]);
    run.expect(url, 4);
    let told = format!(
        "No supervisord was found for {config}:\n  dbus:unix:path={0}/s.bus: no such file\n  \
         dbus:system: no such file\n  unix:///nonexistent/s.sock: no such file\n",
        directory.path().display()
    );
    assert!(run.stderr.starts_with(&told), "{}", run.stderr);
    assert!(run.stderr.contains("-c"), "{}", run.stderr);
    ctl(&config, &["shutdown"])
        .expect("ERROR: unix:///nonexistent/s.sock no such file (already shut down?)\n", 1);
    for action in ["avail", "reread", "update", "add x", "remove x", "reload"] {
        let run = ctl(&config, &[action]);
        let start = "error: <class 'FileNotFoundError'>, [Errno 2] No such file or directory: ";
        assert!(run.stdout.starts_with(start) && run.code == Some(1), "{action}: {run:?}");
    }
    ctl(&config, &["add"]).expect("", 0).quiet();
}

#[test]
fn a_refused_connection_is_told_in_upstreams_words() {
    // C-228, C-231, C-233, C-266
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    drop(listener);
    let (_directory, config) = nobody(&url);
    let refused = format!("{url} refused connection\n");
    ctl(&config, &["version"]).expect(&refused, 4);
    ctl(&config, &["status"]).expect(&refused, 4);
    ctl(&config, &["shutdown"])
        .expect(&format!("ERROR: {url} refused connection (already shut down?)\n"), 1);
    let run = ctl(&config, &["reread"]);
    let start = "error: <class 'ConnectionRefusedError'>, [Errno 111] Connection refused: ";
    assert!(run.stdout.starts_with(start) && run.code == Some(1), "{run:?}");
}

#[test]
fn an_explicit_address_is_the_only_one_tried() {
    let (_directory, config) = nobody("unix:///nonexistent/s.sock");
    for (url, text, code) in [
        ("dbus:unix:path=/nonexistent/x", "no such file", 7),
        ("dbus:system", "no such file", 7),
        ("unix:///nonexistent/y", "no such file", 7),
    ] {
        let run = ctl(&config, &["-s", url, "version"]);
        run.expect(&format!("{url} {text}\n"), code);
        assert_eq!(run.stderr.lines().filter(|line| line.starts_with("  ")).count(), 1);
    }
    let fake = Fake::start();
    let bus = format!("dbus:unix:path={}/s.bus", fake.path().display());
    ctl(&config, &["-s", &bus, "version"]).expect("5.0.0\n", 0).quiet();
}

#[test]
fn a_stale_socket_refuses() {
    let (directory, config) = nobody("unix:///nonexistent/s.sock");
    let path = directory.path().join("stale");
    drop(UnixListener::bind(&path).unwrap());
    for url in [format!("unix://{}", path.display()), format!("dbus:unix:path={}", path.display())]
    {
        ctl(&config, &["-s", &url, "version"]).expect(&format!("{url} refused connection\n"), 4);
    }
}

#[test]
fn what_speaks_something_else_is_told_on_one_line() {
    // C-234
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let url = format!("unix://{}", path.display());
    for said in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ""]
    {
        let listener = listener.try_clone().unwrap();
        // The first one only looks whether somebody is there.
        let server = std::thread::spawn(move || {
            drop(listener.accept().unwrap());
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = client.read(&mut request).unwrap();
            client.write_all(said.as_bytes()).unwrap();
        });
        let (_other, config) = nobody(&url);
        let run = ctl(&config, &["version"]);
        assert!(run.stdout.starts_with("error: <class '"), "{run:?}");
        assert_eq!((run.code, run.stdout.lines().count()), (Some(1), 1), "{run:?}");
        server.join().unwrap();
    }
}

#[test]
fn an_unknown_protocol_is_told() {
    // C-239
    let (_directory, config) = nobody("ftp://x");
    for action in ["status", "reread", "shutdown"] {
        let run = ctl(&config, &[action]);
        let start = "error: <class 'ValueError'>, Unknown protocol for serverurl ftp://x: ";
        assert!(run.stdout.starts_with(start) && run.code == Some(1), "{action}: {run:?}");
    }
}

#[test]
fn a_stopping_daemon_refuses_most_actions() {
    // C-230, C-238
    let fake = Fake::start().property("StateCode", -1_i32);
    for action in ["status", "version", "start x", "tail x", "fg x", "clear x", "signal 1 x"] {
        let run = fake.ctl(&[action]);
        let start = "error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>: ";
        assert!(run.stdout.starts_with(start) && run.code == Some(1), "{action}: {run:?}");
    }
    assert_eq!(fake.calls(), Vec::<String>::new());
}

#[test]
fn another_version_of_the_api_is_refused() {
    // C-235
    let fake = Fake::start().property("ApiVersion", "4.0");
    let text = "Sorry, this version of supervisorctl expects to talk to a server with API version \
                3.0, but the remote version is 4.0.\n";
    fake.ctl(&["version"]).expect(text, 5);
    fake.ctl(&["status"]).expect(text, 4);
}

#[test]
fn errors_of_the_bus_are_one_line() {
    let fake = Fake::start()
        .on("StopProcess a", Reply::Error("org.freedesktop.DBus.Error.AccessDenied", "not yours"))
        .on("StopProcess b", Reply::Error("org.example.Odd", "odd\nthing"))
        .on("StopProcess c", Reply::HangUp);
    for (name, start) in [
        ("a", "error: <class 'PermissionError'>, [Errno 13] Permission denied: not yours (try "),
        ("b", "error: org.example.Odd, odd thing: "),
        ("c", "error: <class 'ConnectionResetError'>, [Errno 104] Connection reset by peer: "),
    ] {
        let run = fake.ctl(&["stop", name]);
        assert!(run.stdout.starts_with(start), "{run:?}");
        assert_eq!((run.code, run.stdout.lines().count()), (Some(1), 1));
    }
}

#[test]
fn a_full_disk_is_told_and_a_closed_pipe_is_not() {
    let fake = Fake::start().process("cat", "cat", State::Running, "");
    let full = Path::new("/dev/full");
    let run = supervisorctl(&fake.with_config(&["status"]))
        .with(|command| {
            command.stdout(std::fs::OpenOptions::new().write(true).open(full).unwrap());
        })
        .run(b"");
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("supervisorctl: ") && run.stderr.lines().count() == 1);
    let (read, write) = nix::unistd::pipe().unwrap();
    drop(read);
    let run = supervisorctl(&fake.with_config(&["status"]))
        .with(|command| {
            command.stdout(write);
        })
        .run(b"");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}
