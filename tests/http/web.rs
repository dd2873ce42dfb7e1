//! The pages, by raw requests: what they show, what their forms do, and what nobody can make them do.

use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::http::{Answer, Http, Target, ask, get, loopback};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

/// A daemon with one inet server and these programs, and its address.
fn served(scratch: &Scratch, config: &str) -> (Daemon, Target) {
    let address = loopback();
    let daemon = Daemon::start(scratch, &format!("[inet_http_server]\nport={address}\n{config}"));
    (daemon, Target::Inet(address))
}

fn post(target: &Target, path: &str, body: &str) -> Answer {
    let length = body.len();
    ask(
        target,
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The token in the forms of a page.
fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().expect("its end").to_owned()
}

/// Fetches a token and posts a form with it; the message that it leads to.
fn act(target: &Target, query: &str) -> String {
    let page = get(target, "/", "").text();
    let answer = post(target, &format!("/index.html?{query}"), &format!("csrf={}", token(&page)));
    assert_eq!(answer.status(), 303, "{answer:?}");
    let location = answer.header("location").expect("a place to go").to_owned();
    let (path, message) = location.split_once("?message=").expect("a message");
    assert_eq!(path, "/");
    let shown = get(target, &location, "").text();
    let (_, shown) = shown.split_once("class=\"status_msg\" role=\"status\">").expect("a message");
    let message = percent_encoding::percent_decode_str(message).decode_utf8_lossy().into_owned();
    let codes = [('&', "&#38;"), ('\'', "&#39;"), ('"', "&#34;"), ('<', "&#60;"), ('>', "&#62;")];
    let escaped = codes.iter().fold(message.clone(), |text, (from, to)| text.replace(*from, to));
    assert!(shown.starts_with(&escaped), "{message}: {shown}");
    message
}

/// The part of a page about one process.
fn row<'p>(page: &'p str, name: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("data-name=\"{name}\"")).expect("a row");
    rest.split("</tr>").next().expect("its end")
}

const CSS: &str = "/stylesheets/supervisor.css";

const PROGRAMS: &str = "\
[program:up]\ncommand=/bin/cat\nstartsecs=0\n\
[program:down]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n\
[program:none]\ncommand=/nothing/here\nautostart=false\n\
[program:sour]\ncommand=/bin/false\nautostart=false\nstartretries=0\n\
[program:b]\ncommand=/bin/cat\nprocess_name=x%(process_num)d\nnumprocs=2\nautostart=false\nstartsecs=0\n";

#[test]
fn the_page_shows_every_process() {
    // C-329, C-332
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    let page = get(&target, "/", "").text();
    let names: Vec<_> =
        page.split("data-name=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(names, ["b:x0", "b:x1", "down", "none", "sour", "up"]);
    let up = row(&page, "up");
    let pid = daemon.pid_of("up");
    assert!(up.contains("<span class=\"statusrunning\">running</span>"), "{up}");
    assert!(up.contains(&format!("pid {pid}, uptime 0:00:0")), "{up}");
    assert!(up.contains("<a href=\"/tail.html?processname=up\">up</a>"), "{up}");
    for there in ["Restart</button>", "Stop</button>", "Clear Log</button>"] {
        assert!(up.contains(there), "{there}: {up}");
    }
    assert!(up.contains("href=\"/logtail/up\"") && up.contains("href=\"/logtail/up/stderr\""));
    assert!(!up.contains("Start</button>"), "{up}");
    let down = row(&page, "b:x0");
    assert!(down.contains("<span class=\"statusnominal\">stopped</span>"), "{down}");
    assert!(down.contains("Not started") && down.contains("Start</button>"), "{down}");
    assert!(!down.contains("Stop</button>") && !down.contains("Restart</button>"), "{down}");
    assert!(page.contains("<title>Supervisor Status</title>"));
    for same in ["/index.html", "//", "//index.html", "/?processname=up"] {
        assert_eq!(row(&get(&target, same, "").text(), "down"), row(&page, "down"), "{same}");
    }
    assert_eq!(post(&target, "/", "").status(), 200);
}

#[test]
fn without_programs_the_page_says_so() {
    // C-332
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "");
    assert!(get(&target, "/", "").text().contains("No programs to manage"));
}

