//! echo_supervisord_conf and pidproxy.

use nix::sys::signal::Signal;

use crate::compare::compare;
use crate::support::PATIENCE;
use crate::support::process::{Running, run, wait_gone};

/// C-385: the sample is a configuration.
#[test]
fn sample() {
    compare(|world| {
        let output = run(&mut world.command("echo_supervisord_conf", &["ignored"]));
        world.note("exit", &output.code.to_string());
        world.note("standard error", &output.stderr);
        let first = output.stdout.lines().next().unwrap_or_default();
        world.note("first line", &first.contains("Sample supervisor config file").to_string());
        for section in ["[unix_http_server]", "[supervisord]", "[supervisorctl]", ";[include]"] {
            let has = output.stdout.contains(section);
            world.note(&format!("has {section}"), &has.to_string());
        }
        let own = output.stdout.replace("/tmp/", &format!("{}/", world.dir.path().display()));
        world.dir.write("supervisord.conf", own);
        world.start();
        world.stop();
    });
}

/// C-386, C-387: pidproxy without enough words, and with a command that is not there.
#[test]
fn pidproxy_usage() {
    compare(|world| {
        for args in [&[][..], &["file"], &["DIRECTORY/x.pid", "/no/such/command"]] {
            let output = run(&mut world.command("pidproxy", args));
            world.note(&format!("{args:?} / exit"), &output.code.to_string());
            let usage = output.stdout.contains("pidproxy");
            world.note(&format!("{args:?} / usage"), &usage.to_string());
        }
    });
}

/// C-386, C-388, C-389: signals go to the process of the pid file.
#[test]
fn pidproxy_forwards() {
    compare(|world| {
        world.script(
            "daemon",
            "trap 'echo hup >> DIR/seen' HUP; trap 'echo usr1 >> DIR/seen' USR1; trap 'echo usr2 >> DIR/seen' USR2; trap 'echo term >> DIR/seen; exit 0' TERM\n\
             echo $$ > DIR/tmp; mv DIR/tmp DIR/daemon.pid; touch DIR/seen; echo up; while :; do sleep 0.1; done\n",
        );
        world.script("start", "DIR/daemon & echo started\nwait\n");
        let mut proxy = Running::spawn(
            world
                .command("pidproxy", &["daemon.pid", "./start", "with", "words"])
                .stdin(std::process::Stdio::null()),
        );
        proxy.expect("up\n");
        for (signal, word) in
            [(Signal::SIGHUP, "hup\n"), (Signal::SIGUSR1, "usr1\n"), (Signal::SIGUSR2, "usr2\n")]
        {
            proxy.signal(signal);
            world.expect_file("seen", word);
        }
        let pid: u32 = world.dir.read("daemon.pid").trim().parse().expect("a pid");
        proxy.signal(Signal::SIGTERM);
        world.expect_file("seen", "term\n");
        assert!(wait_gone(pid, PATIENCE));
        let status = proxy.wait(PATIENCE).expect("it ends");
        world.note("exit", &format!("{:?}", status.code()));
        world.file("seen");
    });
}

/// C-388: a pid file that is not there.
#[test]
fn pidproxy_without_pid_file() {
    compare(|world| {
        world.env.push(("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
        let proxy = Running::spawn(
            world
                .command("pidproxy", &["no.pid", "/bin/sh", "-c", "echo up; exec sleep 100"])
                .stdin(std::process::Stdio::null()),
        );
        proxy.expect("up\n");
        proxy.signal(Signal::SIGHUP);
        proxy.expect("Can't read child pidfile no.pid!\n");
        proxy.signal(Signal::SIGKILL);
    });
}

/// C-386, C-388, C-389, C-448: pidproxy as people use it.
#[test]
fn pidproxy_under_supervisord() {
    compare(|world| {
        world.script(
            "daemon",
            "trap 'echo term >> DIR/seen; exit 0' TERM; touch DIR/seen\n\
             echo $$ > DIR/tmp; mv DIR/tmp DIR/daemon.pid; echo up; while :; do sleep 0.1; done\n",
        );
        let proxy = world.program("pidproxy");
        world.programs(&format!(
            "[program:legacy]\ncommand={} DIR/daemon.pid DIR/daemon\nstdout_logfile=DIR/legacy.out\n",
            proxy.display()
        ));
        world.start();
        world.expect_running(&["legacy"]);
        world.expect_file("legacy.out", "up\n");
        world.ctl(&["stop", "legacy"]).prints("legacy: stopped\n").exits(0);
        world.expect_file("seen", "term\n");
        world.expect_log("stopped: legacy");
        world.log("of the stop", &["stopped:"]);
    });
}
