//! The cgroups of programs, as the thread that spawns sees them: made before a start, removed when
//! the program is gone and has left nothing behind. That this fails never stops a program.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::logs::LogHandle;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::spec::{Account, KillMode, ProcessSpec};
use crate::sys::cgroup::{self, Tree};
use crate::sys::leftovers::is_populated;

/// When a cgroup that was not empty yet is looked at again, without being asked to: the kernel
/// empties it only some time after the exit was seen. What is in it then is a program's
/// leftover, which may stay for ever; that is looked at when the next program ends.
const LOOKS: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500)];

/// Divides the cgroup that was delegated to the daemon, where one was. Without it programs stay in
/// the daemon's.
#[must_use]
pub fn settle(user: Option<&Account>, records: &mut Vec<Record>) -> Option<Arc<Tree>> {
    let tree = divide(user, records);
    if tree.is_none() {
        let text = "without cgroups, what programs leave behind is ended as far as it is in their \
                    process groups, or was seen to descend from them";
        records.push(Record::new(Level::Info, text));
    }
    tree
}

fn divide(user: Option<&Account>, records: &mut Vec<Record>) -> Option<Arc<Tree>> {
    let place = cgroup::place()?;
    let owner = user.filter(|user| geteuid().as_raw() != user.uid);
    match Tree::settle(place, owner.map(|user| (user.uid, user.gid))) {
        Ok(tree) => {
            let text = format!("each program gets a cgroup below {}", tree.path().display());
            records.push(Record::new(Level::Info, text));
            Some(Arc::new(tree))
        }
        Err(refusal) => {
            let text = format!("programs share the cgroup of supervisord: {refusal}");
            records.push(Record::new(Level::Warn, text));
            None
        }
    }
}

/// Where a program is to be started.
#[derive(Debug)]
pub enum Place {
    /// In its cgroup, which has this directory.
    Own(OwnedFd),
    /// With the daemon: there are no cgroups for programs, or this one cannot be made.
    Shared,
    /// Nowhere yet: its cgroup holds processes of an earlier run.
    Occupied,
}

/// The cgroups of programs.
#[derive(Debug)]
pub struct Cgroups {
    tree: Option<Arc<Tree>>,
    log: LogHandle,
    /// Programs that are gone, while their cgroups are not.
    left: BTreeSet<ProcessName>,
    /// How many looks were taken since the last program ended, and when the next one is due.
    looks: usize,
    due: Option<Instant>,
    warned: bool,
}

impl Cgroups {
    /// None are made without a tree.
    #[must_use]
    pub fn new(tree: Option<Arc<Tree>>, log: LogHandle) -> Self {
        Self { tree, log, left: BTreeSet::new(), looks: 0, due: None, warned: false }
    }

    /// Makes the cgroup that a program is to be started in. What an earlier run left there matters
    /// unless its processes are to be left alone.
    pub fn make(&mut self, spec: &ProcessSpec) -> Place {
        let Some(tree) = &self.tree else { return Place::Shared };
        let name = &spec.name;
        match tree.make(name) {
            // One that cannot be looked at is most likely empty: it is as a rule.
            Ok(_) if spec.killmode != KillMode::Process && self.is_occupied(name) => {
                self.ended(name.clone());
                Place::Occupied
            }
            Ok(dir) => {
                self.left.remove(name);
                Place::Own(dir)
            }
            Err(error) => {
                self.warn(name, &error);
                Place::Shared
            }
        }
    }

    fn is_occupied(&self, name: &ProcessName) -> bool {
        let tree = self.tree.as_ref();
        tree.is_some_and(|tree| is_populated(&tree.dir_of(name)).unwrap_or(false))
    }

    /// A program could not be started in its cgroup, or not at all.
    pub fn failed(&mut self, name: &ProcessName, reason: Option<io::Error>) {
        if let Some(error) = reason {
            self.warn(name, &error);
        }
        self.ended(name.clone());
    }

    /// A program is gone: its cgroup goes, too, as soon as it is empty.
    pub fn ended(&mut self, name: ProcessName) {
        let Some(tree) = &self.tree else { return };
        if !tree.remove(&name) {
            self.left.insert(name);
        }
        self.looks = 0;
        self.plan_look();
    }

    /// The programs that are gone, for another daemon to look after.
    pub fn hand_over(&mut self) -> Vec<ProcessName> {
        std::mem::take(&mut self.left).into_iter().collect()
    }

    /// How long to wait for something else to do before [`look`](Self::look) is due; none is for
    /// ever.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Removes the cgroups of ended programs that are empty now.
    pub fn look(&mut self) {
        let Some(tree) = &self.tree else { return };
        self.left.retain(|name| !tree.remove(name));
        self.looks += 1;
        self.plan_look();
    }

    fn plan_look(&mut self) {
        let wait = LOOKS.get(self.looks).filter(|_| !self.left.is_empty());
        self.due = wait.map(|&wait| Instant::now() + wait);
    }

    /// Once: what is wrong with one cgroup is most likely wrong with all.
    fn warn(&mut self, name: &ProcessName, error: &io::Error) {
        let level = if self.warned { Level::Debug } else { Level::Warn };
        let place = self.tree.as_ref().map(|tree| tree.path_of(name)).unwrap_or_default();
        let text = format!(
            "{name} runs without a cgroup of its own: {} could not be used: {error}",
            place.display()
        );
        self.log.record(Record::about(level, name, text));
        self.warned = true;
    }
}
