//! Coming up and going down: files, log lines, signals, order.

use nix::sys::signal::Signal;

use crate::compare::compare;
use crate::support::process::{run, wait_gone};
use crate::support::watch::wait_dir;
use crate::support::{PATIENCE, require_root};
use crate::world::DAEMON;

/// C-118, C-121, C-129, C-130, C-131, C-137, C-139, C-154, C-155, C-156, C-159, C-384: a whole life in
/// the foreground.
#[test]
fn life_in_the_foreground() {
    compare(|world| {
        world.programs("[program:a]\ncommand=/bin/sleep 100\n");
        world.start();
        world.expect_running(&["a"]);
        let pid = world.dir.read("supervisord.pid");
        world.note("pid file", &(pid == format!("{}\n", world.daemon().pid())).to_string());
        let output = world.stop();
        let log = world.log("whole", &[]);
        world.upstream_is(
            "it says who asked",
            log.contains("WARN received SIGTERM indicating exit"),
        );
        let copy = world.normal().of(&output.stdout);
        world.note("standard output is the log", &(copy == log).to_string());
        world.note("standard error", &output.stderr);
        for name in ["supervisord.pid", "sv.sock"] {
            let left = world.dir.join(name).exists();
            world.note(&format!("{name} is left"), &left.to_string());
        }
    });
}

/// C-062, C-119, C-127, C-128, C-130, C-140: a daemon in the background.
#[test]
fn life_in_the_background() {
    compare(|world| {
        world.script("probe", "umask; pwd; sed -n 's/^Name:.//p' /proc/$PPID/comm\nreadlink /proc/$PPID/fd/0 /proc/$PPID/fd/1 /proc/$PPID/fd/2; readlink /proc/$PPID/cwd; sleep 100\n");
        world.config(
            "[supervisord]\nlogfile=DIR/supervisord.log\npidfile=DIR/supervisord.pid\nchildlogdir=DIR\ndirectory=/usr\numask=027\n\
             [program:a]\ncommand=DIR/probe\nstdout_logfile=DIR/a.out\n",
        );
        world.supervisord(&["-c", "supervisord.conf"]).prints("").exits(0);
        world.expect_log("supervisord started with pid");
        world.expect_running(&["a"]);
        world.file("a.out");
        let pid: u32 = world.expect_file("supervisord.pid", "\n").trim().parse().expect("a pid");
        let mode = mode_of(&world.dir.join("supervisord.pid"));
        world.note("mode of the pid file", &mode);
        world.ctl(&["shutdown"]).prints("Shut down\n").exits(0);
        assert!(wait_gone(pid, PATIENCE), "{:?} goes", world.side);
        world.log("whole", &[]);
        world.note("pid file is left", &world.dir.join("supervisord.pid").exists().to_string());
    });
}

/// C-119, C-120, C-123, C-126, C-132, C-133: what prevents a start.
#[test]
fn prevented() {
    require_root();
    compare(|world| {
        world.refuses("minfds", "[supervisord]\nlogfile=DIR/l\nminfds=999999999\n").exits(2);
        world
            .refuses(
                "log in a directory that cannot be written",
                "[supervisord]\nlogfile=/proc/self/x\n",
            )
            .exits(1);
        world.refuses("log is a directory", "[supervisord]\nlogfile=DIR\n").exits(1);
    });
}

/// C-115, C-132: a second daemon on the same configuration is refused and does no harm.
#[test]
fn second_instance() {
    compare(|world| {
        world.programs("[program:a]\ncommand=/bin/sh -c 'echo here; exec sleep 100'\n");
        world.start();
        world.expect_running(&["a"]);
        let output = run(&mut world.command("supervisord", &["-n", "-c", "supervisord.conf"]));
        world.note("exit of the second", &output.code.to_string());
        let normal = world.normal();
        let refusal = normal.of(&output.stderr);
        world.note("message of the second", &refusal);
        let own = world.dir.read("supervisord.pid") == format!("{}\n", world.daemon().pid());
        world.note("the pid file is the first one's", &own.to_string());
        world.ctl(&["status"]).exits(0);
        world.ctl(&["tail", "a"]);
    });
}

