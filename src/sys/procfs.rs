//! What `/proc` says of processes. Only files that no process can make slow are read here.

use std::collections::HashSet;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::model::exit::ExitStatus;

/// The fields of `/proc/PID/stat` behind the name, which may hold anything.
pub(super) struct Fields<'t>(Vec<&'t str>);

impl<'t> Fields<'t> {
    pub(super) fn of(stat: &'t str) -> Option<Self> {
        Some(Self(stat.rsplit_once(')')?.1.split_whitespace().collect()))
    }

    /// By the number in the manual; the first here is the third there.
    pub(super) fn number(&self, at: usize) -> Option<u64> {
        self.text(at)?.parse().ok()
    }

    /// The same as text.
    pub(super) fn text(&self, at: usize) -> Option<&'t str> {
        self.0.get(at.checked_sub(3)?).copied()
    }
}

/// A process that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alive {
    /// Its pid.
    pub pid: i32,
    /// When it was started, in clock ticks since the boot: tells it from a later one of that pid.
    pub started: u64,
    /// Its process group.
    pub group: i32,
}

impl Alive {
    /// The process of this pid; none when there is none, or it has ended and is a zombie.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields = Fields::of(&stat)?;
        if matches!(fields.text(3)?, "Z" | "X") {
            return None;
        }
        let group = fields.text(5)?.parse().ok()?;
        Some(Self { pid, started: fields.number(22)?, group })
    }

    /// Whether it is still there.
    #[must_use]
    pub fn lives(self) -> bool {
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
    }
}

/// How a process ended that was not reaped yet; none when there is no such zombie. Root alone may
/// know: others are told 0.
#[must_use]
pub fn zombie(pid: i32) -> Option<ExitStatus> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = Fields::of(&stat)?;
    if !matches!(fields.text(3)?, "Z" | "X") {
        return None;
    }
    Some(ExitStatus::from_wait(fields.text(52)?.parse().ok()?))
}

/// The children of a process; none where the kernel does not list them.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<i32>>())
        .collect()
}

/// The descendants of a process that live, found by looking at so many at most: behind a fork bomb
/// there may be far more zombies than that. All of `/proc` is never listed for it: the kernel lists
/// by number, and behind a fork bomb, which takes one number after the other, that does not come to
/// an end.
#[must_use]
pub fn descendants(pid: i32, most: usize) -> Vec<Alive> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    let mut known = HashSet::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in children(parent).into_iter().filter(|&child| known.insert(child)) {
            if looked_at >= most {
                return found;
            }
            looked_at += 1;
            if let Some(alive) = Alive::of(child) {
                found.push(alive);
                parents.push(child);
            }
        }
    }
    found
}

/// The name of a process as the kernel has it, fit for a log: up to 15 bytes that the process may
/// choose. Unlike its command line it can be read whatever the process does.
#[must_use]
pub fn name(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = String::from_utf8_lossy(&name);
    Some(name.trim_end_matches('\n').replace(char::is_control, "?"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::sys::reap;

    #[test]
    fn a_name_with_brackets_confuses_nobody() {
        let fields =
            Fields::of("7 (a) R (b)) S 1 7 7 0 -1 4 1 2 3 4 100 50 10 5 20 0 3 0").unwrap();
        assert_eq!([14, 15, 16, 17, 20].map(|at| fields.number(at)), [100, 50, 10, 5, 3].map(Some));
        assert_eq!(fields.number(99), None);
        assert!(Fields::of("rubbish").is_none());
    }

    #[test]
    #[allow(clippy::zombie_processes, reason = "it is to be one for a moment")]
    fn a_process_lives_until_it_is_a_zombie() {
        let own = std::process::id().cast_signed();
        let sleeper = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(sleeper.id()).unwrap();
        let alive = Alive::of(pid).unwrap();
        assert_eq!(alive.group, Alive::of(own).unwrap().group);
        assert!(alive.lives() && children(own).contains(&pid));
        assert!(descendants(own, 9).contains(&alive) && descendants(own, 0).is_empty());
        assert!(!Alive { started: alive.started + 1, ..alive }.lives(), "a pid that is reused");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        while reap::peek_pid(pid).unwrap().is_none() {
            std::thread::yield_now();
        }
        assert!(!alive.lives(), "a zombie");
        assert!(!descendants(own, 9).contains(&alive));
        reap::wait(pid).unwrap();
        assert!(Alive::of(pid).is_none() && name(pid).is_none());
    }

    #[test]
    fn names_cannot_forge_a_log() {
        let own = std::process::id().cast_signed();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let thread = nix::unistd::gettid().as_raw();
                fs::write(format!("/proc/{own}/task/{thread}/comm"), "a\nb").unwrap();
                assert_eq!(name(thread).unwrap(), "a?b");
            });
        });
    }
}
