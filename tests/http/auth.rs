//! Who gets in.

use std::time::{Duration, Instant};

use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::expect_quick;
use crate::support::http::{Answer, Http, Target, ask, get, loopback, unix};
use crate::support::process::run;
use crate::support::scratch::Scratch;

/// A daemon with one inet server, and its address.
fn served(scratch: &Scratch, options: &str) -> (Daemon, Target) {
    let address = loopback();
    let section = format!("[inet_http_server]\nport={address}\n{options}");
    (Daemon::start(scratch, &section), Target::Inet(address))
}

/// `GET` with credentials in Base64.
fn with(target: &Target, path: &str, scheme: &str, credentials: &str) -> Answer {
    get(target, path, &format!("Authorization: {scheme} {credentials}\r\n"))
}

#[test]
fn a_password_is_asked_for_on_every_route() {
    // C-324, C-326
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "username=bob\npassword=secret\n");
    for path in ["/", "/ok.html", "/RPC2", "/logtail/a", "/mainlogtail", "/stylesheets/x", "/no"] {
        let answer = get(&target, path, "");
        assert_eq!(answer.status(), 401, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"default\""));
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(answer.text().contains("Error code 401.\n<p>Message: Unauthorized."), "{answer:?}");
    }
    // bob:secret
    for scheme in ["Basic", "bASIC"] {
        assert_eq!(with(&target, "/ok.html", scheme, "Ym9iOnNlY3JldA==").status(), 200);
    }
    assert_eq!(with(&target, "/no", "Basic", "Ym9iOnNlY3JldA==").status(), 404);
    assert_eq!(with(&target, "/ok.html", "Digest", "Ym9iOnNlY3JldA==").status(), 401);
    assert_eq!(with(&target, "/ok.html", "Basic", "%%%").status(), 400);
    assert_eq!(with(&target, "/ok.html", "Basic", "Ym9i").status(), 400);
}

#[test]
fn a_connection_ends_with_a_refusal() {
    // C-324, C-437
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "username=bob\npassword=secret\n");
    let mut http = Http::connect(&target).expect("it listens");
    http.send("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n<a/>\n")
        .expect("it takes it");
    assert_eq!(http.answer().expect("it answers").expect("it does").status(), 401);
    assert_eq!(http.rest().expect("it closes"), b"");
}

#[test]
fn a_hashed_password_is_known() {
    // C-325: the SHA-1 of "secret"
    let scratch = Scratch::new();
    let hash = "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4";
    let (_daemon, target) = served(&scratch, &format!("username=bob\npassword={hash}\n"));
    assert_eq!(with(&target, "/ok.html", "Basic", "Ym9iOnNlY3JldA==").status(), 200);
}

#[test]
fn a_password_hashed_with_argon2_is_known_and_quick_the_second_time() {
    // C-325: printf secret | argon2 somesalt -id -t 2 -k 65536 -e: the most memory that is taken
    let scratch = Scratch::new();
    let hash =
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$yNJF2pJbh37EBw6oDO/wis71FeCjmQyRJnx2pBCp5Jk";
    let (daemon, target) = served(&scratch, &format!("username=bob\npassword={hash}\n"));
    assert_eq!(with(&target, "/ok.html", "Basic", "Ym9iOmh1bnRlcjI=").status(), 401);
    assert_eq!(with(&target, "/ok.html", "Basic", "Ym9iOnNlY3JldA==").status(), 200);
    let used = || {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("it runs");
        let (_, rest) = stat.rsplit_once(')').expect("its name");
        let ticks = rest.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum::<u64>()
    };
    let before = used();
    for _ in 0..50 {
        assert_eq!(with(&target, "/ok.html", "Basic", "Ym9iOnNlY3JldA==").status(), 200);
    }
    // Fifty hashes would be seconds.
    assert!(used() - before < 100, "ticks of 10 ms");
    assert!(!daemon.log().contains("argon2"), "{}", daemon.log());
}

