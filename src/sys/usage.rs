//! What a program uses: from the accounts of its cgroup where it has one, else from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::{SysconfVar, sysconf};

use super::cgroup;
use super::procfs::Fields;

/// Processes of one cgroup whose memory is added up, where the kernel does not do it.
const MAX_PIDS: usize = 4096;

/// What a running program uses; none is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// The cgroup its main process is in, as in `/proc/PID/cgroup`.
    pub control_group: Option<PathBuf>,
    /// Time on processors, in nanoseconds.
    pub cpu_nsec: Option<u64>,
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Threads.
    pub tasks: Option<u64>,
}

/// What the program with this main process uses now. In a cgroup of this name that is not also the
/// daemon's it is what all of the cgroup uses; else what the process itself uses, with the time of
/// the children that it waited for.
///
/// Reads a few files of the kernel's: a thing for a thread that may wait.
#[must_use]
pub fn of(pid: i32, name: &str) -> Usage {
    let Some(control_group) = cgroup_of(&pid.to_string()) else {
        return of_process(pid);
    };
    let usage = match directory_of_own(&control_group, name) {
        Some(dir) => of_cgroup(&dir),
        None => of_process(pid),
    };
    Usage { control_group: Some(control_group), ..usage }
}

/// The directory of a cgroup, if it has this name and is not also the daemon's.
fn directory_of_own(control_group: &Path, name: &str) -> Option<PathBuf> {
    let is_own = control_group.file_name().is_some_and(|last| last == name)
        && cgroup_of("self").is_some_and(|daemon| daemon != control_group);
    directory(control_group).filter(|_| is_own)
}

/// The directory of the cgroup that the program with this main process has to itself.
pub(super) fn own_cgroup(pid: i32, name: &str) -> Option<PathBuf> {
    directory_of_own(&cgroup_of(&pid.to_string())?, name)
}

fn cgroup_of(pid: &str) -> Option<PathBuf> {
    cgroup::own_path(&fs::read(format!("/proc/{pid}/cgroup")).ok()?)
}

fn directory(path: &Path) -> Option<PathBuf> {
    static MOUNTS: OnceLock<Vec<u8>> = OnceLock::new();
    let mounts = MOUNTS.get_or_init(|| fs::read("/proc/self/mountinfo").unwrap_or_default());
    cgroup::directories(mounts, path).map(|(dir, _)| dir).find(|dir| dir.is_dir())
}

fn of_cgroup(dir: &Path) -> Usage {
    let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let micros = read("cpu.stat").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        line.trim().parse::<u64>().ok()
    });
    Usage {
        control_group: None,
        cpu_nsec: micros.map(|micros| micros.saturating_mul(1000)),
        memory: number("memory.current").or_else(|| {
            let pids = read("cgroup.procs")?;
            Some(pids.lines().take(MAX_PIDS).filter_map(resident).sum())
        }),
        tasks: number("pids.current").or_else(|| {
            let threads = read("cgroup.threads")?;
            u64::try_from(threads.lines().count()).ok()
        }),
    }
}

fn of_process(pid: i32) -> Usage {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let fields = stat.as_deref().and_then(Fields::of);
    Usage {
        control_group: None,
        cpu_nsec: fields.as_ref().and_then(|fields| {
            // utime, stime, and the same of children (proc_pid_stat(5), counted from 1)
            let ticks: Option<u64> = (14..=17).map(|at| fields.number(at)).sum();
            let per_second = positive(SysconfVar::CLK_TCK)?;
            Some(ticks?.saturating_mul(1_000_000_000 / per_second))
        }),
        memory: resident(&pid.to_string()),
        tasks: fields.and_then(|fields| fields.number(20)),
    }
}

/// The memory of a process that is in memory, in bytes.
pub(super) fn resident(pid: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(positive(SysconfVar::PAGE_SIZE)?)
}

fn positive(variable: SysconfVar) -> Option<u64> {
    let value = sysconf(variable).ok().flatten()?;
    u64::try_from(value).ok().filter(|&value| value > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id().cast_signed();
        let before = of(pid, "no such cgroup");
        assert!(before.memory.unwrap() > 100_000);
        assert!(before.tasks.unwrap() >= 1);
        assert!(before.control_group.is_some());
        let mut rounds = 0_u64;
        while of(pid, "").cpu_nsec.unwrap() < before.cpu_nsec.unwrap() + 10_000_000 {
            rounds += 1;
        }
        assert!(rounds > 0);
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_known() {
        assert_eq!(of(i32::MAX, "web"), Usage::default());
    }

    #[test]
    fn the_accounts_of_a_cgroup_are_read_with_and_without_controllers() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(of_cgroup(dir.path()), Usage::default());
        write("cpu.stat", "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n");
        let own = std::process::id();
        write("cgroup.procs", &format!("{own}\n{}\n", i32::MAX));
        write("cgroup.threads", "1\n2\n3\n");
        let usage = of_cgroup(dir.path());
        assert_eq!((usage.cpu_nsec, usage.tasks), (Some(1_234_000), Some(3)));
        assert!(usage.memory.unwrap() > 100_000);
        write("memory.current", "4096\n");
        write("pids.current", "7\n");
        let usage = of_cgroup(dir.path());
        assert_eq!((usage.memory, usage.tasks), (Some(4096), Some(7)));
    }
}
