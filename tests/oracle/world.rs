//! One side of a scenario: its directory, its programs, and what is observed of them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::normal::Normal;
use crate::support::PATIENCE;
use crate::support::children::kill_of_home;
use crate::support::daemon::{SUPERVISORD, command, end};
use crate::support::notify::NotifySocket;
use crate::support::process::{Output, Running, run, run_with_input};
use crate::support::scratch::Scratch;
use crate::support::terminal::Terminal;
use crate::support::watch::{expect_in_file, wait_dir};

/// Whose programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Python Supervisor 4.3.0.
    Upstream,
    /// The programs of this package.
    Ours,
}

/// Something observed, under a name that is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What was looked at.
    pub label: String,
    /// What was seen, without what differs from run to run.
    pub text: String,
}

/// What every configuration begins with: one file serves both sides. Upstream's command line
/// needs the socket of the HTTP server, ours the pid file.
pub const HEAD: &str = "\
[unix_http_server]
file=%(here)s/sv.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://%(here)s/sv.sock
";

/// The `[supervisord]` section most scenarios use.
pub const DAEMON: &str = "\
[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s
";

/// One side of a scenario.
pub struct World {
    /// Whose programs run.
    pub side: Side,
    /// Its own directory, the current one of everything it runs.
    pub dir: Scratch,
    /// The running daemon.
    pub daemon: Option<Running>,
    /// Variables added to the environment of everything that is run.
    pub env: Vec<(String, String)>,
    /// A program with arguments that `supervisord` is started through.
    pub through: Vec<String>,
    observations: Vec<Observation>,
    starts: usize,
}

/// What a command did, with checks that hold upstream to what the scenario believes of it.
/// Ours is not asked: the comparison does that.
pub struct Seen {
    side: Side,
    /// Standard output, normalised.
    pub stdout: String,
    /// Standard error, normalised.
    pub stderr: String,
    /// Exit code.
    pub code: i32,
}

impl World {
    /// An empty directory for one side.
    pub fn new(side: Side) -> Self {
        Self {
            side,
            dir: Scratch::new(),
            daemon: None,
            env: Vec::new(),
            through: Vec::new(),
            observations: Vec::new(),
            starts: 0,
        }
    }

    /// Everything observed.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// A program of this side: `supervisord`, `supervisorctl`, `pidproxy`, ...
    pub fn program(&self, name: &str) -> PathBuf {
        match self.side {
            Side::Upstream => upstream().join("bin").join(name),
            Side::Ours => PathBuf::from(SUPERVISORD).with_file_name(name),
        }
    }

