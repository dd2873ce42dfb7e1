//! Hot upgrades: another program in the same process, and nobody notices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::Signal;

use crate::support::daemon::{Daemon, SUPERVISORD, command};
use crate::support::http::{ask, get, unix};
use crate::support::process::run;
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

const HEAD: &str = "\
[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
[unix_http_server]
file=%(here)s/sv.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/sv.sock
";

/// Writes the numbers from 1 on, as lines, as fast as it can, or a little slower where there is a
/// file `gently`, until there is a file `enough`; the last line is `end`.
const COUNTER: &str = "\
i=0
while [ ! -e enough ]; do
  [ ! -e gently ] || sleep 0.01
  for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do i=$((i+1)); echo \"$1$i\"; done
done
echo end
exec sleep 1000
";

/// A counter that writes to `NAME.log`; each line begins with `mark`.
fn counter(scratch: &Scratch, name: &str, mark: &str, more: &str) -> String {
    scratch.write("counter.sh", COUNTER);
    format!(
        "[program:{name}]\ncommand=/bin/sh %(here)s/counter.sh '{mark}'\ndirectory=%(here)s\n\
         stdout_logfile=%(here)s/{name}.log\nstdout_logfile_maxbytes=0\nstartsecs=0\n{more}"
    )
}

/// Each number is there once, and in order.
fn expect_all(scratch: &Scratch, name: &str, mark: &str) -> usize {
    let text = expect_in_file(&scratch.join(&format!("{name}.log")), "end\n");
    let mut count = 0;
    for line in text.lines().take_while(|line| *line != "end") {
        count += 1;
        assert_eq!(line, format!("{mark}{count}"), "in {name}.log");
    }
    count
}

/// A copy of supervisord that can be replaced, and a daemon that runs it.
fn start(scratch: &Scratch, programs: &str) -> (Daemon, PathBuf) {
    let program = scratch.join("supervisord");
    fs::copy(SUPERVISORD, &program).expect("a copy");
    let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
    let mut command = command(&program, scratch.path());
    command.arg("-n").arg("-c").arg(&config);
    (Daemon::start_command(scratch.path(), &config, command), program)
}

/// Puts something else where a program is, as dpkg does.
fn install(program: &PathBuf, content: &[u8]) {
    let new = program.with_extension("new");
    fs::write(&new, content).expect("a file");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("a mode");
    fs::rename(&new, program).expect("it is there");
}

fn upgrade(daemon: &Daemon) {
    let done = daemon.ctl(&["upgrade"]);
    assert_eq!(done.stdout, "Upgraded supervisord 5.0.0 to 5.0.0\n", "{done:?}\n{}", daemon.log());
    assert_eq!(done.code, 0);
}

#[test]
fn programs_run_on_and_not_a_byte_of_their_output_is_lost() {
    // `make upgrades` asks for more.
    let asked = std::env::var("SUPERVISOR_UPGRADES").ok();
    let upgrades: usize = asked.map_or(12, |number| number.parse().expect("a number"));
    let scratch = Scratch::new();
    if upgrades > 100 {
        scratch.write("gently", "");
    }
    let names = ["plain", "tapped", "captured"];
    let programs = [
        counter(&scratch, "plain", "", ""),
        counter(&scratch, "tapped", "", "stdout_events_enabled=true\n"),
        // What may be the beginning of a token is held back.
        counter(&scratch, "captured", "<!--XSUPER", "stdout_capture_maxbytes=1000\n"),
    ]
    .concat()
        + "[eventlistener:l]\ncommand=/bin/cat\nevents=PROCESS_LOG\n";
    let (daemon, _program) = start(&scratch, &programs);
    let pids = names.map(|name| daemon.pid_of(name));
    upgrade(&daemon);
    let open = descriptors(&daemon);
    for _ in 1..upgrades {
        upgrade(&daemon);
    }
    // A connection may be about to close.
    let after = descriptors(&daemon);
    assert!(after <= open + 3, "{open} descriptors before, {after} after");
    assert_eq!(pids, names.map(|name| daemon.pid_of(name)));
    assert_eq!(daemon.ctl(&["pid"]).stdout.trim(), daemon.pid().to_string());
    scratch.write("enough", "");
    let counts = [
        expect_all(&scratch, "plain", ""),
        expect_all(&scratch, "tapped", ""),
        expect_all(&scratch, "captured", "<!--XSUPER"),
    ];
    assert!(counts.iter().all(|&count| count > 1000), "{counts:?}");
    assert_eq!(daemon.log().matches(" goes on for ").count(), upgrades);
}

