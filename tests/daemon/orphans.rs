//! What programs leave behind when they end, in the three kill modes, with cgroups and without.
//! Upstream leaves all of it (C-212), and people suffer from that: 1101, 1396, 1502.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::cgroup::Delegated;
use crate::support::children::{descendants, signal};
use crate::support::daemon::{Daemon, HEAD};
use crate::support::process::{Running, wait_gone};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

/// Starts the daemon with cgroups for programs, or without.
fn start(scratch: &Scratch, ground: Option<&Delegated>, programs: &str) -> Daemon {
    let Some(ground) = ground else { return Daemon::start(scratch, programs) };
    let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
    let command = ground.supervisord(scratch.path(), &config);
    Daemon::start_command(scratch.path(), &config, command)
}

/// A program in Python. It has `background(name, how)`, which makes a child that sleeps, and
/// writes its pid to a file of that name when it is ready.
fn python(scratch: &Scratch, name: &str, code: &str) -> String {
    let head = "\
import os, signal, sys, time

def child(name, ignore):
    if ignore:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(name + '.new', 'w') as f:
        f.write('%d\\n' % os.getpid())
    os.rename(name + '.new', name)
    while True:
        time.sleep(1000)

def background(name, how, ignore=False):
    first = os.fork()
    if first:
        if 'twice' in how:
            os.waitpid(first, 0)
        return
    if 'session' in how:
        os.setsid()
    if 'twice' in how and os.fork():
        os._exit(0)
    child(name, ignore)

def wait_for(*names):
    while not all(os.path.exists(name) for name in names):
        time.sleep(0.001)
    open('ready', 'w').write('ready')

";
    let path = scratch.write(&format!("{name}.py"), format!("{head}{code}"));
    format!(
        "[program:{name}]\ncommand=python3 {}\ndirectory={}\nstartsecs=0\n",
        path.display(),
        scratch.path().display()
    )
}

/// The pid that a background child wrote to this file.
fn pid_in(path: &Path) -> u32 {
    expect_in_file(path, "\n").trim().parse().expect("a pid")
}

fn lives(pid: u32) -> bool {
    !wait_gone(pid, std::time::Duration::ZERO)
}

/// Three children: a plain one, one in a session of its own, and one that forked twice.
const THREE: &str = "\
background('plain', '')
background('session', 'session')
background('twice', 'session twice')
wait_for('plain', 'session', 'twice')
time.sleep(1000)
";

#[test]
fn a_stop_ends_what_a_program_left_in_its_cgroup() {
    // C-212; upstream issues 1101, 1396, 1502
    for mode in ["control-group", "mixed"] {
        let scratch = Scratch::new();
        let ground = Delegated::new(&scratch);
        let program = python(&scratch, "a", THREE);
        let daemon = start(&scratch, Some(&ground), &format!("{program}killmode={mode}\n"));
        expect_in_file(&scratch.join("ready"), "ready");
        let pids = ["plain", "session", "twice"].map(|name| pid_in(&scratch.join(name)));
        let stopped = daemon.ctl(&["stop", "a"]);
        assert_eq!((stopped.stdout.as_str(), stopped.code), ("a: stopped\n", 0));
        assert_eq!(pids.map(lives), [false; 3], "{mode}\n{}", daemon.log());
        assert!(ground.pids("a").is_empty());
        daemon.expect_log(&format!(
            "a left 3 processes behind, sending SIG{}",
            if mode == "mixed" { "KILL" } else { "TERM" }
        ));
    }
}

#[test]
fn a_stop_in_the_way_of_4_leaves_it_alone() {
    // C-212
    for cgroups in [true, false] {
        let scratch = Scratch::new();
        let ground = cgroups.then(|| Delegated::new(&scratch));
        let program = python(&scratch, "a", THREE);
        let programs = format!("{program}killmode=process\nautorestart=true\n");
        let mut daemon = start(&scratch, ground.as_ref(), &programs);
        expect_in_file(&scratch.join("ready"), "ready");
        let pids = ["plain", "session", "twice"].map(|name| pid_in(&scratch.join(name)));
        // Neither a stop, nor a start, nor a restart after a crash, nor the end of the daemon.
        daemon.ctl(&["stop", "a"]);
        assert_eq!(pids.map(lives), [true; 3]);
        daemon.ctl(&["start", "a"]);
        let main = daemon.pid_of("a");
        signal(main.cast_signed(), Signal::SIGKILL);
        daemon.expect_log_times("spawned: 'a'", 3);
        assert_eq!(daemon.stop().code, 0);
        assert_eq!(pids.map(lives), [true; 3]);
        assert!(!daemon.log().contains("behind,"), "{}", daemon.log());
    }
}

