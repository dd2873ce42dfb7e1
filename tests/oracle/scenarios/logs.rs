//! What programs write: captured byte for byte, rotated, reopened.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::compare::compare;
use crate::support::PATIENCE;
use crate::world::DAEMON;

const ONCE: &str = "startsecs=0\nautorestart=false\n";

/// C-373, C-374, C-375, C-382: rotation at the size, backups in order.
#[test]
fn rotation() {
    compare(|world| {
        // Lines of 20 bytes, each its own write; a pause lets the reader take each by itself.
        world.script("lines", "i=100; while [ $i -lt 160 ]; do echo \"line $i 890123456789\"; i=$((i+1)); sleep 0.02; done\n");
        world.programs(&format!(
            "[program:two]\ncommand=DIR/lines\nstdout_logfile=DIR/two.out\nstdout_logfile_maxbytes=200\nstdout_logfile_backups=2\n{ONCE}\
             [program:none]\ncommand=DIR/lines\nstdout_logfile=DIR/none.out\nstdout_logfile_maxbytes=200\nstdout_logfile_backups=0\n{ONCE}\
             [program:plain]\ncommand=DIR/lines\nstdout_logfile=DIR/plain.out\nstdout_logfile_maxbytes=0\n{ONCE}",
        ));
        world.start();
        world.expect_exited(&["two", "none", "plain"]);
        for file in [
            "two.out",
            "two.out.1",
            "two.out.2",
            "two.out.3",
            "none.out",
            "none.out.1",
            "plain.out",
        ] {
            world.file(file);
        }
        let plain = world.dir.read("plain.out");
        world.upstream_is("nothing is lost", plain.lines().count() == 60);
    });
}

/// C-136, C-379, C-382, C-383: output that is not text, without a last newline, of both channels.
#[test]
fn bytes() {
    compare(|world| {
        world.script(
            "talk",
            "printf 'out \\377\\000\\033[31m\\r\\n'; printf err >&2; printf 'end'\n",
        );
        world.programs(&format!(
            "[program:both]\ncommand=DIR/talk\nstdout_logfile=DIR/both.out\nstderr_logfile=DIR/both.err\n{ONCE}\
             [program:merged]\ncommand=DIR/talk\nstdout_logfile=DIR/merged.out\nredirect_stderr=true\n{ONCE}\
             [program:same]\ncommand=/bin/sh -c 'echo one; echo two >&2'\nstdout_logfile=DIR/same.out\nstderr_logfile=DIR/same.out\n{ONCE}\
             [program:quiet]\ncommand=DIR/talk\nstdout_logfile=NONE\nstderr_logfile=none\n{ONCE}",
        ));
        world.start();
        world.expect_exited(&["both", "merged", "same", "quiet"]);
        for name in ["both.out", "both.err", "merged.out"] {
            let bytes = std::fs::read(world.dir.join(name)).unwrap_or_default();
            world.note(&format!("bytes of {name}"), &format!("{bytes:?}"));
        }
        world.sorted_file("same.out");
        let names = world.names(".").join("\n");
        world.note("files", &names);
    });
}

/// C-381, C-116: ANSI sequences are removed where asked.
#[test]
fn ansi() {
    compare(|world| {
        world.config(&format!(
            "{DAEMON}strip_ansi=true\n[program:a]\ncommand=/bin/sh -c 'printf \"\\\\033[31mred\\\\033[0m plain \\\\033[2Kcleared\\\\033[1;1Hhome\\\\n\"'\nstdout_logfile=DIR/a.out\n{ONCE}"
        ));
        world.start();
        world.expect_exited(&["a"]);
        let text = world.file("a.out");
        world.upstream_is("the colour is gone", text.starts_with("red plain"));
    });
}

/// C-167, C-382: at level debug the output is in the daemon's log too.
#[test]
fn debug_copy() {
    compare(|world| {
        world.programs(&format!(
            "[program:a]\ncommand=/bin/sh -c 'echo one; sleep 0.3; printf \"\\\\377\\\\n\" >&2'\n{ONCE}"
        ));
        world.start_with(&["-e", "debug"]);
        world.expect_exited(&["a"]);
        let log = world.main_log();
        let output = log.contains("DEBG 'a' stdout output:\none\n");
        world.note("output is shown", &output.to_string());
        world.upstream_is("output is shown", output);
        world.note("undecodable", &log.contains("Undecodable: b'\\xff\\n'").to_string());
    });
}

