//! XML-RPC as no proper client would use it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::daemon::Daemon;
use crate::support::http::{Answer, Http, Target, ask, get, loopback, unix};
use crate::support::scratch::Scratch;
use crate::support::{PATIENCE, expect_quick};

const INTERFACE: &str = "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
                         supervisor.rpcinterface:make_main_rpcinterface\n";

const UNIX: &str = "[unix_http_server]\nfile=%(here)s/s\n";

fn served(scratch: &Scratch, programs: &str) -> (Daemon, Target) {
    let address = loopback();
    let section = format!("[inet_http_server]\nport={address}\n{INTERFACE}{programs}");
    (Daemon::start(scratch, &section), Target::Inet(address))
}

fn request(body: &str, headers: &str) -> String {
    let length = body.len();
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn call(method: &str, params: &[&str]) -> String {
    let params: Vec<String> =
        params.iter().map(|param| format!("<param><value>{param}</value></param>")).collect();
    let params = params.concat();
    format!("<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>")
}

fn post(target: &Target, body: &str) -> Answer {
    ask(target, request(body, ""))
}

#[test]
fn a_call_that_waits_holds_up_nobody() {
    // C-289
    let scratch = Scratch::new();
    let (daemon, target) =
        served(&scratch, "[program:slow]\ncommand=/bin/cat\nautostart=false\nstartsecs=10\n");
    let mut waiting = Http::connect(&target).expect("it listens");
    waiting.send(request(&call("supervisor.startProcess", &["slow"]), "")).expect("it takes it");
    daemon.expect_log("spawned: 'slow'");
    expect_quick(Duration::from_secs(2), || {
        assert!(post(&target, &call("supervisor.getState", &[])).text().contains("RUNNING"));
    });
    assert!(!daemon.log().contains("entered RUNNING"), "it waits still: {}", daemon.log());
    let answer = waiting.answer().expect("it answers").expect("it does");
    assert!(answer.text().contains("<boolean>1</boolean>"), "{answer:?}");
}

#[test]
fn what_a_client_asked_for_is_done_when_it_is_gone() {
    let scratch = Scratch::new();
    let slow = "autostart=false\nstartsecs=1000\ncommand=/bin/cat\n";
    let (mut daemon, inet) = served(
        &scratch,
        &format!("{UNIX}[program:p]\nnumprocs=20\nprocess_name=p%(process_num)s\n{slow}"),
    );
    let unix = unix(scratch.path(), "s");
    // It reads what they sent when they have long left.
    daemon.process.signal(Signal::SIGSTOP);
    for at in 0..20 {
        let mut http = Http::connect([&inet, &unix][at % 2]).expect("it listens");
        let name = format!("p:p{at}");
        http.send(request(&call("supervisor.startProcess", &[&name]), "")).expect("it takes it");
    }
    daemon.process.signal(Signal::SIGCONT);
    for at in 0..20 {
        daemon.expect_log(&format!("spawned: 'p{at}'"));
    }
    // Nobody waits any more, and nothing is in the way of others.
    let answer = post(&inet, &call("supervisor.stopAllProcesses", &[]));
    assert_eq!(answer.text().matches("<string>OK</string>").count(), 20, "{answer:?}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn who_only_listens_after_a_request_is_answered() {
    let scratch = Scratch::new();
    let (_daemon, inet) = served(&scratch, UNIX);
    for target in [inet, unix(scratch.path(), "s")] {
        let mut http = Http::connect(&target).expect("it listens");
        http.send(request(&call("supervisor.getState", &[]), "")).expect("it takes it");
        http.no_more().expect("it is there");
        let answer = http.answer().expect("it answers").expect("it does");
        assert!(answer.text().contains("RUNNING"), "{answer:?}");
        assert_eq!(http.rest().expect("it closes"), b"");
    }
}

#[test]
fn an_internal_error_is_none_of_the_daemons() {
    // C-281, C-436: what ends with 500 at upstream's
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, "[program:a]\ncommand=/bin/cat\n");
    for (method, params) in [
        ("supervisor.getProcessInfo", &["<int>5</int>"][..]),
        ("supervisor.getProcessInfo", &["<array><data/></array>"]),
        ("supervisor.startProcess", &["<nil/>"]),
        ("supervisor.readLog", &["a", "<int>0</int>"]),
        ("supervisor.readLog", &["<double>nan</double>", "<int>0</int>"]),
        ("supervisor.tailProcessLog", &["a", "<struct/>", "<int>0</int>"]),
        ("supervisor.signalProcess", &["a", "<double>1</double>"]),
        ("system.multicall", &["<array><data><value>x</value></data></array>"]),
    ] {
        let answer = post(&target, &call(method, params));
        assert!(answer.text().contains("INCORRECT_PARAMETERS"), "{method} {params:?}: {answer:?}");
    }
    for (offset, length) in [("99999999999999999999", "5"), ("-99999999999999999999", "0")] {
        let params = [&*format!("<int>{offset}</int>"), &*format!("<int>{length}</int>")];
        assert_eq!(post(&target, &call("supervisor.readLog", &params)).status(), 200);
    }
    assert!(!daemon.log().contains("it is a bug"), "{}", daemon.log());
}

#[test]
fn what_is_too_much_is_refused() {
    // C-279, C-440
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, "");
    let post_head = |headers: &str| {
        let mut http = Http::connect(&target).expect("it listens");
        http.send(format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).expect("it takes it");
        http.answer().expect("it answers").expect("it does").status()
    };
    assert_eq!(post_head("Content-Length: 99999999999\r\n"), 413);
    assert_eq!(post_head("Content-Length: 9000000\r\n"), 413);
    assert_eq!(post_head("Transfer-Encoding: chunked\r\n"), 411);
    assert_eq!(post_head(""), 411);
    assert_eq!(post_head("Content-Length: 0\r\n"), 400);
    let deep = "<value><array><data>".repeat(10_000);
    assert_eq!(post(&target, &deep).status(), 400);
    let wide = call("system.multicall", &[&"<i/>".repeat(300_000)]);
    assert_eq!(post(&target, &wide).status(), 400);
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]>\
                <methodCall><methodName>&c;</methodName></methodCall>";
    assert_eq!(post(&target, bomb).status(), 400);
    daemon.expect_log("ERRO XML-RPC request from 127.");
    // The whole of the main log, as often as it takes to be too much.
    let one = "<value><struct><member><name>methodName</name><value>supervisor.readLog</value></member>\
               <member><name>params</name><value><array><data><value><int>0</int></value><value><int>0</int></value>\
               </data></array></value></member></struct></value>";
    let many =
        call("system.multicall", &[&format!("<array><data>{}</data></array>", one.repeat(50))]);
    let answer = post(&target, &many);
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains("FAILED: this answer would be too long"));
}

