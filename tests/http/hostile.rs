//! Floods, and requests that are made to be misunderstood.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::daemon::Daemon;
use crate::support::http::{Answer, Http, Target, ask, get, loopback, unix};
use crate::support::scratch::Scratch;

const INTERFACE: &str = "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
                         supervisor.rpcinterface:make_main_rpcinterface\n";
const STATE: &str = "<methodCall><methodName>supervisor.getState</methodName></methodCall>";
const OK: &str = "GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What `supervisorctl status` and getState may take, whoever else is connected.
const PROMPT: Duration = Duration::from_millis(50);
/// What the daemon may have of memory at any time, in kB: much less than what is thrown at it.
const MUCH: u64 = 700 * 1024;

/// A daemon with an inet server, a unix server and a program.
fn served(scratch: &Scratch, options: &str) -> (Daemon, Target, Target) {
    let address = loopback();
    let sections = format!(
        "[inet_http_server]\nport={address}\n{options}[unix_http_server]\nfile=%(here)s/s\n\
         {INTERFACE}[program:a]\ncommand=/bin/cat\n"
    );
    let daemon = Daemon::start(scratch, &sections);
    (daemon, Target::Inet(address), unix(scratch.path(), "s"))
}

fn post(body: &str) -> String {
    let length = body.len();
    format!("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn expect_state(target: &Target) {
    let answer = ask(target, post(STATE));
    assert!(answer.text().contains("RUNNING"), "{answer:?}");
}

/// Sends something and reads all answers until the server closes.
fn answers(target: &Target, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
    let mut http = Http::connect(target).expect("it listens");
    // It may have closed before the end of it.
    let _ = http.send(bytes);
    until_the_end(&mut http)
}

/// Sends something, says that no more will come, and reads what is answered all the same.
fn cut_off(target: &Target, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
    let mut http = Http::connect(target).expect("it listens");
    let _ = http.send(bytes).and_then(|()| http.no_more());
    until_the_end(&mut http)
}

fn until_the_end(http: &mut Http) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        match http.answer() {
            Ok(Some(answer)) => answers.push(answer),
            // Closed while something it did not read was under way.
            Err(error) if error.kind() != ErrorKind::WouldBlock => return answers,
            Ok(None) => return answers,
            Err(error) => panic!("it stays open after {answers:?}: {error}"),
        }
    }
}

/// The most memory that the daemon ever had, in kB.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it is");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The shortest of so many: what others do on the machine is not what is measured.
fn shortest(times: usize, mut what: impl FnMut()) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..times {
        let began = Instant::now();
        what();
        shortest = shortest.min(began.elapsed());
    }
    shortest
}

