//! Names and places; and, as root, real cgroups in a part of the hierarchy that is marked as
//! systemd marks it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::delegation::{directories, own_path};
use super::*;
use crate::model::exit::ExitStatus;
use crate::model::name::ProcessName;
use crate::sys::reap;
use crate::sys::spawn::{Plan, Stage, Stderr, Stdio, spawn};
use crate::sys::testing::{alone, is_root};

fn named(group: &str, process: &str) -> String {
    file_name(&ProcessName::new(group, process))
}

#[test]
fn a_cgroup_is_named_as_people_write_the_program() {
    assert_eq!(named("web", "web"), "web");
    assert_eq!(named("web", "api"), "web:api");
    assert_eq!(named("käse", "käse 1"), "käse:käse 1");
    assert_eq!(named("a", "b/../c"), "a:b\\x2f..\\x2fc");
    assert_eq!(named("a\\b", "c\n\u{85}"), "a\\x5cb:c\\x0a\\xc2\\x85");
}

#[test]
fn a_name_is_never_that_of_a_file_of_the_kernels_or_of_the_daemons_cgroup() {
    for name in [
        "cgroup.procs",
        "memory.max",
        "cpu.stat",
        "irq.pressure",
        "tasks",
        "..",
        ".",
        ".control",
        "_x",
        "supervisord",
        "",
        "release_agent",
    ] {
        assert_eq!(named(name, name), format!("_{name}"));
    }
    for name in ["memory", "memory.", "cpux.stat", "supervisord2", "web.api"] {
        assert_eq!(named(name, name), name);
    }
    assert_eq!(named("memory.max", "a"), "_memory.max:a");
}

#[test]
fn a_long_name_is_cut_and_still_its_own() {
    let long = "ä".repeat(150);
    let (one, two) = (named(&long, "1"), named(&long, "2"));
    assert_ne!(one, two);
    for name in [one, two, named(&"/".repeat(300), "a")] {
        assert!(name.len() <= 200 && name.len() > 180, "{}", name.len());
        assert!(!name.contains('/'));
    }
    assert_eq!(named(&"x".repeat(199), "a"), named(&"x".repeat(199), "a"));
}

#[test]
fn the_own_cgroup_is_read_where_there_is_a_second_version() {
    let hybrid = b"2:cpu:/x\n1:name=systemd:/a.slice/b.service\n0::/a.slice/b.service\n";
    assert_eq!(own_path(hybrid), Some("/a.slice/b.service".into()));
    assert_eq!(own_path(b"1:name=systemd:/a\n"), None);
    assert_eq!(own_path(b"0::/../../outside\n"), None);
    assert_eq!(own_path(b"0::/gone (deleted)\n"), None);
    assert_eq!(own_path(b""), None);
}

#[test]
fn its_directory_is_found_in_every_layout() {
    let find = |mounts: &str, path: &str| -> Vec<(String, bool)> {
        let found = directories(mounts.as_bytes(), Path::new(path));
        found.map(|(dir, root)| (dir.to_str().unwrap().to_owned(), root)).collect()
    };
    let unified =
        "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    assert_eq!(find(unified, "/a/b"), [("/sys/fs/cgroup/a/b".to_owned(), false)]);
    assert_eq!(find(unified, "/"), [("/sys/fs/cgroup".to_owned(), true)]);
    let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                  32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    assert_eq!(find(hybrid, "/x"), [("/sys/fs/cgroup/unified/x".to_owned(), false)]);
    let bound = "1 0 0:1 /docker/7 /my\\040groups\\134 rw - cgroup2 none rw\nrubbish\n";
    assert_eq!(find(bound, "/docker/7"), [("/my groups\\".to_owned(), true)]);
    assert_eq!(find(bound, "/docker/7/a"), [("/my groups\\/a".to_owned(), false)]);
    assert_eq!(find(bound, "/docker"), []);
    assert_eq!(find("", "/"), []);
}

/// A cgroup that is removed in the end, with the test in it.
struct Ground {
    dir: PathBuf,
    home: PathBuf,
}

