//! The daemon under test, in the foreground, and its command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::PATIENCE;
use super::children::{descendants, kill_leftovers, kill_of_home};
use super::notify::NotifySocket;
use super::process::{Output, Running, run};
use super::scratch::Scratch;

/// `supervisord`.
pub const SUPERVISORD: &str = env!("CARGO_BIN_EXE_supervisord");
/// `supervisorctl`.
pub const SUPERVISORCTL: &str = env!("CARGO_BIN_EXE_supervisorctl");
/// `pidproxy`.
pub const PIDPROXY: &str = env!("CARGO_BIN_EXE_pidproxy");
/// `echo_supervisord_conf`.
pub const ECHO_CONF: &str = env!("CARGO_BIN_EXE_echo_supervisord_conf");

/// A command with the environment all of these programs get in tests: nothing of the machine's.
pub fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", dir)
        .env("LANG", "C.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(dir);
    command
}

/// What every configuration of the tests begins with; `%(here)s` keeps it in its own directory.
pub const HEAD: &str = "\
[supervisorctl]

[supervisord]
logfile=%(here)s/supervisord.log
pidfile=%(here)s/supervisord.pid
childlogdir=%(here)s

";

/// A running `supervisord -n`.
pub struct Daemon {
    /// The process.
    pub process: Running,
    dir: PathBuf,
    config: PathBuf,
    notify: NotifySocket,
}

impl Daemon {
    /// Writes [`HEAD`] and `programs` as `supervisord.conf` and starts the daemon on it.
    pub fn start(scratch: &Scratch, programs: &str) -> Self {
        let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
        Self::start_on(scratch.path(), &config, &[])
    }

    /// Starts the daemon on a configuration and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it does not get ready; the message has what it wrote.
    pub fn start_on(dir: &Path, config: &Path, args: &[&str]) -> Self {
        let mut command = command(SUPERVISORD, dir);
        command.arg("-n").arg("-c").arg(config).args(args);
        Self::start_command(dir, config, command)
    }

    /// Starts a prepared `supervisord -n` command.
    ///
    /// # Panics
    /// When it does not get ready; the message has what it wrote.
    pub fn start_command(dir: &Path, config: &Path, mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self::start_with_stdin(dir, config, command)
    }

    /// Starts a prepared `supervisord -n` command that has its standard input already.
    ///
    /// # Panics
    /// When it does not get ready; the message has what it wrote.
    pub fn start_with_stdin(dir: &Path, config: &Path, mut command: Command) -> Self {
        let notify = NotifySocket::bind(&dir.join(format!(".notify{}", std::process::id())));
        command.env("NOTIFY_SOCKET", notify.path());
        let mut process = Running::spawn(&mut command);
        if notify.wait("READY=1", PATIENCE).is_none() {
            let status = process.wait(Duration::ZERO);
            panic!(
                "supervisord did not get ready ({status:?})\nstdout: {}\nstderr: {}",
                process.stdout.text(),
                process.stderr.text()
            );
        }
        Self { process, dir: dir.to_owned(), config: config.to_owned(), notify }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the service manager was told.
    pub fn notify(&self) -> &NotifySocket {
        &self.notify
    }

    /// A `supervisorctl` command on the same configuration.
    pub fn ctl_command(&self, args: &[&str]) -> Command {
        let mut command = command(SUPERVISORCTL, &self.dir);
        command.arg("-c").arg(&self.config).args(args);
        command
    }

    /// Runs `supervisorctl` to its end.
    pub fn ctl(&self, args: &[&str]) -> Output {
        run(&mut self.ctl_command(args))
    }

    /// Waits for a line (a part of one) in its log.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect_log(&self, needle: &str) {
        self.process.expect(needle);
    }

    /// Waits until its log has a text so many times.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect_log_times(&self, needle: &str, times: usize) {
        let enough = |text: &str| (text.matches(needle).count() >= times).then_some(());
        assert!(
            self.process.stdout.wait(PATIENCE, enough).is_some(),
            "{needle:?} did not come {times} times in\n{}",
            self.log()
        );
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.stdout.text()
    }

    /// The process id of a program as `supervisorctl pid` tells it.
    ///
    /// # Panics
    /// When there is none.
    pub fn pid_of(&self, name: &str) -> u32 {
        let output = self.ctl(&["pid", name]);
        output.stdout.trim().parse().unwrap_or_else(|_| panic!("no pid of {name}: {output:?}"))
    }

    /// Asks it to end and waits for it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&mut self) -> Output {
        self.process.signal(Signal::SIGTERM);
        self.process.finish(PATIENCE)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(&mut self.process);
        kill_of_home(&self.dir);
    }
}

/// Ends a supervisor and everything it started: kindly at first.
pub fn end(process: &mut Running) {
    if process.wait(Duration::ZERO).is_some() {
        return;
    }
    let children = descendants(process.pid());
    process.signal(Signal::SIGTERM);
    if process.wait(Duration::from_secs(5)).is_none() {
        process.signal(Signal::SIGKILL);
        process.wait(PATIENCE);
    }
    kill_leftovers(&children);
}
