//! Logs as endless streams.

use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, HEAD};
use crate::support::expect_quick;
use crate::support::http::{Http, Target, get, loopback, unix};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

const PROGRAM: &str = "[unix_http_server]\nfile=%(here)s/s\n\
    [program:a]\ncommand=/bin/cat\nstdout_logfile=%(here)s/a.out\nstdout_logfile_maxbytes=4KB\nstdout_logfile_backups=20\n";

/// A stream, as far as its head.
pub fn follow(target: &Target, path: &str, version: &str) -> Http {
    let mut http = Http::connect(target).expect("it listens");
    http.send(format!("GET {path} HTTP/{version}\r\nHost: x\r\n\r\n")).expect("it takes it");
    assert_eq!(http.head().expect("it answers").expect("it does").status(), 200);
    http
}

/// Reads chunks until this was read.
pub fn expect(http: &mut Http, needle: &str) -> String {
    let mut text = String::new();
    while !text.contains(needle) {
        let chunk = http.chunk().expect("more comes");
        assert!(!chunk.is_empty(), "it ended before {needle:?}: {text:?}");
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

#[test]
fn a_follower_sees_what_is_said_at_once_and_through_rotations() {
    // C-327, C-433
    let scratch = Scratch::new();
    let programs = PROGRAM.replace(
        "/bin/cat",
        "/bin/sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; exec cat'",
    );
    let daemon = Daemon::start(
        &scratch,
        &programs.replace("[program:a]\n", "[program:a]\nautostart=false\nstartsecs=0\n"),
    );
    std::fs::write(scratch.join("a.out"), "before\n").expect("a log");
    let target = unix(scratch.path(), "s");
    let mut http = follow(&target, "/logtail/a", "1.1");
    assert_eq!(expect(&mut http, "before\n"), "before\n");
    assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
    let text = expect(&mut http, "line 3000\n");
    let expected: Vec<String> = (1..=3000).map(|i| format!("line {i}\n")).collect();
    assert!(text == expected.concat(), "something is missing or comes twice");
}

#[test]
fn an_old_client_gets_a_stream_at_once() {
    // C-438
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, PROGRAM);
    daemon.expect_log("success: a entered RUNNING");
    std::fs::write(scratch.join("a.out"), "hello\n").expect("a log");
    expect_quick(Duration::from_secs(2), || {
        let mut http = follow(&unix(scratch.path(), "s"), "/logtail/a", "1.0");
        assert_eq!(http.bytes(6).expect("it comes"), b"hello\n");
    });
}

#[test]
fn a_stream_ends_with_its_reader_also_when_nothing_is_said() {
    let scratch = Scratch::new();
    let address = loopback();
    let daemon = Daemon::start(&scratch, &format!("[inet_http_server]\nport={address}\n{PROGRAM}"));
    daemon.expect_log("success: a entered RUNNING");
    for target in [unix(scratch.path(), "s"), Target::Inet(address)] {
        let mut http = follow(&target, "/logtail/a", "1.1");
        http.no_more().expect("it is there");
        assert_eq!(http.chunk().expect("it ends"), b"", "the last chunk");
        assert_eq!(http.rest().expect("it closes"), b"");
    }
}

#[test]
fn the_main_log_can_be_followed() {
    // C-328
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("{PROGRAM}autostart=false\nstartsecs=0\n"));
    expect_in_file(&scratch.join("supervisord.log"), "supervisord started");
    let target = unix(scratch.path(), "s");
    let mut http = follow(&target, "/mainlogtail", "1.1");
    expect(&mut http, "supervisord started");
    daemon.ctl(&["start", "a"]);
    expect(&mut http, "spawned: 'a'");
}

#[test]
fn there_is_room_for_so_many_followers_and_for_others_still() {
    let scratch = Scratch::new();
    let config = scratch.write("supervisord.conf", format!("{HEAD}{PROGRAM}"));
    let daemon = Daemon::start_on(scratch.path(), &config, &[]);
    daemon.expect_log("success: a entered RUNNING");
    let target = unix(scratch.path(), "s");
    let followers: Vec<Http> = (0..128).map(|_| follow(&target, "/logtail/a", "1.1")).collect();
    assert_eq!(get(&target, "/logtail/a", "").status(), 503);
    assert_eq!(get(&target, "/ok.html", "").status(), 200);
    drop(followers);
    // The server sees that they are gone when it is told; then there is room again.
    let until = Instant::now() + Duration::from_secs(20);
    while get_head(&target) == 503 {
        assert!(Instant::now() < until, "the places are never free");
        std::thread::yield_now();
    }
}

fn get_head(target: &Target) -> u16 {
    let mut http = Http::connect(target).expect("it listens");
    http.send("GET /logtail/a HTTP/1.1\r\nHost: x\r\n\r\n").expect("it takes it");
    http.head().expect("it answers").expect("it does").status()
}

#[test]
fn what_cannot_be_followed_is_not_found() {
    // C-327, C-437
    let scratch = Scratch::new();
    let _daemon = Daemon::start(&scratch, PROGRAM);
    let target = unix(scratch.path(), "s");
    for path in ["/logtail", "/logtail/", "/logtail/nope", "/logtail/a/x", "/logtail/%FF"] {
        assert_eq!(get(&target, path, "").status(), 404, "{path}");
    }
}
