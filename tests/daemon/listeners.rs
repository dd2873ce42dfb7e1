//! Event listeners in numbers, and such as do not play along: nothing is lost, and nobody waits for
//! them.

use std::fmt::Write as _;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::children::signal;
use crate::support::daemon::Daemon;
use crate::support::http::{Http, unix};
use crate::support::scratch::Scratch;
use crate::support::watch::{expect_in_file, wait_dir};
use crate::support::{PATIENCE, process};

/// Where the tests send their events.
const SERVER: &str = "\
[unix_http_server]
file=%(here)s/sv.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
";

/// Appends the data of each event to FILE as a line, and touches `done` after the line LAST. Once
/// for each number that MISHAP names it does not: it dies, or says what no listener says.
const LISTENER: &str = r"
import os, sys
file, last, mishap = sys.argv[1], sys.argv[2].encode(), sys.argv[3:]
out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
numbers = [number.encode() for number in mishap[1:]]
os.write(1, b'READY\n')
data = b''
while True:
    chunk = os.read(0, 65536)
    if not chunk:
        break
    data += chunk
    while True:
        head, newline, rest = data.partition(b'\n')
        length = int(head[head.rindex(b':') + 1:]) if newline else 0
        if not newline or len(rest) < length:
            break
        number = rest[:length].partition(b'\n')[2]
        data = rest[length:]
        mark = '%s.%s' % (sys.argv[0], number[:8].decode())
        if number in numbers and not os.path.exists(mark):
            open(mark, 'w').close()
            if mishap[0] == 'die':
                os._exit(1)
            os.write(1, b'what is this?\nand that\n')
            break
        os.write(out, number + b'\n')
        os.write(1, b'RESULT 2\nOKREADY\n')
        if number == last:
            open('done', 'w').close()
";

/// A pool of listeners that write into `lines/NAME_0` and so on.
fn pool(scratch: &Scratch, name: &str, size: usize, rest: &str) -> String {
    scratch.write("listener.py", LISTENER);
    std::fs::create_dir_all(scratch.join("lines")).expect("our own directory");
    format!(
        "[eventlistener:{name}]\ncommand=/usr/bin/python3 -S %(here)s/listener.py lines/{name}_%(process_num)d {rest}\n\
         events=REMOTE_COMMUNICATION\nbuffer_size=200000\nnumprocs={size}\nprocess_name={name}_%(process_num)d\n\
         directory=%(here)s\nstartsecs=0\nautorestart=true\n"
    )
}

/// Sends events with these numbers over one connection, hundreds in a request.
fn send(scratch: &Scratch, numbers: std::ops::Range<usize>) {
    let mut http = Http::connect(&unix(scratch.path(), "sv.sock")).expect("it listens");
    let all: Vec<usize> = numbers.collect();
    for some in all.chunks(500) {
        let mut calls = String::new();
        for number in some {
            write!(
                calls,
                "<value><struct><member><name>methodName</name><value>supervisor.sendRemoteCommEvent</value></member>\
                 <member><name>params</name><value><array><data><value>n</value><value>{number}</value></data></array></value></member></struct></value>"
            )
            .expect("memory");
        }
        let body = format!(
            "<methodCall><methodName>system.multicall</methodName><params><param><value><array><data>{calls}</data></array></value></param></params></methodCall>"
        );
        let head = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        http.send(head + &body).expect("it takes the request");
        let answer = http.answer().expect("it answers").expect("it stays");
        let text = answer.text();
        assert_eq!(text.matches("<boolean>1</boolean>").count(), some.len(), "{text:.500}");
    }
}

/// The numbers that one listener wrote, which come in order.
fn lines(scratch: &Scratch, name: &str) -> Vec<usize> {
    let text = scratch.read(&format!("lines/{name}"));
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// Waits until listeners have written so many lines together; gives those of each.
fn written(scratch: &Scratch, names: &[&str], count: usize) -> Vec<Vec<usize>> {
    let all = || -> Vec<Vec<usize>> { names.iter().map(|name| lines(scratch, name)).collect() };
    let enough = || Some(all()).filter(|all| all.iter().map(Vec::len).sum::<usize>() >= count);
    wait_dir(&scratch.join("lines"), PATIENCE, enough).unwrap_or_else(|| {
        panic!("of {count} came {:?}", all().iter().map(Vec::len).collect::<Vec<_>>())
    })
}

/// Each number below `count` is there once.
fn each_once(of_each: &[Vec<usize>], count: usize) {
    let mut all: Vec<usize> = of_each.concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..count), "{} numbers of {count}", all.len());
}

/// The daemon answers at once, as far as a machine does that has so much to do.
fn prompt(daemon: &Daemon) {
    let began = Instant::now();
    let status = daemon.ctl(&["status"]);
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    assert!(!status.stdout.is_empty() && status.stderr.is_empty(), "{status:?}");
}

fn done(scratch: &Scratch) {
    let there = || scratch.join("done").exists().then_some(());
    assert!(wait_dir(scratch.path(), 3 * PATIENCE, there).is_some(), "the last event never came");
}

// C-349, C-351
#[test]
fn a_pool_of_three_handles_a_hundred_thousand_events_each_once_and_in_order() {
    let scratch = Scratch::new();
    let pool = pool(&scratch, "l", 3, "99999");
    let daemon = Daemon::start(&scratch, &format!("{SERVER}{pool}"));
    send(&scratch, 0..100_000);
    prompt(&daemon);
    done(&scratch);
    let of_each = written(&scratch, &["l_0", "l_1", "l_2"], 100_000);
    for numbers in &of_each {
        assert!(numbers.is_sorted(), "a later event came before an earlier one");
    }
    each_once(&of_each, 100_000);
}

