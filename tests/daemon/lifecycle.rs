//! Programs and the daemon itself, from start to end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::children::{descendants, signal};
use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::process::{Running, run, wait_gone};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

const SLEEP: &str = "command=/bin/sleep 1000\nstartsecs=0\nautorestart=true\n";

/// Waits until it has so many descendants.
fn expect_descendants(daemon: &Daemon, enough: impl Fn(usize) -> bool) {
    let began = Instant::now();
    while !enough(descendants(daemon.pid()).len()) {
        assert!(began.elapsed() < PATIENCE, "{:?}", descendants(daemon.pid()));
        std::thread::yield_now();
    }
}

#[test]
fn a_crashed_program_is_back_without_waiting_for_a_tick() {
    let scratch = Scratch::new();
    let daemon =
        Daemon::start(&scratch, "[program:a]\ncommand=/bin/sleep 1000\nautorestart=true\n");
    daemon.expect_log("success: a entered RUNNING");
    // Each is killed just after the tick that would have seen it start.
    let mut fastest = PATIENCE;
    for times in 2..14 {
        let pid = daemon.pid_of("a");
        let began = Instant::now();
        signal(pid.cast_signed(), Signal::SIGKILL);
        daemon.expect_log_times("spawned: 'a'", times);
        fastest = fastest.min(began.elapsed());
        if fastest < Duration::from_millis(200) {
            return;
        }
        daemon.expect_log_times("success: a entered RUNNING", times);
    }
    panic!("the fastest of many took {fastest:?}");
}

// C-138
#[test]
fn orphans_come_to_the_daemon_and_are_reaped() {
    let scratch = Scratch::new();
    let config = scratch.write(
        "supervisord.conf",
        format!(
            "{HEAD}[program:a]\ncommand=/bin/sh -c '(sleep 0.2; exit 7) & exec true'\nstartsecs=0\nautorestart=false\n"
        ),
    );
    let daemon = Daemon::start_on(scratch.path(), &config, &["-e", "debug"]);
    daemon.expect_log("exited: a (exit status 0; expected)");
    daemon.expect_log("reaped unknown pid");
    assert!(daemon.log().contains("(exit status 7)"), "{}", daemon.log());
    // It says so before it does.
    expect_descendants(&daemon, |count| count == 0);
}

#[test]
fn readiness_and_the_end_are_told_to_the_service_manager() {
    let scratch = Scratch::new();
    let mut daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    assert_eq!(daemon.stop().code, 0);
    assert!(daemon.notify().wait("STOPPING=1", PATIENCE).is_some());
}

// C-136, C-418
#[test]
fn a_second_daemon_is_refused_and_does_no_harm() {
    let scratch = Scratch::new();
    let daemon =
        Daemon::start(&scratch, "[program:a]\ncommand=/bin/sh -c 'echo kept; exec sleep 1000'\n");
    daemon.expect_log("success: a entered RUNNING");
    let before = scratch.names(".");
    for _ in 0..2 {
        let mut second = command(SUPERVISORD, scratch.path());
        let output = run(second.args(["-n", "-c", "supervisord.conf"]));
        assert_eq!(output.code, 2, "{output:?}");
        assert!(!output.stderr.is_empty());
    }
    assert_eq!(scratch.names("."), before);
    assert_eq!(scratch.read("supervisord.pid").trim(), daemon.pid().to_string());
    assert_eq!(daemon.ctl(&["tail", "a"]).stdout, "kept\n\n");
}

#[test]
fn a_pid_file_left_by_a_killed_daemon_is_no_obstacle() {
    let scratch = Scratch::new();
    let mut first = Daemon::start(&scratch, "");
    first.process.signal(Signal::SIGKILL);
    first.process.wait(PATIENCE).expect("it is killed");
    drop(first);
    assert!(scratch.join("supervisord.pid").exists());
    let mut second = Daemon::start(&scratch, "");
    assert_eq!(second.ctl(&["version"]).code, 0);
    assert_eq!(second.stop().code, 0);
}

// C-180, C-187, C-427
#[test]
fn stopping_takes_even_a_program_that_hides_in_another_group() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/usr/bin/python3 -c \"import os,signal,time; os.setpgid(0, os.getpgid(os.getppid())); signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(1000)\"\n\
         stopasgroup=true\nstopwaitsecs=1\nstdout_logfile=%(here)s/a.out\n",
    );
    expect_in_file(&scratch.join("a.out"), "deaf\n");
    let output = daemon.ctl(&["stop", "a"]);
    assert_eq!((output.stdout.as_str(), output.code), ("a: stopped\n", 0));
    daemon.expect_log("killing 'a' (");
}