#[test]
fn without_cgroups_a_stop_ends_the_group_and_the_descendants_that_were_seen() {
    // C-212
    for mode in ["control-group", "mixed"] {
        let scratch = Scratch::new();
        let code = THREE.replace("'session twice'", "'twice'");
        let program = python(&scratch, "a", &code);
        let daemon = start(&scratch, None, &format!("{program}killmode={mode}\n"));
        expect_in_file(&scratch.join("ready"), "ready");
        let pids = ["plain", "session", "twice"].map(|name| pid_in(&scratch.join(name)));
        daemon.ctl(&["stop", "a"]);
        assert_eq!(pids.map(lives), [false; 3], "{mode}\n{}", daemon.log());
        daemon.expect_log("without cgroups, what programs leave behind is ended as far as");
        daemon.expect_log("a left 3 processes behind");
    }
}

#[test]
fn without_cgroups_what_escaped_holds_nothing_up_and_is_reaped_in_the_end() {
    // The limit of what can be known there: it forked twice, and leads a session of its own.
    let scratch = Scratch::new();
    let code = "background('escaped', 'session twice')\nwait_for('escaped')\ntime.sleep(1000)\n";
    let daemon = start(&scratch, None, &python(&scratch, "a", code));
    expect_in_file(&scratch.join("ready"), "ready");
    let escaped = pid_in(&scratch.join("escaped"));
    assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
    let ours = || descendants(daemon.pid()).iter().any(|seen| seen.pid.cast_unsigned() == escaped);
    assert!(ours() && lives(escaped));
    signal(escaped.cast_signed(), Signal::SIGKILL);
    let began = Instant::now();
    while ours() {
        assert!(began.elapsed() < PATIENCE, "nobody reaped it");
        std::thread::yield_now();
    }
}

#[test]
fn what_ignores_sigterm_is_killed_and_keeps_its_log_until_then() {
    // C-213
    for cgroups in [true, false] {
        let scratch = Scratch::new();
        let ground = cgroups.then(|| Delegated::new(&scratch));
        let program = python(
            &scratch,
            "a",
            "def told(*_):\n    print('told to go', flush=True)\n\
             if not os.fork():\n    signal.signal(signal.SIGTERM, told)\n    child('deaf', False)\n\
             wait_for('deaf')\ntime.sleep(1000)\n",
        );
        let more = "stopwaitsecs=1\nstdout_logfile=%(here)s/out\n";
        let daemon = start(&scratch, ground.as_ref(), &format!("{program}{more}"));
        expect_in_file(&scratch.join("ready"), "ready");
        let deaf = pid_in(&scratch.join("deaf"));
        assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
        assert!(!lives(deaf));
        expect_in_file(&scratch.join("out"), "told to go\n");
        daemon.expect_log("a left 1 process behind, sending SIGTERM");
        daemon.expect_log("killing what 'a' left behind with SIGKILL");
    }
}

#[test]
fn what_was_stopped_by_a_signal_goes_on_to_its_end() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let program = python(
        &scratch,
        "a",
        "def bye(*_):\n    print('bye', flush=True)\n    os._exit(0)\n\
         if not os.fork():\n    signal.signal(signal.SIGTERM, bye)\n    child('frozen', False)\n\
         wait_for('frozen')\ntime.sleep(1000)\n",
    );
    let more = "stdout_logfile=%(here)s/out\n";
    let daemon = start(&scratch, Some(&ground), &format!("{program}{more}"));
    expect_in_file(&scratch.join("ready"), "ready");
    let frozen = pid_in(&scratch.join("frozen"));
    signal(frozen.cast_signed(), Signal::SIGSTOP);
    daemon.ctl(&["stop", "a"]);
    assert!(!lives(frozen));
    expect_in_file(&scratch.join("out"), "bye\n");
    assert!(!daemon.log().contains("with SIGKILL"), "{}", daemon.log());
}

#[test]
fn a_program_that_stops_itself_or_ignores_its_stop_signal_is_killed_in_time() {
    for code in ["os.kill(os.getpid(), signal.SIGSTOP)", "child('deaf', True)"] {
        let scratch = Scratch::new();
        let code = format!("open('ready', 'w').write('ready')\n{code}\n");
        let program = python(&scratch, "a", &code);
        let daemon = start(&scratch, None, &format!("{program}stopwaitsecs=1\n"));
        expect_in_file(&scratch.join("ready"), "ready");
        let pid = daemon.pid_of("a");
        assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
        assert!(!lives(pid));
    }
}