#[test]
fn a_browser_sends_xml_and_no_form() {
    // C-439
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "");
    let body = call("supervisor.getState", &[]);
    let with = |headers: &str| ask(&target, request(&body, headers)).status();
    let browser = "User-Agent: Mozilla/5.0\r\n";
    assert_eq!(with(&format!("{browser}Content-Type: text/xml; charset=utf-8\r\n")), 200);
    assert_eq!(with(&format!("{browser}Content-Type: text/plain\r\n")), 415);
    assert_eq!(with(browser), 415);
    assert_eq!(with("Content-Type: text/plain\r\n"), 200, "who is no browser need not");
    let foreign = "Origin: http://evil.example\r\nContent-Type: text/xml\r\n";
    assert_eq!(with(foreign), 403);
}

#[test]
fn a_call_may_come_slowly_and_in_pieces() {
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "");
    let mut http = Http::connect(&target).expect("it listens");
    let request = request(&call("supervisor.getState", &[]), "Expect: 100-continue\r\n");
    let (head, body) = request.split_once("\r\n\r\n").expect("both");
    http.send(format!("{head}\r\n\r\n")).expect("it takes it");
    let go_on = http.head().expect("it answers").expect("it does");
    assert_eq!(go_on.status(), 100);
    for byte in body.as_bytes() {
        http.send([*byte]).expect("it takes it");
    }
    assert!(http.answer().expect("it answers").expect("it does").text().contains("RUNNING"));
}

#[test]
fn a_shutdown_is_answered_and_waits_for_nobody() {
    // C-296
    let mut fastest = PATIENCE;
    // One may be held up by whatever else the machine does.
    for _ in 0..4 {
        let scratch = Scratch::new();
        let (mut daemon, target) = served(&scratch, "[program:a]\ncommand=/bin/cat\n");
        daemon.expect_log("success: a entered RUNNING");
        let mut idle = Http::connect(&target).expect("it listens");
        let mut half = Http::connect(&target).expect("it listens");
        half.send("POST /RPC2 HTTP/1.1\r\nContent-Length: 100\r\n\r\n<method")
            .expect("it takes it");
        let mut follower = Http::connect(&target).expect("it listens");
        follower.send("GET /logtail/a HTTP/1.1\r\nHost: x\r\n\r\n").expect("it takes it");
        assert_eq!(follower.head().expect("it answers").expect("it does").status(), 200);
        let began = Instant::now();
        let answer = post(&target, &call("supervisor.shutdown", &[]));
        assert!(answer.text().contains("<boolean>1</boolean>"), "{answer:?}");
        assert_eq!(daemon.process.finish(PATIENCE).code, 0);
        fastest = fastest.min(began.elapsed());
        assert_eq!(idle.rest().unwrap_or_default(), b"");
        assert_eq!(follower.chunk().unwrap_or_default(), b"", "its end is a proper one");
        if fastest < Duration::from_secs(4) {
            return;
        }
    }
    panic!("the fastest took {fastest:?}");
}

#[test]
fn help_is_there_for_every_method() {
    // C-319, C-320
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, "");
    let list = post(&target, &call("system.listMethods", &[])).text();
    let names: Vec<&str> = list
        .split("<string>")
        .skip(1)
        .map(|part| part.split('<').next().expect("a name"))
        .collect();
    assert_eq!(names.len(), 41);
    for name in names {
        let help = post(&target, &call("system.methodHelp", &[name])).text();
        let text = help.split("<string>").nth(1).unwrap_or_default();
        assert!(text.find('<').is_some_and(|length| length > 20), "{name}: {help}");
    }
    assert_eq!(get(&target, "/RPC2", "").status(), 400);
}
