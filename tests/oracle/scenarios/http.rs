//! The HTTP servers: sockets, authentication, plain routes.

use std::os::unix::fs::PermissionsExt;

use crate::compare::compare;
use crate::support::http::{Answer, Http, Target, ask, get, unix};
use crate::support::process::run;
use crate::world::{DAEMON, Side, World};

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

/// C-329, C-330, C-331, C-332: what the page shows, and what its actions say.
#[test]
fn status_page() {
    compare(|world| {
        world.programs(
            "[program:b]\ncommand=/bin/cat\nprocess_name=x%(process_num)d\nnumprocs=2\nstartsecs=0\n\
             [program:a]\ncommand=/bin/cat\nstartsecs=0\n\
             [program:none]\ncommand=/nothing/here\nautostart=false\n\
             [program:sour]\ncommand=/bin/false\nautostart=false\nstartretries=0\n\
             [program:down]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n",
        );
        world.start();
        world.expect_running(&["a", "x0", "x1"]);
        let target = socket(world);
        let page = get(&target, "/", "");
        note(world, "page", &page);
        world.note("type", page.header("content-type").unwrap_or("-"));
        let rows = rows(&page.text());
        world.upstream_is("six rows", rows.len() == 6);
        world.note("rows", &rows.join("\n"));
        for action in [
            "action=refresh",
            "processname=a&action=stop",
            "processname=a&action=stop",
            "processname=a&action=start",
            "processname=a&action=start",
            "processname=a&action=restart",
            "processname=b:x1&action=stop",
            "processname=down&action=restart",
            "processname=a&action=clearlog",
            "processname=none&action=start",
            "processname=none&action=restart",
            "processname=sour&action=start",
            "processname=nope&action=start",
            "action=stopall",
            "action=restartall",
        ] {
            let message = message(world, &target, action);
            world.note(action, &message);
        }
        world.note("shown", &rows_message(&get(&target, "/?message=a%3Cb%3E%26c", "").text()));
    });
}

/// C-332: a page without programs.
#[test]
fn empty_status_page() {
    compare(|world| {
        world.programs("");
        world.start();
        let text = get(&socket(world), "/index.html", "").text();
        world.note("empty", &text.contains("No programs to manage").to_string());
    });
}

/// C-333: the end of a log as a page.
#[test]
fn tail_page() {
    compare(|world| {
        world.programs(
            "[program:a]\ncommand=/bin/sh -c 'seq 1 1000; exec cat'\nstdout_logfile=DIR/a.out\n\
             [program:mute]\ncommand=/bin/cat\nstdout_logfile=NONE\n",
        );
        world.start();
        world.expect_running(&["a", "mute"]);
        world.expect_file("a.out", "\n1000\n");
        for query in [
            "",
            "?processname=",
            "?processname=a",
            "?processname=a&limit=2000",
            "?processname=a&limit=1",
            "?processname=a&limit=x",
            "?processname=a&limit=-3",
            "?processname=mute",
            "?processname=nope",
        ] {
            let page = get(&socket(world), &format!("/tail.html{query}"), "").text();
            let (_, rest) = page.split_once("<pre").expect("the log");
            let (_, rest) = rest.split_once('>').expect("its begin");
            world.note(query, rest.split("</pre>").next().unwrap_or_default());
            if !query.contains("=a") && !query.contains("=nope") {
                continue;
            }
            let (_, title) = page.split_once("<title>").expect("a title");
            let title = title.split("</title>").next().unwrap_or_default().trim().to_owned();
            world.note(&format!("{query} title"), &title);
        }
    });
}

/// What scripts read of the rows: class and text of the state, description, name, actions.
fn rows(page: &str) -> Vec<String> {
    let between = |text: &str, from: &str, to: &str| {
        let (_, rest) = text.split_once(from)?;
        Some(rest.split_once(to)?.0.to_owned())
    };
    page.split("<tr")
        .filter_map(|row| {
            let row = row.split("</tr>").next()?;
            let class = between(row, "<span class=\"status", "\"")?;
            let state = between(row, &format!("status{class}\">"), "<")?;
            let text = row.split("<span>").nth(1).and_then(|text| text.split('<').next())?;
            let link = between(row, "tail.html?processname=", "</a>")?;
            let name = link.rsplit('>').next()?.to_owned();
            let labels =
                ["Restart", "Stop", "Start", "Clear Log", "Tail -f Stdout", "Tail -f Stderr"];
            let actions: Vec<_> =
                labels.into_iter().filter(|label| row.contains(&format!(">{label}<"))).collect();
            let text = text.split("pid ").next().unwrap_or_default();
            Some(format!("{class} {state} {text:?} {name} {}", actions.join(",")))
        })
        .collect()
}

/// The message of a page.
fn rows_message(page: &str) -> String {
    let (_, rest) = page.split_once("status_msg\"").expect("a message");
    let (_, rest) = rest.split_once('>').expect("its begin");
    let text = rest.split('<').next().unwrap_or_default();
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    marks.iter().fold(text.to_owned(), |text, (code, mark)| text.replace(code, mark))
}

/// Asks for an action, as each side wants it, and gives the message that it leads to.
fn message(world: &World, target: &Target, action: &str) -> String {
    let path = format!("/index.html?{action}");
    let answer = if world.side == Side::Upstream {
        get(target, &path, "")
    } else {
        let page = get(target, "/", "").text();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a token");
        let body = format!("csrf={}", rest.split('"').next().unwrap_or_default());
        let length = body.len();
        ask(
            target,
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"),
        )
    };
    let location = answer.header("location").unwrap_or_default();
    let (_, message) = location.split_once("/?message=").expect("a message");
    let message = percent_encoding::percent_decode_str(message).decode_utf8_lossy().into_owned();
    // Times end it.
    message.split(" at ").next().unwrap_or_default().to_owned()
}
