//! What a session opens where people log in, what it does not, and that it ends whole.

use crate::login::{PROGRAM, log_in, post, served};
use crate::support::daemon::{Daemon, HEAD};
use crate::support::http::{Http, Target, ask, get, loopback};
use crate::support::scratch::Scratch;

/// What goes on for as long as somebody listens.
const STREAMS: [&str; 4] = ["/live", "/events", "/logtail/a", "/mainlogtail"];

/// All else that there is to see.
const PAGES: [&str; 12] = [
    "/?message=x",
    "/index.html?processname=a&action=stop",
    "/daemon",
    "/daemon?preview=1",
    "/process/a/a",
    "/tail.html?processname=a",
    "/data/process?name=a",
    "/data/preview",
    "/download",
    "/download?name=a",
    "/stylesheets/supervisor.css",
    "/scripts/app.js",
];

/// The head of an answer to a GET, and the connection that goes on with the rest.
fn begin(target: &Target, path: &str, session: &str) -> (u16, Http) {
    let mut http = Http::connect(target).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{session}\r\n");
    http.send(request).expect("it takes it");
    let head = http.head().expect("it answers").expect("it does");
    (head.status(), http)
}

/// The token in the forms of a session's pages.
pub fn token(target: &Target, session: &str) -> String {
    let page = get(target, "/", session).text();
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().expect("its end").to_owned()
}

/// A call of a script of the page, with this token.
pub fn call(target: &Target, session: &str, token: &str, json: &str) -> u16 {
    let length = json.len();
    let request = format!(
        "POST /act HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n{session}\
         X-CSRF-Token: {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         \r\n{json}"
    );
    ask(target, request).status()
}

#[test]
fn everything_is_shut_without_a_session_and_open_to_one_that_may_look() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    for path in STREAMS.iter().chain(&PAGES) {
        let answer = get(&target, path, "");
        let is_front = path.starts_with("/?") || path.starts_with("/index.html");
        assert_eq!(answer.status(), if is_front { 200 } else { 401 }, "{path}");
        let text = answer.text();
        assert!(text.contains("sudo supervisorctl web"), "{path}: {text}");
        assert!(!text.contains("cat") && !text.contains("csrf"), "{path}: {text}");
        // What such a page needs, everybody gets.
        for mark in [" src=\"", "<link rel=\"stylesheet\" href=\""] {
            for needed in text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert_eq!(get(&target, needed, "").status(), 200, "{path} needs {needed}");
            }
        }
    }
    for path in ["/", "/index.html", "/tail.html", "/act", "/logtail/a", "/RPC2", "/ok.html"] {
        let status = post(&target, path, "", "action=stop&processname=a").status();
        assert_eq!(status, 401, "{path}");
    }
    let looks = log_in(&daemon, &target, &["--read-only"]);
    for path in STREAMS.iter().chain(&PAGES) {
        assert_eq!(begin(&target, path, &looks).0, 200, "{path}");
    }
    assert_eq!(get(&target, "/nothing", &looks).status(), 404);
    assert!(daemon.ctl(&["status", "a"]).stdout.contains("RUNNING"));
}

