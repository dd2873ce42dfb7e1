//! Sockets that the service manager opened.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::process::run;
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

/// Hands its standard input over as systemd does: as descriptor 3, for the process that is
/// executed.
const HAND_OVER: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";

#[test]
fn a_socket_is_taken_over_and_kept_from_programs() {
    let scratch = Scratch::new();
    let config = scratch.write(
        "supervisord.conf",
        format!(
            "{HEAD}[program:a]\ncommand=/bin/sh -c 'env; ls -l /proc/self/fd; echo end; exec sleep 1000'\n\
             stdout_logfile=%(here)s/a.out\n"
        ),
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    let mut command = command("/bin/sh", scratch.path());
    command
        .args(["-c", HAND_OVER, SUPERVISORD, "-n", "-c"])
        .arg(&config)
        .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "http")])
        .stdin(Stdio::from(OwnedFd::from(listener)));
    let daemon = Daemon::start_with_stdin(scratch.path(), &config, command);
    daemon.expect_log(&format!("took over the socket \"http\" at {address}"));
    // Nobody but the daemon holds it: it is open.
    TcpStream::connect(address).expect("it still listens");
    expect_in_file(&scratch.join("a.out"), "end\n");
    let seen = scratch.read("a.out");
    assert!(!seen.contains("LISTEN_") && !seen.contains("NOTIFY_SOCKET"), "{seen}");
    assert_eq!(seen.matches("socket:").count(), 0, "{seen}");
}

#[test]
fn what_is_no_listening_socket_is_told_and_the_daemon_runs() {
    let scratch = Scratch::new();
    let config = scratch.write("supervisord.conf", HEAD);
    let file = std::fs::File::open("/dev/null").expect("it is there");
    let mut command = command("/bin/sh", scratch.path());
    command
        .args(["-c", HAND_OVER, SUPERVISORD, "-n", "-c"])
        .arg(&config)
        .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web")])
        .stdin(Stdio::from(OwnedFd::from(file)));
    let daemon = Daemon::start_with_stdin(scratch.path(), &config, command);
    daemon.expect_log("the socket \"web\" of the service manager (descriptor 3) cannot be used");
    assert_eq!(daemon.ctl(&["version"]).code, 0);
}

#[test]
fn sockets_of_another_process_are_not_touched() {
    let scratch = Scratch::new();
    let mut version = command(SUPERVISORD, scratch.path());
    version.env("LISTEN_PID", "1").env("LISTEN_FDS", "1").arg("--version");
    let output = run(&mut version);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}
