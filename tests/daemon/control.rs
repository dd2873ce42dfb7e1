//! Who may ask the daemon for something, and what a client sees when it cannot.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::support::daemon::{Daemon, HEAD, SUPERVISORCTL, command};
use crate::support::process::{Running, run};
use crate::support::scratch::Scratch;
use crate::support::{PATIENCE, require_root};

const SLEEP: &str = "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n";

#[test]
fn the_socket_is_for_the_daemons_user_alone() {
    require_root();
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, SLEEP);
    let mode = std::fs::metadata(scratch.join("supervisord.bus")).expect("it is there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o700);
    // Even with the file's permissions out of the way, the peer's credentials count.
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(scratch.join("supervisord.bus"), open).expect("root may");
    let mut other = daemon.ctl_command(&["stop", "a"]);
    std::os::unix::process::CommandExt::uid(&mut other, 65534);
    let output = run(&mut other);
    assert_ne!(output.code, 0, "{output:?}");
    assert!(daemon.ctl(&["status", "a"]).stdout.contains("RUNNING"));
}

#[test]
fn a_missing_daemon_is_explained() {
    let scratch = Scratch::new();
    let config = scratch.write("supervisord.conf", HEAD);
    let mut client = command(SUPERVISORCTL, scratch.path());
    let output = run(client.arg("-c").arg(&config).arg("status"));
    assert_eq!(output.code, 4, "{output:?}");
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("supervisord.bus"), "it says what was tried: {said}");
    assert!(said.contains("Start it with"), "it says what to do: {said}");
}

#[test]
fn an_explicit_server_url_wins() {
    let scratch = Scratch::new();
    let _daemon = Daemon::start(&scratch, SLEEP);
    let url = format!("dbus:unix:path={}", scratch.join("supervisord.bus").display());
    let mut client = command(SUPERVISORCTL, std::path::Path::new("/"));
    let output = run(client.args(["-s", &url, "status"]));
    assert!(output.stdout.starts_with("a  "), "{output:?}");
    let mut client = command(SUPERVISORCTL, std::path::Path::new("/"));
    let output = run(client.args(["-s", "dbus:unix:path=/no/such.bus", "status"]));
    assert_eq!(output.code, 4, "{output:?}");
}

#[test]
fn a_closed_pipe_ends_the_client_quietly() {
    let scratch = Scratch::new();
    let programs: String =
        (0..300).map(|i| SLEEP.replace(":a]", &format!(":a{i}]")) + "autostart=false\n").collect();
    let daemon = Daemon::start(&scratch, &programs);
    let ctl = format!("{SUPERVISORCTL} -c {}/supervisord.conf status", scratch.path().display());
    let mut shell = command("/bin/sh", scratch.path());
    let output = run(shell.args(["-c", &format!("{ctl} | head -n 1")]));
    assert_eq!(output.stdout.lines().count(), 1);
    assert_eq!(output.stderr, "");
    drop(daemon);
}

#[test]
fn following_a_log_survives_its_rotation() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'i=0; while [ $i -lt 500 ]; do echo number $i of the lines; i=$((i+1)); [ $((i %% 50)) = 0 ] && sleep 0.05; done; exec sleep 1000'\n\
         autostart=false\nstartsecs=0\nstdout_logfile=%(here)s/a.out\nstdout_logfile_maxbytes=2000\nstdout_logfile_backups=50\n",
    );
    assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
    let mut tail = Running::spawn(daemon.ctl_command(&["tail", "-f", "a"]).stdin(Stdio::null()));
    tail.expect("number 499 of the lines\n");
    tail.signal(Signal::SIGINT);
    let output = tail.finish(PATIENCE);
    assert_eq!(output.code, 0, "{output:?}");
    let numbers: Vec<u32> = output
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("number ")?.split(' ').next()?.parse().ok())
        .collect();
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!(gap, None, "nothing is skipped or doubled");
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, SLEEP);
    let clients: Vec<Running> = (0..30)
        .map(|_| Running::spawn(daemon.ctl_command(&["restart", "a"]).stdin(Stdio::null())))
        .collect();
    for mut client in clients {
        let output = client.finish(PATIENCE);
        assert!(output.stdout.lines().count() == 2, "{output:?}");
    }
    let status = daemon.ctl(&["status"]).stdout;
    assert!(status.contains("RUNNING"), "{status}");
    assert_eq!(crate::support::children::descendants(daemon.pid()).len(), 1);
}