#[test]
fn who_may_only_look_acts_in_no_way() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let looks = log_in(&daemon, &target, &["--read-only"]);
    let pid = daemon.pid_of("a");
    let token = token(&target, &looks);
    for action in ["start", "stop", "restart", "clearlog"] {
        let json = format!("{{\"action\":\"{action}\",\"names\":[\"a\"]}}");
        assert_eq!(call(&target, &looks, &token, &json), 403, "{action}");
        let form = format!("csrf={token}&processname=a&action={action}");
        let refused = post(&target, "/index.html", &looks, &form);
        assert_eq!(refused.status(), 403, "{action}");
        assert!(refused.text().contains("This session may only look"), "{refused:?}");
    }
    for action in ["stopall", "restartall", "shutdown", "reload", "update"] {
        let json = format!("{{\"action\":\"{action}\",\"names\":[]}}");
        assert_eq!(call(&target, &looks, &token, &json), 403, "{action}");
        let form = format!("csrf={token}&action={action}&sure=yes");
        assert_eq!(post(&target, "/", &looks, &form).status(), 403, "{action}");
    }
    for json in [
        "{\"action\":\"stdin\",\"names\":[\"a\"],\"text\":\"x\"}",
        "{\"action\":\"signal\",\"names\":[\"a\"],\"signal\":\"KILL\"}",
    ] {
        assert_eq!(call(&target, &looks, &token, json), 403, "{json}");
    }
    let form = format!("csrf={token}&processname=a&action=stdin&text=x");
    assert_eq!(post(&target, "/", &looks, &form).status(), 403);
    assert_eq!((daemon.pid_of("a"), daemon.ctl(&["status", "a"]).code), (pid, 0));
    // Nor is it offered what it may not.
    for path in ["/", "/process/a/a", "/daemon"] {
        let page = get(&target, path, &looks).text();
        let forms = page.split("<form").skip(1).map(|form| form.split("</form>").next());
        for form in forms.flatten().filter(|form| form.contains("method=\"post\"")) {
            assert!(form.contains("action=\"/logout\"") || form.contains("disabled"), "{form}");
        }
    }
    // Who may act does, with the same requests.
    let acts = log_in(&daemon, &target, &[]);
    let theirs = self::token(&target, &acts);
    let json = "{\"action\":\"restart\",\"names\":[\"a\"]}";
    assert_eq!(call(&target, &acts, &token, json), 403, "with the token of another session");
    assert_eq!(call(&target, &acts, &theirs, json), 200);
    daemon.expect_log_times("spawned: 'a'", 2);
}

#[test]
fn all_streams_end_when_somebody_signs_out_and_only_theirs() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let (mine, other) = (log_in(&daemon, &target, &[]), log_in(&daemon, &target, &[]));
    let open = |session: &str| -> Vec<Http> {
        let begun = STREAMS.iter().map(|path| begin(&target, path, session));
        begun.map(|(status, http)| (assert_eq!(status, 200), http).1).collect()
    };
    let (streams, others) = (open(&mine), open(&other));
    let out = post(&target, "/logout", &mine, &format!("csrf={}", token(&target, &mine)));
    assert_eq!(out.status(), 303);
    for (mut stream, path) in streams.into_iter().zip(STREAMS) {
        // What was said before is there still.
        while !stream.chunk().unwrap_or_else(|error| panic!("{path}: {error}")).is_empty() {}
        // The connection is as good as any, and the session is not.
        let again = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{mine}\r\n");
        stream.send(again).expect("it takes it");
        assert_eq!(stream.answer().expect("it answers").expect("it does").status(), 401, "{path}");
    }
    assert_eq!(daemon.ctl(&["restart", "a"]).code, 0);
    for (mut stream, path) in
        others.into_iter().zip(STREAMS).filter(|(_, path)| *path != STREAMS[2])
    {
        let mut said = String::new();
        while !said.contains("STARTING") && !said.contains("starting") && !said.contains("spawned")
        {
            let chunk = stream.chunk().unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(!chunk.is_empty(), "{path} goes on");
            said.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[test]
fn no_session_and_no_link_outlives_the_daemon() {
    let scratch = Scratch::new();
    let address = loopback();
    let section = format!("[inet_http_server]\nport={address}\nauth=login\n{PROGRAM}");
    let config = scratch.write("supervisord.conf", format!("{HEAD}{section}"));
    let target = Target::Inet(address);
    let mut daemon = Daemon::start_on(scratch.path(), &config, &[]);
    let session = log_in(&daemon, &target, &[]);
    let link = crate::login::link(&daemon, &target, &[]);
    let mut streams = STREAMS.map(|path| begin(&target, path, &session).1);
    daemon.stop();
    for (stream, path) in streams.iter_mut().zip(STREAMS) {
        while !stream.chunk().unwrap_or_else(|error| panic!("{path}: {error}")).is_empty() {}
    }
    let other = Scratch::new();
    let _daemon = Daemon::start_on(other.path(), &config, &[]);
    for path in STREAMS {
        assert_eq!(get(&target, path, &session).status(), 401, "{path}");
    }
    assert_eq!(post(&target, &link, "", "").status(), 403);
}