#[test]
fn forms_act_and_say_what_became_of_it() {
    // C-330, C-331
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    let first = daemon.pid_of("up");
    assert_eq!(act(&target, "processname=up&action=restart"), "Process up restarted");
    assert_ne!(daemon.pid_of("up"), first);
    assert_eq!(act(&target, "processname=up&action=start"), "ERROR: Process up: already started");
    assert_eq!(act(&target, "processname=up&action=stop"), "Process up stopped");
    assert_eq!(
        act(&target, "processname=up&action=stop"),
        "unexpected rpc fault [70] NOT_RUNNING: up"
    );
    assert_eq!(act(&target, "processname=up&action=start"), "Process up started");
    assert_eq!(act(&target, "processname=b:x1&action=start"), "Process b:x1 started");
    assert_eq!(act(&target, "processname=up&action=clearlog"), "Log for up cleared");
    let missing = "ERROR: Process none: no such file";
    assert_eq!(act(&target, "processname=none&action=start"), missing);
    assert_eq!(act(&target, "processname=none&action=restart"), missing, "it was not restarted");
    assert_eq!(act(&target, "processname=sour&action=start"), "ERROR: Process sour: spawn error");
    let nobody = "No such process named nobody<>";
    assert_eq!(act(&target, "processname=nobody%3C%3E&action=stop"), nobody);
    assert!(act(&target, "action=refresh").starts_with("Page refreshed at "));
    assert!(act(&target, "action=stopall").starts_with("All stopped at "));
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("STOPPED"));
    assert!(act(&target, "action=restartall").starts_with("All restarted at "));
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
    daemon.expect_log("used the web page to stop all programs: All stopped at ");
    for query in ["action=dance", "action=dance&processname=up", "action=start"] {
        assert_eq!(get(&target, &format!("/?{query}"), "").status(), 400, "{query}");
    }
}

#[test]
fn several_are_acted_on_at_once() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    assert_eq!(act(&target, "action=start&selected=down&selected=b:*"), "2 of 2 started");
    assert!(daemon.ctl(&["status", "b:*"]).stdout.matches("RUNNING").count() == 2);
    let some = act(&target, "action=stop&selected=down&selected=none&selected=b:x0");
    assert_eq!(some, "ERROR: 2 of 3 stopped; none: unexpected rpc fault [70] NOT_RUNNING: none");
    assert_eq!(act(&target, "action=signal&signal=KILL&selected=b:x1"), "1 of 1 signalled");
    daemon.expect_log("WARN exited: x1 (terminated by SIGKILL; not expected)");
}

#[test]
fn nothing_is_done_without_a_form_of_ours() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    let asked = get(&target, "/index.html?processname=up&action=stop", "");
    assert_eq!(asked.status(), 200);
    assert!(
        asked.text().contains("Nothing was done yet. Do you want to <strong>stop up</strong>?")
    );
    let page = asked.text();
    let refused = |body: &str| {
        let answer = post(&target, "/index.html?processname=up&action=stop", body);
        assert_eq!(answer.status(), 403, "{body}");
        assert!(answer.text().contains("Nothing was done yet."), "{body}");
    };
    let token = token(&page);
    for body in ["", "csrf=", "csrf=0", &format!("csrf={}", &token[1..]), &format!("csrf={token}0")]
    {
        refused(body);
    }
    // A token in the address would be seen by others.
    assert_eq!(
        get(&target, &format!("/?processname=up&action=stop&csrf={token}"), "").status(),
        200
    );
    for (query, grave) in [("action=stopall", false), ("action=shutdown", true)] {
        let page = get(&target, &format!("/?{query}"), "").text();
        assert_eq!(page.contains("name=\"sure\" value=\"yes\" required"), grave, "{query}");
    }
    // What ends everything is asked for twice.
    let once = post(&target, "/", &format!("action=shutdown&csrf={token}"));
    assert_eq!(once.status(), 403);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
    let form = format!("csrf={token}&action=stop&processname=up");
    assert_eq!(post(&target, "/index.html", &form).status(), 303);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("STOPPED"));
}

