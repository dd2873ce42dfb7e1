//! Who asked for what happened, whatever way they came.

use std::time::Instant;

use serde_json::Value;

use crate::login::{PROGRAM, log_in};
use crate::sessions::{call, token};
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;
use crate::support::http::{Target, ask, get, loopback};
use crate::support::process::pid_of;
use crate::support::scratch::Scratch;

/// What the page of `a` tells of its changes, in their order.
struct Story<'t> {
    target: &'t Target,
    /// The number of the last one that was looked at.
    number: u64,
}

impl Story<'_> {
    /// Who asked for the next change to this state. It is told a moment after it happened.
    fn next(&mut self, state: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let path = format!("/data/process?name=a&after={}", self.number);
        loop {
            let facts = get(self.target, &path, "");
            let facts: Value = serde_json::from_slice(&facts.body).expect("JSON");
            let changes = facts["history"].as_array().expect("a list");
            if let Some(change) = changes.iter().find(|change| change["to"] == state) {
                self.number = change["number"].as_u64().expect("a number");
                return change["by"].as_str().unwrap_or_default().to_owned();
            }
            assert!(Instant::now() < until, "{state} is not in {facts}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn the_page_tells_who_asked_over_d_bus_xml_rpc_and_the_page() {
    let scratch = Scratch::new();
    let (open, login) = (loopback(), loopback());
    let config = format!(
        "[inet_http_server]\nport={open}\n[inet_http_server:b]\nport={login}\nauth=login\n{}",
        PROGRAM.replace("/bin/cat", "/bin/cat\nstartsecs=0")
    );
    let daemon = Daemon::start(&scratch, &config);
    daemon.expect_log("success: a entered RUNNING");
    let (target, login) = (Target::Inet(open), Target::Inet(login));
    let mut story = Story { target: &target, number: 0 };
    assert_eq!(story.next("running"), "", "it was started by itself");

    assert_eq!(daemon.ctl(&["restart", "a"]).code, 0);
    // That it has stopped, and that it runs, follows from it and is nobody's.
    for (state, start) in [
        ("stopping", "user 0 (pid "),
        ("stopped", ""),
        ("starting", "user 0 (pid "),
        ("running", ""),
    ] {
        let by = story.next(state);
        assert!(by.starts_with(start) && by.is_empty() == start.is_empty(), "{state}: {by}");
    }

    let rpc = "<methodCall><methodName>supervisor.stopProcess</methodName><params><param>\
               <value><string>a</string></value></param></params></methodCall>";
    let head = "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n";
    let answer = ask(&target, format!("{head}Content-Length: {}\r\n\r\n{rpc}", rpc.len()));
    assert!(!answer.text().contains("fault"), "{answer:?}");
    let by = story.next("stopping");
    assert!(by.starts_with("127.0.0.1:"), "{by}");

    let session = log_in(&daemon, &login, &[]);
    let json = "{\"action\":\"start\",\"names\":[\"a\"]}";
    assert_eq!(call(&login, &session, &token(&login, &session), json), 200);
    let by = story.next("starting");
    assert!(by.starts_with("127.0.0.1:") && by.ends_with(" as 'user 0'"), "{by}");

    // It ends by itself, and what follows is not theirs.
    assert_eq!(story.next("running"), "");
    let pid = daemon.pid_of("a");
    nix::sys::signal::kill(pid_of(pid), nix::sys::signal::Signal::SIGKILL).expect("it lives");
    assert_eq!((story.next("exited"), story.next("starting")), Default::default());
}
