//! Leftovers in a cgroup.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use tokio::io::Interest;

use super::{Alarm, Look, MOST};
use crate::model::signal::Signal;
use crate::sys::pidfd;

/// How deep below it a program's own cgroups are looked for, as deep as they are removed.
const MAX_DEPTH: usize = 8;

/// Processes that are signalled at once: each takes a descriptor meanwhile.
const BATCH: usize = 64;

/// How often all that is found is killed in a row, where the kernel cannot do it itself.
const ROUNDS: usize = 32;

/// Whether there are processes in a cgroup, or below it. None in one that is not there.
///
/// # Errors
/// It could not be looked.
pub fn is_populated(dir: &Path) -> io::Result<bool> {
    Ok(events(dir)?.is_some_and(|(populated, _)| populated))
}

/// Whether it is populated, and what tells when that changes; none when it is not there.
fn events(dir: &Path) -> io::Result<Option<(bool, File)>> {
    let gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
    };
    let mut text = String::new();
    let read = File::open(dir.join("cgroup.events"))
        .and_then(|mut file| file.read_to_string(&mut text).map(|_| file));
    match read {
        Ok(file) => Ok(Some((text.lines().any(|line| line == "populated 1"), file))),
        Err(error) if gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn look(dir: &Path) -> io::Result<Look> {
    match events(dir)? {
        Some((true, file)) => Ok(Look {
            pids: pids(dir),
            gone: false,
            alarm: Some(Alarm {
                fd: file.into(),
                interest: Interest::PRIORITY,
                pidfds: Vec::new(),
            }),
        }),
        Some((false, _)) | None => Ok(Look { pids: Vec::new(), gone: true, alarm: None }),
    }
}

/// The processes in a cgroup and below it. Those of other pid namespaces have no number here.
fn pids(dir: &Path) -> Vec<i32> {
    let mut pids = Vec::new();
    let mut dirs = vec![(dir.to_owned(), 0)];
    while let Some((dir, depth)) = dirs.pop() {
        let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        pids.extend(list.lines().flat_map(str::parse::<i32>).filter(|&pid| pid > 0));
        if pids.len() >= MOST {
            pids.truncate(MOST);
            break;
        }
        if depth < MAX_DEPTH {
            let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            dirs.extend(below.map(|entry| (entry.path(), depth + 1)));
        }
    }
    pids
}

pub(super) fn terminate(dir: &Path, which: &[i32]) {
    for signal in [Signal::TERM, Signal::CONT] {
        send(dir, which, signal);
    }
}

/// A pid that was read may be somebody else's by now. What has a pidfd stays what it is, so whoever
/// is still in the cgroup after that was opened gets the signal.
fn send(dir: &Path, which: &[i32], signal: Signal) {
    for batch in which.chunks(BATCH) {
        let open = |&pid: &i32| Some((pid, pidfd::open(pid).ok()?));
        let opened: Vec<(i32, OwnedFd)> = batch.iter().filter_map(open).collect();
        let inside: HashSet<i32> = pids(dir).into_iter().collect();
        for (pid, fd) in opened.iter().filter(|(pid, _)| inside.contains(pid)) {
            // It may be gone by now, or not ours to signal: then SIGKILL by the cgroup follows.
            let _ = pidfd::send_signal(Some(fd.as_fd()), *pid, signal);
        }
    }
}

/// All at once where the kernel can (5.14): nothing that forks can run away.
pub(super) fn kill(dir: &Path) -> io::Result<()> {
    match fs::write(dir.join("cgroup.kill"), "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => kill_each(dir),
        other => other,
    }
}

/// Without that, what is frozen (5.2) cannot fork while it is killed.
pub(super) fn kill_each(dir: &Path) -> io::Result<()> {
    let freezer = dir.join("cgroup.freeze");
    let frozen = fs::write(&freezer, "1").is_ok();
    for _ in 0..ROUNDS {
        let left = pids(dir);
        if left.is_empty() {
            break;
        }
        send(dir, &left, Signal::KILL);
    }
    if frozen { fs::write(&freezer, "0") } else { Ok(()) }
}
