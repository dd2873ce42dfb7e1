//! What was delegated, divided: one cgroup for the daemon, one for each program.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, chown};
use thiserror::Error;

use super::{OWN, Place};
use crate::model::name::ProcessName;

/// The controllers that account for programs or limit them, where they are to be had.
const CONTROLLERS: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// How deep below its cgroup a program's own ones are looked for when it is removed.
const MAX_DEPTH: usize = 8;

/// The longest name: below the kernel's limit of 255 bytes, with room for what readers add.
const MAX_NAME: usize = 200;

/// Why what was delegated cannot be used.
#[derive(Debug, Error)]
#[error("{what} {}: {error}", path.display())]
pub struct Refusal {
    /// What was tried.
    pub what: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// Why it failed.
    pub error: io::Error,
}

/// The cgroups of the daemon and its programs.
#[derive(Debug)]
pub struct Tree {
    place: Place,
}

impl Tree {
    /// Moves the daemon into a cgroup of its own below what was delegated to it, has resource
    /// controllers handed down there as far as they are, and removes what an earlier daemon left.
    /// `owner` is whom the daemon is going to become, as uid and gid.
    ///
    /// # Errors
    /// The daemon could not move; it is where it was.
    pub fn settle(place: Place, owner: Option<(u32, u32)>) -> Result<Self, Refusal> {
        let own = place.dir.join(OWN);
        let refused = |what, path: &Path| {
            let path = path.to_owned();
            move |error| Refusal { what, path, error }
        };
        // That of the last daemon, as one of a program: see `make`.
        remove(&own, MAX_DEPTH);
        create(&own).map_err(refused("could not make", &own))?;
        let procs = own.join("cgroup.procs");
        fs::write(&procs, "0").map_err(refused("could not move the daemon by", &procs))?;
        hand_down_controllers(&place.dir);
        if let Some((uid, gid)) = owner {
            let below = ["", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];
            for name in below {
                let path = if name.is_empty() { place.dir.clone() } else { place.dir.join(name) };
                chown(&path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                    .map_err(io::Error::from)
                    .map_err(refused("could not hand over", &path))?;
            }
        }
        let tree = Self { place };
        tree.remove_empty();
        Ok(tree)
    }

    /// Goes on with what was divided by a daemon whose place this one takes.
    #[must_use]
    pub fn adopt(place: Place) -> Self {
        Self { place }
    }

    /// What was delegated.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where everything is, as in `/proc/PID/cgroup`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// The cgroup of a program, as in `/proc/PID/cgroup`, whether it is there or not.
    #[must_use]
    pub fn path_of(&self, name: &ProcessName) -> PathBuf {
        self.place.path.join(file_name(name))
    }

    /// The directory of a program's cgroup, whether it is there or not.
    #[must_use]
    pub fn dir_of(&self, name: &ProcessName) -> PathBuf {
        self.place.dir.join(file_name(name))
    }

    /// Makes the cgroup of a program, or finds it there, and opens its directory. One that is empty
    /// is made anew: from Linux 6.14 on, whatever is born in a cgroup that `cgroup.kill` was used on
    /// is killed too, if the maker is in another one.
    ///
    /// # Errors
    /// What the kernel says: `EAGAIN` means that a limit of cgroups is reached.
    pub fn make(&self, name: &ProcessName) -> io::Result<OwnedFd> {
        let dir = self.dir_of(name);
        remove(&dir, MAX_DEPTH);
        create(&dir)?;
        let flags = libc::O_DIRECTORY | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        fs::OpenOptions::new().read(true).custom_flags(flags).open(dir).map(OwnedFd::from)
    }

    /// Removes the cgroup of a program, with those it made below. False when processes are left
    /// in it: then it stays.
    pub fn remove(&self, name: &ProcessName) -> bool {
        remove(&self.dir_of(name), MAX_DEPTH)
    }

    /// The cgroups of programs that are there, of those that the daemon knows and of others.
    #[must_use]
    pub fn programs(&self) -> Vec<PathBuf> {
        let mut dirs = below(&self.place.dir);
        dirs.retain(|dir| {
            // Those with a dot belong to the service manager.
            let name = dir.file_name().unwrap_or_default().as_encoded_bytes();
            name != OWN.as_bytes() && !name.starts_with(b".")
        });
        dirs
    }

    /// Removes all cgroups of programs without processes.
    fn remove_empty(&self) {
        for dir in self.programs() {
            remove(&dir, MAX_DEPTH);
        }
    }
}

/// The name of a program's cgroup: the program as people write it, `web` or `group:web`. As
/// systemd does it, a name that could be a file of the kernel's, or begins with a dot or an
/// underscore, gets an underscore in front, which `systemctl status` does not show. What no name
/// may contain, and the backslash, is `\x` and two digits. One that is too long ends in a tilde and
/// a hash of all of it.
#[must_use]
pub fn file_name(name: &ProcessName) -> String {
    let shown = name.to_string();
    let mut text = String::with_capacity(shown.len() + 1);
    if may_be_a_file(&shown) {
        text.push('_');
    }
    for c in shown.chars() {
        if c == '/' || c == '\\' || c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "\\x{byte:02x}"); // writing to a string does not fail
            }
        } else {
            text.push(c);
        }
    }
    if text.len() > MAX_NAME {
        let hash = fnv1a(shown.as_bytes());
        let end = (0..=MAX_NAME - 17).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or_default());
        let _ = write!(text, "~{hash:016x}");
    }
    text
}

/// Whether the kernel has, or may come to have, files of this name; or the daemon's cgroup has it.
fn may_be_a_file(name: &str) -> bool {
    // Controllers of both versions, and what is below every cgroup.
    const OWNERS: [&str; 19] = [
        "blkio",
        "cgroup",
        "cpu",
        "cpuacct",
        "cpuset",
        "debug",
        "devices",
        "dmem",
        "freezer",
        "hugetlb",
        "io",
        "irq",
        "memory",
        "misc",
        "net_cls",
        "net_prio",
        "perf_event",
        "pids",
        "rdma",
    ];
    let (owner, rest) = name.split_once('.').unwrap_or((name, ""));
    name.is_empty()
        || name.starts_with(['_', '.'])
        || matches!(name, "notify_on_release" | "release_agent" | "tasks" | OWN)
        || (OWNERS.contains(&owner) && !rest.is_empty())
}

/// A hash that is the same for every daemon.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn create(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// One by one: one that is missing, or in use elsewhere, keeps no other back.
fn hand_down_controllers(dir: &Path) {
    let there = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    for controller in CONTROLLERS {
        if there.split_whitespace().any(|name| name == controller) {
            // Without it its accounts are missing, nothing else.
            let _ = fs::write(dir.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
}

/// The cgroups directly below one.
fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove(dir: &Path, depth: usize) -> bool {
    let gone = |outcome: io::Result<()>| match outcome {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if gone(fs::remove_dir(dir)) {
        return true;
    }
    if depth == 0 {
        return false;
    }
    let below = below(dir);
    let removed = below.iter().filter(|dir| remove(dir, depth - 1)).count();
    !below.is_empty() && removed == below.len() && gone(fs::remove_dir(dir))
}
