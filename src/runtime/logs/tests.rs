//! The plane as a whole, with real pipes and files. Nothing here sleeps: a test waits for an
//! answer, an end of file, or growth.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::core::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::snapshot::Channel;

mod careful;
mod failure;
mod following;
mod handover;
mod journal;
mod killed;
mod rotation;
mod taps;
mod targets;

/// A plane in a directory of its own, with a main log there.
struct Bench {
    dir: TempDir,
    plane: LogPlane,
    handle: LogHandle,
    runtime: Runtime,
    tapped: async_mpsc::UnboundedReceiver<Tapped>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {}, |_| {})
    }

    /// In a directory where another one was before.
    fn in_dir(dir: TempDir) -> Self {
        Self::with_in(dir, |_| {}, |_| {})
    }

    fn with(main: impl FnOnce(&mut MainLogPlan), around: impl FnOnce(&mut Surroundings)) -> Self {
        Self::with_in(tempfile::tempdir().unwrap(), main, around)
    }

    fn with_in(
        dir: TempDir,
        main: impl FnOnce(&mut MainLogPlan),
        around: impl FnOnce(&mut Surroundings),
    ) -> Self {
        let mut plan = MainLogPlan {
            target: MainTarget::File(dir.path().join("main.log")),
            maxbytes: 0,
            backups: 0,
            level: Level::Info,
            copy_to_stdout: false,
        };
        main(&mut plan);
        let mut surroundings = Surroundings {
            stdout: None,
            stderr: None,
            syslog: dir.path().join("no-syslog"),
            journal: dir.path().join("no-journal"),
            stdout_is_journal: false,
            careful: false,
        };
        around(&mut surroundings);
        let (plane, tapped) = LogPlane::start_in(&plan, surroundings).unwrap();
        let handle = plane.handle();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { dir, plane, handle, runtime, tapped }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn plan(&self, file: &str) -> ChannelPlan {
        plan(&self.path(file))
    }

    /// The writing end of a pipe that the plane reads.
    fn child(&self, key: ChannelKey, plan: &ChannelPlan) -> File {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let file = plan.open_file().unwrap();
        self.handle.attach(key, 1, Arc::new(plan.clone()), file, (reader, None), 42);
        writer.into()
    }

    /// Everything said so far is where it belongs.
    fn sync(&self) {
        self.runtime.block_on(self.handle.sync(None)).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The main log without the time in front of each line.
    fn main_log(&self) -> String {
        self.sync();
        without_times(&self.text("main.log"))
    }

    /// Follows the main log until it says this.
    fn main_log_says(&self, wanted: &str) {
        let path = self.path("main.log");
        self.runtime.block_on(async {
            let mut follower = Follower::open(&self.handle, path, u64::MAX).await.unwrap();
            let mut seen = String::new();
            while !seen.contains(wanted) {
                let bytes = follower.next().await.unwrap().expect("the plane runs");
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        });
    }
}

fn without_times(log: &str) -> String {
    log.lines().map(|line| line.get(24..).unwrap_or(line).to_owned() + "\n").collect()
}

fn plan(path: &Path) -> ChannelPlan {
    ChannelPlan {
        name: ProcessName::new("web", "web"),
        file: Some(path.to_path_buf()),
        auto: false,
        maxbytes: 0,
        backups: 0,
        syslog: false,
        journal: None,
        strip_ansi: false,
        tap: TapPlan::OFF,
    }
}

fn key(process: u32) -> ChannelKey {
    ChannelKey { process: ProcKey(process), channel: Channel::Stdout }
}

#[test]
fn what_a_child_writes_is_in_its_log_byte_for_byte() {
    // C-382
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    child.write_all(b"one\n\xff\x00 two").unwrap();
    bench.sync();
    assert_eq!(fs::read(bench.path("a.log")).unwrap(), b"one\n\xff\x00 two");
    child.write_all(b" three").unwrap();
    drop(child);
    bench.handle.ended(key(1), 1);
    bench.sync();
    assert_eq!(fs::read(bench.path("a.log")).unwrap(), b"one\n\xff\x00 two three");
}

#[test]
fn stopping_drains_every_pipe() {
    // upstream issues 11, 57, 340
    let bench = Bench::new();
    let mut children: Vec<_> =
        (0..20).map(|n| bench.child(key(n), &bench.plan(&format!("{n}.log")))).collect();
    for (n, child) in children.iter_mut().enumerate() {
        child.write_all(&vec![b'x'; 3_000 * n]).unwrap();
    }
    bench.handle.record(Record::new(Level::Info, "the end"));
    let Bench { dir, plane, .. } = bench;
    assert!(plane.stop(Duration::from_secs(30)));
    for n in 0..20 {
        let path = dir.path().join(format!("{n}.log"));
        assert_eq!(fs::metadata(path).unwrap().len(), 3_000 * n);
    }
    assert!(fs::read_to_string(dir.path().join("main.log")).unwrap().ends_with(" the end\n"));
    // Nobody reads any more.
    assert!(children[0].write_all(b"x").is_err());
}

#[test]
fn a_grandchild_that_outlives_the_child_is_still_read() {
    // C-213, better
    let bench = Bench::new();
    let child = bench.child(key(1), &bench.plan("a.log"));
    let mut grandchild = child.try_clone().unwrap();
    drop(child);
    bench.handle.ended(key(1), 1);
    grandchild.write_all(b"still here\n").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log"), "still here\n");
}

#[test]
fn only_a_few_pipes_of_former_runs_are_kept() {
    // C-213, better
    let bench = Bench::new();
    let plan = Arc::new(bench.plan("a.log"));
    let mut grandchildren = Vec::new();
    for generation in 1..=6 {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        bench.handle.attach(key(1), generation, Arc::clone(&plan), None, (reader, None), 1);
        bench.handle.ended(key(1), generation);
        grandchildren.push(File::from(writer));
    }
    bench.sync();
    let alive: Vec<_> = grandchildren.iter_mut().map(|pipe| pipe.write_all(b"x").is_ok()).collect();
    assert_eq!(alive, [false, false, true, true, true, true]);
    assert!(bench.main_log().contains("too many descendants"));
}

#[test]
fn notes_go_into_the_childs_log_in_order() {
    // C-205
    let bench = Bench::new();
    let plan = Arc::new(bench.plan("a.log"));
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"before\n").unwrap();
    bench.handle.note(key(1), Arc::clone(&plan), "supervisor: couldn't chdir to /x: ENOENT");
    bench.handle.note(key(2), Arc::new(bench.plan("b.log")), "nobody runs\n");
    bench.sync();
    assert_eq!(bench.text("a.log"), "before\nsupervisor: couldn't chdir to /x: ENOENT\n");
    assert_eq!(bench.text("b.log"), "nobody runs\n");
}

#[test]
fn a_removed_process_is_drained_and_let_go() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    child.write_all(b"last words").unwrap();
    bench.handle.remove(key(1));
    bench.sync();
    assert_eq!(bench.text("a.log"), "last words");
    assert!(child.write_all(b"x").is_err());
}

