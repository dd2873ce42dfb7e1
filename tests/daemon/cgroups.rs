//! A cgroup for each program, where the service manager leaves that to the daemon.

use std::fs;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::cgroup::Delegated;
use crate::support::children::signal;
use crate::support::daemon::{Daemon, HEAD, command};
use crate::support::process::wait_gone;
use crate::support::scratch::Scratch;

const SLEEP: &str = "command=/bin/sleep 1000\nstartsecs=0\n";

fn start(scratch: &Scratch, ground: &Delegated, programs: &str) -> Daemon {
    let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
    let command = ground.supervisord(scratch.path(), &config);
    Daemon::start_command(scratch.path(), &config, command)
}

/// Waits until the cgroups are these: an empty one goes a moment after its last process.
fn expect_names(ground: &Delegated, names: &[&str]) {
    let began = Instant::now();
    while ground.names() != names {
        assert!(began.elapsed() < PATIENCE, "{:?} instead of {names:?}", ground.names());
        std::thread::yield_now();
    }
}

#[test]
fn each_program_runs_in_a_cgroup_of_its_name_while_it_runs() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let mut daemon = start(
        &scratch,
        &ground,
        &format!(
            "[program:web]\n{SLEEP}[program:cpu.max]\n{SLEEP}[program:off]\n{SLEEP}autostart=false\n\
             [group:g]\nprograms=a,supervisord\n[program:a]\n{SLEEP}user=nobody\n[program:supervisord]\n{SLEEP}"
        ),
    );
    daemon.expect_log_times("entered RUNNING", 4);
    expect_names(&ground, &["_cpu.max", "g:a", "g:supervisord", "supervisord", "web"]);
    assert_eq!(ground.pids("supervisord"), [daemon.pid()]);
    for name in ["web", "g:a", "g:supervisord"] {
        assert_eq!(ground.pids(name), [daemon.pid_of(name)]);
    }
    assert_eq!(ground.pids("_cpu.max"), [daemon.pid_of("cpu.max")]);
    assert!(daemon.log().contains("each program gets a cgroup below /"));

    daemon.ctl(&["stop", "web"]);
    expect_names(&ground, &["_cpu.max", "g:a", "g:supervisord", "supervisord"]);
    daemon.ctl(&["start", "web", "off"]);
    assert_eq!(ground.pids("off"), [daemon.pid_of("off")]);
    assert_eq!(ground.pids("web"), [daemon.pid_of("web")]);

    assert_eq!(daemon.stop().code, 0);
    expect_names(&ground, &["supervisord"]);
}

#[test]
fn a_restart_keeps_the_daemons_place_and_makes_the_programs_anew() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let daemon = start(&scratch, &ground, &format!("[program:a]\n{SLEEP}[program:b]\n{SLEEP}"));
    daemon.expect_log_times("entered RUNNING", 2);
    let pid = daemon.pid_of("a");
    scratch.write("supervisord.conf", format!("{HEAD}[program:a]\n{SLEEP}"));
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("a entered RUNNING", 2);
    expect_names(&ground, &["a", "supervisord"]);
    assert_ne!(daemon.pid_of("a"), pid);
    assert_eq!(ground.pids("a"), [daemon.pid_of("a")]);
}

#[test]
fn what_a_program_leaves_behind_keeps_its_cgroup_for_that_long() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let daemon = start(
        &scratch,
        &ground,
        &format!(
            "[program:a]\ncommand=/bin/sh -c 'sleep 1000 & echo $! > left; wait'\n\
             directory=%(here)s\nstartsecs=0\nkillmode=process\n[program:b]\n{SLEEP}"
        ),
    );
    daemon.expect_log_times("entered RUNNING", 2);
    let began = Instant::now();
    while !scratch.read("left").ends_with('\n') {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let left: u32 = scratch.read("left").trim().parse().unwrap();
    daemon.ctl(&["stop", "a"]);
    assert_eq!(ground.pids("a"), [left]);
    // It is joined by the next run.
    daemon.ctl(&["start", "a"]);
    let began = Instant::now();
    while ground.pids("a").len() != 3 {
        assert!(began.elapsed() < PATIENCE, "{:?}", ground.pids("a"));
        std::thread::yield_now();
    }
    daemon.ctl(&["stop", "a"]);
    let both = ground.pids("a");
    assert_eq!(both.len(), 2);
    for pid in both {
        signal(pid.cast_signed(), Signal::SIGKILL);
        wait_gone(pid, PATIENCE);
    }
    daemon.ctl(&["stop", "b"]);
    expect_names(&ground, &["supervisord"]);
}