/// C-375, C-377: devices as logs.
#[test]
fn devices() {
    compare(|world| {
        world.programs(&format!(
            "[program:a]\ncommand=/bin/echo to standard output\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n{ONCE}\
             [program:b]\ncommand=/bin/sh -c 'echo to standard error >&2'\nstderr_logfile=/dev/fd/2\nstderr_logfile_maxbytes=0\n{ONCE}\
             [program:c]\ncommand=/bin/echo nowhere\nstdout_logfile=/dev/null\nstdout_logfile_maxbytes=0\n{ONCE}",
        ));
        world.start();
        world.expect_exited(&["a", "b", "c"]);
        let output = world.stop();
        let has = |text: &str, needle: &str| text.contains(needle).to_string();
        world.note("standard output", &has(&output.stdout, "to standard output\n"));
        world.note("standard error", &has(&output.stderr, "to standard error\n"));
        world.upstream_is("both come", output.stderr.contains("to standard error"));
    });
}

/// C-432, C-376, C-382: rotation asked of what cannot rotate.
#[test]
fn devices_with_rotation() {
    compare(|world| {
        world.programs(&format!(
            "[program:a]\ncommand=/bin/echo to standard output\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=10\n{ONCE}"
        ));
        world.start();
        // Upstream fails at the seek after the write, and that may end the whole daemon.
        let daemon = world.daemon.as_mut().expect("it was started");
        daemon.expect("to standard output\n");
        if daemon.wait(Duration::from_secs(1)).is_none() {
            daemon.signal(Signal::SIGTERM);
        }
        let output = daemon.finish(PATIENCE);
        let complaint = output.stdout.contains("uncaptured python exception")
            || output.stderr.contains("Illegal seek");
        world.note("complaint", &complaint.to_string());
    });
}

/// C-060, C-373, C-374: the daemon's own log rotates.
#[test]
fn main_log() {
    compare(|world| {
        world.config(
            "[supervisord]\nlogfile=DIR/supervisord.log\npidfile=DIR/supervisord.pid\nchildlogdir=DIR\nlogfile_maxbytes=500\nlogfile_backups=2\n\
             [program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n",
        );
        world.start();
        for _ in 0..8 {
            world.ctl(&["restart", "a"]).exits(0);
        }
        world.stop();
        let names: Vec<String> = world
            .dir
            .names(".")
            .into_iter()
            .filter(|name| name.starts_with("supervisord.log"))
            .collect();
        world.note("files", &names.join("\n"));
        let sizes: Vec<bool> = names
            .iter()
            .filter(|name| name.contains("log."))
            .map(|name| (300..800).contains(&world.dir.read(name).len()))
            .collect();
        world.note("rotated at the size", &format!("{sizes:?}"));
    });
}

/// C-052, C-060, C-154: the levels of the daemon's log.
#[test]
fn levels() {
    compare(|world| {
        for level in ["critical", "error", "warn", "INFO"] {
            world.config(&format!(
                "[supervisord]\nlogfile=DIR/{level}.log\npidfile=DIR/supervisord.pid\nchildlogdir=DIR\nloglevel={level}\n\
                 [program:a]\ncommand=/bin/false\nstartretries=0\nstartsecs=5\nautostart=false\n"
            ));
            let pid = world.dir.join("supervisord.pid");
            let mut daemon = crate::support::process::Running::spawn(
                world
                    .command("supervisord", &["-n", "-s", "-c", "supervisord.conf"])
                    .stdin(std::process::Stdio::null()),
            );
            let up = crate::support::watch::wait_dir(world.dir.path(), PATIENCE, || {
                pid.exists().then_some(())
            });
            assert!(up.is_some(), "{:?} wrote no pid file", world.side);
            let gave_up = crate::support::process::run(
                &mut world.command("supervisorctl", &["-c", "supervisord.conf", "start", "a"]),
            );
            world.note(&format!("start at {level}"), &gave_up.code.to_string());
            daemon.signal(Signal::SIGTERM);
            daemon.finish(PATIENCE);
            let log = world.dir.read(&format!("{level}.log"));
            let levels: std::collections::BTreeSet<&str> =
                log.lines().filter_map(|line| line.split(' ').nth(2)).collect();
            world.note(&format!("levels at {level}"), &format!("{levels:?}"));
        }
    });
}

/// C-213, C-382: everything a program wrote before it ended is there.
#[test]
fn last_words() {
    compare(|world| {
        world.script(
            "burst",
            "i=0; while [ $i -lt 3000 ]; do echo \"number $i of a burst\"; i=$((i+1)); done\n",
        );
        world.programs(&format!(
            "[program:a]\ncommand=DIR/burst\nstdout_logfile=DIR/a.out\n{ONCE}\
             [program:b]\ncommand=/bin/sh -c 'echo last words; kill -9 $$'\nstdout_logfile=DIR/b.out\n{ONCE}",
        ));
        world.start();
        world.expect_exited(&["a", "b"]);
        let text = world.dir.read("a.out");
        world.note("lines", &text.lines().count().to_string());
        world.note("last line", text.lines().last().unwrap_or_default());
        world.file("b.out");
    });
}
