//! The real `pidproxy` in front of real daemons.
#![allow(missing_docs)]

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const PIDPROXY: &str = env!("CARGO_BIN_EXE_pidproxy");

/// A daemon in Python: writes its pid file, says `up` and each signal it gets; on TERM it says
/// `ending` and ends with 5 as soon as there is a line (or the end) on the pipe `end`. With the
/// argument `tell` it gets USR2 when the process that started it ends.
const DAEMON: &str = "\
import os, signal, sys
def say(text): os.write(1, (text + '\\n').encode())
def end(*_):
    say('ending')
    open('end').read(1)
    os.remove('pid')
    os._exit(5)
for name in ('HUP', 'USR1', 'USR2', 'QUIT', 'INT'):
    signal.signal(getattr(signal, 'SIG' + name), lambda n, f, name=name: say(name))
signal.signal(signal.SIGTERM, end)
if sys.argv[1:] == ['tell']:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGUSR2)
open('tmp', 'w').write(str(os.getpid()))
os.rename('tmp', 'pid')
say('up')
while True: signal.pause()
";

/// A scratch directory with the daemon in it.
fn scratch() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("daemon.py"), DAEMON).unwrap();
    nix::unistd::mkfifo(&dir.path().join("end"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    dir
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PIDPROXY);
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

/// A running pidproxy and what is said on its stdout.
struct Proxy {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Proxy {
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut child = command(dir, args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn hears(&mut self, line: &str) {
        assert_eq!(self.lines.next().unwrap().unwrap(), line);
    }

    /// The exit code, once nobody writes to stdout any more: nothing was left behind.
    fn code(mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap();
        assert!(self.lines.next().is_none());
        code
    }

    fn still_runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn too_few_words_get_the_usage() {
    // C-386
    let dir = scratch();
    for args in [&[][..], &["pid"]] {
        let output = run(dir.path(), args);
        assert_eq!(output.status.code(), Some(1));
        let usage = text(&output.stdout);
        assert!(usage.contains("<pidfile name> <command> [<cmdarg1> ...]"), "{usage}");
    }
}

#[test]
fn the_status_of_the_command_is_passed_on() {
    // C-448
    let dir = scratch();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let output = run(dir.path(), &["pid", "sh", "-c", script]);
        assert_eq!(output.status.code(), Some(code), "{script}");
    }
}

#[test]
fn options_after_the_command_belong_to_it_and_its_name_stays() {
    // C-387
    let dir = scratch();
    let words = ["pid", "sh", "-c", "echo \"$0 $1 $2\"", "--help", "-c", "a b"];
    assert_eq!(text(&run(dir.path(), &words).stdout), "--help -c a b\n");
    let name = run(dir.path(), &["pid", "sh", "-c", "head -zn1 /proc/$$/cmdline"]);
    assert_eq!(text(&name.stdout), "sh\0");
}

#[test]
fn a_command_is_found_in_the_current_directory_and_on_the_path() {
    // C-387, C-448
    let dir = scratch();
    assert_eq!(run(dir.path(), &["pid", "true"]).status.code(), Some(0));
    for name in ["true", "mine"] {
        fs::write(dir.path().join(name), "#!/bin/sh\necho here\n").unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(text(&run(dir.path(), &["pid", name]).stdout), "here\n");
    }
}

#[test]
fn a_command_that_cannot_be_run_is_told() {
    // C-448
    let dir = scratch();
    for (command, code, said) in [
        ("nowhere", 127, "pidproxy: can't find command 'nowhere'\n"),
        ("./nowhere", 127, "pidproxy: can't find command './nowhere'\n"),
        ("./daemon.py", 126, "pidproxy: command at './daemon.py' is not executable\n"),
    ] {
        let output = run(dir.path(), &["pid", command]);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(code), said));
    }
}

#[test]
fn the_command_has_our_files_our_group_and_no_blocked_signals() {
    let dir = scratch();
    let script = "import os\n\
                  for line in open('/proc/self/status'):\n\
                  \x20   if line.startswith(('SigBlk', 'SigIgn')): print(int(line.split()[1], 16))\n\
                  print(os.getpgid(0) == os.getpgid(os.getppid()), input())";
    // Python itself ignores SIGPIPE and SIGXFSZ: 1 << 12 | 1 << 24.
    let mut child = command(dir.path(), &["pid", "python3", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "0\n16781312\nTrue hello\n");
}

#[test]
fn signals_go_to_the_daemon_and_a_stop_waits_until_it_has_gone() {
    // C-388, C-389, C-448
    let dir = scratch();
    let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "-c", "python3 daemon.py & wait"]);
    proxy.hears("up");
    for (signal, name) in
        [(Signal::SIGHUP, "HUP"), (Signal::SIGUSR1, "USR1"), (Signal::SIGUSR2, "USR2")]
    {
        proxy.send(signal);
        proxy.hears(name);
    }
    // The shell ends with what `wait` gives it, which is 0 without operands.
    proxy.send(Signal::SIGTERM);
    proxy.hears("ending");
    assert!(proxy.still_runs());
    fs::write(dir.path().join("end"), "").unwrap();
    assert_eq!(proxy.code(), 0);
}

