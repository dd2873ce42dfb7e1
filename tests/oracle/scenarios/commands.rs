//! supervisorctl, one command after the other.

use crate::compare::compare;
use crate::world::{DAEMON, World};

/// Two programs, one of them not started, and a group of two.
const SOME: &str = "\
[program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n\
[program:off]\ncommand=/bin/sleep 100\nstartsecs=0\nautostart=false\n\
[program:x]\ncommand=/bin/sleep 100\nstartsecs=0\n\
[program:y]\ncommand=/bin/sleep 100\nstartsecs=0\n\
[group:g]\nprograms=x,y\n";

fn some(world: &mut World) {
    world.programs(SOME);
    world.start();
    world.expect_running(&["a", "x", "y"]);
}

/// C-226, C-228, C-240, C-241: status of names.
#[test]
fn status() {
    compare(|world| {
        some(world);
        world.ctl(&["status"]).exits(3);
        world.ctl(&["status", "all"]).exits(3);
        world.ctl(&["status", "a", "g:*"]).exits(0);
        world.ctl(&["status", "nope"]).prints("nope: ERROR (no such process)\n").exits(4);
        world.ctl(&["status", "nope:*"]).prints("nope: ERROR (no such group)\n").exits(4);
        world.ctl(&["status", "g"]).prints("g: ERROR (no such process)\n").exits(4);
        world.ctl(&["status", "g:nope", "a"]).exits(4);
        world.ctl(&["status", "off", "nope"]).exits(3);
        world.ctl(&["status", "nope", "off"]).exits(3);
        world.ctl(&["status", "a:a"]).exits(0);
    });
}

/// C-226, C-229, C-245, C-246, C-247, C-248, C-249: start.
#[test]
fn start() {
    compare(|world| {
        some(world);
        world.ctl(&["start", "off"]).prints("off: started\n").exits(0);
        world.ctl(&["start", "off"]).prints("off: ERROR (already started)\n").exits(0);
        world.ctl(&["start", "nope"]).prints("nope: ERROR (no such process)\n").exits(1);
        world.ctl(&["start", "nope:*"]).prints("nope: ERROR (no such group)\n").exits(2);
        world.ctl(&["start", "g:nope"]).prints("g:nope: ERROR (no such process)\n").exits(1);
        world
            .ctl_first_line(&["start"])
            .mentions("Error: start requires a process name\n")
            .exits(2);
        world.ctl(&["start", "g:*"]).prints("").exits(0);
        world.ctl(&["start", "all"]).prints("").exits(0);
        world.ctl_sorted(&["stop", "g:*", "a"]).exits(0);
        world.ctl_sorted(&["start", "g:*"]).exits(0);
        world.ctl(&["start", "nope", "a"]).exits(1);
    });
}

/// C-251, C-302, C-304: stop.
#[test]
fn stop() {
    compare(|world| {
        some(world);
        world.ctl(&["stop", "a"]).prints("a: stopped\n").exits(0);
        world.ctl(&["stop", "a"]).prints("a: ERROR (not running)\n").exits(0);
        world.ctl(&["stop", "nope"]).prints("nope: ERROR (no such process)\n").exits(1);
        world.ctl(&["stop", "nope:*"]).prints("nope: ERROR (no such group)\n").exits(1);
        world.ctl_first_line(&["stop"]).mentions("Error: stop requires a process name\n").exits(1);
        world.ctl_sorted(&["stop", "g:"]).exits(0);
        world.ctl(&["stop", "g:*"]).prints("").exits(0);
        world.ctl(&["start", "a"]).exits(0);
        world.ctl(&["stop", "all"]).prints("a: stopped\n").exits(0);
        world.ctl(&["stop", "all"]).prints("").exits(0);
    });
}

/// C-252: restart.
#[test]
fn restart() {
    compare(|world| {
        some(world);
        world.ctl(&["restart", "a"]).prints("a: stopped\na: started\n").exits(0);
        world.ctl(&["restart", "off"]).prints("off: ERROR (not running)\noff: started\n").exits(0);
        world
            .ctl_first_line(&["restart"])
            .mentions("Error: restart requires a process name\n")
            .exits(1);
        world.ctl(&["restart", "nope"]).exits(1);
        world.ctl(&["stop", "a", "off"]);
        world.ctl(&["restart", "g:x", "g:y"]).exits(0);
        world.ctl(&["restart", "nope:*"]);
    });
}

