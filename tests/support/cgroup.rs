//! A part of the cgroup hierarchy for a test, marked as systemd marks what it delegates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::daemon::{SUPERVISORD, command};
use super::scratch::Scratch;

/// A cgroup of a test's own. With it go all that are below, once they are empty.
pub struct Delegated {
    dir: PathBuf,
}

impl Delegated {
    /// Makes it, below the test's own cgroup.
    ///
    /// # Panics
    /// When there are no cgroups of version 2, or the test does not run as root.
    pub fn new(scratch: &Scratch) -> Self {
        super::require_root();
        let own = fs::read_to_string("/proc/self/cgroup").expect("/proc");
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).expect("version 2");
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("a mount");
        let mount = Path::new(mount.split(' ').nth(4).expect("a mount point"));
        let name = scratch.path().file_name().expect("a name");
        let dir = mount.join(own).join(name);
        fs::create_dir(&dir).expect("a cgroup");
        let this = Self { dir };
        this.mark(b"1");
        this
    }

    /// Says whether it is delegated.
    pub fn mark(&self, value: &[u8]) {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&self.dir, "trusted.delegate", value, flags).expect("an attribute");
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The cgroups directly below it, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.dir)
            .expect("it is there")
            .flatten()
            .filter(|entry| entry.file_type().expect("a type").is_dir())
            .map(|entry| entry.file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    /// The processes in a cgroup below it; none when there is no such cgroup.
    pub fn pids(&self, name: &str) -> Vec<u32> {
        let list = fs::read_to_string(self.join(name).join("cgroup.procs")).unwrap_or_default();
        list.lines().map(|pid| pid.parse().expect("a pid")).collect()
    }

    /// `supervisord -n` that is born in it.
    pub fn supervisord(&self, dir: &Path, config: &Path) -> Command {
        let mut shell = command("/bin/sh", dir);
        shell.args(["-c", "echo 0 > \"$1/cgroup.procs\"; shift; exec \"$@\"", "sh"]);
        shell.arg(&self.dir).arg(SUPERVISORD).arg("-n").arg("-c").arg(config);
        shell
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        // What is left runs no more when it was killed, and its cgroups are empty a moment later.
        let _ = fs::write(self.join("cgroup.kill"), "1");
        let began = Instant::now();
        while self.dir.exists() && began.elapsed() < super::PATIENCE {
            for name in self.names() {
                let _ = fs::remove_dir(self.join(&name));
            }
            let _ = fs::remove_dir(&self.dir);
            std::thread::yield_now();
        }
    }
}