#[test]
fn escapes_are_removed_even_across_writes() {
    // C-381
    let bench = Bench::new();
    let plan = ChannelPlan { strip_ansi: true, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    for piece in [&b"a\x1b[3"[..], b"1mred\x1b", b"[0m b\x1b"] {
        child.write_all(piece).unwrap();
        bench.sync();
    }
    assert_eq!(bench.text("a.log"), "ared b");
    drop(child);
    bench.handle.ended(key(1), 1);
    bench.sync();
    assert_eq!(bench.text("a.log"), "ared b\x1b");
}

#[test]
fn lines_go_to_syslog_with_the_name_in_front() {
    // C-380
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("log")).unwrap();
    let bench = Bench::with(|_| {}, |around| around.syslog = dir.path().join("log"));
    let plan = ChannelPlan { syslog: true, file: None, ..bench.plan("unused") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"one\n\ntw").unwrap();
    bench.sync();
    child.write_all(b"o\nthree").unwrap();
    drop(child);
    bench.handle.ended(key(1), 1);
    let mut buffer = [0; 100];
    for line in ["web one", "web ", "web two", "web three"] {
        let n = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..n]).unwrap();
        assert!(text.ends_with(&format!(" supervisord: {line}")), "{text:?} {line:?}");
    }
}

#[test]
fn the_main_log_has_time_level_and_only_what_matters() {
    // C-154
    let bench = Bench::new();
    bench.handle.record(Record::new(Level::Info, "supervisord started with pid 1"));
    bench.handle.record(Record::new(Level::Debug, "not this"));
    bench.handle.record(Record::new(Level::Critical, "but this"));
    assert_eq!(bench.main_log(), "INFO supervisord started with pid 1\nCRIT but this\n");
}

