//! The processes that make a program: those in its cgroup where it has one, else its main process
//! and the children below that.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use super::procfs::Fields;
use super::usage::{own_cgroup, resident};

/// How many processes are told of.
pub const MOST: usize = 500;
/// How many cgroups below a program's own are looked into.
const MOST_CGROUPS: usize = 64;
/// How much of a command line is told, in bytes.
const MOST_COMMAND: u64 = 1024;
/// How long this may take; what is not seen by then is left out.
const LONGEST: Duration = Duration::from_secs(1);

/// One process of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its pid.
    pub pid: i32,
    /// The pid of its parent, which may be none of these.
    pub parent: i32,
    /// As in `ps`: `R` running, `S` sleeping, `D` waiting for a disk, `T` stopped, `Z` ended.
    pub state: char,
    /// The command line, with spaces between the words and as much as there is room for; of what
    /// has none, the name in brackets. Bytes of its own choice.
    pub command: Vec<u8>,
    /// Memory that is in memory, in bytes.
    pub memory: Option<u64>,
}

/// The processes of the program with this main process, which is the first, and whether there are
/// more than are told. `name` is what a cgroup of its own is called.
///
/// Reads files of the kernel's: a thing for a thread that may wait.
#[must_use]
pub fn of(pid: i32, name: &str) -> (Vec<Member>, bool) {
    let until = Instant::now() + LONGEST;
    match own_cgroup(pid, name) {
        Some(dir) => members(in_cgroup(pid, &dir), until),
        None => below(pid, until),
    }
}

/// The pids in a cgroup and those below it; this one first.
fn in_cgroup(first: i32, dir: &Path) -> Vec<i32> {
    let mut pids = vec![first];
    let mut left = VecDeque::from([dir.to_owned()]);
    for _ in 0..MOST_CGROUPS {
        let Some(dir) = left.pop_front() else { break };
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        let others = procs.lines().filter_map(|line| line.parse::<i32>().ok());
        pids.extend(others.filter(|&pid| pid != first).take(MOST + 1));
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(dirs.map(|entry| entry.path()).take(MOST_CGROUPS));
    }
    pids
}

fn members(pids: Vec<i32>, until: Instant) -> (Vec<Member>, bool) {
    let mut found = Vec::new();
    for pid in pids {
        if found.len() == MOST || Instant::now() > until {
            return (found, true);
        }
        found.extend(look(pid));
    }
    (found, false)
}

/// A process and those below it, parents before their children.
fn below(pid: i32, until: Instant) -> (Vec<Member>, bool) {
    let mut found = Vec::new();
    let mut seen = HashSet::from([pid]);
    let mut left = VecDeque::from([pid]);
    while let Some(pid) = left.pop_front() {
        if found.len() == MOST || Instant::now() > until {
            return (found, true);
        }
        found.extend(look(pid));
        let room = MOST + 1 - left.len().min(MOST);
        left.extend(children(pid).into_iter().filter(|&child| seen.insert(child)).take(room));
    }
    (found, false)
}

/// The children that the threads of a process made.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads
        .take(MOST)
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| numbers(&list)).collect()
}

fn numbers(list: &str) -> Vec<i32> {
    list.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn look(pid: i32) -> Option<Member> {
    // The name of a process may be any bytes.
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let fields = Fields::of(&stat)?;
    let mut command = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{pid}/cmdline")) {
        // It may be gone, and then has none.
        let _ = file.take(MOST_COMMAND).read_to_end(&mut command);
    }
    while command.last() == Some(&0) {
        command.pop();
    }
    command.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    if command.is_empty() {
        let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        command = format!("[{}]", name.map_or("", |(name, _)| name)).into_bytes();
    }
    Some(Member {
        pid,
        parent: i32::try_from(fields.number(4)?).ok()?,
        state: fields.text(3)?.chars().next()?,
        command,
        memory: resident(&pid.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_is_its_main_process_and_all_below() {
        let script = "sh -c 'echo $$; read end' & echo $!; wait";
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("exec 3<&0; {}", script.replace("read end", "read end <&3"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pids = [lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()];
        assert_eq!(pids[0], pids[1], "both are there");
        let main = child.id().cast_signed();
        let (found, more) = of(main, "no such cgroup");
        assert!(!more);
        let ids: Vec<_> = found.iter().map(|member| (member.pid, member.parent)).collect();
        assert_eq!(ids[0], (main, std::process::id().cast_signed()));
        assert_eq!(ids[1], (pids[0].parse().unwrap(), main));
        assert!(found[1].command.starts_with(b"sh -c echo $$"), "{found:?}");
        assert!(matches!(found[1].state, 'S' | 'R'), "{found:?}");
        assert!(found[1].memory.unwrap() > 0);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(of(main, ""), (Vec::new(), false), "nothing is left");
    }

    #[test]
    fn the_processes_of_a_cgroup_are_found_in_those_below_it_too() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.procs"), "5\n7\n").unwrap();
        fs::create_dir(dir.path().join("inner")).unwrap();
        fs::write(dir.path().join("inner/cgroup.procs"), "9\nrubbish\n").unwrap();
        assert_eq!(in_cgroup(7, dir.path()), [7, 5, 9]);
        let own = std::process::id().cast_signed();
        let (found, more) = members(vec![own; MOST + 2], Instant::now() + LONGEST);
        assert_eq!((found.len(), more), (MOST, true));
    }
}