impl Ground {
    fn new(name: &str) -> Self {
        let mounts = fs::read("/proc/self/mountinfo").unwrap();
        let path = own_path(&fs::read("/proc/self/cgroup").unwrap()).expect("cgroups of version 2");
        let (home, _) = directories(&mounts, &path).next().expect("a mount of them");
        let dir = home.join(format!("test-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("cgroup.procs"), "0").unwrap();
        Self { dir, home }
    }

    fn mark(&self, value: &[u8]) {
        let path = std::ffi::CString::new(self.dir.as_os_str().as_bytes()).unwrap();
        let name = c"trusted.delegate".as_ptr();
        // SAFETY: strings that end in a null, and a value of this length.
        let outcome =
            unsafe { libc::setxattr(path.as_ptr(), name, value.as_ptr().cast(), value.len(), 0) };
        assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.dir)
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::write(self.home.join("cgroup.procs"), "0");
        while !std::thread::panicking() && self.dir.exists() {
            let _ = fs::remove_dir(self.dir.join(OWN));
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

fn shell(script: &str, cgroup: Option<std::os::fd::OwnedFd>) -> Plan {
    Plan {
        program: c"/bin/sh".into(),
        argv: vec![c"sh".into(), c"-c".into(), std::ffi::CString::new(script).unwrap()],
        envp: vec![c"PATH=/usr/bin:/bin".into()],
        cwd: None,
        umask: None,
        identity: None,
        nofile: None,
        cgroup: cgroup.map(Into::into),
        own_group: true,
        stdin: Stdio::Pipe,
        stdout: Stdio::Pipe,
        stderr: Stderr::Stdout,
    }
}

fn cgroup_of(pid: i32) -> PathBuf {
    own_path(&fs::read(format!("/proc/{pid}/cgroup")).unwrap()).unwrap()
}

#[test]
fn only_what_was_delegated_is_taken() {
    if !is_root() || !alone(module_path!(), "only_what_was_delegated_is_taken") {
        return;
    }
    assert_eq!(place(), None, "the cgroup of whoever runs the tests");
    let ground = Ground::new("place");
    assert_eq!(place(), None);
    ground.mark(b"0");
    assert_eq!(place(), None);
    ground.mark(b"1");
    let found = place().unwrap();
    assert_eq!(
        (&found.dir, &found.path),
        (&ground.dir, &cgroup_of(std::process::id().cast_signed()))
    );
    // Someone else's program below a delegated cgroup is left where it is.
    let below = ground.dir.join("nested");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("cgroup.procs"), "0").unwrap();
    assert_eq!(place(), None);
    // A daemon that went below finds its place again.
    let tree = Tree::settle(found.clone(), None).unwrap();
    assert_eq!(place(), Some(found));
    assert_eq!(ground.names(), [OWN], "what is empty was removed");
    assert_eq!(cgroup_of(std::process::id().cast_signed()), tree.path().join(OWN));
}

#[test]
fn children_are_born_in_their_cgroup_or_move_there() {
    let name = "children_are_born_in_their_cgroup_or_move_there";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    let ground = Ground::new("birth");
    ground.mark(b"1");
    let tree = Tree::settle(place().unwrap(), None).unwrap();
    for process in ["born", "moved"] {
        let name = ProcessName::new("web", process);
        let mut child = spawn(&shell("read line", Some(tree.make(&name).unwrap()))).unwrap();
        assert_eq!(cgroup_of(child.pid), tree.path_of(&name));
        assert_eq!(tree.path_of(&name), tree.path().join(format!("web:{process}")));
        assert!(!tree.remove(&name), "somebody is in it");
        drop(child.stdin.take());
        assert_eq!(reap::wait(child.pid), Ok(ExitStatus::Code(1)));
        while !tree.remove(&name) {
            std::thread::yield_now(); // the kernel empties it when the last thread is gone
        }
        assert!(tree.remove(&name), "that it is gone already is as good");
        crate::sys::spawn::births_are_impossible();
    }
    assert_eq!(ground.names(), [OWN]);
}

#[test]
fn a_daemon_settles_beside_the_programs_of_the_last_one() {
    let name = "a_daemon_settles_beside_the_programs_of_the_last_one";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    let ground = Ground::new("again");
    ground.mark(b"1");
    let tree = Tree::settle(place().unwrap(), None).unwrap();
    let (runs, ended) = (ProcessName::new("a", "runs"), ProcessName::new("a", "ended"));
    let mut child = spawn(&shell("read line", Some(tree.make(&runs).unwrap()))).unwrap();
    drop(tree.make(&ended).unwrap());
    // Where the service manager puts the next one.
    fs::write(ground.dir.join("cgroup.procs"), "0").unwrap();
    let next = Tree::settle(place().unwrap(), None).unwrap();
    assert_eq!(ground.names(), ["a:runs", OWN]);
    assert_eq!(cgroup_of(child.pid), next.path_of(&runs));
    assert_eq!(cgroup_of(std::process::id().cast_signed()), next.path().join(OWN));
    drop(child.stdin.take());
    reap::wait(child.pid).unwrap();
    while !next.remove(&runs) {
        std::thread::yield_now();
    }
}

#[test]
fn a_failed_move_is_told_and_nothing_is_started() {
    let name = "a_failed_move_is_told_and_nothing_is_started";
    if !alone(module_path!(), name) {
        return;
    }
    // No cgroup at all, so that birth and move fail both.
    let other = tempfile::tempdir().unwrap();
    let dir: std::os::fd::OwnedFd = fs::File::open(other.path()).unwrap().into();
    let failure = spawn(&shell("exit 0", Some(dir))).unwrap_err();
    assert_eq!((failure.stage, failure.errno), (Stage::Cgroup, nix::errno::Errno::ENOENT));
    assert_eq!(failure.to_string(), "moving it into its cgroup failed: ENOENT");
    assert_eq!(crate::sys::testing::children(), [0; 0]);
}

#[test]
fn what_a_program_made_below_its_cgroup_goes_with_it() {
    let name = "what_a_program_made_below_its_cgroup_goes_with_it";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    let ground = Ground::new("below");
    ground.mark(b"1");
    let tree = Tree::settle(place().unwrap(), None).unwrap();
    let name = ProcessName::new("a", "a");
    drop(tree.make(&name).unwrap());
    for below in ["one", "two", "two/three"] {
        fs::create_dir(tree.dir_of(&name).join(below)).unwrap();
    }
    assert!(tree.remove(&name));
    assert_eq!(ground.names(), [OWN]);
}

#[test]
fn a_daemon_that_becomes_another_user_divides_all_the_same() {
    let name = "a_daemon_that_becomes_another_user_divides_all_the_same";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    let ground = Ground::new("user");
    ground.mark(b"1");
    let tree = Tree::settle(place().unwrap(), Some((65534, 65534))).unwrap();
    let name = ProcessName::new("a", "a");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // This thread alone becomes another user; the test has to clean up.
            // SAFETY: plain system calls.
            unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
            let mut child = spawn(&shell("read line", Some(tree.make(&name).unwrap()))).unwrap();
            assert_eq!(cgroup_of(child.pid), tree.path_of(&name));
            drop(child.stdin.take());
            reap::wait(child.pid).unwrap();
            while !tree.remove(&name) {
                std::thread::yield_now();
            }
        });
    });
    assert_eq!(ground.names(), [OWN]);
}
