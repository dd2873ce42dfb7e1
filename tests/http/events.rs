//! What happens, as a stream of server-sent events.

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::http::{Http, Target, ask, get, loopback, unix};
use crate::support::scratch::Scratch;

const PROGRAM: &str = "[unix_http_server]\nfile=%(here)s/s\n\
    [program:a]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n";

/// A stream that has begun.
fn follow(target: &Target, path: &str) -> Http {
    let mut http = Http::connect(target).expect("it listens");
    http.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).expect("it takes it");
    let head = http.head().expect("it answers").expect("it does");
    assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
    assert!(http.chunk().expect("it begins").starts_with(b": "), "a comment comes first");
    http
}

/// The next event: its lines before the data, and the data. None at the end.
fn next(http: &mut Http) -> Option<(String, Value)> {
    loop {
        let message = String::from_utf8(http.chunk().expect("more comes")).expect("text");
        if message.is_empty() {
            return None;
        }
        if let Some((lines, data)) = message.split_once("data: ") {
            assert!(data.ends_with("\n\n"), "{message:?}");
            return Some((lines.to_owned(), serde_json::from_str(data).expect("JSON")));
        }
    }
}

#[test]
fn a_start_is_told_with_its_values_and_the_stream_ends_with_the_daemon() {
    let scratch = Scratch::new();
    let mut daemon = Daemon::start(&scratch, PROGRAM);
    let target = unix(scratch.path(), "s");
    let mut http = follow(&target, "/events?types=PROCESS_STATE_STARTING,PROCESS_STATE_RUNNING");
    assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
    let (lines, starting) = next(&mut http).expect("it starts");
    let serial = &starting["serial"];
    assert_eq!(lines, format!("id: {serial}\nevent: PROCESS_STATE_STARTING\n"));
    assert_eq!(starting["type"], "PROCESS_STATE_STARTING");
    assert!(starting["time"].as_f64().is_some_and(|time| time > 1e9), "{starting}");
    let details = serde_json::json!({
        "processname": "a", "groupname": "a", "from_state": "STOPPED", "tries": 0
    });
    assert_eq!(starting["details"], details);
    let (_, running) = next(&mut http).expect("it runs");
    assert_eq!(running["type"], "PROCESS_STATE_RUNNING");
    assert_eq!(running["details"]["pid"], daemon.pid_of("a"));
    daemon.stop();
    assert_eq!(next(&mut http), None);
}

#[test]
fn only_what_is_wanted_is_told() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, PROGRAM);
    let target = unix(scratch.path(), "s");
    let mut stops = follow(&target, "/events?types=process_state_stopped%2CTICK_3600");
    let mut states = follow(&target, "/events?types=PROCESS_STATE");
    assert_eq!(daemon.ctl(&["start", "a"]).code, 0);
    assert_eq!(daemon.ctl(&["stop", "a"]).code, 0);
    let kind = |http: &mut Http| next(http).expect("an event").1["type"].clone();
    assert_eq!(kind(&mut stops), "PROCESS_STATE_STOPPED");
    for state in ["STARTING", "RUNNING", "STOPPING", "STOPPED"] {
        assert_eq!(kind(&mut states), format!("PROCESS_STATE_{state}"));
    }
    // It ends with its reader, also when nothing happens.
    stops.no_more().expect("it is there");
    assert_eq!(next(&mut stops), None);
}

#[test]
fn what_is_no_type_or_no_get_is_refused() {
    let scratch = Scratch::new();
    let _daemon = Daemon::start(&scratch, PROGRAM);
    let target = unix(scratch.path(), "s");
    let answer = get(&target, "/events?types=TICK_5,TICK_7", "");
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("TICK_7"), "{answer:?}");
    let post = "POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(ask(&target, post).status(), 400);
    assert_eq!(get(&target, "/events/a", "").status(), 404);
}

#[test]
fn nobody_is_told_without_a_login() {
    let scratch = Scratch::new();
    let (login, basic) = (loopback(), loopback());
    let servers = format!(
        "[inet_http_server:a]\nport={login}\nauth=login\n\
         [inet_http_server:b]\nport={basic}\nusername=u\npassword=p\n"
    );
    let _daemon = Daemon::start(&scratch, &format!("{servers}{PROGRAM}"));
    for address in [login, basic] {
        assert_eq!(get(&Target::Inet(address), "/events", "").status(), 401, "{address}");
    }
}
