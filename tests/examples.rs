//! Every configuration in `examples/` is run with the real programs and has to serve.

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::signal::Signal;

use support::PATIENCE;
use support::children::{descendants, signal};
use support::daemon::{Daemon, PIDPROXY, SUPERVISORD, command};
use support::process::{run, wait_gone};
use support::scratch::Scratch;
use support::watch::expect_in_file;

/// A copy of the examples in a scratch directory, with the machine's paths and the ports in use
/// by others replaced.
struct Example {
    scratch: Scratch,
    ports: Vec<(String, u16)>,
}

impl Example {
    /// Copies `NAME.conf` and `NAME/`, giving each port (written as in the files) a free one.
    fn stage(name: &str, ports: &[&str]) -> Self {
        let scratch = Scratch::new();
        for dir in ["run", "log", "lib", "examples/development/var"] {
            std::fs::create_dir_all(scratch.join(dir)).expect("a directory");
        }
        let ports = free_ports(ports);
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let example = Self { scratch, ports };
        example.copy(&from.join(format!("{name}.conf")), &format!("examples/{name}.conf"));
        for entry in std::fs::read_dir(from.join(name)).expect("its files").flatten() {
            if entry.path().is_file() {
                let file = entry.file_name().to_string_lossy().into_owned();
                example.copy(&entry.path(), &format!("examples/{name}/{file}"));
            }
        }
        example
    }

    fn copy(&self, from: &Path, to: &str) {
        let dir = self.scratch.path().display().to_string();
        let mut text = std::fs::read_to_string(from).expect("an example's text");
        for (path, own) in
            [("/var/log/supervisor", "log"), ("/var/lib/", "lib/"), ("/run/", "run/")]
        {
            text = text.replace(path, &format!("{dir}/{own}"));
        }
        // %(here)s/../run/ of the demo was meant as it stands.
        text = text.replace(&format!("..{dir}/run/"), "../run/");
        // In two steps, so that a port put in is not taken for one that is written there.
        for (index, (written, _)) in self.ports.iter().enumerate() {
            text = text.replace(written, &format!("<port {index}>"));
        }
        for (index, (_, free)) in self.ports.iter().enumerate() {
            text = text.replace(&format!("<port {index}>"), &free.to_string());
        }
        let path = self.scratch.write(to, text);
        let mode = std::fs::metadata(from).expect("it is there").permissions();
        std::fs::set_permissions(path, mode).expect("its mode");
    }

    fn port(&self, written: &str) -> u16 {
        self.ports.iter().find(|(port, _)| port == written).expect("a staged port").1
    }

    /// Starts it with our programs first in PATH, as an installed package would have them.
    fn start(&self, name: &str) -> Daemon {
        let config = self.scratch.join(&format!("examples/{name}.conf"));
        let mut command = self.command();
        command.arg("-n").arg("-c").arg(&config);
        Daemon::start_command(self.scratch.path(), &config, command)
    }

