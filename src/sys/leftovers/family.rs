//! Leftovers of a program without a cgroup of its own.
//!
//! Its process group is known for certain: the kernel gives its number to nobody while the group
//! has members. Descendants that left the group are known when they were seen while the chain of
//! parents was whole; once the main process is gone, they are children of ours like any other.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::signal;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::io::Interest;

use super::{Alarm, Look, MOST};
use crate::model::signal::Signal;
use crate::sys::pidfd;
use crate::sys::procfs::{self, Alive};

/// Descendants that are remembered of one program at most.
const MOST_DESCENDANTS: usize = 256;

/// Processes that are looked at in search of a group.
const MOST_LOOKED_AT: usize = 16_384;

/// Processes that an alarm watches: each takes a descriptor. The rest is found at the next look.
const WATCHED: usize = 64;

/// A process group, and descendants of its leader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Family {
    /// The main process; its group has the same number.
    pub(super) leader: i32,
    /// Descendants that were seen, in or out of the group.
    pub(super) descendants: Vec<Alive>,
}

impl Family {
    /// That of a main process that leads its group.
    #[must_use]
    pub fn new(leader: i32) -> Self {
        Self { leader, descendants: Vec::new() }
    }

    /// Remembers who descends from the main process now, while it lives, and from those that were
    /// seen before.
    pub fn learn(&mut self) {
        self.descendants.retain(|one| one.lives());
        let mut known: HashSet<i32> = self.descendants.iter().map(|one| one.pid).collect();
        let mut parents: Vec<i32> = known.iter().copied().collect();
        parents.push(self.leader);
        while let Some(parent) = parents.pop() {
            for child in procfs::children(parent) {
                if self.descendants.len() >= MOST_DESCENDANTS {
                    return;
                }
                if let Some(alive) = Alive::of(child).filter(|_| known.insert(child)) {
                    self.descendants.push(alive);
                    parents.push(child);
                }
            }
        }
    }

    pub(super) fn look(&mut self) -> Look {
        // The main process is gone: what has its pid now is no parent of ours.
        let leader = std::mem::replace(&mut self.leader, 0);
        self.learn();
        self.leader = leader;
        let mut all = self.group();
        let grouped: HashSet<i32> = all.iter().map(|one| one.pid).collect();
        all.extend(self.descendants.iter().filter(|one| !grouped.contains(&one.pid)));
        all.truncate(MOST);
        let alarm = if all.is_empty() { None } else { alarm(&all) };
        // Lists of children leave some out now and then; the group is there as long as any is.
        let gone = all.is_empty() && !self.has_group();
        Look { pids: all.iter().map(|one| one.pid).collect(), gone, alarm }
    }

    /// Whether the group has members. It has another's number when somebody lives who has it for a
    /// pid.
    fn has_group(&self) -> bool {
        let group = Pid::from_raw(self.leader);
        signal::killpg(group, None) != Err(Errno::ESRCH) && Alive::of(self.leader).is_none()
    }

    /// Who is in the group. They descend from this process, which adopts orphans.
    fn group(&self) -> Vec<Alive> {
        if !self.has_group() {
            return Vec::new();
        }
        let mut all = procfs::descendants(std::process::id().cast_signed(), MOST_LOOKED_AT);
        all.retain(|one| one.group == self.leader);
        all
    }

    pub(super) fn terminate(&self, pids: &[i32]) {
        let group = self.group();
        let ours = || self.descendants.iter().chain(&group);
        for &one in ours().filter(|one| pids.contains(&one.pid)) {
            for signal in [Signal::TERM, Signal::CONT] {
                send(one, signal);
            }
        }
    }

    pub(super) fn kill(&self) {
        // All at once: a group that forks cannot run away.
        if self.has_group() {
            let _ = signal::killpg(Pid::from_raw(self.leader), signal::Signal::SIGKILL);
        }
        self.descendants.iter().for_each(|&one| send(one, Signal::KILL));
    }
}

/// Signals a process that was seen, and nobody who got its pid since.
fn send(one: Alive, signal: Signal) {
    let fd = pidfd::open(one.pid).ok();
    if one.lives() {
        // It may be gone by now, or not ours to signal: then it is told of as left.
        let _ = pidfd::send_signal(fd.as_ref().map(AsFd::as_fd), one.pid, signal);
    }
}

/// Ready when one of them ends.
fn alarm(processes: &[Alive]) -> Option<Alarm> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok()?;
    let mut pidfds: Vec<OwnedFd> = Vec::new();
    for one in processes.iter().take(WATCHED) {
        let Ok(fd) = pidfd::open(one.pid) else { continue };
        epoll.add(&fd, EpollEvent::new(EpollFlags::EPOLLIN, 0)).ok()?;
        pidfds.push(fd);
    }
    // One that ended before it could be watched: at once.
    let watched = !pidfds.is_empty();
    watched.then(|| Alarm { fd: epoll.0, interest: Interest::READABLE, pidfds })
}