// C-425
#[test]
fn a_start_during_a_stop_ends_well() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 0.1; done'\n\
         stopwaitsecs=2\nstartsecs=0\nstdout_logfile=%(here)s/a.out\n",
    );
    expect_in_file(&scratch.join("a.out"), "deaf\n");
    let mut stop = Running::spawn(&mut daemon.ctl_command(&["stop", "a"]));
    let stopping = |text: &str| text.contains("STOPPING").then_some(());
    while stopping(&daemon.ctl(&["status", "a"]).stdout).is_none() {
        assert!(stop.wait(Duration::ZERO).is_none(), "the stop ended without STOPPING");
    }
    let start = daemon.ctl(&["start", "a"]);
    assert_eq!(stop.finish(PATIENCE).stdout, "a: stopped\n");
    // Whatever the start was answered, it is true.
    let status = daemon.ctl(&["status", "a"]).stdout;
    let started = start.stdout == "a: started\n";
    assert_eq!(status.contains("RUNNING"), started, "{start:?} {status}");
}

#[test]
fn stop_in_the_middle_of_a_crash_loop_is_final() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/false\nstartsecs=0\nautorestart=true\nstartretries=100\n",
    );
    daemon.expect_log_times("spawned: 'a'", 3);
    // Caught between two runs it is not running, which is as good.
    let output = daemon.ctl(&["stop", "a"]);
    assert_eq!(output.code, 0, "{output:?}");
    if output.stdout == "a: stopped\n" {
        let count = daemon.log().matches("spawned: 'a'").count();
        assert!(daemon.ctl(&["status", "a"]).stdout.contains("STOPPED"));
        assert_eq!(daemon.log().matches("spawned: 'a'").count(), count);
    }
}

#[test]
fn shutdown_leaves_no_process_behind() {
    let scratch = Scratch::new();
    let mut daemon = Daemon::start(
        &scratch,
        &format!(
            "[program:a]\n{SLEEP}numprocs=20\nprocess_name=a_%(process_num)d\n\
             [program:b]\ncommand=/bin/sh -c 'sleep 1000 & wait'\nstopasgroup=true\n"
        ),
    );
    daemon.expect_log_times("entered RUNNING", 21);
    // A shell has started before what it runs.
    expect_descendants(&daemon, |count| count >= 22);
    let children = descendants(daemon.pid());
    assert_eq!(daemon.stop().code, 0);
    for child in children {
        assert!(wait_gone(child.pid.cast_unsigned(), PATIENCE), "{child:?} is left");
    }
    assert!(!scratch.join("supervisord.pid").exists());
    assert!(!scratch.join("supervisord.bus").exists());
}

// C-415
#[test]
fn a_reload_with_a_broken_configuration_keeps_everything_running() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    daemon.expect_log("success: a entered RUNNING");
    let pid = daemon.pid_of("a");
    scratch.write("supervisord.conf", "[supervisord]\nminfds=x\n");
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log("base 10: 'x'");
    scratch.write("supervisord.conf", format!("{HEAD}[program:a]\n{SLEEP}"));
    assert_eq!(daemon.pid_of("a"), pid);
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("success: a entered RUNNING", 2);
    assert!(wait_gone(pid, PATIENCE));
}

// C-415: what a restart needs is looked at before anything is stopped for it.
#[test]
fn a_reload_whose_log_cannot_be_opened_keeps_everything_running() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    daemon.expect_log("success: a entered RUNNING");
    let pid = daemon.pid_of("a");
    std::fs::create_dir(scratch.join("taken")).unwrap();
    let broken =
        format!("[supervisord]\nlogfile=taken\npidfile=supervisord.pid\n[program:a]\n{SLEEP}");
    scratch.write("supervisord.conf", format!("{broken}[supervisorctl]\n"));
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log("could not open the log file");
    assert_eq!(daemon.pid_of("a"), pid);
}

// C-390, C-391: the control socket is beside the pid file, also when a restart moves that.
#[test]
fn a_restart_with_another_pid_file_takes_the_control_socket_along() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    daemon.expect_log("success: a entered RUNNING");
    let moved = HEAD.replace("supervisord.pid", "second.pid");
    assert_ne!(moved, HEAD);
    scratch.write("supervisord.conf", format!("{moved}[program:a]\n{SLEEP}"));
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("success: a entered RUNNING", 2);
    assert_eq!(daemon.ctl(&["pid"]).stdout.trim(), daemon.pid().to_string());
    let names = scratch.names(".");
    for name in ["second.pid", "second.bus"] {
        assert!(names.iter().any(|there| there == name), "{name} is missing: {names:?}");
    }
    for name in ["supervisord.pid", "supervisord.bus"] {
        assert!(names.iter().all(|there| there != name), "{name} was left: {names:?}");
    }
}