#[test]
fn a_fork_bomb_is_ended() {
    // Ten that ignore SIGTERM and are replaced all the time: whoever kills one after the other
    // comes too late. They end by themselves in the end.
    let bomb = "\
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.time() + 120
main = os.getpid()
for _ in range(10):
    if not os.fork():
        break
if os.getpid() == main:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    open('ready', 'w').write('ready')
    time.sleep(1000)
while time.time() < end:
    if os.fork():
        os._exit(0)
";
    for (mode, cgroups) in
        [("control-group", true), ("mixed", true), ("control-group", false), ("mixed", false)]
    {
        let scratch = Scratch::new();
        let ground = cgroups.then(|| Delegated::new(&scratch));
        let program = python(&scratch, "bomb", bomb);
        let more = format!("stopwaitsecs=1\nkillmode={mode}\n");
        let daemon = start(&scratch, ground.as_ref(), &format!("{program}{more}"));
        expect_in_file(&scratch.join("ready"), "ready");
        // The bomb leaves little of the machine to whoever stops it.
        let mut stop = Running::spawn(daemon.ctl_command(&["stop", "bomb"]).stdin(Stdio::null()));
        let ended = stop.wait(2 * PATIENCE);
        assert!(ended.is_some(), "{mode} {cgroups}: no answer\n{}", daemon.log());
        let stopped = stop.finish(PATIENCE).stdout;
        assert_eq!(stopped, "bomb: stopped\n", "{mode} {cgroups}\n{}", daemon.log());
        assert!(ground.is_none_or(|ground| ground.pids("bomb").is_empty()));
        assert_eq!(descendants(daemon.pid()).iter().filter(|seen| !seen.zombie).count(), 0);
    }
}

#[test]
fn a_program_that_crashed_is_started_again_when_its_workers_are_gone() {
    for (mode, cgroups) in [("control-group", true), ("control-group", false), ("mixed", true)] {
        let scratch = Scratch::new();
        let ground = cgroups.then(|| Delegated::new(&scratch));
        // Who finds a worker alive says so.
        let program = python(
            &scratch,
            "a",
            "try:\n    os.kill(int(open('worker').read()), 0)\n    open('overlap', 'w')\n\
             except (OSError, ValueError):\n    pass\n\
             if os.path.exists('worker'):\n    os.unlink('worker')\n    again = True\n\
             else:\n    again = False\n\
             background('worker', '', ignore=True)\nwait_for('worker')\n\
             open('again' if again else 'once', 'w').write('up')\ntime.sleep(1000)\n",
        );
        let more = format!("stopwaitsecs=1\nautorestart=true\nkillmode={mode}\n");
        let daemon = start(&scratch, ground.as_ref(), &format!("{program}{more}"));
        expect_in_file(&scratch.join("once"), "up");
        let worker = pid_in(&scratch.join("worker"));
        signal(daemon.pid_of("a").cast_signed(), Signal::SIGKILL);
        expect_in_file(&scratch.join("again"), "up");
        assert!(!lives(worker));
        assert!(!scratch.join("overlap").exists(), "{}", daemon.log());
        daemon.expect_log("a left 1 process behind");
        assert!(!daemon.log().contains("spawnerr"), "{}", daemon.log());
    }
}

/// One that goes to the background, as a daemon does.
const DAEMON: &str = "background('daemon', 'twice')\nwait_for('daemon')\n";

#[test]
fn a_daemon_that_a_program_started_is_reported_and_left_alone() {
    for cgroups in [true, false] {
        let scratch = Scratch::new();
        let ground = cgroups.then(|| Delegated::new(&scratch));
        let program = python(&scratch, "a", DAEMON);
        let daemon = start(&scratch, ground.as_ref(), &program);
        let pid = pid_in(&scratch.join("daemon"));
        daemon.expect_log(&format!("a left 1 process behind: {pid} (python3)"));
        assert!(daemon.ctl(&["status", "a"]).stdout.contains("EXITED"));
        assert!(lives(pid));
        // It can be stopped, and then there is nothing to stop any more.
        assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
        assert!(!lives(pid));
        assert!(daemon.ctl(&["status", "a"]).stdout.contains("STOPPED"));
        assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: ERROR (not running)\n");
    }
}