fn allow_descriptors(wanted: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("it has limits");
    assert!(hard >= wanted, "this test needs {wanted} descriptors, and may have {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard).expect("it may");
}

#[test]
fn control_stays_prompt_beside_a_thousand_idle_and_fifty_slow_connections() {
    allow_descriptors(4096);
    let scratch = Scratch::new();
    let (daemon, inet, unix) = served(&scratch, "");
    daemon.expect_log("success: a entered RUNNING");
    let mut held = Vec::new();
    for at in 0..1_000 {
        held.push(Http::connect([&inet, &unix][at % 2]).expect("it listens"));
    }
    for at in 0..50 {
        let mut http = Http::connect([&inet, &unix][at % 2]).expect("it listens");
        let slow = ["GET / HT", "POST /RPC2 HTTP/1.1\r\nContent-Length: 9\r\n\r\n<"];
        http.send(slow[at / 2 % 2]).expect("it takes it");
        held.push(http);
    }
    let urls = [None, Some(inet.url()), Some(unix.url())];
    let statuses = urls.map(|url| {
        let took = shortest(30, || {
            let from = url.as_ref().map_or(Vec::new(), |url| vec!["-s", url]);
            let output = daemon.ctl(&[from, vec!["status"]].concat());
            assert!(output.stdout.contains("RUNNING"), "{output:?}");
        });
        (url.unwrap_or_else(|| "D-Bus".to_owned()), took)
    });
    let state = [&inet, &unix].map(|target| shortest(20, || expect_state(target)));
    println!("status: {statuses:?}, getState: {state:?}");
    assert!(statuses.iter().all(|(_, took)| *took < PROMPT), "status took {statuses:?}");
    assert!(state.iter().all(|took| *took < PROMPT), "getState took {state:?}");
}

#[test]
fn what_ends_anywhere_does_no_harm() {
    let scratch = Scratch::new();
    let (daemon, inet, unix) = served(&scratch, "");
    let whole = post(STATE);
    for end in 0..whole.len() {
        let answers = cut_off([&inet, &unix][end % 2], &whole[..end]);
        assert!(answers.iter().all(|answer| answer.status() >= 400), "{end}: {answers:?}");
    }
    assert!(ask(&inet, &whole).text().contains("RUNNING"));
    // Bytes of all kinds, always the same: a linear congruence.
    let mut state: u64 = 42;
    for at in 0..200 {
        let mut bytes = if at % 3 == 0 { b"POST /RPC2 HTTP/1.1\r\n".to_vec() } else { Vec::new() };
        for _ in 0..300 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.push(state.to_be_bytes()[0]);
        }
        bytes.extend(b"\r\n\r\n");
        let answers = cut_off([&inet, &unix][at % 2], &bytes);
        assert!(answers.iter().all(|answer| answer.status() >= 400), "{bytes:?}: {answers:?}");
    }
    // What is no text where text has to be.
    for body in [&b"\xff\xfe<\0m\0"[..], b"<a>\xc3</a>", b"<a>\0</a>", b"\x1f\x8b\x08\0"] {
        let mut request =
            format!("POST /RPC2 HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        request.extend(body);
        assert_eq!(ask(&inet, request).status(), 400, "{body:?}");
    }
    expect_state(&inet);
    expect_state(&unix);
    assert!(!daemon.log().contains("it is a bug"), "{}", daemon.log());
}

#[test]
fn no_request_is_hidden_in_another() {
    let scratch = Scratch::new();
    let (_daemon, inet, unix) = served(&scratch, "");
    let hidden = OK;
    for target in [&inet, &unix] {
        // A proxy in front and we could be of two minds about where such a request ends: what
        // follows is nobody's.
        for headers in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding: Chunked\r\n",
            "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n",
            "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n",
            "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 0\r\n",
            "Content-Length: 5, 0\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 18446744073709551621\r\n",
            "X: y\r\n Content-Length: 5\r\n",
            "Content-Length\r\n",
        ] {
            for line in ["POST /RPC2", "GET /ok.html"] {
                let request =
                    format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\n{hidden}");
                let answers = answers(target, request);
                let statuses: Vec<u16> = answers.iter().map(Answer::status).collect();
                let [400..=413] = statuses[..] else { panic!("{line} {headers:?}: {statuses:?}") };
            }
        }
    }
    // Chunks, well made, are not taken either, and the connection says that it ends.
    let chunked = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{STATE}\r\n0\r\n\r\n",
        STATE.len()
    );
    let answers = answers(&inet, chunked);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].status(), 411);
    assert_eq!(answers[0].header("connection"), Some("close"));
}

#[test]
fn requests_in_one_breath_are_answered_in_order() {
    let scratch = Scratch::new();
    let (_daemon, inet, unix) = served(&scratch, "");
    for target in [&inet, &unix] {
        // As many as go before anybody reads; the server stops reading when nobody takes answers.
        let mut many = (OK.to_owned() + &post(STATE)).repeat(200);
        many.push_str("GET /no HTTP/1.1\r\nConnection: close\r\n\r\n");
        many.push_str(OK);
        let answers = answers(target, many);
        assert_eq!(answers.len(), 401, "nothing is answered after the close");
        for pair in answers[..400].chunks(2) {
            assert_eq!(pair[0].text(), "OK");
            assert!(pair[1].text().contains("RUNNING"), "{pair:?}");
        }
        assert_eq!(answers[400].status(), 404);
    }
}