#[test]
fn a_program_that_cannot_go_on_is_not_used() {
    let scratch = Scratch::new();
    let sleeper = "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n";
    let (daemon, program) = start(&scratch, sleeper);
    let good = fs::read(&program).expect("the program");
    let refused: [(&[u8], &str); 5] = [
        (b"#!/bin/sh\necho 'no such library' >&2\nexit 127\n", "fails in a trial: no such library"),
        (b"#!/bin/sh\nkill -9 $$\n", "fails in a trial: signal: 9"),
        // What it leaves behind holds its standard error open.
        (b"#!/bin/sh\necho no >&2\nsleep 1000 &\nexit 1\n", "fails in a trial: no"),
        (b"\x7fELF and nothing more", "(os error 8)"),
        (b"#!/no/such/interpreter\n", "(os error 2)"),
    ];
    for (content, why) in refused {
        install(&program, content);
        let pid = daemon.pid_of("a");
        let failed = daemon.ctl(&["upgrade"]);
        assert!(failed.stdout.starts_with("ERROR: not upgraded: "), "{failed:?}");
        assert!(failed.stdout.contains(why), "{failed:?}");
        assert_eq!(failed.code, 1);
        // Nothing has happened.
        assert_eq!(daemon.pid_of("a"), pid);
        daemon.expect_log(why);
        assert_eq!(get(&unix(scratch.path(), "sv.sock"), "/ok.html", "").status(), 200);
        daemon.ctl(&["restart", "a"]);
        assert_ne!(daemon.pid_of("a"), pid);
        break_even(&daemon);
    }
    let socket = format!("unix://{}", scratch.join("sv.sock").display());
    let asked = daemon.ctl(&["-s", &socket, "upgrade"]);
    assert!(asked.stdout.starts_with("ERROR: FAILED: upgrades are asked for over D-Bus alone"));
    fs::remove_file(&program).expect("it was there");
    assert!(daemon.ctl(&["upgrade"]).stdout.contains("(os error 2)"));
    install(&program, &good);
    let pid = daemon.pid_of("a");
    upgrade(&daemon);
    assert_eq!(daemon.pid_of("a"), pid);
}

fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs").count()
}

/// The daemon holds no more than it did: what was prepared for a handover is closed again.
fn break_even(daemon: &Daemon) {
    let open = descriptors(daemon);
    assert!(open < 60, "{open} descriptors");
}

#[test]
fn what_was_begun_goes_on() {
    let scratch = Scratch::new();
    let (mut daemon, _program) = start(
        &scratch,
        "[program:starting]\ncommand=/bin/sleep 1000\nstartsecs=4\n\
         [program:backoff]\ncommand=/bin/sh -c 'echo >> tries; exit 1'\ndirectory=%(here)s\nstartretries=2\n\
         [program:stubborn]\ncommand=/bin/sh -c 'trap \"\" TERM; echo up; while :; do sleep 1; done'\n\
         stdout_logfile=%(here)s/stubborn.log\nstartsecs=0\nstopwaitsecs=3\n\
         [program:ends]\ncommand=/bin/sh -c 'while [ ! -e go ]; do sleep 0.05; done; exit 7'\n\
         directory=%(here)s\nstartsecs=0\nautorestart=false\n",
    );
    expect_in_file(&scratch.join("stubborn.log"), "up");
    let stop = daemon.ctl_command(&["stop", "stubborn"]).spawn().expect("it starts");
    daemon.expect_log("waiting for stubborn to stop");
    daemon.process.signal(Signal::SIGUSR1);
    daemon.expect_log(" goes on for ");
    // Who waited is told to ask again.
    let told = stop.wait_with_output().expect("it ends");
    assert!(!told.status.success());
    scratch.write("go", "");
    daemon.expect_log("killing 'stubborn'");
    daemon.expect_log("exited: ends (exit status 7; not expected)");
    daemon.expect_log("gave up: backoff entered FATAL state");
    daemon.expect_log("success: starting entered RUNNING state");
    assert_eq!(scratch.read("tries").lines().count(), 3);
    let ended = daemon.stop();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!scratch.join("supervisord.pid").exists());
    assert!(!scratch.join("sv.sock").exists());
}