// C-353, C-340, C-341
#[test]
fn three_pools_get_every_event_in_order_a_hundred_thousand_together() {
    const EACH: usize = 33_334;
    let scratch = Scratch::new();
    let last = (EACH - 1).to_string();
    let pools: String = ["a", "b", "c"].map(|name| pool(&scratch, name, 1, &last)).concat();
    let daemon = Daemon::start(&scratch, &format!("{SERVER}{pools}"));
    send(&scratch, 0..EACH);
    prompt(&daemon);
    done(&scratch);
    for numbers in written(&scratch, &["a_0", "b_0", "c_0"], 3 * EACH) {
        assert!(numbers.iter().copied().eq(0..EACH), "{} numbers", numbers.len());
    }
}

// C-351
#[test]
fn an_event_of_a_listener_that_dies_goes_to_another() {
    let scratch = Scratch::new();
    let pool = pool(&scratch, "l", 2, "none die 100 500 900 999");
    let daemon = Daemon::start(&scratch, &format!("{SERVER}{pool}"));
    send(&scratch, 0..1000);
    prompt(&daemon);
    each_once(&written(&scratch, &["l_0", "l_1"], 1000), 1000);
    assert_eq!(daemon.log().matches("; not expected)").count(), 4, "{}", daemon.log());
}

// C-348, C-351
#[test]
fn an_event_of_a_listener_that_writes_garbage_goes_to_another_and_it_is_started_again() {
    let scratch = Scratch::new();
    let pool = pool(&scratch, "l", 2, "none chatter 100 500 999");
    let daemon = Daemon::start(&scratch, &format!("{SERVER}{pool}"));
    send(&scratch, 0..1000);
    prompt(&daemon);
    each_once(&written(&scratch, &["l_0", "l_1"], 1000), 1000);
    daemon.expect_log_times("bad result line: 'what is this?'", 3);
    daemon.expect_log_times("entered RUNNING", 5);
    // Both hear again.
    send(&scratch, 1000..1100);
    each_once(&written(&scratch, &["l_0", "l_1"], 1100), 1100);
}

// C-349
#[test]
fn a_stopped_listener_holds_up_its_own_event_alone() {
    let scratch = Scratch::new();
    let pool = pool(&scratch, "l", 2, "none");
    let daemon = Daemon::start(&scratch, &format!("{SERVER}{pool}"));
    send(&scratch, 0..2);
    written(&scratch, &["l_0", "l_1"], 2);
    let stopped = daemon.pid_of("l:l_0").cast_signed();
    signal(stopped, Signal::SIGSTOP);
    send(&scratch, 2..1000);
    prompt(&daemon);
    let of_each = written(&scratch, &["l_0", "l_1"], 999);
    assert!(of_each[1].len() >= 997, "the other one has {}", of_each[1].len());
    signal(stopped, Signal::SIGCONT);
    each_once(&written(&scratch, &["l_0", "l_1"], 1000), 1000);
}

// C-408
#[test]
fn a_listener_that_never_reads_hurts_nobody_and_its_event_goes_to_another() {
    let scratch = Scratch::new();
    scratch.script("deaf", "#!/bin/sh\nprintf 'READY\\n'; exec sleep 1000\n");
    let pool =
        pool(&scratch, "l", 2, "none").replace("command=", "command=%(here)s/one %(process_num)d ");
    scratch.script("one", "#!/bin/sh\n[ $1 = 0 ] && exec ./deaf\nshift; exec \"$@\"\n");
    let daemon = Daemon::start(&scratch, &format!("{SERVER}{pool}"));
    // It gets an event, or more than one pipe holds, and that is all it gets.
    send(&scratch, 0..3000);
    prompt(&daemon);
    written(&scratch, &["l_1"], 2999);
    let deaf = daemon.pid_of("l:l_0");
    daemon.ctl(&["stop", "l:l_0"]);
    assert!(process::wait_gone(deaf, PATIENCE));
    each_once(&written(&scratch, &["l_1"], 3000), 3000);
}

// C-339, C-410
#[test]
fn a_listener_that_reads_bytes_gets_lengths_in_bytes() {
    let scratch = Scratch::new();
    scratch.script(
        "bytes",
        "#!/bin/sh\nprintf 'READY\\n'\nwhile read -r line; do\n\
         \thead -c \"${line##*len:}\" >> payloads; echo >> payloads\n\
         \tprintf 'RESULT 2\\nOKREADY\\n'\ndone\n",
    );
    let daemon = Daemon::start(
        &scratch,
        &format!(
            "{SERVER}[eventlistener:l]\ncommand=%(here)s/bytes\ndirectory=%(here)s\nevents=PROCESS_STATE_STARTING\n\
             event_length=bytes\nstartsecs=0\n[program:größe]\ncommand=/bin/true\nautostart=false\nstartsecs=0\nautorestart=false\n"
        ),
    );
    for times in 1..=3 {
        daemon.ctl(&["start", "größe"]);
        daemon.expect_log_times("exited: größe", times);
    }
    expect_in_file(
        &scratch.join("payloads"),
        "from_state:EXITED tries:0\nprocessname:größe groupname:größe from_state:EXITED tries:0\n",
    );
    let text = scratch.read("payloads");
    let expected = "processname:größe groupname:größe from_state:";
    assert_eq!(text.lines().filter(|line| line.starts_with(expected)).count(), 3, "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
}