    fn command(&self) -> Command {
        let mut command = command(SUPERVISORD, self.scratch.path());
        let own = Path::new(PIDPROXY).parent().expect("in a directory").display().to_string();
        command.env("PATH", format!("{own}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
        command
    }

    fn log(&self, name: &str, needle: &str) -> String {
        expect_in_file(&self.scratch.join(name), needle)
    }
}

/// Free ports in place of the written ones; all are held at once, so they differ. Three digits
/// stand for a row of ports that begin with them.
fn free_ports(written: &[&str]) -> Vec<(String, u16)> {
    let mut held = Vec::new();
    let mut found = Vec::new();
    for port in written {
        let free = if port.len() == 3 {
            let row = |tens: &u16| {
                let row: Vec<_> = (0..2)
                    .map_while(|i| TcpListener::bind(("127.0.0.1", tens * 10 + i)).ok())
                    .collect();
                (row.len() == 2).then_some(row)
            };
            let start = 1100 + u16::try_from(std::process::id() % 1000).expect("below 1000");
            let tens = (start..3200).find(|tens| row(tens).is_some()).expect("a free row");
            held.extend(row(&tens).expect("it was free"));
            tens
        } else {
            held.push(TcpListener::bind("127.0.0.1:0").expect("a free port"));
            held[held.len() - 1].local_addr().expect("it is bound").port()
        };
        found.push(((*port).to_owned(), free));
    }
    found
}

/// The whole answer to a GET.
fn get(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// How many connections to a unix socket wait for somebody to accept them: they have no inode yet.
fn waiting_at(path: &str) -> usize {
    let sockets = std::fs::read_to_string("/proc/net/unix").expect("the sockets of the system");
    let waits = |line: &&str| line.ends_with(&format!("     0 {path}"));
    sockets.lines().filter(waits).count()
}

#[test]
fn every_example_is_tested_here() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names: BTreeSet<String> = std::fs::read_dir(dir)
        .expect("the examples")
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let own = include_str!("examples.rs");
    for name in &names {
        assert!(own.contains(&format!("stage(\"{name}\"")), "no test runs {name}.conf");
    }
    assert!(names.len() >= 8, "{names:?}");
}

#[test]
fn demo_serves_logs_and_counts() {
    let example = Example::stage("demo", &["8088", "9001"]);
    let daemon = example.start("demo");
    example.log("run/web.log", "listening on http");
    assert!(get(example.port("8088")).contains("I am web, pid"));
    let page = get(example.port("9001"));
    assert!(page.contains("crew_2") && page.contains("Restart"), "{page}");
    example.log("run/worker.log", "job 2 done");
    for number in 0..3 {
        example.log(&format!("run/crew_{number}.log"), &format!("as crew:crew_{number}"));
    }
    daemon.expect_log("exited: unsteady (exit status 1; not expected)");
    daemon.expect_log_times("spawned: 'unsteady'", 2);
    let output = daemon.ctl(&["status", "crew:*"]);
    assert_eq!(output.stdout.matches("RUNNING").count(), 3, "{output:?}");
}

#[test]
fn nginx_and_app_serve_through_each_other() {
    support::require_root();
    let example = Example::stage("nginx-and-app", &["8180", "810"]);
    std::fs::create_dir_all(example.scratch.join("lib/shop")).expect("a directory");

    let mut daemon = example.start("nginx-and-app");
    example.log("log/app_0.log", "listening on port");
    example.log("log/app_1.log", "listening on port");
    example.log("log/nginx.log", "start worker processes");
    let answers: BTreeSet<String> = (0..4)
        .map(|_| get(example.port("8180")).lines().last().unwrap_or_default().to_owned())
        .collect();
    let expected =
        ["shop, the second: app_0".to_owned(), "shop, the second: app_1".to_owned()].into();
    assert_eq!(answers, expected);
    let order = daemon.log();
    let place = |name: &str| order.find(&format!("spawned: '{name}'")).expect("it was started");
    assert!(place("app_0") < place("nginx"));
    let nginx = daemon.pid_of("site:nginx");
    assert_eq!(
        daemon.ctl(&["restart", "site:nginx"]).stdout,
        "site:nginx: stopped\nsite:nginx: started\n"
    );
    assert!(wait_gone(nginx, PATIENCE));
    assert_eq!(daemon.stop().code, 0);
    assert!(TcpStream::connect(("127.0.0.1", example.port("8180"))).is_err());
}

// C-401, C-402
#[test]
fn fastcgi_requests_are_answered_while_the_application_is_restarted() {
    support::require_root();
    let example = Example::stage("fastcgi", &["8480"]);
    std::fs::create_dir_all(example.scratch.join("lib/fastcgi")).expect("a directory");
    let mut daemon = example.start("fastcgi");
    example.log("log/app_0.log", "waiting for requests");
    example.log("log/app_1.log", "waiting for requests");
    example.log("log/nginx.log", "start worker processes");
    let port = example.port("8480");

    // One process after the other, several times, under steady requests.
    let over = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let client = || {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                answers.push(get(port));
            }
            answers
        };
        let clients = [scope.spawn(client), scope.spawn(client), scope.spawn(client)];
        for _ in 0..3 {
            for process in ["app:app_0", "app:app_1"] {
                let restarted = daemon.ctl(&["restart", process]).stdout;
                assert_eq!(restarted, format!("{process}: stopped\n{process}: started\n"));
            }
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    let ok = |answer: &&String| answer.starts_with("HTTP/1.1 200 OK");
    assert_eq!(answers.iter().find(|answer| !ok(answer)), None, "of {} requests", answers.len());
    println!("{} requests while 6 restarts", answers.len());
    let pid = |answer: &String| answer.lines().last().map(str::to_owned);
    let served: BTreeSet<_> = answers.iter().filter_map(pid).collect();
    assert!(answers.len() > 20 && served.len() > 2, "{} answers of {served:?}", answers.len());

    // Nobody accepts, and requests wait in the socket for the process that is started.
    daemon.ctl(&["stop", "app:app_0"]);
    let busy = i32::try_from(daemon.pid_of("app:app_1")).expect("a pid");
    signal(busy, Signal::SIGSTOP);
    let waiting: Vec<_> = (0..5).map(|_| std::thread::spawn(move || get(port))).collect();
    let socket = example.scratch.join("run/fastcgi-app.sock").display().to_string();
    let patience = Instant::now() + PATIENCE;
    while waiting_at(&socket) < 5 {
        assert!(Instant::now() < patience, "the requests do not reach the socket");
        std::thread::yield_now();
    }
    daemon.ctl(&["start", "app:app_0"]);
    let served = format!("app_0, pid {}\n", daemon.pid_of("app:app_0"));
    for request in waiting {
        let answer = request.join().unwrap();
        assert!(ok(&&answer) && answer.ends_with(&served), "{answer}");
    }
    signal(busy, Signal::SIGCONT);
    assert_eq!(daemon.stop().code, 0);
    assert!(!example.scratch.join("run/fastcgi-app.sock").exists());
}

#[test]
fn queue_workers_share_the_work() {
    let example = Example::stage("queue-workers", &["6390"]);
    std::fs::create_dir_all(example.scratch.join("lib/queue")).expect("a directory");
    let mut daemon = example.start("queue-workers");
    example.log("log/redis.log", "Ready to accept connections");
    for number in 0..4 {
        example.log(&format!("log/worker_{number:02}.log"), "waits for jobs");
    }
    let port = example.port("6390").to_string();
    let redis = |args: &[&str]| {
        let mut command = command("redis-cli", example.scratch.path());
        run(command.args(["-p", &port, "--raw"]).args(args)).stdout
    };
    for job in ["one", "two", "three", "four", "five", "six", "seven", "eight"] {
        redis(&["RPUSH", "jobs", job]);
    }
    let mut done = BTreeSet::new();
    for _ in 0..8 {
        // BLPOP waits for the next one by itself.
        done.insert(redis(&["BLPOP", "done", "30"]).lines().last().unwrap_or_default().to_owned());
    }
    assert_eq!(done.len(), 8, "{done:?}");
    assert!(done.iter().all(|line| line.contains(" by worker_0")), "{done:?}");
    assert_eq!(daemon.stop().code, 0);
    assert!(example.scratch.read("log/redis.log").contains("bye bye"));
}

#[test]
fn oneshot_programs_run_to_their_end() {
    let example = Example::stage("oneshot", &[]);
    std::fs::create_dir_all(example.scratch.join("lib/oneshot")).expect("a directory");
    let daemon = example.start("oneshot");
    daemon.expect_log("exited: migrate (exit status 0; expected)");
    assert_eq!(example.scratch.read("log/migrate.log"), "from version 0 to 3\n");
    let output = daemon.ctl(&["start", "report"]);
    assert_eq!((output.stdout.as_str(), output.code), ("report: started\n", 0));
    example.log("log/report.log", ": 3\n");
    daemon.expect_log("exited: report (exit status 0; expected)");
    let status = daemon.ctl(&["status"]).stdout;
    assert_eq!(status.matches("EXITED").count(), 2, "{status}");
    example.scratch.write("lib/oneshot/old.tmp", "");
    example.log("log/tidy.log", "old.tmp");
}

#[test]
fn container_services_share_the_output_and_orphans_are_reaped() {
    support::require_root();
    let example = Example::stage("container-pid1", &["8280"]);
    example.scratch.write("lib/web/index.html", "from the container\n");
    let config = example.scratch.join("examples/container-pid1.conf");
    let mut outer = command("/usr/bin/unshare", example.scratch.path());
    outer
        .args(["--fork", "--pid", "--mount-proc", "--kill-child=KILL"])
        .arg(SUPERVISORD)
        .arg("-n")
        .arg("-c")
        .arg(&config);
    let mut daemon = Daemon::start_command(example.scratch.path(), &config, outer);
    daemon.expect_log("supervisord started with pid 1\n");
    daemon.expect_log("Serving HTTP on 127.0.0.1");
    daemon.expect_log_times("a job is done", 4);
    let zombies = descendants(daemon.pid()).iter().filter(|child| child.zombie).count();
    assert!(zombies <= 1, "four orphans ended, and {zombies} were not reaped");
    assert!(get(example.port("8280")).contains("from the container"));
    // Signals for unshare itself would not reach the first process of the container.
    let inner = descendants(daemon.pid());
    signal(inner.first().expect("the first process").pid, Signal::SIGTERM);
    let output = daemon.process.finish(PATIENCE);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn development_setup_restarts_what_changes() {
    let example = Example::stage("development", &["8380", "8381"]);
    let daemon = example.start("development");
    daemon.expect_log("api is up");
    daemon.expect_log("Serving HTTP on 127.0.0.1");
    daemon.expect_log("watching");
    assert!(get(example.port("8380")).ends_with("hello\n"));
    assert!(get(example.port("8381")).contains("api.py"));
    let changed = example.scratch.read("examples/development/api.py").replace("hello", "changed");
    example.scratch.write("examples/development/api.py", changed);
    daemon.expect_log_times("api is up", 2);
    assert!(get(example.port("8380")).ends_with("changed\n"));
}

#[test]
fn legacy_daemon_is_stopped_through_its_pid_file() {
    let example = Example::stage("legacy-pidproxy", &["6391"]);
    std::fs::create_dir_all(example.scratch.join("lib/legacy")).expect("a directory");
    let mut daemon = example.start("legacy-pidproxy");
    example.log("log/legacy.log", "legacy daemon is pid");
    let legacy: u32 =
        example.log("run/legacy.pid", "\n").trim().parse().expect("a pid in the pid file");
    let port = example.port("6391").to_string();
    example.log("log/legacy-redis.log", "Ready to accept connections");
    let mut client = command("redis-cli", example.scratch.path());
    assert_eq!(run(client.args(["-p", &port, "PING"])).stdout, "PONG\n");
    assert_eq!(daemon.ctl(&["stop", "legacy"]).stdout, "legacy: stopped\n");
    assert!(wait_gone(legacy, PATIENCE));
    assert_eq!(daemon.stop().code, 0);
}