#[test]
fn when_it_ends_by_itself_that_is_noticed() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let daemon = start(&scratch, Some(&ground), &python(&scratch, "a", DAEMON));
    let pid = pid_in(&scratch.join("daemon"));
    daemon.expect_log("a left 1 process behind");
    signal(pid.cast_signed(), Signal::SIGTERM);
    let began = Instant::now();
    while ground.names().contains(&"a".to_owned()) {
        assert!(began.elapsed() < PATIENCE, "its cgroup goes with it");
        std::thread::yield_now();
    }
    assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: ERROR (not running)\n");
}

#[test]
fn neither_a_shutdown_nor_a_restart_leaves_anything() {
    // C-140, C-147
    for cgroups in [true, false] {
        let scratch = Scratch::new();
        let ground = cgroups.then(|| Delegated::new(&scratch));
        let programs = python(&scratch, "a", DAEMON)
            + &python(
                &scratch,
                "b",
                "background('worker', '')\nwait_for('worker')\ntime.sleep(1000)\n",
            );
        let mut daemon = start(&scratch, ground.as_ref(), &programs);
        let pids = ["daemon", "worker"].map(|name| pid_in(&scratch.join(name)));
        daemon.expect_log("a left 1 process behind");
        for name in ["daemon", "worker"] {
            fs::remove_file(scratch.join(name)).unwrap();
        }
        daemon.process.signal(Signal::SIGHUP);
        let again = ["daemon", "worker"].map(|name| pid_in(&scratch.join(name)));
        assert_eq!(pids.map(lives), [false; 2]);
        daemon.expect_log_times("a left 1 process behind:", 2);
        assert_eq!(daemon.stop().code, 0);
        assert_eq!(again.map(lives), [false; 2], "{}", daemon.log());
    }
}

#[test]
fn what_a_killed_daemon_left_is_ended_before_the_program_is_started_again() {
    // 168, 199
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let sleep = "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n";
    let mut first = start(&scratch, Some(&ground), sleep);
    first.expect_log("entered RUNNING");
    let old = first.pid_of("a");
    first.process.signal(Signal::SIGKILL);
    first.process.wait(PATIENCE).expect("it is killed");
    assert!(lives(old));
    let elsewhere = Scratch::new();
    let second = start(&elsewhere, Some(&ground), sleep);
    second.expect_log("entered RUNNING");
    assert!(!lives(old));
    assert_eq!(ground.pids("a"), [second.pid_of("a")]);
    second.expect_log(&format!("a left 1 process behind, sending SIGTERM: {old} (sleep)"));
}

#[test]
fn zombies_that_nobody_waits_for_hold_nothing_up() {
    let scratch = Scratch::new();
    let code = "for _ in range(50):\n    if not os.fork():\n        os._exit(0)\n\
                open('ready', 'w').write('ready')\ntime.sleep(1000)\n";
    let daemon = start(&scratch, None, &python(&scratch, "a", code));
    expect_in_file(&scratch.join("ready"), "ready");
    let parent = daemon.pid_of("a");
    let zombies = || descendants(parent).iter().filter(|seen| seen.zombie).count();
    let began = Instant::now();
    while zombies() < 50 {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
    let began = Instant::now();
    while !descendants(daemon.pid()).is_empty() {
        assert!(began.elapsed() < PATIENCE, "they came to the daemon, and it reaps them");
        std::thread::yield_now();
    }
    assert!(!daemon.log().contains("a left"), "a zombie is not left behind: {}", daemon.log());
}

#[test]
fn a_flood_of_exits_keeps_nobody_waiting() {
    // C-138
    let scratch = Scratch::new();
    let code = "for _ in range(3000):\n    if not os.fork():\n        \
                if not os.fork():\n            os._exit(0)\n        os._exit(0)\n    os.wait()\n\
                open('ready', 'w').write('ready')\ntime.sleep(1000)\n";
    let programs = python(&scratch, "flood", code) + "[program:b]\ncommand=/bin/cat\nstartsecs=0\n";
    let daemon = start(&scratch, None, &programs);
    while !scratch.join("ready").exists() {
        assert_eq!(daemon.ctl(&["restart", "b"]).stdout, "b: stopped\nb: started\n");
    }
    daemon.ctl(&["stop", "all"]);
    let began = Instant::now();
    while !descendants(daemon.pid()).is_empty() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}
