//! Who is still there, and how the last one ended.

use std::fs;

use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::sys::reap;

/// COMMAND, the daemon that the pid file names, and whatever else was adopted.
pub(super) struct Children {
    command: i32,
    command_ended: Option<ExitStatus>,
    /// The pid that the pid file named last.
    daemon: Option<i32>,
    daemon_ended: bool,
    /// How the last one ended that counts.
    last: Option<ExitStatus>,
}

impl Children {
    pub(super) fn new(command: i32) -> Self {
        Self { command, command_ended: None, daemon: None, daemon_ended: false, last: None }
    }

    /// The pid file names this process.
    pub(super) fn name(&mut self, pid: i32) {
        if self.daemon != Some(pid) {
            self.daemon = Some(pid);
            self.daemon_ended = false;
        }
    }

    /// Reaps all that have ended. `read_pid` reads the pid file; it is read while the pid of the
    /// child is still its own, and a daemon that removes the file when it ends was there before.
    pub(super) fn reap(&mut self, read_pid: impl Fn() -> Option<i32>) {
        while let Some((pid, status)) = reap::peek() {
            if let Some(named) = read_pid() {
                self.name(named);
            }
            let counts = if pid == self.command {
                self.command_ended = Some(status);
                true
            } else if Some(pid) == self.daemon {
                self.daemon_ended = true;
                true
            } else {
                // A daemon that never wrote a pid file, as far as anybody knows.
                self.daemon.is_none() && self.command_ended == Some(ExitStatus::Code(0))
            };
            if counts {
                self.last = Some(status);
            }
            let _ = reap::reap(pid);
        }
    }

    /// COMMAND, or what it left behind.
    pub(super) fn remaining(&self) -> Vec<i32> {
        if self.command_ended.is_none() { vec![self.command] } else { adopted() }
    }

    /// The exit code, once COMMAND and the daemon have ended. `stop` is the signal that asked for
    /// it.
    pub(super) fn over(&self, stop: Option<Signal>) -> Option<u8> {
        let command = self.command_ended?;
        let daemon_lives =
            self.daemon.is_some_and(|pid| !self.daemon_ended && reap::peek_pid(pid) == Ok(None));
        // COMMAND went to the background, and its pid file is not there yet.
        let may_come =
            !self.daemon_ended && command == ExitStatus::Code(0) && !adopted().is_empty();
        if daemon_lives || may_come {
            return None;
        }
        Some(match self.last.unwrap_or(command) {
            ExitStatus::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
            ExitStatus::Signal { signal, .. } if Some(signal) == stop => 0,
            // As shells have it.
            ExitStatus::Signal { signal, .. } => u8::try_from(128 + signal.0).unwrap_or(u8::MAX),
            ExitStatus::Unknown => u8::MAX,
        })
    }
}

/// The children of this process, which has one thread.
fn adopted() -> Vec<i32> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
