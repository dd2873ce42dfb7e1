//! What other sites, and texts from outside, try through somebody's browser (C-439): every way to act and to
//! look, by raw requests.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::login::{PROGRAM, log_in, served};
use crate::sessions::token;
use crate::support::daemon::Daemon;
use crate::support::http::{Http, Target, ask, get, loopback};
use crate::support::scratch::Scratch;
use crate::tls::{make, section};

/// What a browser says when the page of another site is behind a request.
const FOREIGN: [&str; 7] = [
    "Host: localhost\r\nOrigin: http://evil.example\r\n",
    "Host: localhost\r\nOrigin: null\r\n",
    "Host: localhost\r\nOrigin: http://localhost:8000\r\n",
    "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
    "Host: localhost\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
    // Its name leads to us now.
    "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
    "Host: evil.example\r\nUser-Agent: Mozilla/5.0\r\n",
];

/// The status of an answer, of which no more is read.
fn status(target: &Target, request: impl AsRef<[u8]>) -> u16 {
    let mut http = Http::connect(target).expect("it listens");
    http.send(request).expect("it takes it");
    http.head().expect("it answers").expect("it does").status()
}

#[test]
fn no_post_of_another_site_does_anything() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let session = log_in(&daemon, &target, &[]);
    let token = token(&target, &session);
    let pid = daemon.pid_of("a");
    let stop = "<methodCall><methodName>supervisor.stopAllProcesses</methodName></methodCall>";
    let json = "{\"action\":\"stopall\",\"names\":[]}";
    let form = |token: &str| format!("csrf={token}&action=stopall&sure=yes");
    let no_form = "action=stopall&sure=yes".to_owned();
    let post = |path: &str, headers: &str, kind: &str, body: &str| {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\n{headers}{session}Content-Type: {kind}\r\n");
        status(&target, format!("{head}Content-Length: {length}\r\n\r\n{body}"))
    };
    let (web, text) = ("application/x-www-form-urlencoded", "text/plain");
    // With the right token: even that does not help them.
    for headers in FOREIGN {
        for (path, kind, body) in [
            ("/", web, form(&token)),
            ("/index.html?processname=a&action=stop", web, form(&token)),
            ("/logout", web, form(&token)),
            ("/act", "application/json", json.to_owned()),
            ("/RPC2", "text/xml", stop.to_owned()),
            ("/login/0123456789abcdef0123456789abcdef", web, String::new()),
        ] {
            let headers = format!("{headers}X-CSRF-Token: {token}\r\n");
            assert_eq!(post(path, &headers, kind, &body), 403, "{path} {headers}");
        }
    }
    // From our own pages, and without it.
    let ours = "Host: localhost\r\nOrigin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n";
    let wrong = "0".repeat(token.len());
    for form in
        [no_form, form(""), form(&wrong), form(&token[1..]), form(&token.to_uppercase()[..9])]
    {
        for path in ["/", "/index.html", "/?processname=a&action=stop", "/logout"] {
            assert_eq!(post(path, ours, web, &form), 403, "{path} {form}");
        }
    }
    for (header, kind) in [
        (String::new(), "application/json"),
        (format!("X-CSRF-Token: {wrong}\r\n"), "application/json"),
        (format!("X-CSRF-Token: {token}\r\n"), text),
        (format!("X-CSRF-Token: {token}\r\n"), web),
    ] {
        assert_eq!(post("/act", &format!("{ours}{header}"), kind, json), 403, "{header}{kind}");
    }
    assert_eq!(daemon.pid_of("a"), pid);
    assert_eq!(get(&target, "/daemon", &session).status(), 200, "nobody was logged out");
    assert_eq!(
        post("/act", &format!("{ours}X-CSRF-Token: {token}\r\n"), "application/json", json),
        200
    );
    daemon.expect_log("stopped: a (terminated by SIGTERM)");
}

#[test]
fn no_get_does_anything() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let session = log_in(&daemon, &target, &[]);
    let token = token(&target, &session);
    let pid = daemon.pid_of("a");
    for action in ["stop", "restart", "clearlog", "signal", "stdin"] {
        for path in
            ["/", "/index.html", "//index.html", "/act", "/daemon", "/process/a/a", "/tail.html"]
        {
            let query = format!("processname=a&selected=a&signal=KILL&text=x&action={action}");
            let path = format!("{path}?{query}&csrf={token}&sure=yes");
            let said = get(&target, &path, &format!("{session}X-CSRF-Token: {token}\r\n"));
            let is_page = said.text().contains("Nothing was done yet.");
            assert_eq!(is_page, path.contains("/?") || path.contains("index"), "{path}: {said:?}");
        }
    }
    for action in ["stopall", "restartall", "shutdown", "reload", "update"] {
        let path = format!("/?action={action}&csrf={token}&sure=yes");
        let said = get(&target, &path, &session).text();
        assert!(said.contains("Nothing was done yet."), "{said}");
    }
    assert_eq!(get(&target, &format!("/logout?csrf={token}"), &session).status(), 400);
    assert_eq!(daemon.pid_of("a"), pid);
    assert!(!daemon.log().contains("used the web page"), "{}", daemon.log());
}