    /// A program of this side, ready to run.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = command(self.program(program), self.dir.path());
        command.args(args).envs(self.env.iter().cloned());
        command
    }

    /// Writes `supervisord.conf`: [`HEAD`], [`DAEMON`] and these programs.
    pub fn programs(&mut self, text: &str) {
        self.config(&format!("{DAEMON}{text}"));
    }

    /// Writes `supervisord.conf`: [`HEAD`] and this.
    pub fn config(&mut self, text: &str) {
        self.write("supervisord.conf", &format!("{HEAD}{text}"));
    }

    /// Writes an executable `/bin/sh` script.
    pub fn script(&mut self, name: &str, text: &str) {
        let text = text.replace("DIR", &self.dir.path().display().to_string());
        self.dir.script(name, &format!("#!/bin/sh\n{text}"));
    }

    /// Writes a file; `DIR` in the text stands for the scratch directory.
    pub fn write(&mut self, name: &str, text: &str) {
        let text = text.replace("DIR", &self.dir.path().display().to_string());
        self.dir.write(name, text);
    }

    /// Starts `supervisord -n` on `supervisord.conf` and waits until it serves.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// The same with more arguments.
    pub fn start_with(&mut self, args: &[&str]) {
        let mut all = vec!["-n", "-c", "supervisord.conf"];
        all.extend(args);
        self.start_raw(&all);
    }

    /// Starts `supervisord` with exactly these arguments, in the foreground.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn start_raw(&mut self, args: &[&str]) {
        let mut command = self.command("supervisord", args);
        if let Some((first, rest)) = self.through.split_first() {
            command = crate::support::daemon::command(first, self.dir.path());
            command.args(rest).arg(self.program("supervisord")).args(args);
            command.envs(self.env.iter().cloned());
        }
        command.stdin(Stdio::null());
        self.starts += 1;
        let started = "supervisord started with pid";
        let before = self.main_log().matches(started).count();
        let notify = (self.side == Side::Ours)
            .then(|| NotifySocket::bind(&self.dir.join(&format!(".notify{}", self.starts))));
        if let Some(notify) = &notify {
            command.env("NOTIFY_SOCKET", notify.path());
        }
        let mut running = Running::spawn(&mut command);
        let ready = match &notify {
            Some(notify) => notify.wait("READY=1", PATIENCE).is_some(),
            // With -s there is nothing on standard output, so look into the log.
            None => wait_dir(self.dir.path(), PATIENCE, || {
                let here = self.main_log().matches(started).count() > before
                    || running.stdout.text().contains(started);
                here.then_some(())
            })
            .is_some(),
        };
        if !ready {
            let status = running.wait(Duration::ZERO);
            panic!(
                "{:?} supervisord did not get ready ({status:?})\nstdout: {}\nstderr: {}",
                self.side,
                running.stdout.text(),
                running.stderr.text()
            );
        }
        self.daemon = Some(running);
    }

    /// The running daemon.
    pub fn daemon(&self) -> &Running {
        self.daemon.as_ref().expect("the scenario started it")
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        self.daemon().signal(signal);
    }

    /// Waits for the daemon's end and observes its exit code.
    pub fn finish(&mut self) -> Output {
        let output = self.daemon.as_mut().expect("the scenario started it").finish(PATIENCE);
        self.note("exit of supervisord", &output.code.to_string());
        output
    }

    /// Ends the daemon by SIGTERM, observing its exit code.
    pub fn stop(&mut self) -> Output {
        self.signal(Signal::SIGTERM);
        self.finish()
    }

    /// Runs `supervisord` to its end and observes output and exit code.
    pub fn supervisord(&mut self, args: &[&str]) -> Seen {
        let output = run(&mut self.command("supervisord", args));
        self.observe(&format!("supervisord {}", args.join(" ")), &output)
    }

    /// Lets `supervisord -n` refuse a configuration; observes messages and exit code.
    pub fn refuses(&mut self, what: &str, config: &str) -> Seen {
        let config = config.replace("DIR", &self.dir.path().display().to_string());
        self.dir.write("bad.conf", config);
        let output = run(&mut self.command("supervisord", &["-n", "-c", "bad.conf"]));
        self.observe(what, &output)
    }

    /// Notes whether `supervisord -n` accepts a configuration: it comes up, or says why not.
    pub fn accepts(&mut self, what: &str, config: &str) -> bool {
        self.write("bad.conf", config);
        let mut running = Running::spawn(
            self.command("supervisord", &["-n", "-c", "bad.conf"]).stdin(Stdio::null()),
        );
        let up = |text: &str| text.contains("supervisord started with pid").then_some(());
        let accepted = running.stdout.wait(PATIENCE, up).is_some();
        if accepted {
            end(&mut running);
        }
        let output = running.finish(PATIENCE);
        self.note(what, if accepted { "accepted" } else { &output.stderr });
        accepted
    }

    /// Runs `supervisorctl` on `supervisord.conf`; observes output and exit code.
    pub fn ctl(&mut self, args: &[&str]) -> Seen {
        let mut all = vec!["-c", "supervisord.conf"];
        all.extend(args);
        let output = run(&mut self.command("supervisorctl", &all));
        self.observe(&format!("ctl {}", args.join(" ")), &output)
    }

    /// Runs `supervisorctl`; observes the first line of its output and the exit code, for what has
    /// a help text after that: its words are our own.
    pub fn ctl_first_line(&mut self, args: &[&str]) -> Seen {
        let mut all = vec!["-c", "supervisord.conf"];
        all.extend(args);
        let mut output = run(&mut self.command("supervisorctl", &all));
        let has_help = output.stdout.lines().count() > 1;
        self.note(&format!("ctl {} has help", args.join(" ")), &has_help.to_string());
        output.stdout = output.stdout.split_inclusive('\n').next().unwrap_or_default().to_owned();
        self.observe(&format!("ctl {}", args.join(" ")), &output)
    }

    /// Runs `supervisorctl`; observes its lines sorted, for what is told in the order in which
    /// processes come to it.
    pub fn ctl_sorted(&mut self, args: &[&str]) -> Seen {
        let mut all = vec!["-c", "supervisord.conf"];
        all.extend(args);
        let mut output = run(&mut self.command("supervisorctl", &all));
        let mut lines: Vec<&str> = output.stdout.split_inclusive('\n').collect();
        lines.sort_unstable();
        output.stdout = lines.concat();
        self.observe(&format!("ctl {}", args.join(" ")), &output)
    }

    /// What this side says its version is.
    pub fn version(&self) -> &'static str {
        match self.side {
            Side::Upstream => "4.3.0",
            Side::Ours => env!("CARGO_PKG_VERSION"),
        }
    }

    /// The names in a directory that are the same on both sides: not the sockets.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let socket = |name: &str| ["sv.sock", "supervisord.bus"].contains(&name);
        let mut names = self.dir.names(dir);
        names.retain(|name| !name.starts_with('.') && !socket(name));
        names
    }

    /// Runs `supervisorctl` with exactly these arguments.
    pub fn ctl_raw(&mut self, args: &[&str]) -> Seen {
        let output = run(&mut self.command("supervisorctl", args));
        self.observe(&format!("supervisorctl {}", args.join(" ")), &output)
    }

    /// Runs `supervisorctl` with lines on its standard input.
    pub fn ctl_typing(&mut self, args: &[&str], input: &str) -> Seen {
        let mut all = vec!["-c", "supervisord.conf"];
        all.extend(args);
        let output = run_with_input(&mut self.command("supervisorctl", &all), input);
        let label = format!("ctl {} <<< {}", args.join(" "), input.trim().replace('\n', "; "));
        self.observe(&label, &output)
    }

    /// Starts `supervisorctl` beside the scenario, with a pipe on its standard input.
    pub fn ctl_beside(&self, args: &[&str]) -> Running {
        let mut all = vec!["-c", "supervisord.conf"];
        all.extend(args);
        Running::spawn(self.command("supervisorctl", &all).stdin(Stdio::piped()))
    }

    /// Starts `supervisorctl` on a terminal of its own, which `setsid -c` makes the controlling one.
    pub fn ctl_on_terminal(&self, args: &[&str]) -> Terminal {
        let mut command = command("/usr/bin/setsid", self.dir.path());
        command.arg("-c").arg(self.program("supervisorctl")).args(["-c", "supervisord.conf"]);
        Terminal::spawn(command.args(args).envs(self.env.iter().cloned()))
    }

    /// Observes what a command did.
    pub fn observe(&mut self, label: &str, output: &Output) -> Seen {
        let normal = self.normal();
        let seen = Seen {
            side: self.side,
            stdout: normal.of(&output.stdout),
            stderr: normal.of(&output.stderr),
            code: output.code,
        };
        self.push(format!("{label} / stdout"), seen.stdout.clone());
        self.push(format!("{label} / stderr"), seen.stderr.clone());
        self.push(format!("{label} / exit"), seen.code.to_string());
        seen
    }

    /// Observes a text of the scenario's own making.
    pub fn note(&mut self, label: &str, text: &str) {
        let text = self.normal().of(text);
        self.push(label.to_owned(), text);
    }

    /// Holds upstream to a belief of the scenario.
    ///
    /// # Panics
    /// When upstream does not do what the scenario says.
    pub fn upstream_is(&self, what: &str, holds: bool) {
        assert!(self.side == Side::Ours || holds, "upstream, {what}: not so\n{}", self.main_log());
    }

    /// Observes a file's whole text.
    pub fn file(&mut self, name: &str) -> String {
        let text = self.dir.read(name);
        let text = self.normal().of(&text);
        self.push(format!("file {name}"), text.clone());
        text
    }

    /// Waits for a text in the daemon's log (its file).
    pub fn expect_log(&self, needle: &str) {
        self.expect_log_times(needle, 1);
    }

    /// Waits until the log holds a text so many times.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect_log_times(&self, needle: &str, times: usize) {
        let found = wait_dir(self.dir.path(), PATIENCE, || {
            (self.main_log().matches(needle).count() >= times).then_some(())
        });
        assert!(
            found.is_some(),
            "{:?}: {needle:?} did not come {times} times in the log:\n{}\nstderr: {}",
            self.side,
            self.main_log(),
            self.daemon.as_ref().map(|daemon| daemon.stderr.text()).unwrap_or_default()
        );
    }

    /// Waits until these programs have entered RUNNING for the first time.
    pub fn expect_running(&self, names: &[&str]) {
        for name in names {
            self.expect_log(&format!("success: {name} entered RUNNING"));
        }
    }

    /// Waits until these programs have exited.
    pub fn expect_exited(&self, names: &[&str]) {
        for name in names {
            self.expect_log(&format!("exited: {name} ("));
        }
    }

    /// Waits for a text in a file.
    pub fn expect_file(&self, name: &str, needle: &str) -> String {
        expect_in_file(&self.dir.join(name), needle)
    }

    /// The daemon's log as it is.
    pub fn main_log(&self) -> String {
        self.dir.read("supervisord.log")
    }

    /// The daemon's log with everything in it that was said until now: ours writes it a moment later,
    /// and before it answers who reads it.
    pub fn settled_log(&self) -> String {
        if self.side == Side::Ours {
            let args = ["-c", "supervisord.conf", "maintail", "-1"];
            drop(run(&mut self.command("supervisorctl", &args)));
        }
        self.main_log()
    }

    /// Observes those lines of the daemon's log that have one of these texts, in order; without
    /// texts all of it, but for what is said or not as chance has it: that a client waits.
    pub fn log(&mut self, label: &str, with: &[&str]) -> String {
        let chance = |line: &str| line.contains("waiting for") && line.contains("to stop");
        let wanted = |line: &&str| {
            let asked = with.iter().any(|text| line.contains(text));
            asked || (with.is_empty() && !chance(line))
        };
        let log = self.main_log();
        let lines: Vec<&str> = log.split_inclusive('\n').filter(wanted).collect();
        let lines = lines.concat();
        let text = self.normal().of(&lines);
        self.push(format!("log {label}"), text.clone());
        text
    }

    /// Observes a file with its lines sorted.
    pub fn sorted_file(&mut self, name: &str) -> String {
        let text = self.normal().of(&self.dir.read(name));
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        let text = lines.join("\n");
        self.push(format!("file {name}"), text.clone());
        text
    }

    /// What takes run-dependent things out of texts of this side.
    pub fn normal(&self) -> Normal {
        let dir = self.program("supervisord").parent().expect("in a directory").to_owned();
        Normal::new(self.dir.path(), &dir)
    }

    /// A label that comes again gets a number, so that each names one observation.
    fn push(&mut self, label: String, text: String) {
        let again = self
            .observations
            .iter()
            .filter(|seen| seen.label == label || seen.label.starts_with(&format!("{label} #")))
            .count();
        let label = if again == 0 { label } else { format!("{label} #{}", again + 1) };
        self.observations.push(Observation { label, text });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            end(daemon);
        }
        kill_of_home(self.dir.path());
    }
}

