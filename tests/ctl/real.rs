//! supervisorctl and the real daemon together, where a script would prove little.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::daemon::Daemon;
use crate::support::scratch::Scratch;

const HEAD: &str = "[supervisorctl]\nserverurl=unix://%(here)s/s.sock\n";

fn start(scratch: &Scratch, programs: &str) -> Daemon {
    Daemon::start(scratch, &format!("{HEAD}{programs}"))
}

fn rewrite(scratch: &Scratch, programs: &str) {
    let head = crate::support::daemon::HEAD;
    scratch.write("supervisord.conf", format!("{head}{HEAD}{programs}"));
}

#[test]
fn fg_is_a_conversation_until_the_program_ends() {
    // C-270
    let scratch = Scratch::new();
    let program = "[program:echo]\nstartsecs=0\nautorestart=false\n\
                   command=/bin/sh -c 'while read x; do echo got $x; test $x = end && exit; done'\n";
    let daemon = start(&scratch, program);
    let mut fg = daemon
        .ctl_command(&["fg", "echo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = fg.stdin.take().unwrap();
    let mut lines = BufReader::new(fg.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert_eq!(line(), "==> Press Ctrl-C to exit <==");
    input.write_all(b"one\n").unwrap();
    assert_eq!(line(), "got one");
    input.write_all(b"end\n").unwrap();
    assert_eq!(line(), "got end");
    // It ends by itself, not at the next line that is typed.
    assert_eq!(line(), "Process got killed");
    assert_eq!(line(), "Exiting foreground");
    assert_eq!(fg.wait().unwrap().code(), Some(0));
}

#[test]
fn tail_f_ends_when_the_daemon_does() {
    // C-256
    let scratch = Scratch::new();
    let daemon =
        start(&scratch, "[program:a]\nstartsecs=0\ncommand=/bin/sh -c 'echo up; exec sleep 100'\n");
    let mut tail = daemon
        .ctl_command(&["tail", "-f", "a"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "==> Press Ctrl-C to exit <==");
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    daemon.process.signal(Signal::SIGTERM);
    assert!(lines.next().is_none());
    assert_eq!(tail.wait().unwrap().code(), Some(0));
}

#[test]
fn update_removes_a_hundred_groups_at_once() {
    // C-261: upstream needs 84 s for this, one group after the other.
    let scratch = Scratch::new();
    let mut programs = String::new();
    for number in 0..100 {
        writeln!(programs, "[program:p{number}]\ncommand=/bin/sleep 100\nstartsecs=0").unwrap();
    }
    let daemon = start(&scratch, &programs);
    rewrite(&scratch, "");
    let begin = Instant::now();
    let update = daemon.ctl(&["update"]);
    let took = begin.elapsed();
    assert_eq!(update.code, 0, "{update:?}");
    let lines: Vec<&str> = update.stdout.lines().collect();
    assert_eq!(lines.len(), 200);
    for pair in lines.chunks(2) {
        let group = pair[0].strip_suffix(": stopped").unwrap();
        assert_eq!(pair[1], format!("{group}: removed process group"));
    }
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(daemon.ctl(&["status"]).stdout, "");
}

#[test]
fn update_applies_what_changed_and_nothing_else() {
    // C-260, C-261, C-262
    let scratch = Scratch::new();
    let old = "[program:same]\ncommand=/bin/sleep 100\nstartsecs=0\n\
               [program:other]\ncommand=/bin/sleep 100\nstartsecs=0\n\
               [program:gone]\ncommand=/bin/sleep 100\nstartsecs=0\n";
    let daemon = start(&scratch, old);
    let before = daemon.pid_of("same");
    rewrite(
        &scratch,
        "[program:same]\ncommand=/bin/sleep 100\nstartsecs=0\n\
         [program:other]\ncommand=/bin/sleep 200\nstartsecs=0\n\
         [program:new]\ncommand=/bin/sleep 100\nstartsecs=0\n",
    );
    assert_eq!(
        daemon.ctl(&["reread"]).stdout,
        "gone: disappeared\nnew: available\nother: changed\n"
    );
    assert_eq!(
        daemon.ctl(&["update"]).stdout,
        "gone: stopped\ngone: removed process group\nother: stopped\n\
         other: updated process group\nnew: added process group\n"
    );
    assert_eq!(daemon.pid_of("same"), before);
    rewrite(&scratch, "[program:same]\n");
    let broken = daemon.ctl(&["reread"]);
    assert!(broken.stdout.starts_with("ERROR: CANT_REREAD: "), "{broken:?}");
    let broken = daemon.ctl(&["update"]);
    let raw = "error: <class 'xmlrpc.client.Fault'>, <Fault 92: ";
    assert!(broken.stdout.starts_with(raw) && broken.code == 1, "{broken:?}");
    assert!(broken.stdout.contains("CANT_REREAD: program section program:same does not specify"));
}

#[test]
fn the_shell_stays_through_a_restart_of_the_daemon() {
    // C-267, C-275
    let scratch = Scratch::new();
    let daemon = start(&scratch, "[program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n");
    let mut shell =
        daemon.ctl_command(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    input.write_all(b"reload\ny\n").unwrap();
    let restarted = lines.by_ref().map(Result::unwrap).find(|line| line.contains("Restarted"));
    assert!(restarted.is_some());
    daemon.expect_log_times("supervisord started with pid", 2);
    input.write_all(b"version\nquit\n").unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest[0].starts_with("supervisor> 5."), "{rest:?}");
    assert_eq!(shell.wait().unwrap().code(), Some(0));
}

#[test]
fn a_stopping_daemon_says_so_to_everybody() {
    // C-266
    let scratch = Scratch::new();
    let program = "[program:slow]\nstartsecs=0\nstopwaitsecs=100\n\
                   command=/bin/sh -c 'trap : TERM; echo armed; while :; do sleep 0.1; done'\n";
    let daemon = start(&scratch, program);
    let mut tail = daemon
        .ctl_command(&["tail", "-f", "slow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().map(Result::unwrap).any(|line| line == "armed"));
    assert_eq!(daemon.ctl(&["shutdown"]).stdout, "Shut down\n");
    let again = daemon.ctl(&["shutdown"]);
    assert_eq!((again.stdout.as_str(), again.code), ("ERROR: already shutting down\n", 0));
    let refused = "error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>: ";
    for action in ["status", "version", "stop slow"] {
        let output = daemon.ctl(&[action]);
        assert!(output.stdout.starts_with(refused) && output.code == 1, "{output:?}");
    }
    assert_eq!(daemon.ctl(&["reread"]).stdout, "ERROR: supervisor shutting down\n");
    assert_eq!(daemon.ctl(&["avail"]).stdout, "ERROR: supervisor shutting down\n");
    assert_eq!(daemon.ctl(&["update"]).stdout, "ERROR: already shutting down\n");
    assert_eq!(daemon.ctl(&["reload"]).stdout, "ERROR: already shutting down\n");
    tail.kill().unwrap();
    tail.wait().unwrap();
    daemon.process.signal(Signal::SIGKILL);
}