/// C-253, C-305, C-306: signal.
#[test]
fn signal() {
    compare(|world| {
        world.script("catch", "trap 'echo got hup' HUP; echo up; while :; do sleep 0.1; done\n");
        world.programs(
            "[program:a]\ncommand=DIR/catch\nstdout_logfile=DIR/a.out\n\
             [program:off]\ncommand=/bin/cat\nautostart=false\n\
             [program:x]\ncommand=/bin/sleep 100\nautorestart=false\nstartsecs=0\n\
             [group:g]\nprograms=x\n",
        );
        world.start_with(&["-e", "debug"]);
        world.expect_running(&["a", "x"]);
        world.expect_file("a.out", "up\n");
        world.ctl(&["signal", "HUP", "a"]).prints("a: signalled\n").exits(0);
        world.expect_file("a.out", "got hup\n");
        world.ctl(&["signal", "1", "a"]).prints("a: signalled\n").exits(0);
        world.ctl(&["signal", "sighup", "a"]).prints("a: signalled\n").exits(0);
        world.ctl(&["signal", "FOO", "a"]).prints("a: ERROR (bad signal name)\n").exits(1);
        world.ctl(&["signal", "99", "a"]).exits(1);
        world.ctl(&["signal", "HUP", "off"]).prints("off: ERROR (not running)\n").exits(7);
        world.ctl(&["signal", "HUP", "nope"]).prints("nope: ERROR (no such process)\n").exits(1);
        world.ctl(&["signal", "HUP", "nope:*"]).exits(1);
        world.ctl_first_line(&["signal", "HUP"]).exits(1);
        world.ctl_first_line(&["signal"]).exits(1);
        world.ctl(&["signal", "KILL", "g:*"]).prints("g:x: signalled\n").exits(0);
        world.expect_exited(&["x"]);
        world.ctl(&["signal", "HUP", "g:*"]).exits(0);
        world.ctl(&["signal", "0", "all"]).prints("a: signalled\n").exits(0);
        world.expect_log("sig signal 0");
        world.log("of signals", &["sending", "exited"]);
    });
}

/// C-244: pid.
#[test]
fn pid() {
    compare(|world| {
        some(world);
        let daemon = world.daemon().pid();
        let pid = |world: &World, args: &[&str]| {
            let mut all = vec!["-c", "supervisord.conf", "pid"];
            all.extend(args);
            crate::support::process::run(&mut world.command("supervisorctl", &all))
        };
        let output = pid(world, &[]);
        world.note("pid of the daemon", &(output.stdout == format!("{daemon}\n")).to_string());
        for args in
            [&["a"][..], &["all"], &["g:x", "off"], &["off"], &["nope"], &["g:*"], &["nope", "off"]]
        {
            let output = pid(world, args);
            let lines: Vec<&str> = output
                .stdout
                .lines()
                .map(|line| match line.parse::<u32>() {
                    Ok(0) => "0",
                    Ok(_) => "PID",
                    Err(_) => line,
                })
                .collect();
            world.note(&format!("pid {args:?}"), &lines.join("\n"));
            world.note(&format!("pid {args:?} / exit"), &output.code.to_string());
        }
    });
}

/// C-230, C-259, C-268: actions that take no argument, and those that do.
#[test]
fn no_arguments() {
    compare(|world| {
        some(world);
        world.ctl(&["version"]).prints("4.3.0\n").exits(0);
        world.ctl(&["avail"]).exits(0);
        for action in ["shutdown", "reload", "reread", "avail", "version"] {
            world
                .ctl_first_line(&[action, "x"])
                .mentions(&format!("Error: {action} accepts no arguments\n"))
                .exits(1);
        }
        for action in ["add", "remove", "clear", "tail", "fg"] {
            world.ctl_first_line(&[action]);
        }
        world.ctl_first_line(&["maintail", "foo"]).mentions("Error: bad argument foo").exits(1);
    });
}

