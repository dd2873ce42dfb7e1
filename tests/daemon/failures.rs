//! System calls that fail, where a healthy machine cannot be brought to it: the daemon has them fail
//! itself (`sys/failpoint.rs`, in builds with debug assertions). And the clocks.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::children::{descendants, signal};
use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::http::{ask, unix};
use crate::support::process::wait_gone;
use crate::support::require_root;
use crate::support::scratch::Scratch;
use crate::support::watch::{expect_in_file, wait_dir};

const RETRIED: &str = "command=/bin/sleep 1000\nstartsecs=0\nautorestart=true\nstartretries=20\n";
const DAY: u64 = 86_400;

/// Starts the daemon with calls that are to fail.
fn start(scratch: &Scratch, points: &str, programs: &str) -> Daemon {
    start_by(scratch, command(SUPERVISORD, scratch.path()), points, programs)
}

fn start_by(scratch: &Scratch, mut command: Command, points: &str, programs: &str) -> Daemon {
    let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
    command.env("SUPERVISOR_FAILPOINTS", points).arg("-n").arg("-c").arg(&config);
    Daemon::start_command(scratch.path(), &config, command)
}

#[test]
fn a_start_that_the_system_has_no_room_for_is_tried_again() {
    // C-200: ENFILE, ENOMEM
    for (points, problem) in [
        ("pipe2:ENFILE:2", "spawnerr: too many open files to spawn 'a'"),
        ("clone:ENFILE:2", "spawnerr: too many open files to spawn 'a'"),
        (
            "clone:ENOMEM:2",
            "spawnerr: unknown error during fork for 'a': ENOMEM (not enough memory)",
        ),
        (
            "pipe2:ENOMEM:2",
            "spawnerr: unknown error during fork for 'a': ENOMEM (not enough memory)",
        ),
    ] {
        let scratch = Scratch::new();
        let daemon = start(&scratch, points, &format!("[program:a]\n{RETRIED}"));
        daemon.expect_log("success: a entered RUNNING");
        assert_eq!(daemon.log().matches(problem).count(), 2, "{points}\n{}", daemon.log());
        assert_eq!(descendants(daemon.pid()).len(), 1, "nothing is left of those that failed");
    }
}

#[test]
fn a_start_whose_log_cannot_be_opened_is_tried_again() {
    // ENFILE, EIO, ENOMEM
    for (errno, problem) in [
        ("ENFILE", "spawnerr: too many open files to spawn 'a'"),
        ("EIO", "EIO"),
        ("ENOMEM", "ENOMEM"),
    ] {
        let scratch = Scratch::new();
        let programs = format!("[program:a]\n{RETRIED}stdout_logfile=%(here)s/a.log\n");
        let daemon = start(&scratch, &format!("open@/a.log:{errno}:3"), &programs);
        daemon.expect_log("success: a entered RUNNING");
        assert!(daemon.log().contains(problem), "{errno}\n{}", daemon.log());
        assert!(daemon.log().matches("spawnerr: ").count() >= 1, "{errno}\n{}", daemon.log());
    }
}

#[test]
fn what_a_disk_with_errors_does_not_take_is_written_when_it_is_well_again() {
    // EIO, EROFS
    for errno in ["EIO", "EROFS"] {
        let scratch = Scratch::new();
        let programs = "[program:a]\ncommand=/bin/sh -c 'for i in 1 2 3; do echo line $i; done; \
                        while [ ! -e go ]; do sleep 0.01; done; echo end; exec sleep 1000'\n\
                        directory=%(here)s\nstdout_logfile=%(here)s/a.log\n";
        let daemon = start(&scratch, &format!("write@/a.log:{errno}:2"), programs);
        let path = scratch.join("a.log");
        daemon.expect_log(&format!("can't write log {}: {errno}", path.display()));
        let pid = daemon.pid_of("a");
        scratch.write("go", "");
        assert_eq!(expect_in_file(&path, "end\n"), "line 1\nline 2\nline 3\nend\n");
        daemon
            .expect_log(&format!("log {} can be written again, nothing was lost", path.display()));
        assert_eq!(daemon.log().matches("can't write log").count(), 1, "{}", daemon.log());
        assert_eq!(daemon.pid_of("a"), pid);
    }
}

