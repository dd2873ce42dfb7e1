//! The daemon as a service: what the service manager is told of it, and when.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::children::kill_of_home;
use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::notify::NotifySocket;
use crate::support::process::{Running, run, wait_gone};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

const SLEEP: &str = "command=/bin/sleep 1000\nstartsecs=0\nautorestart=true\n";
/// Says so, and ends a second after it was asked to.
const SLOW: &str = "command=/bin/sh -c 'trap \"sleep 1; exit\" TERM; echo up; while :; do sleep 0.1; done'\n\
     startsecs=0\nstopwaitsecs=200\nstdout_logfile=%(here)s/slow.out\n";

/// The value of `key=` in a message.
fn value<'a>(message: &'a str, key: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
}

fn starts(what: &str) -> impl Fn(&str) -> bool + '_ {
    move |message| message.starts_with(what)
}

/// A daemon that is not waited for.
fn launch(scratch: &Scratch, text: &str, env: &[(&str, &str)]) -> (Running, NotifySocket) {
    let config = scratch.write("supervisord.conf", text);
    let notify = NotifySocket::bind(&scratch.join(".notify"));
    let mut command = command(SUPERVISORD, scratch.path());
    command.args(["-n", "-c"]).arg(config).env("NOTIFY_SOCKET", notify.path());
    command.envs(env.iter().copied());
    (Running::spawn(&mut command), notify)
}

#[test]
fn ready_is_said_when_programs_were_spawned_and_the_control_socket_answers() {
    let scratch = Scratch::new();
    let text = format!("{HEAD}[program:a]\n{SLEEP}[program:b]\ncommand=/nonexistent\n");
    let (mut process, notify) = launch(&scratch, &text, &[]);
    let told = notify.until(starts("READY=1"), PATIENCE).expect("it gets ready");
    assert!(told[0].starts_with("STATUS=Starting: 0 of 2 running"), "{told:?}");
    // By now, not a moment later.
    let ctl = crate::support::daemon::SUPERVISORCTL;
    let mut status = command(ctl, scratch.path());
    let output = run(status.args(["-c", "supervisord.conf", "status"]));
    assert!(output.stdout.contains("a                                RUNNING"), "{output:?}");
    assert!(output.stdout.contains("BACKOFF") || output.stdout.contains("FATAL"), "{output:?}");
    let problem = notify.until(|message| message.contains("; b FATAL: "), PATIENCE);
    let status = problem.expect("it gives up").pop().unwrap_or_default();
    assert_eq!(
        value(&status, "STATUS"),
        Some("1 of 2 running; b FATAL: can't find command '/nonexistent'")
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.finish(PATIENCE).code, 0);
}

#[test]
fn a_bus_that_does_not_answer_delays_ready_and_does_not_prevent_it() {
    let scratch = Scratch::new();
    // Takes connections and never says a word.
    let mute = scratch.join("mute");
    let _mute = std::os::unix::net::UnixListener::bind(&mute).expect("a socket");
    let address = format!("unix:path={}", mute.display());
    let began = Instant::now();
    let (mut process, notify) = launch(
        &scratch,
        &format!("{HEAD}[program:a]\n{SLEEP}"),
        &[("DBUS_SYSTEM_BUS_ADDRESS", &address), ("DBUS_SESSION_BUS_ADDRESS", &address)],
    );
    let told = notify.until(starts("READY=1"), PATIENCE).expect("it gets ready all the same");
    assert!(began.elapsed() > Duration::from_secs(4), "{told:?}");
    assert!(told.iter().any(|message| message.contains("Starting: 1 of 1 running")), "{told:?}");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.finish(PATIENCE).code, 0);
}

#[test]
fn a_shutdown_says_what_it_waits_for_and_asks_for_the_time() {
    let scratch = Scratch::new();
    let mut daemon = Daemon::start(&scratch, &format!("[program:slow]\n{SLOW}"));
    expect_in_file(&scratch.join("slow.out"), "up\n");
    assert_eq!(daemon.stop().code, 0);
    let told = daemon.notify().until(starts("STOPPING=1"), PATIENCE).expect("it says so");
    let told = told.last().map_or("", String::as_str);
    assert_eq!(
        value(told, "STATUS"),
        Some("Stopping: waiting for slow to stop (up to 200 s)"),
        "{told}"
    );
    assert_eq!(value(told, "EXTEND_TIMEOUT_USEC"), Some("80000000"), "{told}");
}

