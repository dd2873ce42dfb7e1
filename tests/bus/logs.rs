//! Logs over D-Bus, with the real log plane behind it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supervisor::dbus::error::fault_of;
use supervisor::dbus::proxy::Options;
use supervisor::model::fault::FaultKind;
use supervisor::model::key::ProcKey;
use supervisor::model::name::ProcessName;
use supervisor::model::record::{Level, Record};
use supervisor::model::snapshot::{Channel, LogPaths};
use supervisor::runtime::logs::{
    ChannelKey, ChannelPlan, LogHandle, LogPlane, MainLogPlan, MainTarget, Surroundings, TapPlan,
};
use zbus::Variant;

use super::fake::World;

/// The log plane, with a stdout log of ten bytes for each process.
pub struct Plane {
    plane: LogPlane,
    dir: PathBuf,
}

impl Plane {
    pub fn start(dir: &Path) -> Self {
        let plan = MainLogPlan {
            target: MainTarget::File(dir.join("supervisord.log")),
            maxbytes: 0,
            backups: 0,
            level: Level::Info,
            copy_to_stdout: false,
        };
        let around = Surroundings {
            stdout: None,
            stderr: None,
            syslog: dir.join("none"),
            journal: dir.join("none"),
            stdout_is_journal: false,
            careful: false,
        };
        Self { plane: LogPlane::start_in(&plan, around).unwrap().0, dir: dir.to_owned() }
    }

    pub fn logs(&self) -> LogHandle {
        self.plane.handle()
    }

    pub fn main_log(&self) -> PathBuf {
        self.dir.join("supervisord.log")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    pub fn paths(&self, name: &str) -> LogPaths {
        fs::write(self.file(name), "0123456789").unwrap();
        LogPaths { stdout: Some(self.file(name)), stderr: None }
    }

    /// What a child of that name writes to.
    pub fn child(&self, key: u32, name: &str) -> File {
        let plan = ChannelPlan {
            name: ProcessName::new(name, name),
            file: Some(self.file(name)),
            auto: false,
            maxbytes: 0,
            backups: 0,
            syslog: false,
            journal: None,
            strip_ansi: false,
            tap: TapPlan::OFF,
        };
        let (reader, writer) = std::io::pipe().unwrap();
        nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
            .unwrap();
        let file = plan.open_file().unwrap();
        let key = ChannelKey { process: ProcKey(key), channel: Channel::Stdout };
        self.logs().attach(key, 1, Arc::new(plan), file, (OwnedFd::from(reader), None), 1);
        File::from(OwnedFd::from(writer))
    }
}

#[tokio::test]
async fn a_log_is_read_from_either_end() {
    // C-294, C-312, C-313
    let world = World::start(None);
    let manager = world.manager().await;
    let read = manager.read_process_log("web", "stdout", 2, 3).await.unwrap();
    assert_eq!(read.0, b"234");
    let read = manager.read_process_log("web", "stdout", -4, 0).await.unwrap();
    assert_eq!(read.0, b"6789");
    let (data, size, overflow) = manager.tail_process_log("web", "stdout", 5, 3).await.unwrap();
    assert_eq!((data.0.as_slice(), size, overflow), (b"789".as_slice(), 10, true));
    let (data, size, overflow) = manager.tail_process_log("web", "stderr", 0, 3).await.unwrap();
    assert_eq!((data.0.as_slice(), size, overflow), (b"".as_slice(), 0, false));
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    // C-293, C-294, C-312
    let world = World::start(None);
    let manager = world.manager().await;
    let kind = |error| fault_of(&error).unwrap().kind;
    let read = manager.read_process_log("web", "stdout", -4, 3).await;
    assert_eq!(kind(read.unwrap_err()), FaultKind::BadArguments);
    let read = manager.read_process_log("web", "stderr", 0, 0).await;
    assert_eq!(kind(read.unwrap_err()), FaultKind::NoFile);
    fs::remove_file(world.plane.file("web")).unwrap();
    let read = manager.read_process_log("web", "stdout", 0, 0).await;
    let fault = fault_of(&read.unwrap_err()).unwrap();
    assert_eq!(fault.kind, FaultKind::NoFile);
    assert_eq!(fault.detail, world.plane.file("web").to_str().unwrap());
    let read = manager.read_process_log("g:*", "stdout", 0, 0).await;
    assert_eq!(kind(read.unwrap_err()), FaultKind::BadName);
    let read = manager.read_process_log("web", "stdin", 0, 0).await.unwrap_err();
    assert!(read.to_string().contains("InvalidArgs"), "{read}");
}

#[tokio::test]
async fn what_a_child_has_written_is_in_the_log_that_is_read() {
    let world = World::start(None);
    let manager = world.manager().await;
    let mut child = world.plane.child(0, "web");
    for round in 0..20 {
        child.write_all(b"x").unwrap();
        let read = manager.read_process_log("web", "stdout", 10, 0).await.unwrap();
        assert_eq!(read.0.len(), round + 1);
    }
}

#[tokio::test]
async fn logs_are_emptied_whether_the_process_runs_or_not() {
    // C-315, C-316, C-431
    let world = World::start(None);
    let manager = world.manager().await;
    manager.clear_process_logs("web").await.unwrap();
    assert_eq!(fs::metadata(world.plane.file("web")).unwrap().len(), 0);
    let rows = manager.clear_all_process_logs().await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.code)).collect();
    assert_eq!(rows, [("a", 80), ("slow", 80), ("web", 80)]);
    assert_eq!(fs::metadata(world.plane.file("a")).unwrap().len(), 0);
}

#[tokio::test]
async fn the_daemons_own_log_is_read_and_emptied() {
    // C-293, C-295
    let world = World::start(None);
    let manager = world.manager().await;
    world.plane.logs().record(Record::new(Level::Info, "something happened"));
    let log = manager.read_log(0, 0).await.unwrap().0;
    assert!(String::from_utf8(log).unwrap().contains("INFO something happened"));
    manager.clear_log().await.unwrap();
    let log = manager.read_log(0, 0).await.unwrap().0;
    assert!(!String::from_utf8(log).unwrap().contains("something happened"));
}

#[tokio::test]
async fn a_followed_log_comes_through_a_pipe() {
    let world = World::start(None);
    let manager = world.manager().await;
    let options = Options::from([("bytes", Variant::from(3_u64))]);
    let pipe = manager.follow_process_log("web", "stdout", options).await.unwrap();
    let mut child = world.plane.child(0, "web");
    let read = tokio::task::spawn_blocking(move || {
        let mut pipe = File::from(OwnedFd::from(pipe));
        let mut head = [0; 3];
        pipe.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"789");
        child.write_all(b"more\n").unwrap();
        let mut line = String::new();
        BufReader::new(pipe).read_line(&mut line).unwrap();
        line
    });
    assert_eq!(read.await.unwrap(), "more\n");
}

#[tokio::test]
async fn following_what_is_not_there_says_so() {
    let world = World::start(None);
    let manager = world.manager().await;
    let follow = manager.follow_process_log("web", "stderr", Options::new()).await;
    assert_eq!(fault_of(&follow.unwrap_err()).unwrap().kind, FaultKind::NoFile);
    let pipe = manager.follow_log(Options::new()).await;
    assert!(pipe.is_ok());
}