#[test]
fn a_token_of_another_server_is_good_for_nothing() {
    // C-439
    let scratch = Scratch::new();
    let other = loopback();
    let (daemon, target) = served(
        &scratch,
        &format!("[inet_http_server:b]\nport={other}\nusername=u\npassword=p\n{PROGRAMS}"),
    );
    daemon.expect_log("success: up entered RUNNING");
    // u:p
    let theirs = get(&Target::Inet(other), "/", "Authorization: Basic dTpw\r\n").text();
    let form = format!("csrf={}&action=stop&processname=up", token(&theirs));
    assert_eq!(post(&target, "/index.html", &form).status(), 403);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
}

#[test]
fn other_sites_get_nowhere() {
    // C-439
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    for headers in [
        "Host: evil.example\r\nUser-Agent: Mozilla/5.0\r\n",
        "Host: localhost\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
    ] {
        for line in ["GET /", "GET /stylesheets/supervisor.css", "POST /index.html?action=stopall"]
        {
            let request = format!("{line} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
            assert_eq!(ask(&target, request).status(), 403, "{line} {headers}");
        }
    }
}

#[test]
fn a_page_runs_nothing_and_is_framed_by_nobody() {
    // C-439
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    for path in
        ["/", "/?action=stopall", "/tail.html", "/?message=%3Cscript%3Ealert(1)%3C/script%3E"]
    {
        let answer = get(&target, path, "");
        let policy = answer.header("content-security-policy").expect("a policy").to_owned();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'sha256-",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("text/html;charset=utf-8"));
        let text = answer.text();
        for inline in [" style=", " onclick=", "javascript:", "<script>"] {
            assert!(!text.contains(inline), "{path} has {inline}");
        }
    }
}

#[test]
fn text_from_outside_is_never_markup() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:<i>&\"'x]\ncommand=/bin/sh -c 'echo \"<script>alert(1)</script>\"; exec cat'\n",
    );
    daemon.expect_log("entered RUNNING");
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E";
    let named = "%3Ci%3E%26%22%27x";
    for path in [
        "/".to_owned(),
        format!("/?message={evil}"),
        format!("/?action=stop&processname={evil}"),
        format!("/?action=signal&signal={evil}&selected={evil}"),
        format!("/tail.html?processname={evil}&limit={evil}"),
        format!("/tail.html?processname={named}"),
    ] {
        let text = get(&target, &path, "").text();
        assert!(!text.contains("<script>") && !text.contains("<i>"), "{path}: {text}");
    }
    let text = get(&target, &format!("/tail.html?processname={named}"), "").text();
    assert!(text.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{text}");
    assert_eq!(
        act(&target, &format!("processname={named}&action=stop")),
        "Process <i>&\"'x stopped"
    );
}

#[test]
fn the_end_of_a_log_is_a_page() {
    // C-333
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'seq 1 1000; exec cat'\n\
         [program:mute]\ncommand=/bin/cat\nstdout_logfile=NONE\n",
    );
    daemon.expect_log("success: a entered RUNNING");
    let tail = |query: &str| {
        let page = get(&target, &format!("/tail.html?{query}"), "").text();
        let (_, rest) = page.split_once("<pre id=\"tailbody\"").expect("the log");
        let (_, rest) = rest.split_once('>').expect("its begin");
        (rest.split("</pre>").next().expect("its end").to_owned(), page)
    };
    let (text, page) = tail("processname=a");
    assert_eq!(text.len(), 1024);
    assert!(text.ends_with("999\n1000\n"), "{text}");
    assert!(page.contains("<title>Supervisor tail of process a</title>"));
    assert!(
        page.contains("href=\"/tail.html?processname=a&amp;limit=1024\">Refresh</a>"),
        "{page}"
    );
    assert_eq!(tail("processname=a&limit=2000").0.len(), 2000);
    for limit in ["10", "-5", "x", "0"] {
        assert_eq!(tail(&format!("processname=a&limit={limit}")).0.len(), 1024, "{limit}");
    }
    let huge = tail("processname=a:a&limit=99999999999999999999").0;
    assert!(huge.starts_with("1\n2\n3\n"), "{huge}");
    assert_eq!(tail("").0, "No process name found");
    assert_eq!(tail("processname=mute").0, "No file for mute");
    let unknown = "ERROR: unexpected rpc fault [10] BAD_NAME: nope";
    assert_eq!(tail("processname=nope").0, unknown);
}

