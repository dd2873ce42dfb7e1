//! What the scripts of the pages ask for, and what they are told.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{PROGRAMS, act, post, served, token};
use crate::support::http::{Answer, Http, Target, ask, get};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

/// Calls what a script of the page would call.
fn call(target: &Target, json: &str, headers: &str) -> Answer {
    let length = json.len();
    ask(
        target,
        format!(
            "POST /act HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        ),
    )
}

#[test]
fn a_script_of_the_page_acts_with_the_token_alone() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    let token = token(&get(&target, "/", "").text());
    let header = format!("X-CSRF-Token: {token}\r\n");
    for wrong in ["", "X-CSRF-Token: 0\r\n", &format!("Cookie: csrf={token}\r\n")] {
        let answer = call(&target, "{\"action\":\"stop\",\"names\":[\"up\"]}", wrong);
        assert_eq!(answer.status(), 403, "{wrong}");
    }
    // A form of another site could send this type without asking.
    let form = format!("{{\"action\":\"stopall\",\"names\":[],\"text\":\"{token}\"}}");
    assert_eq!(post(&target, "/act", &form).status(), 403);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
    let report = |json: &str| {
        let answer = call(&target, json, &header);
        assert_eq!(answer.status(), 200, "{json}: {answer:?}");
        serde_json::from_slice::<serde_json::Value>(&answer.body).expect("a report")
    };
    let both = report("{\"action\":\"stop\",\"names\":[\"up\",\"none\"]}");
    assert_eq!(both["message"], "Stopping 1 of 2");
    assert_eq!(both["failed"][0][0], "none");
    assert_eq!(both["failed"][0][1], "not running");
    daemon.expect_log("stopped: up (terminated by SIGTERM)");
    assert_eq!(report("{\"action\":\"start\",\"names\":[\"b:*\"]}")["message"], "Starting b:*");
    daemon.expect_log("spawned: 'x1'");
    let killed = report("{\"action\":\"signal\",\"names\":[\"b:x1\"],\"signal\":\"KILL\"}");
    assert_eq!(killed["message"], "Sent KILL to b:x1");
    daemon.expect_log("exited: x1 (terminated by SIGKILL; not expected)");
    for (wrong, status) in [
        ("{\"action\":\"dance\",\"names\":[]}", 400),
        ("{\"action\":\"signal\",\"names\":[\"up\"]}", 400),
        ("{\"action\":\"stop\",\"names\":[\"up\"],\"other\":1}", 400),
        ("{", 400),
    ] {
        assert_eq!(call(&target, wrong, &header).status(), status, "{wrong}");
    }
    daemon.expect_log("used the web page to stop up, none: 1 failed: ");
}

#[test]
fn a_line_reaches_the_standard_input_and_not_the_log() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:echo]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/echo.out\n",
    );
    let sent = act(&target, "action=stdin&processname=echo&text=hush+one");
    assert_eq!(sent, "Sent to echo");
    let token = token(&get(&target, "/", "").text());
    let json = "{\"action\":\"stdin\",\"names\":[\"echo\"],\"text\":\"hush two\\n\"}";
    assert_eq!(call(&target, json, &format!("X-CSRF-Token: {token}\r\n")).status(), 200);
    expect_in_file(&scratch.join("echo.out"), "hush one\nhush two\n");
    assert!(!daemon.log().contains("hush"), "{}", daemon.log());
}

/// Reads events until one of this kind comes, and gives its data.
fn event(http: &mut Http, ahead: &mut String, kind: &str) -> serde_json::Value {
    loop {
        while let Some((event, rest)) = ahead.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *ahead = rest;
            let (name, data) = event.split_once('\n').expect("a name and data");
            if name == format!("event: {kind}") {
                let data = data.strip_prefix("data: ").expect("data");
                return serde_json::from_str(data).expect("JSON");
            }
        }
        ahead.push_str(&String::from_utf8_lossy(&http.chunk().expect("it goes on")));
    }
}

#[test]
fn a_page_is_told_everything_and_then_what_changes() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    let mut http = Http::connect(&target).expect("it listens");
    http.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it takes it");
    let head = http.head().expect("it answers").expect("it does");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let mut ahead = String::new();
    let since = Duration::from_millis(
        event(&mut http, &mut ahead, "time").as_u64().expect("milliseconds since the epoch"),
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    assert!(now.abs_diff(since) < Duration::from_secs(60), "{since:?} and {now:?}");
    let whole = event(&mut http, &mut ahead, "state");
    assert_eq!(whole["whole"], true);
    assert_eq!(whole["daemon"], "RUNNING");
    let names: Vec<_> = whole["processes"].as_array().expect("a list").iter().collect();
    assert_eq!(names.len(), 6);
    let up = names.iter().find(|process| process["name"] == "up").expect("it is there");
    assert_eq!((&up["state"], &up["problem"]), (&"running".into(), &false.into()));
    let pid = daemon.pid_of("up");
    assert_eq!(up["pid"], pid);
    let load = event(&mut http, &mut ahead, "use");
    assert!(load["of"]["up"][1].as_u64().is_some_and(|kib| kib > 0), "{load}");
    // A page that is opened now gets what was measured already, of the processes it asks for.
    let past = get(&target, "/data/use?name=up&name=nope&name=b:x0", "").body;
    let past: serde_json::Value = serde_json::from_slice(&past).expect("JSON");
    assert_eq!(past["up"][0][2], load["of"]["up"][1], "{past}");
    assert_eq!(past["b:x0"], serde_json::json!([]), "it does not run");
    assert!(past.get("nope").is_none(), "{past}");

    let began = Instant::now();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid.try_into().expect("a pid")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("it lives");
    let news = event(&mut http, &mut ahead, "state");
    // A small part of a second, but for a machine that is busy.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(news["whole"], false);
    let changed = news["processes"].as_array().expect("a list");
    assert_eq!((changed.len(), &changed[0]["name"]), (1, &"up".into()), "{news}");

    // A page of another site gets nothing of it.
    let theirs = get(&target, "/live", "Origin: http://evil.example\r\n");
    assert_eq!(theirs.status(), 403);
}
