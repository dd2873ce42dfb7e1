//! Streams of those who do not read them, and of too many.

use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::http::{Http, Target, ask, get, unix};
use crate::support::scratch::Scratch;
use crate::tail::{expect, follow};

const PROGRAM: &str = "[unix_http_server]\nfile=%(here)s/s\n\
    [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
    supervisor.rpcinterface:make_main_rpcinterface\n\
    [program:a]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n";

#[test]
fn there_is_room_for_so_many_and_the_next_is_told_so() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, PROGRAM);
    let target = unix(scratch.path(), "s");
    for (path, full, sign) in [
        ("/events", "Too many streams of events", "PROCESS_STATE_STARTING"),
        ("/live", "Too many pages are open", "\"state\":\"running\""),
    ] {
        let mut open: Vec<Http> = (0..128).map(|_| follow(&target, path, "1.1")).collect();
        let refused = get(&target, path, "");
        assert_eq!(refused.status(), 503, "{path}");
        assert!(refused.text().contains(full), "{refused:?}");
        // All others are served as before, and so are those that have room.
        assert_eq!(get(&target, "/ok.html", "").status(), 200);
        assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
        for http in &mut open {
            expect(http, sign);
        }
        assert_eq!(daemon.ctl(&["stop", "a"]).code, 0);
        drop(open);
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let mut http = Http::connect(&target).expect("it listens");
            http.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).expect("it takes it");
            match http.head().expect("it answers").expect("it does").status() {
                200 => break,
                status => assert_eq!(status, 503),
            }
            assert!(Instant::now() < until, "the places are never free");
            std::thread::yield_now();
        }
    }
}

/// Sends an event of a client's own.
fn send(target: &Target, kind: &str, data: &str) {
    let value = |text: &str| format!("<param><value><string>{text}</string></value></param>");
    let call = format!(
        "<methodCall><methodName>supervisor.sendRemoteCommEvent</methodName><params>{}{}</params>\
         </methodCall>",
        value(kind),
        value(data)
    );
    let head = "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n";
    let answer = ask(target, format!("{head}Content-Length: {}\r\n\r\n{call}", call.len()));
    assert!(answer.status() == 200 && !answer.text().contains("fault"), "{answer:?}");
}

/// How much memory a process has in use, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn who_reads_nothing_costs_nobody_an_event_and_the_daemon_little() {
    const EVENTS: usize = 40;
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, PROGRAM);
    let target = unix(scratch.path(), "s");
    let mut idle: Vec<Http> = (0..2).map(|_| follow(&target, "/events", "1.1")).collect();
    let mut reader = follow(&target, "/events?types=REMOTE_COMMUNICATION", "1.1");
    expect(&mut reader, "from now on");
    let before = resident(daemon.pid());
    // More than may wait for anybody, and each of it is read at once by who reads.
    let data = "x".repeat(512 * 1024);
    for n in 0..EVENTS {
        send(&target, &format!("number{n}."), &data);
        let said = expect(&mut reader, "\n\n");
        assert!(said.contains(&format!("number{n}.")), "{n}: {}", &said[..said.len().min(200)]);
    }
    let grown = resident(daemon.pid()).saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB, and {} KiB were told", EVENTS * 512);
    assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
    // Those who come back are told what they have missed, and go on from there.
    for http in &mut idle {
        let (mut missed, mut bytes) = (false, 0);
        loop {
            // Each message is one.
            let chunk = http.chunk().expect("more comes");
            assert!(!chunk.is_empty(), "it goes on");
            let head = String::from_utf8_lossy(&chunk[..chunk.len().min(200)]).into_owned();
            missed |= head.starts_with("event: missed\ndata: {\"missed\":");
            bytes += chunk.len();
            if head.contains("PROCESS_STATE_RUNNING") {
                break;
            }
        }
        assert!(missed && bytes < 20 << 20, "{missed} {bytes}");
    }
}

#[test]
fn a_page_that_is_not_read_gets_everything_anew_and_holds_nobody_up() {
    let scratch = Scratch::new();
    let config = format!(
        "{PROGRAM}[program:many]\ncommand=/bin/cat\nprocess_name=%(program_name)s_%(process_num)d\n\
         numprocs=40\nautostart=false\nstartsecs=0\n"
    );
    let daemon = Daemon::start(&scratch, &config);
    let target = unix(scratch.path(), "s");
    let mut idle = follow(&target, "/live", "1.1");
    let mut reader = follow(&target, "/live", "1.1");
    expect(&mut reader, "\"whole\":true");
    for _ in 0..40 {
        assert_eq!(daemon.ctl(&["start", "many:*"]).code, 0);
        assert_eq!(daemon.ctl(&["stop", "many:*"]).code, 0);
    }
    assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
    let last = "\"process\":\"a\",\"state\":\"running\"";
    expect(&mut reader, last);
    // It was told everything once more, and so has how it is at last.
    let said = expect(&mut idle, last);
    assert!(said.matches("\"whole\":true").count() > 1, "{}", said.len());
}
