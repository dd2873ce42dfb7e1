//! Logging in where `auth=login`: links that are good once, sessions, and what they may do.

use crate::support::daemon::Daemon;
use crate::support::http::{Answer, Http, Target, ask, get, loopback};
use crate::support::scratch::Scratch;
use crate::tls::{make, section};

const STATE: &str = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
pub const PROGRAM: &str = "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
                       supervisor.rpcinterface:make_main_rpcinterface\n\
                       [program:a]\ncommand=/bin/cat\nstdout_logfile=%(here)s/a.out\n";

/// A daemon with a login, and its program up.
pub fn served(scratch: &Scratch) -> (Daemon, Target) {
    let address = loopback();
    let section = format!("[inet_http_server]\nport={address}\nauth=login\n{PROGRAM}");
    let daemon = Daemon::start(scratch, &section);
    daemon.expect_log("success: a entered RUNNING");
    (daemon, Target::Inet(address))
}

/// The path of a new link.
pub fn link(daemon: &Daemon, target: &Target, args: &[&str]) -> String {
    let output = daemon.ctl(&[&["web"], args].concat());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
    let base = target.url();
    let line = output.stdout.lines().find_map(|line| line.trim().strip_prefix(&base));
    line.unwrap_or_else(|| panic!("no link to {base} in {output:?}")).to_owned()
}

/// `POST` of a form, as a page of the server itself sends it.
pub fn post(target: &Target, path: &str, headers: &str, form: &str) -> Answer {
    let (host, length) = (target.url().replace("http://", ""), form.len());
    ask(
        target,
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n\
             {form}"
        ),
    )
}

/// The header that sends back the cookie of an answer.
pub fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    format!("Cookie: {}\r\n", set.split(';').next().expect("a pair"))
}

/// Logs in; the header of the session.
pub fn log_in(daemon: &Daemon, target: &Target, args: &[&str]) -> String {
    let answer = post(target, &link(daemon, target, args), "", "");
    assert_eq!((answer.status(), answer.header("location")), (303, Some("/")), "{answer:?}");
    cookie(&answer)
}

/// Whether a session lets somebody read a log.
fn is_in(target: &Target, session: &str) -> bool {
    let mut http = Http::connect(target).expect("it listens");
    let request = format!("GET /mainlogtail HTTP/1.1\r\nHost: localhost\r\n{session}\r\n");
    http.send(request).expect("it takes it");
    match http.head().expect("it answers").expect("it does").status() {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_link_lets_somebody_in_once_and_nobody_who_only_looks_at_it() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let path = link(&daemon, &target, &[]);
    assert!(path.starts_with("/login/") && path.len() == "/login/".len() + 32, "{path}");
    for method in ["GET", "HEAD", "GET", "GET"] {
        let mut http = Http::connect(&target).expect("it listens");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        http.send(request).expect("it takes it");
        let answer = http.head().expect("it answers").expect("it does");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    }
    let page = get(&target, &path, "").text();
    assert!(page.contains("<form method=\"post\">") && !page.contains(&path), "{page}");
    // It looks the same for a link that never was.
    assert_eq!(get(&target, "/login/x", "").text(), page);

    let opened = post(&target, &path, "", "");
    assert_eq!((opened.status(), opened.header("location")), (303, Some("/")));
    let set = opened.header("set-cookie").expect("a cookie");
    assert!(set.starts_with("supervisor-"), "{set}");
    let (_, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    assert!(is_in(&target, &cookie(&opened)));

    for used in [path.as_str(), "/login/", "/login/0123456789abcdef0123456789abcdef"] {
        let refused = post(&target, used, "", "");
        assert_eq!(refused.status(), 403, "{used}");
        assert_eq!(refused.header("set-cookie"), None);
        assert!(refused.text().contains("sudo supervisorctl web"), "{refused:?}");
    }
    let log = daemon.log();
    for line in ["called Manager.CreateLogin: done", "logged in by a link of user 0, and may act"] {
        assert!(log.contains(line), "{line:?} is not in {log}");
    }
    assert!(log.contains("[inet_http_server] refused a link that is no good from 127."), "{log}");
    assert!(!log.contains(&path[7..]) && !log.contains(&cookie(&opened)[8..]), "{log}");
}

#[test]
fn nothing_is_shown_to_who_is_not_logged_in() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let front = get(&target, "/", "");
    assert_eq!(front.status(), 200);
    assert!(front.text().contains("sudo supervisorctl web"), "{front:?}");
    for secret in ["program", "RUNNING", ">a<", env!("CARGO_PKG_VERSION")] {
        let text = front.text().replace("care of its programs", "");
        assert!(!text.contains(secret), "{secret:?} is in {text}");
    }
    // What a browser makes up, or another site has set, is no session.
    let real = log_in(&daemon, &target, &[]);
    let name = real["Cookie: ".len()..].split('=').next().expect("a name");
    for made_up in ["", "0", "chosen", &"0".repeat(64)] {
        let chosen = format!("Cookie: {name}={made_up}\r\n");
        let answer = get(&target, "/logtail/a", &chosen);
        assert_eq!(answer.status(), 401);
        assert!(answer.text().contains("The session is over"), "{answer:?}");
        assert!(answer.text().contains("sudo supervisorctl web"), "{answer:?}");
        let set = answer.header("set-cookie").expect("it goes away");
        assert!(set.starts_with(&format!("{name}=; Path=/; Max-Age=0")), "{set}");
        // And logging in gives another one.
        let opened = post(&target, &link(&daemon, &target, &[]), &chosen, "");
        assert_ne!(cookie(&opened), chosen);
        assert!(!is_in(&target, &chosen));
    }
    let stranger = get(&target, "/logtail/a", "");
    assert_eq!((stranger.status(), stranger.header("set-cookie")), (401, None));
}

#[test]
fn who_may_only_look_changes_nothing_and_no_session_is_one_for_xml_rpc() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let (acts, looks) = (log_in(&daemon, &target, &[]), log_in(&daemon, &target, &["--read-only"]));
    for session in [&acts, &looks] {
        assert!(is_in(&target, session));
        let length = STATE.len();
        let call = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n{session}Content-Type: text/xml\r\n\
             Content-Length: {length}\r\n\r\n{STATE}"
        );
        let answer = ask(&target, call);
        assert_eq!(answer.status(), 403);
        assert!(!answer.text().contains("RUNNING"), "{answer:?}");
    }
    for path in ["/", "/index.html", "/api", "/mainlogtail"] {
        let answer = post(&target, path, &looks, "processname=a&action=stop");
        assert_eq!(answer.status(), 403, "{path}");
        assert!(answer.text().contains("This session may only look"), "{answer:?}");
    }
    daemon.expect_log("logged in by a link of user 0, and may look");
    daemon.expect_log("[inet_http_server] refused ");
    assert!(daemon.ctl(&["status", "a"]).stdout.contains("RUNNING"));
}