#[test]
fn another_site_hears_nothing() {
    // C-439
    let scratch = Scratch::new();
    let (login, open) = (loopback(), loopback());
    let config = format!(
        "[inet_http_server]\nport={login}\nauth=login\n[inet_http_server:open]\nport={open}\n{PROGRAM}"
    );
    let daemon = Daemon::start(&scratch, &config);
    let (login, open) = (Target::Inet(login), Target::Inet(open));
    let session = log_in(&daemon, &login, &[]);
    for path in
        ["/live", "/events", "/logtail/a", "/mainlogtail", "/data/process?name=a", "/download", "/"]
    {
        for headers in FOREIGN {
            let request = |session: &str| format!("GET {path} HTTP/1.1\r\n{headers}{session}\r\n");
            assert_eq!(status(&login, request(&session)), 403, "{path} {headers}");
            assert_eq!(status(&open, request("")), 403, "{path} {headers}");
        }
        let ours = "Host: localhost\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n";
        let request = format!("GET {path} HTTP/1.1\r\n{ours}{session}\r\n");
        assert_eq!(status(&login, request), 200, "{path}");
    }
    // A link in a mail is followed, to a page that asks.
    let link = "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n\
                Sec-Fetch-Dest: document\r\n";
    let followed = format!("GET /?action=stopall HTTP/1.1\r\n{link}\r\n");
    assert!(ask(&open, followed).text().contains("Nothing was done yet."));
    let framed = link.replace("document", "iframe");
    assert_eq!(status(&open, format!("GET / HTTP/1.1\r\n{framed}\r\n")), 403);
}

/// What every answer says for browsers, and what none has.
fn is_hardened(target: &Target, request: &str, expected: u16) {
    let mut http = Http::connect(target).expect("it listens");
    http.send(request).expect("it takes it");
    let head = http.head().expect("it answers").expect("it does");
    let line = request.lines().next().unwrap_or_default();
    assert_eq!(head.status(), expected, "{line}");
    let is =
        |name: &str| head.header(name).unwrap_or_else(|| panic!("{line} has no {name}: {head:?}"));
    assert_eq!(is("x-content-type-options"), "nosniff", "{line}");
    assert_eq!(is("x-frame-options"), "DENY", "{line}");
    assert_eq!(is("referrer-policy"), "same-origin", "{line}");
    let policy = is("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{line}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{line}: {policy}");
    for loose in ["unsafe", "*", "data:", "blob:", "http", "nonce"] {
        assert!(!policy.contains(loose), "{line}: {policy}");
    }
    let is_file = [200, 304].contains(&expected) && line.contains(".css");
    assert_eq!(is("cache-control"), if is_file { "no-cache" } else { "no-store" }, "{line}");
    assert_eq!(head.header("access-control-allow-origin"), None, "{line}");
    let kind = head.header("content-type").unwrap_or_default();
    if !kind.starts_with("text/html") {
        return;
    }
    let length = is("content-length").parse().expect("a number");
    let page = String::from_utf8(http.bytes(length).expect("it comes")).expect("text");
    for style in page.split("<style").skip(1) {
        let (style, _) = style.split_once("</style>").expect("its end");
        let style = style.strip_prefix('>').expect("nothing but a style sheet");
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{line}: {policy}");
    }
    for script in page.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').expect("its end");
        assert!(tag.contains(" src=\"/scripts/") && rest.starts_with("</script>"), "{line}: {tag}");
    }
    for inline in [" style=", " onclick=", " onload=", "javascript:", "<iframe", "<base"] {
        assert!(!page.contains(inline), "{line} has {inline}");
    }
}