#[test]
fn what_a_killed_daemon_left_is_no_obstacle() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let mut first = start(&scratch, &ground, &format!("[program:a]\n{SLEEP}[program:b]\n{SLEEP}"));
    first.expect_log_times("entered RUNNING", 2);
    let (a, b) = (first.pid_of("a"), first.pid_of("b"));
    first.process.signal(Signal::SIGKILL);
    first.process.wait(PATIENCE).expect("it is killed");
    signal(b.cast_signed(), Signal::SIGKILL);
    wait_gone(b, PATIENCE);
    while !ground.pids("b").is_empty() {
        std::thread::yield_now();
    }
    fs::create_dir(ground.join(".control")).unwrap();
    let elsewhere = Scratch::new();
    let second = start(&elsewhere, &ground, &format!("[program:c]\n{SLEEP}"));
    second.expect_log("entered RUNNING");
    assert_eq!(ground.names(), [".control", "a", "c", "supervisord"]);
    assert_eq!(ground.pids("a"), [a]);
    assert_eq!(ground.pids("supervisord"), [second.pid()]);
}

#[test]
fn programs_run_without_a_cgroup_where_none_can_be_made() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    fs::write(ground.join("cgroup.max.descendants"), "2").unwrap();
    let daemon = start(
        &scratch,
        &ground,
        &format!("[program:p]\n{SLEEP}numprocs=4\nprocess_name=%(process_num)d\n"),
    );
    daemon.expect_log_times("entered RUNNING", 4);
    assert_eq!(ground.names().len(), 2);
    assert_eq!(ground.pids("supervisord").len(), 4);
    let log = daemon.log();
    assert_eq!(log.matches("runs without a cgroup of its own").count(), 1, "{log}");
}

#[test]
fn a_cgroup_that_was_not_delegated_is_left_alone() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    ground.mark(b"0");
    let daemon = start(&scratch, &ground, &format!("[program:a]\n{SLEEP}"));
    daemon.expect_log("entered RUNNING");
    assert_eq!(ground.names(), [""; 0]);
    assert_eq!(ground.pids("").len(), 2);
}

#[test]
fn a_daemon_of_another_user_has_cgroups_too() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    std::os::unix::fs::chown(scratch.path(), Some(65534), Some(65534)).unwrap();
    let config = scratch.write(
        "supervisord.conf",
        format!(
            "{}user=nobody\n\n[program:a]\n{SLEEP}",
            HEAD.trim_end_matches('\n').to_owned() + "\n"
        ),
    );
    let command = ground.supervisord(scratch.path(), &config);
    let mut daemon = Daemon::start_command(scratch.path(), &config, command);
    daemon.expect_log("entered RUNNING");
    assert_eq!(ground.pids("a"), [daemon.pid_of("a")]);
    assert_eq!(daemon.stop().code, 0);
    expect_names(&ground, &["supervisord"]);
}

#[test]
fn the_first_process_of_a_container_divides_the_containers_cgroup() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    ground.mark(b"0");
    fs::create_dir(scratch.join("cgroup")).unwrap();
    let config = scratch.write("supervisord.conf", format!("{HEAD}[program:a]\n{SLEEP}"));
    // What a container runtime does: namespaces, and the cgroup as the root that is seen there.
    let plain = ground.supervisord(scratch.path(), &config);
    let mut container = command("/bin/sh", scratch.path());
    let enter = "echo 0 > \"$1/cgroup.procs\"; shift; \
                 exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc \
                 sh -c 'mount -t cgroup2 none cgroup && exec \"$@\"' sh \"$@\"";
    // The rest of the arguments is the same: the cgroup, and what to execute.
    container.args(["-c", enter]).args(plain.get_args().skip(2));
    let mut daemon = Daemon::start_command(scratch.path(), &config, container);
    daemon.expect_log("each program gets a cgroup below /");
    daemon.expect_log("entered RUNNING");
    assert_eq!(ground.pids("a").len(), 1);
    let [first] = ground.pids("supervisord")[..] else { panic!("{:?}", ground.names()) };
    signal(first.cast_signed(), Signal::SIGTERM);
    assert_eq!(daemon.process.finish(PATIENCE).code, 0);
    expect_names(&ground, &["supervisord"]);
}
