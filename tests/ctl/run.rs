//! Runs the real `supervisorctl`.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than this takes nothing that does not hang.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Standard output; bytes that are no text are escaped.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; none after a signal.
    pub code: Option<i32>,
}

/// `supervisorctl` with these arguments, ready to run.
pub struct Program(pub Command);

/// `supervisorctl` with these arguments, in a neutral environment.
pub fn supervisorctl<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervisorctl"));
    command
        .args(args)
        // Nobody is there: what runs on this machine does not matter.
        .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Program(command)
}

impl Program {
    /// Changes how it is run.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.0);
        self
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        Running(self.0.spawn().unwrap())
    }

    /// Runs it to its end with this input.
    pub fn run(self, input: &[u8]) -> Run {
        let mut running = self.spawn();
        running.write(input);
        running.finish()
    }
}

/// A `supervisorctl` that runs. Killed when dropped.
pub struct Running(pub Child);

impl Running {
    /// Gives it input.
    pub fn write(&mut self, input: &[u8]) {
        if let Some(stdin) = &mut self.0.stdin {
            // It may end before it reads everything.
            let _ = stdin.write_all(input);
        }
    }

    /// Reads standard output up to and with this text.
    pub fn read_until(&mut self, text: &str) -> String {
        let stdout = self.0.stdout.as_mut().unwrap();
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(text.as_bytes()) {
            let count = stdout.read(&mut byte).unwrap();
            assert_eq!(count, 1, "no {text:?} in {:?}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Sends it SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    }

    /// Ends its input, and waits for its end, with what it still wrote.
    pub fn finish(mut self) -> Run {
        drop(self.0.stdin.take());
        let mut stderr = self.0.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            text
        });
        let mut text = Vec::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            stdout.read_to_end(&mut text).unwrap();
        }
        let code = self.0.wait().unwrap().code();
        let show = |bytes: Vec<u8>| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => error.as_bytes().escape_ascii().to_string(),
        };
        Run { stdout: show(text), stderr: show(errors.join().unwrap()), code }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Run {
    /// Checks standard output and exit code.
    #[track_caller]
    pub fn expect(&self, stdout: &str, code: i32) -> &Self {
        assert_eq!((self.stdout.as_str(), self.code), (stdout, Some(code)), "{}", self.stderr);
        self
    }

    /// Checks that standard error is empty.
    #[track_caller]
    pub fn quiet(&self) {
        assert_eq!(self.stderr, "");
    }
}