#[test]
fn a_daemon_in_the_background_is_waited_for() {
    // C-448
    let dir = scratch();
    nix::unistd::mkfifo(&dir.path().join("go"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = "setsid python3 daemon.py tell & read line < go";
    let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "-c", script]);
    proxy.hears("up");
    fs::write(dir.path().join("go"), "\n").unwrap();
    // The shell has ended: what comes now is the daemon's alone.
    proxy.hears("USR2");
    proxy.send(Signal::SIGHUP);
    proxy.hears("HUP");
    assert!(proxy.still_runs());
    proxy.send(Signal::SIGTERM);
    proxy.hears("ending");
    assert!(proxy.still_runs());
    fs::write(dir.path().join("end"), "").unwrap();
    assert_eq!(proxy.code(), 5);
}

#[test]
fn a_daemon_that_crashes_in_the_background_passes_its_status_on() {
    // C-448: also when the pid file comes after the command has ended.
    let dir = scratch();
    let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "-c", "setsid python3 daemon.py &"]);
    proxy.hears("up");
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(proxy.code(), 137);
}

#[test]
fn without_a_pid_file_a_stop_goes_to_the_command_and_other_signals_nowhere() {
    // C-388, C-448
    let dir = scratch();
    for content in [None, Some("junk"), Some("-1"), Some("0"), Some("1")] {
        if let Some(content) = content {
            fs::write(dir.path().join("pid"), content).unwrap();
        }
        let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "-c", "echo up; exec sleep 600"]);
        proxy.hears("up");
        proxy.send(Signal::SIGHUP);
        proxy.hears("Can't read child pidfile pid!");
        proxy.send(Signal::SIGTERM);
        proxy.hears("Can't read child pidfile pid!");
        assert_eq!(proxy.code(), 0);
    }
}

#[test]
fn a_stale_pid_file_does_not_keep_a_stop_from_working() {
    // C-448
    let dir = scratch();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    fs::write(dir.path().join("pid"), gone.id().to_string()).unwrap();
    let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "-c", "echo up; exec sleep 600"]);
    proxy.hears("up");
    proxy.send(Signal::SIGQUIT);
    assert!(matches!(proxy.code(), 0 | 131));
}

#[test]
fn a_command_that_stays_after_its_daemon_is_asked_to_end_too() {
    // C-448
    let dir = scratch();
    fs::write(dir.path().join("wrapper.sh"), "python3 daemon.py; echo alone; exec sleep 600")
        .unwrap();
    let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "wrapper.sh"]);
    proxy.hears("up");
    proxy.send(Signal::SIGTERM);
    proxy.hears("ending");
    fs::write(dir.path().join("end"), "").unwrap();
    proxy.hears("alone");
    assert_eq!(proxy.code(), 0);
}

#[test]
fn a_daemon_that_is_no_descendant_is_signalled_and_waited_for() {
    // C-388
    let dir = scratch();
    let mut daemon = Command::new("python3")
        .arg("daemon.py")
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(daemon.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let mut proxy = Proxy::start(dir.path(), &["pid", "sh", "-c", "echo up; exec sleep 600"]);
    proxy.hears("up");
    proxy.send(Signal::SIGTERM);
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "up\nending\n");
    assert!(proxy.still_runs());
    fs::write(dir.path().join("end"), "").unwrap();
    daemon.wait().unwrap();
    assert_eq!(proxy.code(), 0);
}