impl Seen {
    /// Upstream's standard output is this.
    pub fn prints(&self, expected: &str) -> &Self {
        self.check("stdout", self.stdout == expected, expected)
    }

    /// Upstream's standard output has this in it.
    pub fn mentions(&self, expected: &str) -> &Self {
        self.check("stdout", self.stdout.contains(expected), expected)
    }

    /// Upstream's standard error has this in it.
    pub fn complains(&self, expected: &str) -> &Self {
        self.check("stderr", self.stderr.contains(expected), expected)
    }

    /// Upstream's exit code is this.
    pub fn exits(&self, code: i32) -> &Self {
        self.check("exit code", self.code == code, &code.to_string())
    }

    /// Upstream refuses with a usage error of this text and exit code 2 (C-018).
    pub fn usage(&self, message: &str) -> &Self {
        let expected = format!("Error: {message}\nFor help, use supervisord -h\n");
        self.check("usage error", self.stderr == expected, &expected).exits(2)
    }

    fn check(&self, what: &str, holds: bool, expected: &str) -> &Self {
        assert!(
            self.side == Side::Ours || holds,
            "upstream's {what} should be {expected:?}\nstdout: {:?}\nstderr: {:?}\ncode: {}",
            self.stdout,
            self.stderr,
            self.code
        );
        self
    }
}

/// Where Python Supervisor 4.3.0 is installed.
///
/// # Panics
/// When it is not there: the comparison never passes without it.
pub fn upstream() -> PathBuf {
    let venv = std::env::var_os("SUPERVISOR_UPSTREAM").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/upstream"),
        PathBuf::from,
    );
    assert!(
        venv.join("bin/supervisord").exists(),
        "no Python Supervisor in {}: `make upstream` installs it, SUPERVISOR_UPSTREAM names another",
        venv.display()
    );
    venv
}