#[test]
fn every_kind_of_answer_is_hardened() {
    // C-439
    let scratch = Scratch::new();
    let (open, login, basic, tls) = (loopback(), loopback(), loopback(), loopback());
    make(&scratch, "host", tls, "2");
    let config = format!(
        "{}\n[inet_http_server]\nport={open}\n[inet_http_server:login]\nport={login}\nauth=login\n\
         [inet_http_server:basic]\nport={basic}\nusername=u\npassword=p\n{PROGRAM}",
        section(tls, "host").replace("_server]", "_server:tls]")
    );
    let daemon = Daemon::start(&scratch, &config);
    daemon.expect_log("success: a entered RUNNING");
    let [open, login, basic, tls] = [open, login, basic, tls].map(Target::Inet);
    let session = log_in(&daemon, &login, &[]);
    let css = get(&open, "/stylesheets/supervisor.css", "");
    let tag = format!("If-None-Match: {}\r\n", css.header("etag").expect("a tag"));
    let get = |target, path: &str, headers: &str, status| {
        is_hardened(
            target,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"),
            status,
        );
    };
    for (path, status) in [
        ("/", 200),
        ("/?action=stopall", 200),
        ("/?action=dance", 400),
        ("/daemon?preview=1", 200),
        ("/process/a/a", 200),
        ("/tail.html?processname=a", 200),
        ("/tail.html?processname=nope", 200),
        ("/data/process?name=a", 200),
        ("/data/preview", 200),
        ("/download?name=a", 200),
        ("/live", 200),
        ("/events", 200),
        ("/events?types=x", 400),
        ("/logtail/a", 200),
        ("/mainlogtail", 200),
        ("/logtail/nope", 404),
        ("/ok.html", 200),
        ("/stylesheets/supervisor.css", 200),
        ("/stylesheets", 301),
        ("/nothing", 404),
        ("localhost:80", 400),
    ] {
        get(&open, path, "", status);
    }
    get(&open, "/stylesheets/supervisor.css", &tag, 304);
    get(&open, "/live", "Origin: http://evil.example\r\n", 403);
    for (path, headers, status) in [
        ("/", "", 200),
        ("/login/x", "", 200),
        ("/live", "", 401),
        ("/", &*session, 200),
        ("/live", &*session, 200),
        ("/logout", &*session, 400),
        ("/live", &session[..session.len() - 6], 401),
    ] {
        let headers = if headers.ends_with('\n') || headers.is_empty() {
            headers.to_owned()
        } else {
            format!("{headers}\r\n")
        };
        get(&login, path, &headers, status);
    }
    get(&basic, "/", "", 401);
    get(&basic, "/", "Authorization: Basic !\r\n", 400);
    get(&tls, "/", "", 400);
    let post = |target, path: &str, headers: &str, body: &str, status| {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}");
        is_hardened(target, &format!("{head}Content-Length: {length}\r\n\r\n{body}"), status);
    };
    post(&open, "/?processname=a&action=stop", "", "", 403);
    post(&open, "/act", "", "{}", 403);
    post(&open, "/nothing", "", "", 400);
    post(&open, "/RPC2", "", "<x", 400);
    let state = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
    post(&open, "/RPC2", "", state, 200);
    post(&login, "/login/x", "", "", 403);
    post(&login, "/logout", "", "", 303);
    post(&login, "/RPC2", &session, state, 403);
    let host = "HTTP/1.1\r\nHost: localhost\r\n";
    is_hardened(&open, &format!("PUT / {host}\r\n"), 400);
    is_hardened(&open, &format!("POST / {host}\r\n"), 411);
    is_hardened(&open, &format!("POST / {host}Content-Length: 300000\r\n\r\n"), 413);
    is_hardened(&open, &format!("POST / {host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 411);
}

#[test]
fn names_and_logs_stay_text_on_every_page() {
    // C-439
    let scratch = Scratch::new();
    let address = loopback();
    let name = "<script>alert(1)<";
    let say = "</pre></textarea></title>--><script>alert(2)</script><img src=x onerror=alert(3)>";
    let script = scratch.script("say", &format!("#!/bin/sh\necho '{say}'\nexec cat\n"));
    let config = format!(
        "[inet_http_server]\nport={address}\n[program:{name}]\ncommand={} \"{say}\"\nstartsecs=0\n\
         environment=A=\"<b>\"\nstdout_logfile=%(here)s/a.out\n",
        script.display()
    );
    let daemon = Daemon::start(&scratch, &config);
    daemon.expect_log("entered RUNNING");
    crate::support::watch::expect_in_file(&scratch.join("a.out"), "alert(3)");
    let target = Target::Inet(address);
    let named = "%3Cscript%3Ealert(1)%3C";
    let marks = ["<script>alert", "</pre></textarea", "<img src=x", "<b>", "--><script"];
    for path in [
        "/".to_owned(),
        format!("/?message={named}"),
        format!("/?action=stop&processname={named}"),
        format!("/process/{named}/{named}"),
        "/daemon?preview=1".to_owned(),
        format!("/tail.html?processname={named}"),
        format!("/logtail/{named}x"),
        format!("/events?types={named}"),
        format!("/{named}"),
    ] {
        let answer = get(&target, &path, "");
        let kind = answer.header("content-type").expect("a type").to_owned();
        assert!(kind.starts_with("text/html"), "{path}: {kind}");
        let text = answer.text();
        for mark in marks {
            assert!(!text.contains(mark), "{path} has {mark}: {text}");
        }
    }
    // What has it as it is, is nothing that a browser would read as a page.
    for (path, kind) in [
        ("/live".to_owned(), "text/event-stream"),
        ("/events".to_owned(), "text/event-stream"),
        (format!("/logtail/{named}"), "text/plain;charset=utf-8"),
        ("/mainlogtail".to_owned(), "text/plain;charset=utf-8"),
        (format!("/download?name={named}"), "text/plain;charset=utf-8"),
        (format!("/data/process?name={named}"), "application/json"),
        ("/data/preview".to_owned(), "application/json"),
    ] {
        let mut http = Http::connect(&target).expect("it listens");
        http.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).expect("it takes it");
        let head = http.head().expect("it answers").expect("it does");
        assert_eq!((head.status(), head.header("content-type")), (200, Some(kind)), "{path}");
        if let Some(file) = head.header("content-disposition") {
            assert_eq!(file, "attachment; filename=\"_script_alert_1__-stdout.log\"");
        }
    }
}