#[test]
fn a_restart_is_told_as_a_reload() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:slow]\n{SLOW}"));
    expect_in_file(&scratch.join("slow.out"), "up\n");
    daemon.process.signal(Signal::SIGHUP);
    let told = daemon.notify().until(starts("RELOADING=1"), PATIENCE).expect("it says so");
    let told = told.last().map_or("", String::as_str);
    assert!(value(told, "MONOTONIC_USEC").is_some_and(|at| at.parse::<u64>().is_ok()), "{told}");
    assert!(told.contains("STATUS=Restarting: waiting for slow to stop"), "{told}");
    assert!(told.contains("EXTEND_TIMEOUT_USEC="), "{told}");
    let told = daemon.notify().until(starts("READY=1"), PATIENCE).expect("it is back");
    assert!(told.iter().any(|message| message.contains("STATUS=Starting")), "{told:?}");
    // A configuration with errors is no reload.
    scratch.write("supervisord.conf", "[supervisord]\nminfds=x\n");
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log("not restarting, the configuration has errors");
    let after = daemon.notify().receive(Duration::from_millis(100));
    assert!(after.is_none_or(|message| !message.contains("RELOADING=1")));
}

#[test]
fn signs_of_life_come_as_often_as_they_are_wanted_from_the_engine() {
    let scratch = Scratch::new();
    let (mut process, notify) =
        launch(&scratch, &format!("{HEAD}[program:a]\n{SLEEP}"), &[("WATCHDOG_USEC", "400000")]);
    let sign = |message: &str| message == "WATCHDOG=1\n";
    notify.until(sign, PATIENCE).expect("the first sign of life");
    let began = Instant::now();
    for _ in 0..5 {
        notify.until(sign, PATIENCE).expect("a sign of life");
    }
    let took = began.elapsed();
    assert!(took > Duration::from_millis(900), "{took:?}");
    // Stopped, it gives none.
    process.signal(Signal::SIGSTOP);
    while notify.receive(Duration::from_millis(1)).is_some() {}
    // One was on its way, perhaps.
    notify.receive(Duration::from_millis(500));
    assert_eq!(notify.receive(Duration::from_millis(500)), None);
    process.signal(Signal::SIGCONT);
    notify.until(sign, PATIENCE).expect("it goes on");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.finish(PATIENCE).code, 0);
}

#[test]
fn a_watchdog_of_another_process_gets_no_signs() {
    let scratch = Scratch::new();
    let (mut process, notify) =
        launch(&scratch, HEAD, &[("WATCHDOG_USEC", "10000"), ("WATCHDOG_PID", "1")]);
    notify.until(starts("READY=1"), PATIENCE).expect("it gets ready");
    let next = notify.receive(Duration::from_millis(200));
    assert!(next.as_deref().is_none_or(|message| !message.contains("WATCHDOG")), "{next:?}");
    process.signal(Signal::SIGTERM);
    assert_eq!(process.finish(PATIENCE).code, 0);
}

#[test]
fn nothing_is_said_when_nothing_happens() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    daemon.ctl(&["status"]);
    while daemon.notify().receive(Duration::from_millis(1500)).is_some() {}
    daemon.ctl(&["status"]);
    assert_eq!(daemon.notify().receive(Duration::from_millis(1500)), None);
}

#[test]
fn a_daemon_that_does_not_start_says_why() {
    let scratch = Scratch::new();
    let (mut process, notify) = launch(&scratch, "[supervisord]\nminfds=many\n", &[]);
    let told = notify.until(starts("STATUS="), PATIENCE).expect("it says why").pop();
    let told = told.unwrap_or_default();
    let status = value(&told, "STATUS").unwrap_or_default();
    assert!(status.contains("supervisord.conf") && status.contains("many"), "{told}");
    assert_eq!(value(&told, "ERRNO"), Some("22"), "{told}");
    assert!(value(&told, "BUSERROR").is_some(), "{told}");
    assert_eq!(notify.receive(PATIENCE).as_deref(), Some("BARRIER=1"));
    assert_eq!(process.finish(PATIENCE).code, 2);

    std::fs::create_dir(scratch.join("taken")).expect("a directory");
    let text = HEAD.replace("supervisord.log", "taken");
    drop(notify);
    let (mut process, notify) = launch(&scratch, &text, &[]);
    let told = notify.until(starts("STATUS="), PATIENCE).expect("it says why").pop();
    let told = told.unwrap_or_default();
    assert_eq!(value(&told, "ERRNO"), Some("21"), "a directory: {told}");
    assert_eq!(process.finish(PATIENCE).code, 1);
}

#[test]
fn a_daemon_in_the_background_says_which_process_it_is() {
    let scratch = Scratch::new();
    scratch.write("supervisord.conf", format!("{HEAD}[program:a]\n{SLEEP}"));
    let notify = NotifySocket::bind(&scratch.join(".notify"));
    let mut background = command(SUPERVISORD, scratch.path());
    background.args(["-c", "supervisord.conf"]).env("NOTIFY_SOCKET", notify.path());
    let output = run(&mut background);
    assert_eq!(output.code, 0, "{output:?}");
    let told = notify.until(starts("READY=1"), PATIENCE).expect("it gets ready");
    let pid: u32 = scratch.read("supervisord.pid").trim().parse().expect("a pid");
    assert_eq!(value(&told[0], "MAINPID"), Some(pid.to_string().as_str()), "{told:?}");
    kill_of_home(scratch.path());
    assert!(wait_gone(pid, PATIENCE));
}
