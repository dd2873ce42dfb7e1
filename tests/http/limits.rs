//! What nobody may take too much of.

use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::http::{Http, Target, ask, get, loopback, unix};
use crate::support::scratch::Scratch;

fn served(scratch: &Scratch) -> (Daemon, Target) {
    let address = loopback();
    let section =
        format!("[inet_http_server]\nport={address}\n[unix_http_server]\nfile=%(here)s/s\n");
    (Daemon::start(scratch, &section), Target::Inet(address))
}

#[test]
fn idle_and_slow_connections_keep_nobody_out() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let unix = unix(scratch.path(), "s");
    let mut held = Vec::new();
    for at in 0..700 {
        let mut http =
            Http::connect(if at % 2 == 0 { &target } else { &unix }).expect("it listens");
        if at % 7 == 0 {
            // A head that never ends, or a body that never comes. It may be closed by now.
            let slow = ["GET / HT", "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<"];
            http.send(slow[at % 2]).expect("it is taken");
        }
        held.push(http);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        for target in [&target, &unix] {
            let began = Instant::now();
            assert_eq!(get(target, "/ok.html", "").status(), 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    // Had they to wait for those to go, it would be the minute that a head may take. How fast it is on a
    // quiet machine is another test's: `hostile::control_is_prompt_…`.
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert!(daemon.ctl(&["pid"]).stdout.trim() == daemon.pid().to_string());
    // The first ones had to go.
    assert_eq!(held[1].rest().expect("it closes"), b"");
}

#[test]
fn what_is_no_request_is_refused_and_does_no_harm() {
    // C-335, C-437
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(5_000));
    let refused: [&[u8]; 10] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET - HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for request in refused {
        let mut http = Http::connect(&target).expect("it listens");
        // It may have closed before the end.
        let _ = http.send(request);
        let answer = http.answer().ok().flatten();
        let status = answer.as_ref().map_or(400, crate::support::http::Answer::status);
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        assert!((400..500).contains(&status), "{shown:?}: {answer:?}");
    }
    let other = |method: &str| {
        ask(&target, format!("{method} /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n")).status()
    };
    for method in ["DELETE", "OPTIONS", "PUT", "FOO"] {
        assert_eq!(other(method), 400, "{method}");
    }
    assert_eq!(get(&target, "/ok.html", "").status(), 200);
    assert!(!daemon.log().contains("it is a bug"), "{}", daemon.log());
}

#[test]
fn connections_are_kept_and_closed_as_the_client_says() {
    // C-285
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch);
    let mut http = Http::connect(&target).expect("it listens");
    let request = "GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n";
    http.send(request.repeat(3)).expect("it takes them");
    for _ in 0..3 {
        assert_eq!(http.answer().expect("it answers").expect("each").text(), "OK");
    }
    http.send("GET /ok.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it");
    assert_eq!(http.answer().expect("it answers").expect("it does").status(), 200);
    assert_eq!(http.rest().expect("it closes"), b"");

    let mut old = Http::connect(&target).expect("it listens");
    old.send("GET /ok.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("it takes it");
    assert_eq!(old.answer().expect("it answers").expect("it does").status(), 200);
    old.send("GET /ok.html HTTP/1.0\r\n\r\n").expect("it is open");
    assert_eq!(old.answer().expect("it answers").expect("it does").status(), 200);
    assert_eq!(old.rest().expect("it closes"), b"");
}

#[test]
fn requests_are_noted_at_trace() {
    // C-326
    let scratch = Scratch::new();
    let address = loopback();
    let config = scratch.write(
        "supervisord.conf",
        format!(
            "{}loglevel=trace\n[inet_http_server]\nport={address}\n",
            crate::support::daemon::HEAD
        ),
    );
    let daemon = Daemon::start_on(scratch.path(), &config, &[]);
    get(&Target::Inet(address), "/ok.html?x", "");
    daemon.expect_log("\"GET /ok.html?x HTTP/1.1\" 200 2");
    daemon.expect_log(
        &format!("TRAC {}:", address.ip()).replace(&address.ip().to_string(), "127.0.0.1"),
    );
}