#[test]
fn the_main_log_can_go_to_syslog_line_by_line() {
    // C-380
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("log")).unwrap();
    let bench = Bench::with(
        |main| main.target = MainTarget::Syslog,
        |around| around.syslog = dir.path().join("log"),
    );
    bench.handle.record(Record::new(Level::Warn, "one\ntwo"));
    let mut buffer = [0; 200];
    for line in ["WARN one", "WARN two"] {
        let n = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..n]).unwrap();
        assert!(text.contains(" supervisord: 2") && text.ends_with(line), "{text:?}");
    }
    let error = bench.runtime.block_on(bench.handle.clear_main()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn at_level_debug_output_is_echoed() {
    // C-167, C-382
    let bench = Bench::with(|main| main.level = Level::Debug, |_| {});
    let plan = ChannelPlan { strip_ansi: true, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"h\x1b[1mi\n").unwrap();
    assert_eq!(bench.main_log(), "DEBG 'web' stdout output:\nhi\n\n");
    child.write_all(b"\xff").unwrap();
    assert!(bench.main_log().ends_with("Undecodable: b'\\xff'\n"), "{}", bench.main_log());
    assert_eq!(fs::read(bench.path("a.log")).unwrap(), b"hi\n\xff");
}

#[test]
fn lines_are_copied_to_stdout() {
    // C-384
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let bench =
        Bench::with(|main| main.copy_to_stdout = true, |around| around.stdout = Some(writer));
    bench.handle.record(Record::new(Level::Info, "hello"));
    let log = bench.main_log();
    let mut buffer = [0; 100];
    let n = File::from(reader).read(&mut buffer).unwrap();
    assert_eq!(without_times(std::str::from_utf8(&buffer[..n]).unwrap()), log);
}

#[test]
fn a_closed_or_blocked_stdout_does_no_harm() {
    // C-384
    for close in [true, false] {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let reader = (!close).then_some(reader);
        let bench =
            Bench::with(|main| main.copy_to_stdout = true, |around| around.stdout = Some(writer));
        let long = "x".repeat(1_000);
        for _ in 0..1_000 {
            bench.handle.record(Record::new(Level::Info, long.clone()));
        }
        assert_eq!(bench.main_log().lines().count(), 1_000);
        drop(reader);
        bench.handle.record(Record::new(Level::Info, "still alive"));
        assert!(bench.main_log().ends_with("still alive\n"));
    }
}

#[test]
fn a_log_that_cannot_be_opened_fails_the_start_with_its_errno() {
    // upstream issues 629, 1143, 445
    let plan = plan(Path::new("/nonexistent/a.log"));
    assert_eq!(plan.open_file().unwrap_err().raw_os_error(), Some(libc::ENOENT));
    let main = MainLogPlan {
        target: MainTarget::File("/nonexistent/main.log".into()),
        maxbytes: 0,
        backups: 0,
        level: Level::Info,
        copy_to_stdout: false,
    };
    assert_eq!(LogPlane::start(&main).unwrap_err().raw_os_error(), Some(libc::ENOENT));
}

#[test]
fn clearing_empties_running_and_stopped_logs_alike() {
    // C-315, C-431
    let bench = Bench::new();
    let plan = bench.plan("a.log");
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"old").unwrap();
    let clear = |path: Option<PathBuf>| bench.runtime.block_on(bench.handle.clear(key(1), path));
    clear(plan.file.clone()).unwrap();
    assert_eq!(bench.text("a.log"), "");
    child.write_all(b"new").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log"), "new");
    clear(None).unwrap();
    assert_eq!(bench.text("a.log"), "");
    child.write_all(b"newer").unwrap();
    drop(child);
    bench.handle.ended(key(1), 1);
    clear(plan.file.clone()).unwrap();
    assert_eq!(bench.text("a.log"), "");
    // What is not there is clear, and what is no file stays.
    clear(Some(bench.path("missing.log"))).unwrap();
    assert!(!bench.path("missing.log").exists());
    clear(Some("/dev/null".into())).unwrap();
    assert!(Path::new("/dev/null").exists());
}

#[test]
fn the_main_log_can_be_cleared() {
    // C-295
    let bench = Bench::new();
    bench.handle.record(Record::new(Level::Info, "old"));
    bench.runtime.block_on(bench.handle.clear_main()).unwrap();
    assert_eq!(bench.text("main.log"), "");
    bench.handle.record(Record::new(Level::Info, "new"));
    assert_eq!(bench.main_log(), "INFO new\n");
}

/// How many descriptors of this process lead to files in the directory.
fn open_files_in(dir: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    links
        .filter_map(|link| fs::read_link(link.path()).ok())
        .filter(|to| to.starts_with(dir))
        .count()
}

#[test]
fn a_log_is_closed_when_its_process_has_ended_and_never_open_twice() {
    // upstream issues 1003, 1440, 402
    let bench = Bench::new();
    let plan = bench.plan("a.log");
    assert_eq!(open_files_in(bench.dir.path()), 1);
    let children: Vec<OwnedFd> = (1..5).map(|n| bench.child(key(n), &plan).into()).collect();
    bench.sync();
    assert_eq!(open_files_in(bench.dir.path()), 2);
    for _ in 0..10 {
        bench.handle.reopen();
    }
    bench.sync();
    assert_eq!(open_files_in(bench.dir.path()), 2);
    drop(children);
    for n in 1..5 {
        bench.handle.ended(key(n), 1);
    }
    bench.sync();
    assert_eq!(open_files_in(bench.dir.path()), 1);
}
