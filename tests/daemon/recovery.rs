//! The daemon is killed, and its programs do not notice.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::children::signal;
use crate::support::manager::Service;
use crate::support::process::wait_gone;
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

const SLEEP: &str = "command=/bin/sleep 1000\nstartsecs=0\n";

/// Writes the numbers from 1 on, as lines, until there is a file `enough`; the last line is `end`.
const COUNTER: &str = "\
i=0
while [ ! -e enough ]; do
  for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do i=$((i+1)); echo \"$i\"; done
  sleep 0.005
done
echo end
exec sleep 1000
";

fn counter(scratch: &Scratch, name: &str, more: &str) -> String {
    scratch.write("counter.sh", COUNTER);
    format!(
        "[program:{name}]\ncommand=/bin/sh %(here)s/counter.sh\ndirectory=%(here)s\n\
         stdout_logfile=%(here)s/{name}.log\nstdout_logfile_maxbytes=0\nstartsecs=0\n{more}"
    )
}

/// Each number is there once, and in order.
fn expect_all(scratch: &Scratch, name: &str) -> usize {
    let text = expect_in_file(&scratch.join(&format!("{name}.log")), "end\n");
    let mut count = 0;
    for line in text.lines().take_while(|line| *line != "end") {
        count += 1;
        assert_eq!(line, count.to_string(), "in {name}.log");
    }
    count
}

#[test]
fn programs_run_on_and_are_taken_back() {
    let scratch = Scratch::new();
    let programs = [
        counter(&scratch, "plain", ""),
        counter(&scratch, "tapped", "stdout_events_enabled=true\n"),
        format!("[program:a]\n{SLEEP}[program:b]\n{SLEEP}"),
    ]
    .concat();
    let mut service = Service::start(&scratch, &programs);
    service.ctl(&["stop", "b"]);
    let names = ["plain", "tapped", "a"];
    let pids = names.map(|name| service.pid_of(name));
    for _ in 0..10 {
        let before = service.pid();
        service.crash();
        assert_ne!(service.pid(), before);
        assert_eq!(names.map(|name| service.pid_of(name)), pids, "{}", service.log());
    }
    service.expect_log("goes on with the 3 programs that it left");
    let status = service.ctl(&["status"]).stdout;
    assert!(
        status.lines().any(|line| line.starts_with("b ") && line.contains("STOPPED")),
        "{status}"
    );
    assert_eq!(status.matches("RUNNING").count(), 3, "{status}");
    scratch.write("enough", "");
    assert!(expect_all(&scratch, "plain") > 0);
    assert!(expect_all(&scratch, "tapped") > 0);

    // They are programs like all others.
    assert_eq!(service.ctl(&["restart", "a"]).stdout, "a: stopped\na: started\n");
    assert_ne!(service.pid_of("a"), pids[2]);
    assert_eq!(service.ctl(&["stop", "plain"]).stdout, "plain: stopped\n");
    let log = service.log();
    assert!(log.contains("stopped: plain (terminated by SIGTERM)"), "{log}");
    signal(pids[1].cast_signed(), Signal::SIGKILL);
    service.expect_log("exited: tapped (terminated by SIGKILL; not expected)");
    assert_eq!(service.stop().code, 0);
    assert_eq!(service.stored(), [""; 0]);
    assert_eq!(service.ground().names(), ["supervisord"]);
}

#[test]
fn what_happened_meanwhile_is_noticed() {
    let scratch = Scratch::new();
    let mut service = Service::start(
        &scratch,
        &format!(
            "[program:again]\n{SLEEP}[program:once]\n{SLEEP}autorestart=false\n\
             [program:off]\n{SLEEP}autostart=false\n"
        ),
    );
    let (again, once) = (service.pid_of("again"), service.pid_of("once"));
    service.kill();
    for pid in [again, once] {
        signal(pid.cast_signed(), Signal::SIGTERM);
        assert!(wait_gone(pid, PATIENCE));
    }
    service.launch();
    service.expect_ready();
    service.expect_log("exited: once (");
    service.expect_log("spawned: 'again' with pid");
    let status = service.ctl(&["status"]).stdout;
    assert!(status.lines().any(|l| l.starts_with("once ") && l.contains("EXITED")), "{status}");
    assert!(status.lines().any(|l| l.starts_with("off ") && l.contains("STOPPED")), "{status}");
    assert_ne!(service.pid_of("again"), again);
    assert_eq!(service.stop().code, 0);
}

#[test]
fn a_stop_in_order_leaves_nothing_to_go_on_with() {
    let scratch = Scratch::new();
    let mut service = Service::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    let pid = service.pid_of("a");
    service.end_by(Signal::SIGTERM);
    assert_eq!(service.stored(), [""; 0]);
    service.launch();
    service.expect_ready();
    assert_ne!(service.pid_of("a"), pid);
    assert!(!service.process.stdout.text().contains("goes on"), "{}", service.log());
}

#[test]
fn a_state_that_cannot_be_read_means_that_programs_are_started_anew_and_none_twice() {
    let scratch = Scratch::new();
    let mut service = Service::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    let pid = service.pid_of("a");
    service.kill();
    for name in ["+m0", "+m1"] {
        fs::File::from(service.descriptor(name)).set_len(0).unwrap();
    }
    service.launch();
    service.expect_ready();
    service.expect_log("its programs are ended and started anew");
    assert!(wait_gone(pid, PATIENCE));
    assert_eq!(service.ground().pids("a"), [service.pid_of("a")]);
    assert_eq!(service.stop().code, 0);
    assert_eq!(service.stored(), [""; 0]);
}

#[test]
fn upgrades_and_restarts_go_on_with_programs_that_were_taken_back() {
    let scratch = Scratch::new();
    let programs = counter(&scratch, "plain", "") + &format!("[program:a]\n{SLEEP}");
    let mut service = Service::start(&scratch, &programs);
    let names = ["plain", "a"];
    let pids = names.map(|name| service.pid_of(name));
    for _ in 0..3 {
        service.crash();
        let done = service.ctl(&["upgrade"]);
        assert_eq!(done.code, 0, "{done:?}\n{}", service.log());
        assert_eq!(names.map(|name| service.pid_of(name)), pids, "{}", service.log());
    }
    scratch.write("enough", "");
    assert!(expect_all(&scratch, "plain") > 0);
    let before = service.process.stdout.text().matches("spawned: 'a'").count();
    service.process.signal(Signal::SIGHUP);
    service.expect_log("spawned: 'a'");
    assert_eq!(before, 0);
    service.crash();
    assert_ne!(service.pid_of("a"), pids[1]);
    assert_eq!(service.stop().code, 0);
    assert_eq!(service.stored(), [""; 0]);
}
