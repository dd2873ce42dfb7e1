//! Upstream's `supervisorctl` where it does more than ask and print: it follows, attaches, ends and
//! restarts the daemon. (What it prints, command by command: tests/oracle/scenarios/clients.rs.)

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::both::{observe, same_of_both, upstreams_ctl};
use crate::support::PATIENCE;
use crate::support::daemon::command;
use crate::support::process::{Running, run, run_with_input};
use crate::support::terminal::Terminal;
use crate::world::{World, upstream};

const ECHO: &str = "\
[program:echo]
command=/bin/sh -c 'echo hello; exec cat'
stdout_logfile=%(here)s/echo.out
stopwaitsecs=2
[program:off]
command=/bin/cat
autostart=false
";

fn echo(world: &mut World) {
    world.programs(ECHO);
    world.start();
    world.expect_running(&["echo"]);
    world.expect_file("echo.out", "hello\n");
}

fn ctl(world: &mut World, args: &[&str]) {
    let output = run(&mut upstreams_ctl(world, args));
    observe(world, &format!("ctl {}", args.join(" ")), output);
}

/// C-256, C-258, C-339: `tail -f` shows what is there and what comes, until it is interrupted.
#[test]
fn follow_a_log() {
    same_of_both(|world| {
        echo(world);
        let mut follow =
            Running::spawn(upstreams_ctl(world, &["tail", "-f", "echo"]).stdin(Stdio::null()));
        follow.expect("hello\n");
        let script = "import os, sys\n\
                      from supervisor.xmlrpc import SupervisorTransport\n\
                      from xmlrpc.client import ServerProxy\n\
                      transport = SupervisorTransport(None, None, 'unix://' + os.getcwd() + '/sv.sock')\n\
                      server = ServerProxy('http://127.0.0.1', transport=transport)\n\
                      print(server.supervisor.sendProcessStdin('echo', 'a \\u20ac line\\n'))\n";
        let mut python = command(upstream().join("bin/python"), world.dir.path());
        let sent = run(python.args(["-c", script]));
        observe(world, "sent", sent);
        follow.expect("a € line\n");
        follow.signal(Signal::SIGINT);
        let output = follow.finish(PATIENCE);
        // Where the signal meets the client decides what else that says.
        world.note("tail -f", output.stdout.trim_end());
    });
}

/// C-265: `maintail -f` is the daemon's own log, from its last 1,600 bytes on.
#[test]
fn follow_the_main_log() {
    same_of_both(|world| {
        echo(world);
        let mut follow =
            Running::spawn(upstreams_ctl(world, &["maintail", "-f"]).stdin(Stdio::null()));
        follow.expect("entered RUNNING state");
        ctl(world, &["start", "off"]);
        follow.expect("success: off entered RUNNING state");
        follow.signal(Signal::SIGINT);
        let output = follow.finish(PATIENCE);
        world.note("first line", output.stdout.lines().next().unwrap_or_default());
        let whole = run(&mut upstreams_ctl(world, &["maintail", "-100000"]));
        let log = world.main_log();
        world.note("maintail is the log", &(whole.stdout.trim() == log.trim()).to_string());
        world.note("exit of maintail", &whole.code.to_string());
    });
}

/// C-267: `fg` passes lines to the program and shows what it says, until Ctrl-C.
#[test]
fn foreground() {
    same_of_both(|world| {
        echo(world);
        let mut setsid = command("/usr/bin/setsid", world.dir.path());
        setsid.arg("-c").arg(upstream().join("bin/supervisorctl"));
        let mut terminal = Terminal::spawn(setsid.args(["-c", "supervisord.conf", "fg", "echo"]));
        terminal.expect("==> Press Ctrl-C to exit <==", 1);
        terminal.expect("hello", 1);
        terminal.press("marco\n");
        // The terminal's echo of what is typed, and the program's.
        terminal.expect("marco", 2);
        let code = terminal.press_until_the_end("\x03");
        world.note("exit", &format!("{code:?}"));
        world.note("still running", &world.dir.read("echo.out"));
        let screen = terminal.screen.text();
        world.note("left", &screen.contains("Exiting foreground mode").to_string());
        ctl(world, &["status", "echo"]);
    });
}

/// C-264: `reload` says so, and the daemon comes back with what the file says now.
#[test]
fn reload() {
    same_of_both(|world| {
        echo(world);
        world.programs("[program:other]\ncommand=/bin/cat\n");
        ctl(world, &["reload"]);
        world.expect_log_times("RPC interface 'supervisor' initialized", 2);
        world.expect_log("success: other entered RUNNING state");
        ctl(world, &["status"]);
        ctl(world, &["status", "echo"]);
    });
}

/// C-263: `shutdown` says so, and the daemon ends with 0; then nobody is there.
#[test]
fn shutdown() {
    same_of_both(|world| {
        echo(world);
        ctl(world, &["shutdown"]);
        world.finish();
        for action in ["status", "pid", "stop echo", "reread", "shutdown", "version"] {
            ctl(world, &action.split(' ').collect::<Vec<_>>());
        }
    });
}

/// C-224, C-225: the shell, with everything typed at once.
#[test]
fn shell() {
    same_of_both(|world| {
        echo(world);
        let lines = "status off\nstart off\nstatus echo off\nsignal CONT off\nstop off\nclear echo\n\
                     tail echo\nreread\nupdate\nremove off\navail\nadd off\nnonsense\nstart\n\
                     pid off\nhelp version\nexit\n";
        let output = run_with_input(&mut upstreams_ctl(world, &[]), lines);
        observe(world, "shell", output);
    });
}
