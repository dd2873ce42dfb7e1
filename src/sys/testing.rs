//! Helpers of this layer's tests.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the rest of the calling test in a process of its own: for tests that change their
/// process (limits, users) or look at all of it (children, descriptors), whatever the test runner
/// does. Returns true in that process; in the first one false, after the other has passed.
pub(crate) fn alone(module: &str, test: &str) -> bool {
    const MARK: &str = "SUPERVISOR_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let name = format!("{}::{test}", module.split_once("::").unwrap().1);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{name} in a process of its own: {}\n{printed}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    false
}

/// The open descriptors of this process and what they are, except the one this looks with.
pub(crate) fn open_fds() -> Vec<String> {
    let mut fds: Vec<String> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            Some(format!("{} {}", path.display(), fs::read_link(&path).ok()?.display()))
        })
        .filter(|line| !line.ends_with("/fd"))
        .collect();
    fds.sort();
    fds
}

/// The children of this process, zombies included.
pub(crate) fn children() -> Vec<i32> {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether this process may do everything; says so loudly where a test has to do less.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        eprintln!("NOT ROOT: a part of this test was not run");
    }
    root
}

/// Gives the kept inputs of a fuzz target to what it calls.
pub(crate) fn feed(target: &str, entry: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut fed = 0;
    for kept in fs::read_dir(&dir).unwrap() {
        let kept = kept.unwrap().path();
        println!("{}", kept.display());
        entry(&fs::read(&kept).unwrap());
        fed += 1;
    }
    assert!(fed >= 10, "the kept inputs are gone from {}", dir.display());
}