#[test]
fn who_may_only_look_logs_in_by_another_link_and_leaves_the_session_before() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let looks = log_in(&daemon, &target, &["--read-only"]);
    // What is no link does not end a session.
    assert_eq!(post(&target, "/login/x", &looks, "").status(), 403);
    assert!(is_in(&target, &looks));
    let opened = post(&target, &link(&daemon, &target, &[]), &looks, "");
    assert_eq!((opened.status(), opened.header("location")), (303, Some("/")), "{opened:?}");
    assert!(!is_in(&target, &looks) && is_in(&target, &cookie(&opened)));
    daemon.expect_log("logged in by a link of user 0, and may act");
}

#[test]
fn other_sites_neither_use_a_session_nor_open_one() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let session = log_in(&daemon, &target, &[]);
    let path = link(&daemon, &target, &[]);
    for headers in [
        "Host: localhost\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: evil.example\r\nOrigin: http://evil.example\r\n",
    ] {
        let request = |line: &str| format!("{line} HTTP/1.1\r\n{headers}{session}\r\n");
        let answer = ask(&target, request("GET /mainlogtail"));
        assert_eq!(answer.status(), 403, "{headers}");
        let answer = ask(&target, request(&format!("POST {path}")));
        assert_eq!((answer.status(), answer.header("set-cookie")), (403, None), "{headers}");
        let answer = ask(&target, request("POST /logout"));
        assert_eq!(answer.status(), 403, "{headers}");
    }
    // The link is still good, and so is the session.
    assert_eq!(post(&target, &path, "", "").status(), 303);
    assert!(is_in(&target, &session));
}

/// The token of the page that a session sees.
fn token(target: &Target, session: &str) -> String {
    let page = get(target, "/", session).text();
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().expect("a token").to_owned()
}

#[test]
fn a_session_and_an_open_page_stay_good_through_an_upgrade() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let (session, link) = (log_in(&daemon, &target, &[]), link(&daemon, &target, &[]));
    let form = format!("csrf={}", token(&target, &session));
    let upgraded = daemon.ctl(&["upgrade"]);
    assert_eq!(upgraded.code, 0, "{upgraded:?}");
    assert!(is_in(&target, &session));
    assert_eq!(post(&target, "/logout", &session, &form).status(), 303);
    assert!(!is_in(&target, &session), "the form was obeyed");
    assert_eq!(post(&target, &link, "", "").status(), 303, "a link is good still");
}

