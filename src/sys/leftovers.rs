//! What a program leaves behind when its main process is gone: found, told of, ended.
//!
//! In a cgroup of its own that is whatever is in there, and nothing can escape but what was moved
//! by root. Elsewhere it is what is in the process group, and the descendants that were seen
//! before the main process ended: the best that can be done.

mod cgroup;
mod family;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::io::Interest;

pub use cgroup::is_populated;
pub use family::Family;

use super::procfs;

/// Processes that are listed of one program at most. More are ended all the same.
const MOST: usize = 4096;

/// Processes that are told of by name.
const NAMED: usize = 3;

/// Where the leftovers of a program are looked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Leftovers {
    /// In the cgroup of this directory, and those below it.
    Cgroup(PathBuf),
    /// In a process group, and among known descendants.
    Family(Family),
}

/// What a look found.
#[derive(Debug)]
pub struct Look {
    /// The processes that live, 4096 at most.
    pub pids: Vec<i32>,
    /// Nothing is left. Where there are no pids either, something may still be about to go.
    pub gone: bool,
    /// What tells when it is worth looking again; none when that could not be made.
    pub alarm: Option<Alarm>,
}

/// Gets ready when something changed.
#[derive(Debug)]
pub struct Alarm {
    /// What to wait for.
    pub fd: OwnedFd,
    /// How it gets ready.
    pub interest: Interest,
    /// What must stay open for that.
    pub pidfds: Vec<OwnedFd>,
}

impl Leftovers {
    /// What is left now.
    ///
    /// # Errors
    /// It could not be looked, for want of descriptors or memory.
    pub fn look(&mut self) -> io::Result<Look> {
        match self {
            Self::Cgroup(dir) => cgroup::look(dir),
            Self::Family(family) => Ok(family.look()),
        }
    }

    /// Sends SIGTERM to those that did not get it before, and lets them go on if they were
    /// stopped.
    pub fn terminate(&mut self, pids: &[i32], told: &mut HashSet<i32>) {
        let new: Vec<i32> = pids.iter().copied().filter(|&pid| told.insert(pid)).collect();
        match self {
            Self::Cgroup(dir) => cgroup::terminate(dir, &new),
            Self::Family(family) => family.terminate(&new),
        }
    }

    /// Sends SIGKILL to all of them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn kill(&mut self) -> io::Result<()> {
        match self {
            Self::Cgroup(dir) => cgroup::kill(dir),
            Self::Family(family) => {
                family.kill();
                Ok(())
            }
        }
    }
}

/// Some processes by pid and name, for people.
#[must_use]
pub fn describe(pids: &[i32]) -> String {
    let mut words: Vec<String> = pids
        .iter()
        .take(NAMED)
        .map(|&pid| match procfs::name(pid) {
            Some(name) => format!("{pid} ({name})"),
            None => pid.to_string(),
        })
        .collect();
    if pids.len() > NAMED {
        words.push("...".to_owned());
    }
    words.join(", ")
}