#[test]
fn a_log_that_cannot_be_rotated_grows_on_until_it_can() {
    let scratch = Scratch::new();
    let programs = "[program:a]\ncommand=/bin/sh -c 'while sleep 0.02; do echo a line of some length; done'\n\
                    stdout_logfile=%(here)s/a.log\nstdout_logfile_maxbytes=100\nstdout_logfile_backups=1\n";
    let daemon = start(&scratch, "rename@/a.log:EIO:1", programs);
    let path = scratch.join("a.log");
    daemon.expect_log(&format!("can't rotate log {}: EIO", path.display()));
    let rotated = || scratch.join("a.log.1").exists().then_some(());
    assert!(wait_dir(scratch.path(), PATIENCE, rotated).is_some(), "{}", daemon.log());
    let first = expect_in_file(&scratch.join("a.log.1"), "length\n");
    // By now it may be a later one, which begins and ends in the middle of a line.
    assert!(first.lines().all(|line| "a line of some length".contains(line)), "{first}");
}

#[test]
fn an_upgrade_that_has_no_memory_fails_and_all_goes_on() {
    // ENOMEM for the state, and for the program itself after its trial.
    for (call, problem) in [("memfd_create", "the state cannot be written"), ("execve", "executed")]
    {
        let scratch = Scratch::new();
        let daemon =
            start(&scratch, &format!("{call}:ENOMEM:1"), &format!("[program:a]\n{RETRIED}"));
        daemon.expect_log("success: a entered RUNNING");
        let pid = daemon.pid_of("a");
        let failed = daemon.ctl(&["upgrade"]);
        assert!(failed.stdout.starts_with("ERROR: not upgraded: "), "{failed:?}");
        assert!(failed.stdout.contains(problem), "{failed:?}");
        assert_eq!(daemon.pid_of("a"), pid);
        let done = daemon.ctl(&["upgrade"]);
        assert_eq!(done.code, 0, "{done:?}\n{}", daemon.log());
        assert_eq!(daemon.pid_of("a"), pid);
    }
}

/// What the daemon takes for the time.
fn time(scratch: &Scratch) -> u64 {
    let body = "<methodCall><methodName>supervisor.getProcessInfo</methodName><params><param>\
                <value>a</value></param></params></methodCall>";
    let request = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(&unix(scratch.path(), "sv.sock"), request).text();
    let now = answer.split("<name>now</name>").nth(1).expect("a field");
    let now = now.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() > 5);
    now.and_then(|now| now.parse().ok()).unwrap_or_else(|| panic!("no time in {answer}"))
}

/// Programs start, run, end and are started again as always, while the clock of the daemon goes
/// wrong by a day.
fn works(scratch: &Scratch, daemon: &Daemon) {
    let real = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    while time(scratch).abs_diff(real()) < DAY / 2 {}
    assert_eq!(daemon.ctl(&["start", "b"]).stdout, "b: started\n");
    let status = daemon.ctl(&["status"]).stdout;
    assert_eq!(status.matches("uptime 0:0").count(), 2, "{status}");
    signal(daemon.pid_of("a").cast_signed(), Signal::SIGKILL);
    daemon.expect_log_times("success: a entered RUNNING", 2);
    // What it left behind is found by the time of its start.
    let left = expect_in_file(&scratch.join("left"), "\n").trim().parse().expect("a pid");
    assert_eq!(daemon.ctl(&["stop", "b"]).stdout, "b: stopped\n");
    assert!(wait_gone(left, PATIENCE), "{}", daemon.log());
}

const CLOCKED: &str = "\
[unix_http_server]
file=%(here)s/sv.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:a]
command=/bin/sleep 1000
autorestart=true
[program:b]
command=/bin/sh -c 'sleep 1000 & echo $! > left; wait'
directory=%(here)s
autostart=false
";

#[test]
fn setting_the_clock_hurries_nothing_and_holds_nothing_up() {
    for jump in [86_400, -86_400] {
        let scratch = Scratch::new();
        let mut daemon = start(&scratch, &format!("wall:{jump}:200"), CLOCKED);
        daemon.expect_log("success: a entered RUNNING");
        works(&scratch, &daemon);
        assert_eq!(daemon.stop().code, 0);
    }
}

#[test]
fn a_machine_that_was_suspended_for_a_day_goes_on_where_it_was() {
    // The wall clock has gone on meanwhile, and so has that of the boot. The monotonic clock, by which
    // everything is scheduled, has not.
    require_root();
    let scratch = Scratch::new();
    let mut suspended = command("/usr/bin/unshare", scratch.path());
    suspended.args(["--time", "--boottime", &DAY.to_string(), "--fork", "--kill-child=KILL"]);
    suspended.arg(SUPERVISORD);
    let mut daemon = start_by(&scratch, suspended, &format!("wall:{DAY}:0"), CLOCKED);
    daemon.expect_log("success: a entered RUNNING");
    works(&scratch, &daemon);
    // A signal for unshare would not reach it.
    let inner = descendants(daemon.pid());
    signal(inner.first().expect("the daemon").pid, Signal::SIGTERM);
    assert_eq!(daemon.process.finish(PATIENCE).code, 0);
}