/// C-122, C-124: privileges are dropped to `user=`.
#[test]
fn drops_privileges() {
    require_root();
    compare(|world| {
        world.script("probe", "id -un; id -gn; id -Gn; echo $HOME $USER; exec sleep 100\n");
        std::fs::create_dir(world.dir.join("run")).expect("a directory");
        let run = world.dir.join("run");
        nix::unistd::chown(&run, Some(65534.into()), None).expect("root may");
        nix::unistd::chown(world.dir.path(), Some(65534.into()), None).expect("root may");
        world.config(
            "[supervisord]\nlogfile=DIR/supervisord.log\npidfile=DIR/supervisord.pid\nchildlogdir=DIR/run\nuser=nobody\n\
             [program:a]\ncommand=DIR/probe\nstdout_logfile=DIR/a.out\n\
             [program:b]\ncommand=/bin/cat\nuser=daemon\nstartretries=0\nstartsecs=5\nredirect_stderr=true\nstdout_logfile=DIR/b.out\n",
        );
        world.start();
        world.expect_running(&["a"]);
        world.expect_log("gave up: b");
        world.file("a.out");
        world.file("b.out");
        world.log("of users", &["uid", "root", "privilege"]);
        world.ctl(&["status", "a", "b"]);
    });
}

/// C-135, C-136: AUTO logs of an earlier run are cleaned, others stay.
#[test]
fn cleans_logs() {
    compare(|world| {
        for name in [
            "a-stdout---supervisor-abcdefgh.log",
            "a-stdout---supervisor-abcdefgh.log.1",
            "a-stdout---other-abcdefgh.log",
            "---supervisor-abcdefgh.log",
            "notes.log",
        ] {
            world.dir.write(name, "old");
        }
        world.programs("[program:b]\ncommand=/bin/cat\nautostart=false\n");
        world.start();
        let both = || {
            (world.dir.names(".").iter().filter(|n| n.starts_with("b-")).count() == 2).then_some(())
        };
        let created = wait_dir(world.dir.path(), PATIENCE, both);
        world.note("logs of what does not run are made", &created.is_some().to_string());
        let names = world.dir.names(".").join("\n");
        world.note("files", &keep(&names, "log"));
        let auto: Vec<String> =
            world.dir.names(".").into_iter().filter(|name| name.starts_with("b-")).collect();
        let modes: Vec<String> = auto.iter().map(|name| mode_of(&world.dir.join(name))).collect();
        world.note("modes of new logs", &format!("{modes:?}"));
        world.stop();
        world.start_with(&["-k"]);
        let after = world.dir.names(".");
        let kept = auto.iter().all(|name| after.contains(name));
        world.note("-k keeps them", &kept.to_string());
    });
}

fn keep(names: &str, with: &str) -> String {
    names.lines().filter(|name| name.contains(with)).collect::<Vec<_>>().join("\n")
}

fn mode_of(path: &std::path::Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    format!("{:o}", std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777)
}

/// C-139: the other signals that end it.
#[test]
fn signals_that_end() {
    compare(|world| {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            world.programs("");
            world.start();
            world.signal(signal);
            world.finish();
        }
        world.log("whole", &["received"]);
    });
}

/// C-143, C-378: SIGUSR2 opens all logs anew.
#[test]
fn signal_to_reopen() {
    compare(|world| {
        world.programs("[program:a]\ncommand=/bin/sh -c 'while sleep 0.1; do echo tick; done'\nstdout_logfile=DIR/a.out\n");
        world.start();
        world.expect_file("a.out", "tick\n");
        for name in ["supervisord.log", "a.out"] {
            std::fs::rename(world.dir.join(name), world.dir.join(&format!("{name}.old")))
                .expect("it was there");
        }
        world.signal(Signal::SIGUSR2);
        world.expect_file("a.out", "tick\n");
        let old = world.expect_file("supervisord.log.old", "supervisord logreopen");
        let old: Vec<&str> = old.lines().filter(|line| line.contains("reopen")).collect();
        world.note("log before", &old.join("\n"));
        world.ctl(&["stop", "a"]).prints("a: stopped\n");
        world.expect_log("stopped: a");
        world.log("after", &["stopped"]);
    });
}

