//! Programs that run beside a test: their output as it comes, their exit by pidfd.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::PATIENCE;

/// What a program wrote so far to one of its outputs.
#[derive(Clone, Default)]
pub struct Stream(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// Reads all of `source` on a thread of its own.
    pub fn follow(mut source: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let writer = stream.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            loop {
                let count = source.read(&mut chunk).unwrap_or(0);
                let mut written = writer.0.0.lock().expect("no panic while locked");
                written.bytes.extend_from_slice(&chunk[..count]);
                written.ended = count == 0;
                writer.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        let written = self.0.0.lock().expect("no panic while locked");
        String::from_utf8_lossy(&written.bytes).into_owned()
    }

    /// Waits until `found` sees what it looks for in the whole text; `None` when it has not
    /// by the limit or by the end of the output.
    pub fn wait<T>(&self, limit: Duration, mut found: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut written = self.0.0.lock().expect("no panic while locked");
        loop {
            if let Some(answer) = found(&String::from_utf8_lossy(&written.bytes)) {
                return Some(answer);
            }
            let left = end.saturating_duration_since(Instant::now());
            if written.ended || left.is_zero() {
                return None;
            }
            written = self.0.1.wait_timeout(written, left).expect("no panic while locked").0;
        }
    }

    /// Waits for the end of the output; `false` at the limit.
    pub fn wait_end(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut written = self.0.0.lock().expect("no panic while locked");
        while !written.ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            written = self.0.1.wait_timeout(written, left).expect("no panic while locked").0;
        }
        true
    }
}

/// What became of a program that ran to its end.
#[derive(Debug, Clone)]
pub struct Output {
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
    /// The exit code; 128 + the signal for a death by signal.
    pub code: i32,
}

/// A program that runs beside the test. It is killed when dropped.
pub struct Running {
    child: Child,
    pidfd: OwnedFd,
    /// Its standard output.
    pub stdout: Stream,
    /// Its standard error.
    pub stderr: Stream,
    what: String,
}

impl Running {
    /// Starts a program with both outputs captured. Standard input is what the command says,
    /// inherited if it says nothing.
    pub fn spawn(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {what}: {error}"));
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_child(&child),
            rustix::process::PidfdFlags::empty(),
        )
        .expect("a pidfd of a child not yet waited for");
        let stdout = Stream::follow(child.stdout.take().expect("piped"));
        let stderr = Stream::follow(child.stderr.take().expect("piped"));
        Self { child, pidfd, stdout, stderr, what }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid_of(self.pid()), signal).expect("a child not yet waited for");
    }

    /// Writes to its standard input, which must have been made a pipe.
    pub fn type_in(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input is a pipe");
        stdin.write_all(text.as_bytes()).expect("it reads");
        stdin.flush().expect("it reads");
    }

    /// Closes its standard input.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its exit; `None` if it still runs at the limit.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if !readable(&self.pidfd, limit) {
            return None;
        }
        Some(self.child.wait().expect("it is our child"))
    }

    /// Waits for its exit and the end of its output.
    ///
    /// # Panics
    /// When it does not end; the message has what it wrote.
    pub fn finish(&mut self, limit: Duration) -> Output {
        use std::os::unix::process::ExitStatusExt;
        let Some(status) = self.wait(limit) else {
            panic!(
                "{} still runs after {limit:?}\nstdout: {}\nstderr: {}",
                self.what,
                self.stdout.text(),
                self.stderr.text()
            );
        };
        // A surviving grandchild may hold the pipes: then what there is has to do.
        self.stdout.wait_end(Duration::from_secs(5));
        self.stderr.wait_end(Duration::from_secs(5));
        let code =
            status.code().unwrap_or_else(|| 128 + status.signal().expect("a code or a signal"));
        Output { stdout: self.stdout.text(), stderr: self.stderr.text(), code }
    }

    /// Waits for text on standard output.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&self, needle: &str) {
        let seen = self.stdout.wait(PATIENCE, |text| text.contains(needle).then_some(()));
        assert!(
            seen.is_some(),
            "{} never wrote {needle:?}\nstdout: {}\nstderr: {}",
            self.what,
            self.stdout.text(),
            self.stderr.text()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end, with nothing on its standard input.
///
/// # Panics
/// When it cannot be run or does not end in time.
pub fn run(command: &mut Command) -> Output {
    Running::spawn(command.stdin(Stdio::null())).finish(PATIENCE)
}

/// Runs a program to its end, feeding it `input`.
///
/// # Panics
/// When it cannot be run or does not end in time.
pub fn run_with_input(command: &mut Command, input: &str) -> Output {
    let mut running = Running::spawn(command.stdin(Stdio::piped()));
    running.type_in(input);
    running.close_stdin();
    running.finish(PATIENCE)
}

/// Waits until a process that is not our child has ended; `false` at the limit.
pub fn wait_gone(pid: u32, limit: Duration) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return true;
    };
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => readable(&pidfd, limit),
        Err(_) => true,
    }
}

/// A process id in nix's type.
pub fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("process ids fit"))
}

/// Waits until a descriptor is readable.
pub fn readable(fd: &impl AsFd, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = rustix::event::Timespec {
            tv_sec: i64::try_from(left.as_secs()).expect("minutes"),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}