#[test]
fn signing_out_needs_the_token_of_the_session_and_ends_its_streams() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let (mine, other) = (log_in(&daemon, &target, &[]), log_in(&daemon, &target, &["--read-only"]));
    let token = |session: &str| token(&target, session);
    let mut stream = Http::connect(&target).expect("it listens");
    let request = format!("GET /logtail/a HTTP/1.1\r\nHost: localhost\r\n{mine}\r\n");
    stream.send(request).expect("it takes it");
    assert_eq!(stream.head().expect("it answers").expect("it does").status(), 200);

    assert_eq!(get(&target, "/logout", &mine).status(), 400);
    for wrong in [String::new(), "csrf=".to_owned(), format!("csrf={}", token(&other))] {
        assert_eq!(post(&target, "/logout", &mine, &wrong).status(), 403, "{wrong}");
    }
    assert!(is_in(&target, &mine));
    let out = post(&target, "/logout", &mine, &format!("csrf={}", token(&mine)));
    assert_eq!((out.status(), out.header("location")), (303, Some("/")));
    assert!(out.header("set-cookie").expect("it goes").contains("=; Path=/; Max-Age=0"));
    assert_eq!(stream.chunk().expect("it ends"), b"");
    assert!(!is_in(&target, &mine) && is_in(&target, &other));
    // Twice is no error, and who may only look gets out too.
    assert_eq!(post(&target, "/logout", &mine, "csrf=x").status(), 303);
    assert_eq!(post(&target, "/logout", &other, &format!("csrf={}", token(&other))).status(), 303);
    assert!(!is_in(&target, &other));
    daemon.expect_log_times("logged out, who came by a link of user 0", 2);
}

#[test]
fn a_session_survives_a_restart_of_the_configuration() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch);
    let session = log_in(&daemon, &target, &[]);
    let path = link(&daemon, &target, &[]);
    assert_eq!(daemon.ctl(&["reload"]).code, 0);
    daemon.expect_log_times("supervisord started with pid", 2);
    assert!(is_in(&target, &session));
    assert_eq!(post(&target, &path, "", "").status(), 303);
}

#[test]
fn a_cookie_of_a_server_with_tls_is_for_tls_alone() {
    let scratch = Scratch::new();
    let (secure, plain) = (loopback(), loopback());
    make(&scratch, "host", secure, "2");
    let sections = section(secure, "host").replace("_server]", "_server:secure]");
    let daemon = Daemon::start(
        &scratch,
        &format!("{sections}auth=login\n[inet_http_server]\nport={plain}\nauth=login\n{PROGRAM}"),
    );
    daemon.expect_log("success: a entered RUNNING");
    let output = daemon.ctl(&["web"]);
    let https = format!("https://{secure}/login/");
    let at = output.stdout.find(&https).unwrap_or_else(|| panic!("{output:?}"));
    let link = output.stdout[at..].lines().next().expect("a line");
    // Both servers have the same link.
    assert!(output.stdout.contains(&format!("http://{plain}{}", &link[https.len() - 7..])));
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--include"]);
    curl.arg("--cacert").arg(scratch.join("host.pem")).args(["--request", "POST", link]);
    let output = crate::support::process::run(&mut curl);
    let set = output.stdout.lines().find_map(|line| line.strip_prefix("Set-Cookie: "));
    let set = set.unwrap_or_else(|| panic!("{output:?}"));
    assert!(set.starts_with("__Host-supervisor-"), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
    // It is none where everybody on the way could have read it.
    let pair = set.split(';').next().expect("a pair");
    for name in [pair, pair.trim_start_matches("__Host-")] {
        assert!(!is_in(&Target::Inet(plain), &format!("Cookie: {name}\r\n")));
    }
}

#[test]
fn there_are_links_only_where_people_log_in() {
    let scratch = Scratch::new();
    let address = loopback();
    let daemon = Daemon::start(&scratch, &format!("[inet_http_server]\nport={address}\n{PROGRAM}"));
    let output = daemon.ctl(&["web"]);
    assert_eq!(output.code, 1);
    let expected = "ERROR: there is no link: no [inet_http_server] has auth=login\n";
    assert_eq!(output.stdout, expected);
    let url = format!("http://{address}");
    let output = daemon.ctl(&["-s", &url, "web"]);
    assert_eq!(output.code, 1);
    assert!(output.stdout.starts_with("ERROR: there is no link: links are made over D-Bus alone"));
    assert_eq!(get(&Target::Inet(address), "/login/x", "").status(), 404);
}