#[test]
fn a_listener_keeps_its_event_and_its_state() {
    const LISTENER: &str = r"
import os, sys
def line(): return sys.stdin.readline()
while True:
    os.write(1, b'READY\n')
    head = dict(word.split(':') for word in line().split())
    data = sys.stdin.read(int(head['len']))
    open('heard', 'a').write(head['serial'] + ' ' + data.split('\n')[1] + '\n')
    while not os.path.exists('go'): pass
    os.write(1, b'RESULT 2\nOK')
";
    let scratch = Scratch::new();
    scratch.write("listener.py", LISTENER);
    let (daemon, _program) = start(
        &scratch,
        "[eventlistener:l]\ncommand=/usr/bin/python3 -u %(here)s/listener.py\ndirectory=%(here)s\n\
         events=REMOTE_COMMUNICATION\nstartsecs=0\n",
    );
    let socket = unix(scratch.path(), "sv.sock");
    let send = |data: &str| {
        let body = format!(
            "<methodCall><methodName>supervisor.sendRemoteCommEvent</methodName><params>\
             <param><value>t</value></param><param><value>{data}</value></param></params></methodCall>"
        );
        let answer = ask(
            &socket,
            format!(
                "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        assert!(answer.text().contains("<boolean>1</boolean>"));
    };
    (1..=3).for_each(|number| send(&format!("event{number}")));
    expect_in_file(&scratch.join("heard"), "event1");
    upgrade(&daemon);
    send("event4");
    upgrade(&daemon);
    scratch.write("go", "");
    let heard = expect_in_file(&scratch.join("heard"), "event4");
    let data: Vec<&str> = heard.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(data, ["event1", "event2", "event3", "event4"], "each once, and in order");
}

#[test]
fn sockets_stay_open_and_clients_are_served_meanwhile() {
    let scratch = Scratch::new();
    let (daemon, _program) = start(&scratch, "[program:a]\ncommand=/bin/sleep 1000\n");
    let over = AtomicBool::new(false);
    let socket = unix(scratch.path(), "sv.sock");
    let served = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut served = 0;
            while !over.load(Ordering::Relaxed) {
                // Nobody is refused: who comes in between waits for the next program.
                assert_eq!(get(&socket, "/ok.html", "").status(), 200);
                served += 1;
            }
            served
        });
        for _ in 0..5 {
            upgrade(&daemon);
        }
        over.store(true, Ordering::Relaxed);
        client.join().expect("every request is answered")
    });
    assert!(served > 5, "{served}");
}

#[test]
fn a_signal_that_comes_in_the_middle_is_obeyed() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        let (mut daemon, _program) =
            start(&scratch, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n");
        daemon.process.signal(Signal::SIGUSR1);
        let ended = daemon.stop();
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(daemon.log().contains("stopped: a"), "{}", daemon.log());
    }
}

#[test]
fn who_ends_between_two_programs_is_seen() {
    let scratch = Scratch::new();
    let (daemon, program) =
        start(&scratch, "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\nautorestart=false\n");
    // The trial takes as long as it takes to end the program.
    let pid = daemon.pid_of("a");
    let good = program.with_extension("good");
    fs::rename(&program, &good).expect("it is there");
    let slow = format!(
        "#!/bin/sh\n[ -z \"$SUPERVISOR_HANDOVER_TRIAL\" ] || kill -9 {pid}\nexec {} \"$@\"\n",
        good.display()
    );
    install(&program, slow.as_bytes());
    upgrade(&daemon);
    daemon.expect_log("exited: a (terminated by SIGKILL; not expected)");
}

#[test]
fn the_state_of_another_process_is_refused() {
    let scratch = Scratch::new();
    let mut stranger = command(SUPERVISORD, scratch.path());
    stranger
        .env("SUPERVISOR_HANDOVER", "0")
        .stdin(fs::File::open("/dev/null").expect("it is there"));
    let refused = run(&mut stranger);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("it is not sealed"), "{refused:?}");
}