/// C-222, C-223, C-225, C-271, C-272: words that are no action, and help.
#[test]
fn words() {
    compare(|world| {
        some(world);
        world.ctl(&["bogus"]).prints("*** Unknown syntax: bogus\n").exits(1);
        world.ctl(&["bogus", "a", "b"]).prints("*** Unknown syntax: bogus a b\n").exits(1);
        world.ctl(&["status a g:x"]).exits(0);
        world.ctl(&["help"]).mentions("default commands (type help <topic>):").exits(0);
        world.ctl(&["?"]).exits(0);
        world.ctl(&["help", "foo"]).prints("*** No help on foo\n").exits(0);
        world.ctl(&["-i", "version"]).prints("4.3.0\n").exits(0);
        world.ctl(&["quit"]).exits(0);
        world.ctl(&["exit"]).exits(0);
        for action in ["start", "stop", "tail", "status", "update", "fg", "pid"] {
            let output = crate::support::process::run(
                &mut world.command("supervisorctl", &["-c", "supervisord.conf", "help", action]),
            );
            // The words are our own; what matters is that there are some.
            world.note(&format!("help {action}"), &output.stdout.contains(action).to_string());
            world.note(&format!("help {action} / exit"), &output.code.to_string());
        }
    });
}

/// C-228, C-231, C-232, C-233, C-234, C-266: no daemon.
#[test]
fn nobody_there() {
    compare(|world| {
        world.config(DAEMON);
        for args in [
            &["status"][..],
            &["version"],
            &["start", "a"],
            &["stop", "all"],
            &["pid"],
            &["tail", "a"],
            &["maintail"],
            &["avail"],
            &["reread"],
            &["update"],
            &["add", "a"],
            &["remove", "a"],
            &["shutdown"],
            &["reload"],
            &["signal", "HUP", "a"],
            &["clear", "a"],
        ] {
            world.ctl(args);
        }
    });
}

/// C-254, C-255, C-257: tail and maintail.
#[test]
fn tail() {
    compare(|world| {
        world.script("talk", "i=1; while [ $i -le 400 ]; do echo line $i; i=$((i+1)); done; echo oops >&2; exec sleep 100\n");
        world.programs(
            "[program:a]\ncommand=DIR/talk\n\
             [program:none]\ncommand=/bin/sleep 100\nstdout_logfile=NONE\n\
             [program:off]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=DIR/off.out\n\
             [program:x]\ncommand=DIR/talk\nredirect_stderr=true\n[group:g]\nprograms=x\n",
        );
        world.start();
        world.expect_running(&["a", "none", "x"]);
        world.ctl(&["tail", "a"]).mentions("line 400\n\n").exits(0);
        world.ctl(&["tail", "-20", "a"]).exits(0);
        world.ctl(&["tail", "a", "stderr"]).prints("oops\n\n").exits(0);
        world.ctl(&["tail", "a", "STDOUT"]).exits(0);
        world.ctl(&["tail", "-0", "a"]);
        world.ctl(&["tail", "-30", "g:x"]).exits(0);
        world.ctl(&["tail", "g:x", "stderr"]);
        world.ctl(&["tail", "none"]).exits(1);
        world.ctl(&["tail", "off"]);
        world.ctl(&["tail", "nope"]).exits(1);
        world.ctl(&["tail", "g:*"]);
        world.ctl_first_line(&["tail", "a", "foo"]).prints("Error: bad channel 'foo'\n").exits(1);
        world.ctl_first_line(&["tail", "-x", "a"]).exits(1);
        world.ctl_first_line(&["tail", "a", "stdout", "more", "words"]).exits(1);
        world.ctl_first_line(&["tail", "-20"]).exits(1);
        world.ctl_first_line(&["maintail", "-x"]);
        world.ctl_first_line(&["maintail", "-1", "x"]);
        let output = crate::support::process::run(
            &mut world.command("supervisorctl", &["-c", "supervisord.conf", "maintail", "-300"]),
        );
        world.note("maintail / exit", &output.code.to_string());
        let log = world.main_log();
        let ends = log.ends_with(output.stdout.trim_end_matches('\n').trim_start())
            || log.contains(output.stdout.trim());
        world.note("maintail is the end of the log", &ends.to_string());
        world.note("maintail has 300 bytes", &(output.stdout.len() == 301).to_string());
    });
}