/// C-140, C-390, C-392: SIGHUP starts everything anew under the same pid.
#[test]
fn signal_to_restart() {
    compare(|world| {
        world
            .programs("[program:a]\ncommand=/bin/sleep 100\n[program:b]\ncommand=/bin/sleep 100\n");
        world.start();
        world.expect_running(&["a", "b"]);
        world.ctl(&["stop", "b"]);
        world
            .programs("[program:b]\ncommand=/bin/sleep 101\n[program:c]\ncommand=/bin/sleep 100\n");
        world.signal(Signal::SIGHUP);
        world.expect_running(&["b", "c"]);
        world.expect_log_times("success: b entered RUNNING", 2);
        world.ctl(&["status"]).exits(0);
        world.log("whole", &[]);
        let same = world.dir.read("supervisord.pid") == format!("{}\n", world.daemon().pid());
        world.note("same pid", &same.to_string());
        world.stop();
    });
}

/// C-141, C-142, C-151, C-162, C-180, C-238, C-266: requests while it ends.
#[test]
fn requests_while_ending() {
    compare(|world| {
        world.programs("[program:a]\ncommand=/bin/sh -c 'trap \"\" TERM; while :; do sleep 0.2; done'\nstopwaitsecs=6\nstopsignal=TERM\n");
        world.start();
        world.expect_running(&["a"]);
        world.signal(Signal::SIGTERM);
        world.expect_log("waiting for a to die");
        world.signal(Signal::SIGHUP);
        world.ctl(&["status"]);
        world.ctl(&["start", "a"]);
        world.ctl(&["avail"]);
        world.ctl(&["reread"]);
        world.ctl(&["update"]);
        world.ctl(&["add", "a"]);
        world.ctl(&["shutdown"]);
        world.ctl(&["reload"]);
        world.finish();
        let mut seen = std::collections::BTreeSet::new();
        let log: String = world
            .main_log()
            .lines()
            .map(|line| world.normal().of(line))
            .filter(|line| !line.contains("waiting for") || seen.insert(line.clone()))
            .map(|line| line + "\n")
            .collect();
        world.note("log", &log);
    });
}

/// C-147, C-148, C-150, C-215, C-370: the order of starts and of the stops at the end.
#[test]
fn order() {
    compare(|world| {
        let sleep = "command=/bin/sleep 100\nstartsecs=0\n";
        world.programs(&format!(
            "[program:late]\npriority=1000\n{sleep}\
             [program:early]\npriority=1\n{sleep}\
             [program:b]\n{sleep}[program:a]\n{sleep}\
             [program:x]\npriority=9\n{sleep}[program:y]\npriority=2\n{sleep}\
             [group:g]\nprograms=x,y\npriority=500\n",
        ));
        world.start_with(&["-e", "debug"]);
        world.expect_running(&["early", "a", "b", "x", "y", "late"]);
        world.stop();
        world.log("of starts", &["spawned"]);
        // Not the order in which they end: that is theirs.
        world.log("of stops", &["killing "]);
    });
}

/// C-062, C-061, C-379, C-383: the foreground keeps directory and umask; files get their modes.
#[test]
fn foreground_keeps_surroundings() {
    compare(|world| {
        world.config(&format!(
            "{DAEMON}directory=/usr\numask=077\n[program:a]\ncommand=/bin/sh -c 'pwd; umask; exec sleep 100'\nstdout_logfile=DIR/a.out\n"
        ));
        world.start();
        world.expect_running(&["a"]);
        world.file("a.out");
        let modes: Vec<String> = ["a.out", "supervisord.log", "supervisord.pid"]
            .iter()
            .map(|name| mode_of(&world.dir.join(name)))
            .collect();
        world.note("modes", &format!("{modes:?}"));
    });
}

/// C-116, C-384: silent means no copy of the log.
#[test]
fn silent() {
    compare(|world| {
        world.programs("");
        world.start_with(&["-s"]);
        let output = world.stop();
        world.note("standard output", &output.stdout);
        world.note("standard error", &output.stderr);
    });
}
