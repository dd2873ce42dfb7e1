//! Event listeners as they act on what they hear: superlance's memmon and httpok, and
//! supervisor-checks. The test speaks the listener protocol in the daemon's place; the RPC calls
//! that follow go to the daemon.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::both::{client, same_of_both, without_paths};
use crate::support::PATIENCE;
use crate::support::http::loopback;
use crate::support::process::Running;
use crate::world::{DAEMON, World};

const PROGRAMS: &str = "\
[program:a]
command=/bin/sleep 100
startsecs=0
[program:off]
command=/bin/cat
autostart=false
[program:x]
command=/bin/sleep 100
startsecs=0
[program:y]
command=/bin/sleep 100
startsecs=0
[group:g]
programs=x,y
";

/// What an event on the wire is; its payload.
const TICK: &str = "ver:3.0 server:supervisor serial:1 pool:listener poolserial:1 \
                    eventname:TICK_60 len:15\nwhen:1201063880";
const OTHER: &str = "ver:3.0 server:supervisor serial:2 pool:listener poolserial:2 \
                     eventname:PROCESS_STATE_EXITED len:0\n";

/// Runs a listener through two events. Observes what it said to the daemon and to people, and what
/// happened to the processes.
fn listen(world: &mut World, url: &str, program: &str, args: &[&str]) {
    let mut command = client(world, program);
    command.args(args).stdin(Stdio::piped());
    command.env("SUPERVISOR_SERVER_URL", url).env("SUPERVISOR_ENABLED", "1");
    if url.starts_with("http:") {
        command.env("SUPERVISOR_USERNAME", "bob").env("SUPERVISOR_PASSWORD", "secret");
    }
    let mut listener = Running::spawn(&mut command);
    let said = |listener: &Running, word: &str, times: usize| {
        let enough = |text: &str| (text.matches(word).count() >= times).then_some(());
        assert!(
            listener.stdout.wait(PATIENCE, enough).is_some(),
            "{program} did not say {word:?} {times} times: {:?}\n{}",
            listener.stdout.text(),
            listener.stderr.text()
        );
    };
    for (index, event) in [TICK, OTHER].into_iter().enumerate() {
        said(&listener, "READY\n", index + 1);
        listener.type_in(event);
        said(&listener, "RESULT 2\nOK", index + 1);
    }
    said(&listener, "READY\n", 3);
    // As a supervisor does in the end; everything it wrote is there then.
    listener.signal(Signal::SIGKILL);
    let output = listener.finish(PATIENCE);
    world.note(&format!("{program} to the daemon"), &output.stdout);
    let people = tell(world, &output.stderr).replace(url, "URL");
    world.note(&format!("{program} to people"), &people);
}

/// Lines of people without times and sizes; in an order that threads do not change.
fn tell(world: &World, text: &str) -> String {
    let text = without_paths(world, text);
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let line = match line.split_once(" [") {
                Some((date, rest)) if date.starts_with("20") => format!("[{rest}"),
                _ => line.to_owned(),
            };
            let sized = |word: &str| word.chars().all(|c| c.is_ascii_digit()) && word.len() > 2;
            let words: Vec<&str> =
                line.split(' ').map(|word| if sized(word) { "SIZE" } else { word }).collect();
            words.join(" ")
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

/// How often each of these was spawned, and that all run.
fn spawned(world: &mut World) {
    let log = world.settled_log();
    for name in ["a", "off", "x", "y"] {
        let times = log.matches(&format!("INFO spawned: '{name}'")).count();
        world.note(&format!("{name} was spawned"), &times.to_string());
    }
}

fn over_unix(world: &mut World) -> String {
    world.programs(PROGRAMS);
    world.start();
    world.expect_running(&["a", "x", "y"]);
    format!("unix://{}", world.dir.join("sv.sock").display())
}

fn over_tcp(world: &mut World) -> String {
    let address = loopback();
    world.config(&format!(
        "{DAEMON}{PROGRAMS}[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n"
    ));
    world.start();
    world.expect_running(&["a", "x", "y"]);
    format!("http://{address}")
}

/// C-278: memmon restarts what has too much memory: one by name, one by group.
#[test]
fn memmon() {
    same_of_both(|world| {
        let url = over_unix(world);
        listen(world, &url, "memmon", &["-p", "a=1KB", "-p", "off=1KB", "-g", "g=1GB"]);
        spawned(world);
        listen(world, &url, "memmon", &["-g", "g=1KB", "-c"]);
        spawned(world);
    });
}

/// C-278: httpok restarts processes when a web page is not what it should be.
#[test]
fn httpok() {
    same_of_both(|world| {
        let url = over_tcp(world);
        // Nobody listens there.
        let page = format!("http://{}/", loopback());
        listen(world, &url, "httpok", &["-p", "a", "-p", "g:x", "-p", "nope", "-t", "1", &page]);
        spawned(world);
        // The daemon's own server answers, and wants a password.
        listen(world, &url, "httpok", &["-a", "-c", "401", &format!("{url}/")]);
        spawned(world);
        listen(world, &url, "httpok", &["-a", &format!("{url}/")]);
        spawned(world);
    });
}

/// C-278: supervisor-checks restarts a group by memory, and a process whose XML-RPC does not answer.
#[test]
fn supervisor_checks() {
    same_of_both(|world| {
        let url = over_unix(world);
        let memory = "supervisor_memory_check";
        listen(world, &url, memory, &["-n", "much", "-m", "1000000", "-g", "g"]);
        spawned(world);
        listen(world, &url, memory, &["-n", "little", "-m", "1", "-g", "g", "-c"]);
        spawned(world);
        // The program for this check refuses all of its own options, so the check as a library. What
        // it checks is the daemon itself.
        let socket = world.dir.join("sv.sock").display().to_string();
        for method in ["supervisor.getState", "supervisor.getProcessInfo"] {
            let checks = format!(
                "from supervisor_checks.check_modules.xmlrpc import XMLRPCCheck\n\
                 from supervisor_checks.check_runner import CheckRunner\n\
                 config = {{'sock_path': '{socket}', 'method': '{method}', 'num_retries': 1}}\n\
                 CheckRunner('rpc', None, 'a', [(XMLRPCCheck, config)]).run()\n"
            );
            listen(world, &url, "python", &["-c", &checks]);
            spawned(world);
        }
    });
}
