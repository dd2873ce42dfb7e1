//! The HTTP servers: sockets, authentication, plain routes.

use std::os::unix::fs::PermissionsExt;

use crate::compare::compare;
use crate::support::http::{Answer, Http, Target, ask, get, unix};
use crate::support::process::run;
use crate::world::{DAEMON, World};

/// What of an answer clients go by.
fn note(world: &mut World, label: &str, answer: &Answer) {
    let header = |name| answer.header(name).unwrap_or("-").to_owned();
    let lines: Vec<String> = answer
        .text()
        .lines()
        .filter(|line| line.contains("Error code") || line.contains("Message:"))
        .map(str::to_owned)
        .collect();
    let challenge = header("www-authenticate");
    let text = format!("{} {challenge} {}", answer.head, lines.join(" "));
    world.note(label, &text);
}

fn socket(world: &World) -> Target {
    unix(world.dir.path(), "sv.sock")
}

/// C-324, C-325, C-326: user name and password, plain and hashed.
#[test]
fn authentication() {
    compare(|world| {
        // The hash is that of "secret", and so is the credential: bob:secret.
        let hash = "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4";
        world.config(&format!(
            "{DAEMON}[unix_http_server:plain]\nfile=DIR/plain.sock\nusername=bob\npassword=secret\n\
             [unix_http_server:hash]\nfile=DIR/hash.sock\nusername=bob\npassword={hash}\n"
        ));
        world.start();
        for name in ["plain", "hash"] {
            let target = unix(world.dir.path(), &format!("{name}.sock"));
            for path in ["/ok.html", "/RPC2", "/nothing"] {
                let answer = get(&target, path, "");
                world.upstream_is("closed to strangers", answer.status() == 401);
                note(world, &format!("{name} {path} without"), &answer);
            }
            for (what, credentials) in [
                ("right", "Basic Ym9iOnNlY3JldA=="),
                ("lower case", "basic Ym9iOnNlY3JldA=="),
                ("wrong password", "Basic Ym9iOmh1bnRlcjI="),
                ("wrong user", "Basic Ym86c2VjcmV0"),
                ("other scheme", "Digest Ym9iOnNlY3JldA=="),
            ] {
                let header = format!("Authorization: {credentials}\r\n");
                let answer = get(&target, "/ok.html", &header);
                note(world, &format!("{name} {what}"), &answer);
            }
        }
    });
}

/// C-326, C-334, C-335: routes that need nothing of the daemon.
#[test]
fn plain_routes() {
    compare(|world| {
        world.programs("");
        world.start();
        let target = socket(world);
        let ok = get(&target, "/ok.html", "");
        world.upstream_is("ok", ok.text() == "OK");
        note(world, "ok", &ok);
        world.note("ok body", &ok.text());
        world.note("ok type", ok.header("content-type").unwrap_or("-"));
        for path in ["/nothing", "/nothing/at/all.html"] {
            note(world, path, &get(&target, path, ""));
        }
        for method in ["DELETE", "PUT"] {
            let request =
                format!("{method} /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
            note(world, method, &ask(&target, request));
        }
    });
}

/// C-067, C-068, C-132, C-336: modes of sockets, stale ones, live ones.
#[test]
fn sockets() {
    compare(|world| {
        world.config(&format!(
            "{DAEMON}[unix_http_server:b]\nfile=DIR/b.sock\nchmod=0770\n[unix_http_server:c]\nfile=%(here)s/d/../c.sock\nchmod=0604\n"
        ));
        drop(std::os::unix::net::UnixListener::bind(world.dir.join("b.sock")).expect("a socket"));
        world.start();
        for name in ["sv.sock", "b.sock", "c.sock"] {
            let file = std::fs::metadata(world.dir.join(name)).expect("a socket");
            world.note(&format!("mode of {name}"), &format!("{:o}", file.permissions().mode()));
        }
        let stderr = world.daemon().stderr.text();
        world.note("stale", &stderr);
        world.write("other.conf", "[supervisord]\nlogfile=DIR/other.log\npidfile=DIR/other.pid\nchildlogdir=DIR\n[unix_http_server]\nfile=DIR/b.sock\n");
        let other = run(&mut world.command("supervisord", &["-n", "-c", "other.conf"]));
        world.note("exit of another at a live one", &other.code.to_string());
        let first = other.stderr.split("  (").next().unwrap_or_default().lines().next();
        let first = first.unwrap_or_default().to_owned();
        world.note("what it says", &first);
        world.note("the live one is there", &get(&socket(world), "/ok.html", "").text());
        world.stop();
        for name in ["sv.sock", "b.sock", "c.sock"] {
            world.note(&format!("{name} is left"), &world.dir.join(name).exists().to_string());
        }
    });
}

/// C-323, C-327, C-328: logs as streams.
#[test]
fn log_streams() {
    compare(|world| {
        world.programs(
            "[program:a]\ncommand=/bin/sh -c 'echo one; echo bad >&2; exec cat'\nstdout_logfile=DIR/a.out\nstderr_logfile=DIR/a.err\n\
             [program:b]\ncommand=/bin/cat\nstdout_logfile=NONE\n[group:g]\nprograms=b\n",
        );
        world.start();
        world.expect_running(&["a"]);
        world.expect_file("a.out", "one\n");
        world.expect_file("a.err", "bad\n");
        let target = socket(world);
        for path in [
            "/logtail/nope",
            "/logtail/g:b",
            "/logtail/g:*",
            "/logtail/a/nope",
            "/logtail/a/stdout/x",
        ] {
            note(world, path, &get(&target, path, ""));
        }
        note(
            world,
            "posted",
            &ask(&target, "POST /logtail/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        );
        note(
            world,
            "main posted",
            &ask(&target, "POST /mainlogtail HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        );
        for (path, expected) in [
            ("/logtail/a", "one\n"),
            ("/logtail/a%3Aa/stdout", "one\n"),
            ("/logtail/a/stderr", "bad\n"),
            ("/logtailx/a", "one\n"),
        ] {
            let (head, text) = stream(&target, path, expected.len());
            note(world, path, &head);
            world.note(&format!("{path} text"), &text);
            for name in ["content-type", "transfer-encoding", "x-accel-buffering"] {
                world.note(&format!("{path} {name}"), head.header(name).unwrap_or("-"));
            }
        }
        let (head, _) = stream(&target, "/mainlogtail", 10);
        note(world, "main", &head);
        for name in ["content-type", "transfer-encoding", "x-accel-buffering"] {
            world.note(&format!("main {name}"), head.header(name).unwrap_or("-"));
        }
    });
}

/// The head of an endless answer, and so many bytes of it.
fn stream(target: &Target, path: &str, bytes: usize) -> (Answer, String) {
    let mut http = Http::connect(target).expect("it listens");
    http.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).expect("it takes it");
    let head = http.head().expect("it answers").expect("it does");
    let mut text = Vec::new();
    while text.len() < bytes {
        text.extend(http.chunk().expect("a chunk"));
    }
    (head, String::from_utf8_lossy(&text).into_owned())
}
