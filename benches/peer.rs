//! One of the programs that are compared, driven from outside.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Python Supervisor 4.3.0.
    Upstream,
    /// This package.
    Ours,
}

impl Kind {
    /// The heading of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "4.3.0",
            Self::Ours => "ours",
        }
    }

    /// How often to repeat what takes upstream a second each time.
    pub fn repeats(self) -> usize {
        match self {
            Self::Upstream => 7,
            Self::Ours => 21,
        }
    }

    fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Ours => PathBuf::from(env!("CARGO_BIN_EXE_supervisord")).with_file_name(name),
            Self::Upstream => {
                let venv = std::env::var_os("SUPERVISOR_UPSTREAM").map_or_else(
                    || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/upstream"),
                    PathBuf::from,
                );
                venv.join("bin").join(name)
            }
        }
    }
}

/// The longest that anything may take: upstream needs some seconds for a thousand programs.
const PATIENCE: Duration = Duration::from_secs(120);

const HEAD: &str = "\
[unix_http_server]
file=%(here)s/sv.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/sv.sock
[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
minfds=10000
";

/// A running `supervisord`.
pub struct Peer {
    kind: Kind,
    dir: tempfile::TempDir,
    child: Child,
    began: Instant,
    /// Its log, each line with the time it came.
    lines: Receiver<(Instant, String)>,
    /// The last known process of each program.
    pids: HashMap<String, i32>,
    /// Lines of its log about starts so far.
    spawned: usize,
    /// And about programs that run.
    running: usize,
}

impl Peer {
    /// Starts it on these programs, in memory where there is such a file system.
    pub fn start(kind: Kind, programs: &str) -> Self {
        let shm = PathBuf::from("/dev/shm");
        let base = if shm.is_dir() { shm } else { std::env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("sv-").tempdir_in(base).expect("a directory");
        let config = dir.path().join("supervisord.conf");
        fs::write(&config, format!("{HEAD}{programs}")).expect("a file");
        let began = Instant::now();
        let mut child = Command::new(kind.program("supervisord"))
            .args(["-n", "-c", "supervisord.conf"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("supervisord runs");
        let log = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Self { kind, dir, child, began, lines, pids: HashMap::new(), spawned: 0, running: 0 }
    }

    /// Reads the next line of its log.
    fn next(&mut self, awaited: &str) -> (Instant, String) {
        let (at, line) = self
            .lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{:?} never said {awaited:?}", self.kind));
        if let Some((name, pid)) = spawned(&line) {
            self.pids.insert(name, pid);
            self.spawned += 1;
        }
        if line.contains(" entered RUNNING state") {
            self.running += 1;
        }
        (at, line)
    }

    /// Reads its log up to a line; when that came.
    pub fn until(&mut self, needle: &str) -> Instant {
        loop {
            let (at, line) = self.next(needle);
            if line.contains(needle) {
                return at;
            }
        }
    }

    /// Reads its log until so many programs were spawned; the time since its own start.
    pub fn until_spawned(&mut self, count: usize) -> Duration {
        let mut last = self.began;
        while self.spawned < count {
            last = self.next("spawned").0;
        }
        last.saturating_duration_since(self.began)
    }

    /// Waits until it serves.
    pub fn until_ready(&mut self) {
        self.until("supervisord started with pid");
    }

    /// Waits until nothing more is to be done for what was started: all are RUNNING.
    pub fn settle(&mut self) {
        while self.running < self.spawned {
            self.next("entered RUNNING state");
        }
    }

    /// Kills a program's process; the time until its successor was spawned.
    pub fn crash(&mut self, name: &str) -> Duration {
        let pid = self.pids[name];
        // A program crashes at any time, not just when the supervisor has turned to it.
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        let spawned = self.until(&format!("spawned: '{name}'"));
        self.settle();
        spawned.saturating_duration_since(began)
    }

    /// Runs `supervisorctl`.
    pub fn ctl(&self, args: &[&str]) {
        let output = Command::new(self.kind.program("supervisorctl"))
            .args(["-c", "supervisord.conf"])
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("supervisorctl runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{:?} {args:?}: {said:.300}", self.kind);
    }

    /// Writes a file into its directory.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("a file");
    }

    /// Reads a file there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).expect("a file")
    }

    /// Lets it make so many events of a client's.
    pub fn send_events(&self, count: usize) {
        const CALL: &str = "<value><struct><member><name>methodName</name>\
            <value><string>supervisor.sendRemoteCommEvent</string></value></member>\
            <member><name>params</name><value><array><data><value><string>type</string></value>\
            <value><string>data</string></value></data></array></value></member></struct></value>";
        let mut left = count;
        while left > 0 {
            let some = left.min(500);
            left -= some;
            let body = format!(
                "<?xml version='1.0'?><methodCall><methodName>system.multicall</methodName><params><param>\
                 <value><array><data>{}</data></array></value></param></params></methodCall>",
                CALL.repeat(some)
            );
            let socket = self.dir.path().join("sv.sock");
            let mut server = UnixStream::connect(socket).expect("it listens");
            server.set_read_timeout(Some(PATIENCE)).expect("a socket");
            let head = format!(
                "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            server.write_all((head + &body).as_bytes()).expect("it takes a request");
            let mut answer = String::new();
            server.read_to_string(&mut answer).expect("an answer");
            let sent = answer.matches("<boolean>1</boolean>").count();
            assert_eq!(sent, some, "{:?}: {answer:.500}", self.kind);
        }
    }

    /// Asks it to end, and waits for that.
    pub fn shutdown(&mut self) {
        kill(self.pid(), Signal::SIGTERM).expect("it runs");
        let status = self.child.wait().expect("our child");
        assert!(status.success(), "{:?} ended with {status}", self.kind);
    }

    /// Proportional set size in MB.
    pub fn pss(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid()))
            .expect("the kernel tells");
        let line = text.lines().find(|line| line.starts_with("Pss:")).expect("a line of it");
        let kib: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kib / 1024.0
    }

    /// Processor seconds of all threads so far.
    pub fn cpu(&self) -> f64 {
        let seconds = |text: String| -> f64 {
            let nanos: f64 =
                text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
            nanos / 1e9
        };
        self.threads("schedstat").into_iter().map(seconds).sum()
    }

    /// How often its threads went to sleep and were woken so far.
    pub fn wakeups(&self) -> f64 {
        let count = |text: String| -> f64 {
            let line = text.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0.0)
        };
        self.threads("status").into_iter().map(count).sum()
    }

    /// What dd says of its own time.
    pub fn dd_seconds(&self) -> f64 {
        let text = fs::read_to_string(self.dir.path().join("dd.err")).expect("dd's report");
        let report = text.lines().last().expect("a last line");
        let seconds = report.split(", ").find_map(|part| part.strip_suffix(" s"));
        seconds
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("no time in {report:?}"))
    }

    fn threads(&self, file: &str) -> Vec<String> {
        fs::read_dir(format!("/proc/{}/task", self.pid()))
            .expect("it runs")
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join(file)).ok())
            .collect()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Name and process of `spawned: 'NAME' with pid N`.
fn spawned(line: &str) -> Option<(String, i32)> {
    let (_, rest) = line.split_once("spawned: '")?;
    let (name, pid) = rest.split_once("' with pid ")?;
    Some((name.to_owned(), pid.trim().parse().ok()?))
}