#[test]
fn files_are_sent_once_and_nothing_else_is_there() {
    // C-335, C-323
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    let whole = get(&target, CSS, "");
    assert_eq!(whole.status(), 200);
    let head = ask(&target, format!("HEAD {CSS} HTTP/1.0\r\n\r\n"));
    assert_eq!((head.status(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(whole.body.len().to_string().as_str()));
    let packed = get(&target, CSS, "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 2 < whole.body.len(), "{}", packed.body.len());
    for header in [
        format!("Connection: close\r\nIf-None-Match: {}\r\n", whole.header("etag").expect("a tag")),
        format!(
            "Connection: close\r\nIf-Modified-Since: {}\r\n",
            whole.header("last-modified").expect("a date")
        ),
    ] {
        let known = get(&target, CSS, &header);
        assert_eq!((known.status(), known.body.len()), (304, 0), "{header}");
    }
    let directory = get(&target, "/stylesheets", "");
    assert_eq!(directory.status(), 301);
    assert_eq!(directory.header("location"), Some("/stylesheets/"));
    for nothing in [
        "/stylesheets/",
        "/stylesheets/../../../../../etc/passwd",
        "/images/%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "/images/..%2f..%2fetc/passwd",
        "/stylesheets/nothing.css",
    ] {
        assert_eq!(get(&target, nothing, "").status(), 404, "{nothing}");
    }
    for verb in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{verb} {CSS} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(ask(&target, request).status(), 400, "{verb}");
    }
    assert_eq!(ask(&target, "HEAD / HTTP/1.0\r\n\r\n").status(), 200);
}

#[test]
fn what_is_too_much_for_a_form_is_refused() {
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    let too_long = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n";
    assert_eq!(ask(&target, too_long).status(), 413);
    let endless = "POST / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(ask(&target, endless).status(), 411);
    let many = "a=b&".repeat(50_000);
    assert_eq!(post(&target, "/", &many).status(), 200);
}

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

    let began = Instant::now();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid.try_into().expect("a pid")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("it lives");
    let news = event(&mut http, &mut ahead, "state");
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert_eq!(news["whole"], false);
    let changed = news["processes"].as_array().expect("a list");
    assert_eq!((changed.len(), &changed[0]["name"]), (1, &"up".into()), "{news}");

    // A page of another site gets nothing of it.
    let theirs = get(&target, "/live", "Origin: http://evil.example\r\n");
    assert_eq!(theirs.status(), 403);
}

#[test]
fn a_process_has_a_page_without_its_secrets() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:a&b]\ncommand=/bin/sh -c 'echo \"<i>said</i>\"; exec cat'\n\
         environment=TOKEN=\"hush\",PLAIN=\"s3cond\"\nprocess_name=x&y\nstartsecs=0\n",
    );
    daemon.expect_log("spawned: 'x&y'");
    let page = get(&target, "/process/a%26b/x%26y", "");
    assert_eq!(page.status(), 200);
    let text = page.text();
    for there in ["<h1>a&#38;b:x&#38;y</h1>", "TOKEN", "PLAIN", "/bin/sh -c", "startsecs"] {
        assert!(text.contains(there), "{there}: {text}");
    }
    assert!(!text.contains("hush") && !text.contains("s3cond") && !text.contains("<i>"), "{text}");
    for nothing in ["/process/a%26b/nope", "/process/nope", "/process/", "/process/%FF/%FF"] {
        assert_eq!(get(&target, nothing, "").status(), 404, "{nothing}");
    }
    let facts = get(&target, "/data/process?name=a%26b:x%26y", "");
    let facts: serde_json::Value = serde_json::from_slice(&facts.body).expect("JSON");
    assert_eq!(facts["tree"]["processes"].as_array().map(Vec::len), Some(1), "{facts}");
    assert_eq!(get(&target, "/data/process?name=nope", "").status(), 404);
}