#[test]
fn wrong_passwords_in_masses_are_few_lines_and_keep_nobody_out() {
    let scratch = Scratch::new();
    let (daemon, inet, _) = served(&scratch, "username=bob\npassword=secret\n");
    // bob:hunter2
    let guess = "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Ym9iOmh1bnRlcjI=\r\n\r\n";
    let began = Instant::now();
    let mut guessing: Vec<Http> = Vec::new();
    for _ in 0..400 {
        let mut http = Http::connect(&inet).expect("it listens");
        http.send(guess.repeat(3)).expect("it takes it");
        guessing.push(http);
    }
    let right = "Authorization: Basic Ym9iOnNlY3JldA==\r\n";
    assert_eq!(get(&inet, "/ok.html", right).status(), 200);
    let mut refused = 0;
    for http in &mut guessing {
        // Whoever was there first had to go; nobody is answered twice.
        if let Ok(Some(answer)) = http.answer() {
            assert_eq!(answer.status(), 401);
            assert_eq!(http.rest().unwrap_or_default(), b"");
            refused += 1;
        }
    }
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(refused > 100, "{refused}");
    let log = daemon.log();
    let lines = log.matches("refused a wrong user name or password").count();
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("not so many");
    assert!((1..=seconds + 2).contains(&lines), "{lines} lines in {seconds} s");
    assert!(!log.contains("hunter2") && !log.contains("bob") && !log.contains("Ym9i"), "{log}");
}

#[test]
fn floods_do_not_take_the_memory() {
    let scratch = Scratch::new();
    let (daemon, inet, unix) = served(&scratch, "");
    let member = |name: &str, value: &str| {
        format!("<member><name>{name}</name><value>{value}</value></member>")
    };
    let all_info = member("methodName", "supervisor.getAllConfigInfo");
    let call = |method: &str, inside: &str| {
        format!(
            "<methodCall><methodName>{method}</methodName><params><param><value><array><data>\
             {inside}</data></array></value></param></params></methodCall>"
        )
    };
    let bodies = [
        // As many elements as may be, and as large as may be.
        call("system.multicall", &format!("<i x='{}'/>", "y".repeat(30)).repeat(190_000)),
        // As many calls as may be, each with a long answer.
        call(
            "system.multicall",
            &format!("<value><struct>{all_info}</struct></value>").repeat(30_000),
        ),
        // More than may be.
        call("supervisor.getState", &"<i/>".repeat(1_900_000)),
        // One element, and nothing but attributes.
        format!(
            "<methodCall {}/>",
            (0..500_000).map(|at| format!("a{at}='' ")).collect::<Vec<_>>().concat()
        ),
        // One long text, in pieces.
        format!("<methodCall><methodName>{}</methodName></methodCall>", "&lt;".repeat(2_000_000)),
        "<a>".repeat(2_500_000),
    ];
    for body in &bodies {
        assert!((1_000_000..8 * 1024 * 1024).contains(&body.len()), "{}", body.len());
    }
    std::thread::scope(|scope| {
        for at in 0..24 {
            let (target, body) = ([&inet, &unix][at % 2], &bodies[at % bodies.len()]);
            scope.spawn(move || {
                let mut http = Http::connect(target).expect("it listens");
                // Too many at once are sent away, perhaps before they were heard out.
                let _ = http.send(post(body));
                let status = http.answer().ok().flatten().map_or(503, |answer| answer.status());
                assert!(matches!(status, 200 | 400 | 503), "{at}: {status}");
            });
        }
        for _ in 0..20 {
            for target in [&inet, &unix] {
                let began = Instant::now();
                expect_state(target);
                let took = began.elapsed();
                assert!(took < Duration::from_secs(5), "getState took {took:?}");
            }
        }
    });
    // Small ones, as many as there is room for, that all wait.
    let small = call("system.multicall", &"<i/>".repeat(15_000));
    let waiting: Vec<Http> = (0..400)
        .map(|at| {
            let mut http = Http::connect([&inet, &unix][at % 2]).expect("it listens");
            let _ = http.send(&post(&small)[..small.len()]);
            http
        })
        .collect();
    expect_state(&inet);
    drop(waiting);
    let peak = peak(&daemon);
    println!("peak: {peak} kB");
    assert!(peak < MUCH, "{peak} kB");
    assert!(!daemon.log().contains("it is a bug"), "{}", daemon.log());
}
