//! The daemon is killed, and its programs do not notice.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::children::signal;
use crate::support::http::{get, unix};
use crate::support::manager::Service;
use crate::support::process::{Running, wait_gone};
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
    // Kernels before 6.15 do not always tell.
    let told = |how: &str| {
        [how, "exit status unknown"].iter().any(|how| log.contains(&format!("plain ({how}")))
    };
    assert!(told("terminated by SIGTERM"), "{log}");
    signal(pids[1].cast_signed(), Signal::SIGKILL);
    service.expect_log("exited: tapped (");
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

/// Notes the serial and type of each event, and is done with it.
const LISTENER: &str = r"
import os, sys
seen = os.open('seen', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
while True:
    os.write(1, b'READY\n')
    head = sys.stdin.buffer.readline()
    if not head:
        break
    words = dict(word.split(b':') for word in head.split())
    body = sys.stdin.buffer.read(int(words[b'len']))
    os.write(seen, b'%s %s %s\n' % (words[b'serial'], words[b'eventname'], body))
    os.write(1, b'RESULT 2\nOK')
";

#[test]
fn a_listener_goes_on_and_misses_no_event() {
    let scratch = Scratch::new();
    scratch.write("listener.py", LISTENER);
    let mut service = Service::start(
        &scratch,
        &format!(
            "[program:a]\n{SLEEP}autostart=false\n\
             [eventlistener:l]\ncommand=/usr/bin/python3 -S %(here)s/listener.py\n\
             directory=%(here)s\nevents=PROCESS_STATE_RUNNING,PROCESS_STATE_STOPPED\n\
             stdout_logfile=%(here)s/words.log\nstartsecs=0\n"
        ),
    );
    let pid = service.pid_of("l");
    for round in 1..=10 {
        assert_eq!(service.ctl(&["start", "a"]).stdout, "a: started\n");
        if round % 2 == 0 {
            service.crash();
        }
        assert_eq!(service.ctl(&["stop", "a"]).stdout, "a: stopped\n");
        service.crash();
    }
    // One that an event was on its way to is started again, and gets it again.
    let again = service.log().contains("an event was on its way");
    assert!(again || service.pid_of("l") == pid, "{}", service.log());
    assert_eq!(service.ctl(&["start", "a"]).stdout, "a: started\n");
    let last = service.pid_of("a").to_string();
    let seen = expect_in_file(&scratch.join("seen"), &format!("pid:{last}"));
    let serial = |line: &str| -> u64 {
        line.split(' ').next().expect("a serial").parse().expect("a number")
    };
    assert!(seen.lines().map(serial).is_sorted(), "{seen}");
    // The listener's own start, and each of the program's states.
    let states: Vec<&str> = seen.lines().filter(|line| line.contains("processname:a ")).collect();
    let count = |kind: &str| states.iter().filter(|line| line.contains(kind)).count();
    assert!(count("STATE_RUNNING") >= 11 && count("STATE_STOPPED") >= 10, "{seen}");
    assert_eq!(service.stop().code, 0);
}

#[test]
fn who_connects_meanwhile_is_answered_by_the_next_daemon() {
    let scratch = Scratch::new();
    let mut service = Service::start(
        &scratch,
        &format!(
            "[unix_http_server]\nfile=%(here)s/sv.sock\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:a]\n{SLEEP}"
        ),
    );
    service.kill();
    let http = unix(scratch.path(), "sv.sock");
    let asked = std::thread::spawn(move || get(&http, "/", ""));
    let mut status = Running::spawn(&mut service.ctl_command(&["status"]));
    service.launch();
    service.expect_ready();
    assert_eq!(asked.join().expect("an answer").status(), 200);
    let status = status.finish(PATIENCE);
    assert!(status.stdout.contains("RUNNING"), "{status:?}");
}

/// Answers whoever connects with its pid.
const FCGI: &str = r"
import os, socket
listener = socket.socket(fileno=0)
while True:
    connection, _ = listener.accept()
    connection.sendall(b'%d' % os.getpid())
    connection.close()
";

#[test]
fn fastcgi_programs_keep_their_socket() {
    let scratch = Scratch::new();
    scratch.write("fcgi.py", FCGI);
    let socket = scratch.join("f.sock");
    let answer = || {
        let mut text = String::new();
        let mut stream = UnixStream::connect(&socket).expect("somebody listens");
        stream.read_to_string(&mut text).expect("an answer");
        text.parse::<u32>().expect("a pid")
    };
    let mut service = Service::start(
        &scratch,
        "[fcgi-program:f]\ncommand=/usr/bin/python3 -S %(here)s/fcgi.py\n\
         socket=unix://%(here)s/f.sock\nnumprocs=2\nprocess_name=%(process_num)d\nstartsecs=0\n",
    );
    let pids = ["f:0", "f:1"].map(|name| service.pid_of(name));
    assert!(pids.contains(&answer()));
    service.kill();
    assert!(pids.contains(&answer()));
    service.launch();
    service.expect_ready();
    assert_eq!(["f:0", "f:1"].map(|name| service.pid_of(name)), pids);
    service.ctl(&["restart", "f:0"]);
    service.ctl(&["stop", "f:1"]);
    assert_eq!(answer(), service.pid_of("f:0"));
    service.crash();
    assert_eq!(answer(), service.pid_of("f:0"));
    assert_eq!(service.stop().code, 0);
    assert!(!socket.exists());
    assert_eq!(service.stored(), [""; 0]);
}

#[test]
fn what_was_decided_stays_decided() {
    let scratch = Scratch::new();
    let mut service = Service::start(
        &scratch,
        &format!(
            "[program:fatal]\ncommand=/bin/false\nstartretries=0\n\
             [program:removed]\n{SLEEP}[program:stopped]\n{SLEEP}[program:left]\n\
             command=/bin/sh -c 'sleep 1000 & exit 0'\nstartsecs=0\nautorestart=false\n"
        ),
    );
    service.expect_log("gave up: fatal");
    service.expect_log("left left 1 process behind");
    service.ctl(&["stop", "removed", "stopped"]);
    service.ctl(&["remove", "removed"]);
    let before = service.ctl(&["status"]).stdout;
    let states = |text: &str| -> Vec<(String, String)> {
        let words = |line: &str| {
            let mut words = line.split_whitespace().map(ToOwned::to_owned);
            (words.next().expect("a name"), words.next().expect("a state"))
        };
        text.lines().map(words).collect()
    };
    service.crash();
    service.crash();
    let after = service.ctl(&["status"]).stdout;
    assert_eq!(states(&after), states(&before));
    assert_eq!(service.ground().pids("left").len(), 1, "it is still there");
    // And still known.
    assert_eq!(service.ctl(&["stop", "left"]).stdout, "left: stopped\n");
    assert_eq!(service.ground().pids("left"), [0; 0]);
    assert_eq!(service.stop().code, 0);
}