#[test]
fn a_log_can_be_downloaded_whole() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'seq 1 100000; echo end; exec cat'\nstartsecs=0\n",
    );
    daemon.expect_log("spawned: 'a'");
    let mut tail = Http::connect(&target).expect("it listens");
    tail.send("GET /logtail/a?bytes=1000000 HTTP/1.1\r\nHost: x\r\n\r\n").expect("it takes it");
    tail.head().expect("it answers");
    let mut seen = Vec::new();
    while !seen.ends_with(b"end\n") {
        seen.extend(tail.chunk().expect("it goes on"));
    }
    let file = get(&target, "/download?name=a&channel=stdout", "");
    assert_eq!(file.status(), 200);
    let name = file.header("content-disposition").expect("a name");
    assert_eq!(name, "attachment; filename=\"a-stdout.log\"");
    assert!(file.body == seen, "{} and {} bytes", file.body.len(), seen.len());
    assert!(get(&target, "/download", "").text().contains("spawned: 'a' with pid"));
    for nothing in ["/download?name=nope", "/download?name=a&channel=x"] {
        assert_eq!(get(&target, nothing, "").status(), 404, "{nothing}");
    }
}

#[test]
fn the_daemon_shows_what_an_update_would_change_and_does_it() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    let config = scratch.join("supervisord.conf");
    let text = std::fs::read_to_string(&config).expect("it is there");
    let changed =
        text.replace("[program:down]\ncommand=/bin/cat", "[program:down]\ncommand=/bin/tac");
    std::fs::write(&config, changed.replace("[program:sour]", "[program:sweet]")).expect("written");
    let page = get(&target, "/daemon?preview=1", "").text();
    for there in [
        "added sweet: sweet",
        "removed sour: sour",
        "changed down:",
        "- command = /bin/cat",
        "+ command = /bin/tac",
    ] {
        assert!(page.contains(there), "{there}: {page}");
    }
    let data = get(&target, "/data/preview", "");
    let data: serde_json::Value = serde_json::from_slice(&data.body).expect("JSON");
    assert_eq!(data["added"][0]["group"], "sweet");
    assert!(daemon.ctl(&["status", "sweet"]).stdout.contains("no such process"));
    let message = act(&target, "action=update");
    let all =
        "sour: removed process group; down: changed process group; sweet: added process group";
    assert_eq!(message, all);
    std::fs::write(&config, text.replace("startsecs=0", "startsecs=soon")).expect("written");
    let data = get(&target, "/data/preview", "").text();
    assert!(data.contains("\"error\""), "{data}");
    assert!(act(&target, "action=update").starts_with("ERROR: "));
}

#[test]
fn the_page_is_light() {
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    let mut weight = 0;
    let mut left = vec!["/".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = left.pop() {
        if seen.contains(&path) {
            continue;
        }
        let packed = get(&target, &path, "Accept-Encoding: gzip\r\n");
        assert_eq!(packed.status(), 200, "{path}");
        weight += packed.body.len();
        let text = get(&target, &path, "").text();
        for (mark, folder) in [("src=\"/", "/"), ("link href=\"/", "/"), ("from \"./", "/scripts/")]
        {
            let found = text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            left.extend(found.map(|name| format!("{folder}{name}")));
        }
        seen.push(path);
    }
    assert!(seen.len() > 10, "scripts and style sheets are part of it: {seen:?}");
    assert!(weight < 60_000, "{weight} bytes");
    println!("{weight} bytes in {} files", seen.len());
}
