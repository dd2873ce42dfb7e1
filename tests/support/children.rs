//! Finding and ending what a daemon started, by what /proc says of its descendants.

use std::collections::HashMap;
use std::fs;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// One process as /proc/PID/stat shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Process id.
    pub pid: i32,
    /// Process group.
    pub group: i32,
    /// Start time in clock ticks since boot: tells a reused pid from the old one.
    pub started: u64,
    /// Whether it has ended and nobody has reaped it.
    pub zombie: bool,
}

/// All living descendants of a process.
pub fn descendants(of: u32) -> Vec<Seen> {
    let mut by_parent: HashMap<i32, Vec<Seen>> = HashMap::new();
    // All of them first: who looks at each while a fork bomb goes on finds more and more.
    let entries: Vec<_> = fs::read_dir("/proc").expect("/proc").flatten().collect();
    for entry in entries {
        let name = entry.file_name();
        if let Some((parent, seen)) = name.to_str().and_then(|n| n.parse().ok()).and_then(look) {
            by_parent.entry(parent).or_default().push(seen);
        }
    }
    let mut found = Vec::new();
    let mut left = vec![i32::try_from(of).expect("process ids fit")];
    while let Some(parent) = left.pop() {
        for seen in by_parent.remove(&parent).unwrap_or_default() {
            left.push(seen.pid);
            found.push(seen);
        }
    }
    found
}

/// Kills what is left of these processes, whole process groups where they lead one.
pub fn kill_leftovers(seen: &[Seen]) {
    for one in seen {
        if look(one.pid).is_some_and(|(_, now)| now.started == one.started) {
            if one.group == one.pid {
                let _ = killpg(Pid::from_raw(one.pid), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(one.pid), Signal::SIGKILL);
        }
    }
}

/// A process's parent and itself.
fn look(pid: i32) -> Option<(i32, Seen)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets too.
    let rest: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| rest.get(index).and_then(|text| text.parse::<i64>().ok());
    Some((
        i32::try_from(number(1)?).ok()?,
        Seen {
            pid,
            group: i32::try_from(number(2)?).ok()?,
            started: u64::try_from(number(19)?).ok()?,
            zombie: rest[0] == "Z",
        },
    ))
}

/// Sends a signal to a process that is not our child.
pub fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Kills every process that was started with this `HOME`: the environment of a test's programs
/// names its scratch directory there, so nothing else can match.
pub fn kill_of_home(dir: &std::path::Path) {
    let home = format!("HOME={}", dir.display());
    let entries: Vec<_> = fs::read_dir("/proc").expect("/proc").flatten().collect();
    for entry in entries {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        if pid != std::process::id().cast_signed()
            && environ.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