#[test]
fn a_hash_that_nobody_can_use_is_an_error_of_the_configuration() {
    // C-325
    let scratch = Scratch::new();
    let refused = |password: &str| {
        let section = format!("[inet_http_server]\nport=1\nusername=u\npassword={password}\n");
        let config = scratch.write("refused.conf", format!("{HEAD}{section}"));
        let output = run(command(SUPERVISORD, scratch.path()).arg("-n").arg("-c").arg(config));
        assert_eq!(output.code, 2, "{output:?}");
        output.stderr
    };
    let costs = refused("$argon2id$v=19$m=2097152,t=1,p=4$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA");
    assert!(costs.contains("costs too much for every login (m=2097152,t=1,p=4)"), "{costs}");
    assert!(costs.contains("password") && costs.contains("line"), "{costs}");
    let broken = refused("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$!!!");
    assert!(broken.contains("cannot be read") && !broken.contains("c29t"), "{broken}");
}

#[test]
fn a_wrong_password_takes_its_time_and_is_logged_without_it() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, "username=bob\npassword=secret\n");
    let began = Instant::now();
    // bob:hunter2
    assert_eq!(with(&target, "/ok.html", "Basic", "Ym9iOmh1bnRlcjI=").status(), 401);
    assert!(began.elapsed() >= Duration::from_secs(1));
    daemon.expect_log("WARN [inet_http_server] refused a wrong user name or password from 127.");
    let log = daemon.log();
    assert!(!log.contains("hunter2") && !log.contains("bob") && !log.contains("Ym9i"), "{log}");
    // Whoever knows it does not wait, whatever others try.
    expect_quick(Duration::from_secs(1), || {
        let mut guessing = Http::connect(&target).expect("it listens");
        guessing
            .send("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Ym9iOmh1bnRlcjI=\r\n\r\n")
            .expect("it takes it");
        assert_eq!(with(&target, "/ok.html", "Basic", "Ym9iOnNlY3JldA==").status(), 200);
    });
}

#[test]
fn a_login_shows_where_to_go_and_nothing_else() {
    let scratch = Scratch::new();
    let (_daemon, target) = served(
        &scratch,
        "auth=login\n[program:treasure]\ncommand=/bin/cat\n[unix_http_server]\nfile=%(here)s/s\nauth=login\n",
    );
    let unix = unix(scratch.path(), "s");
    for target in [&target, &unix] {
        assert_eq!(get(target, "/ok.html", "").text(), "OK");
        let front = get(target, "/", "Accept-Language: de\r\nUser-Agent: Mozilla/5.0\r\n");
        assert_eq!(front.status(), 200);
        assert!(front.text().contains("sudo supervisorctl"), "{front:?}");
        assert!(!front.text().contains("treasure") && !front.text().contains("supervisord"));
        for path in ["/RPC2", "/logtail/treasure", "/mainlogtail", "/tail.html", "/x", "//"] {
            let answer = with(target, path, "Basic", "Ym9iOnNlY3JldA==");
            assert_eq!(answer.status(), 401, "{path}");
            assert!(answer.text().contains("use: sudo supervisorctl"), "{answer:?}");
            let challenge = answer.header("www-authenticate").expect("401 has one");
            assert!(!challenge.contains("Basic"), "no browser asks for a password: {challenge}");
        }
        let call = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(ask(target, call).status(), 401);
    }
}

#[test]
fn a_browser_is_not_used_by_other_sites() {
    // C-439
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "[unix_http_server]\nfile=%(here)s/s\n");
    let from = |target: &Target, host: &str, headers: &str| {
        ask(target, format!("GET /ok.html HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")).status()
    };
    let mozilla = "User-Agent: Mozilla/5.0 (X11)\r\n";
    assert_eq!(from(&target, "127.0.0.1:9001", mozilla), 200);
    assert_eq!(from(&target, "localhost", mozilla), 200);
    assert_eq!(from(&target, "rebound.example", mozilla), 403);
    assert_eq!(from(&target, "rebound.example", "Origin: http://rebound.example\r\n"), 403);
    assert_eq!(from(&target, "localhost", "Origin: http://evil.example\r\n"), 403);
    assert_eq!(from(&target, "localhost", "Origin: http://localhost\r\n"), 200);
    assert_eq!(from(&target, "worker:9001", "User-Agent: Python-xmlrpc/3.11\r\n"), 200);
    let unix = unix(scratch.path(), "s");
    assert_eq!(from(&unix, "rebound.example", mozilla), 200, "no browser gets there");
}