/// C-256, C-270: tail -f and maintail -f.
#[test]
fn follow() {
    compare(|world| {
        world.script(
            "talk",
            "echo before; while [ ! -e DIR/go ]; do sleep 0.1; done; echo after; exec sleep 100\n",
        );
        world.programs("[program:a]\ncommand=DIR/talk\nstdout_logfile=DIR/a.out\n");
        world.start();
        world.expect_running(&["a"]);
        world.expect_file("a.out", "before\n");
        let mut tail = world.ctl_beside(&["tail", "-f", "a"]);
        let mut main = world.ctl_beside(&["maintail", "-f"]);
        tail.expect("before\n");
        main.expect("success: a entered RUNNING");
        world.write("go", "");
        tail.expect("after\n");
        world.ctl(&["stop", "a"]);
        main.expect("stopped: a");
        for (label, follower) in [("tail -f", &mut tail), ("maintail -f", &mut main)] {
            follower.signal(nix::sys::signal::Signal::SIGINT);
            let output = follower.finish(crate::support::PATIENCE);
            world.note(&format!("{label} / exit"), &output.code.to_string());
            if label == "tail -f" {
                let head = output.stdout.contains("==> Press Ctrl-C to exit <==");
                world.upstream_is("the head is there", head);
                // Where the signal meets upstream decides what else that says.
                world.note(label, output.stdout.trim_end());
            }
        }
        world.ctl(&["tail", "-f", "nope"]);
    });
}

/// C-258, C-431: clear.
#[test]
fn clear() {
    compare(|world| {
        world.programs(
            "[program:a]\ncommand=/bin/sh -c 'echo out; echo err >&2; exec sleep 100'\nstdout_logfile=DIR/a.out\nstderr_logfile=DIR/a.err\n\
             [program:off]\ncommand=/bin/cat\nautostart=false\n\
             [program:x]\ncommand=/bin/sh -c 'echo out; exec sleep 100'\nstdout_logfile=DIR/x.out\n[group:g]\nprograms=x\n",
        );
        world.start();
        world.expect_running(&["a", "x"]);
        world.expect_file("a.err", "err\n");
        world.ctl(&["clear", "a"]).prints("a: cleared\n").exits(0);
        world.file("a.out");
        world.file("a.err");
        world.ctl(&["clear", "nope"]).exits(1);
        world.ctl(&["clear", "g:*"]);
        world.ctl(&["clear", "off"]);
        world.ctl(&["clear", "all"]).exits(0);
        let text = world.file("x.out");
        world.upstream_is("all means all", text.is_empty());
    });
}

/// C-270: fg.
#[test]
fn foreground() {
    compare(|world| {
        world.script("echoing", "while read line; do echo \"got $line\"; done\n");
        world.programs(
            "[program:a]\ncommand=DIR/echoing\n[program:off]\ncommand=/bin/cat\nautostart=false\n",
        );
        world.start();
        world.expect_running(&["a"]);
        world.ctl_first_line(&["fg"]).exits(1);
        world.ctl(&["fg", "a", "b"]).exits(1);
        world.ctl(&["fg", "nope"]).exits(1);
        world.ctl(&["fg", "off"]).exits(1);
        let mut fg = world.ctl_beside(&["fg", "a"]);
        fg.expect("==> Press Ctrl-C to exit <==");
        fg.type_in("hello\n");
        fg.expect("got hello");
        fg.close_stdin();
        let output = fg.finish(crate::support::PATIENCE);
        world.note("fg / exit", &output.code.to_string());
        world.note("fg says goodbye", &output.stdout.contains("Exiting foreground").to_string());
    });
}

/// C-266, C-267: shutdown and reload.
#[test]
fn shutdown_and_reload() {
    compare(|world| {
        some(world);
        world.ctl(&["reload"]).prints("Restarted supervisord\n").exits(0);
        world.expect_log_times("supervisord started with pid", 2);
        world.expect_log_times("success: y entered RUNNING", 2);
        world.expect_log_times("success: a entered RUNNING", 2);
        world.ctl(&["status"]).exits(3);
        world.ctl(&["shutdown"]).prints("Shut down\n").exits(0);
        world.finish();
        world.log("of requests", &["received", "started with"]);
    });
}

/// C-269: open.
#[test]
fn open() {
    compare(|world| {
        some(world);
        world.ctl(&["open", "ftp://x"]).prints("ERROR: url must be http:// or unix://\n").exits(1);
        world.ctl(&["open"]);
        let output = crate::support::process::run(
            &mut world
                .command("supervisorctl", &["-c", "supervisord.conf", "open", "unix:///no/such"]),
        );
        world.note("open nowhere / exit", &output.code.to_string());
    });
}
