//! Disks that are full, and directories that are gone.

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::*;

#[test]
fn a_log_that_cannot_be_written_is_said_once_and_the_child_runs_on() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &plan(Path::new("/dev/full")));
    for _ in 0..3 {
        child.write_all(&vec![b'x'; 60_000]).unwrap();
        bench.sync();
    }
    let log = bench.main_log();
    assert_eq!(log.matches("can't write log /dev/full: ENOSPC").count(), 1, "{log}");
}

#[test]
fn a_missing_directory_is_found_again_and_nothing_is_lost() {
    // upstream issues 1003, 1440, 402, 629, 1143, 445
    let bench = Bench::new();
    fs::create_dir(bench.path("d")).unwrap();
    let mut child = bench.child(key(1), &bench.plan("d/a.log"));
    bench.sync();
    fs::remove_dir_all(bench.path("d")).unwrap();
    child.write_all(b"held ").unwrap();
    bench.sync();
    assert!(bench.main_log().contains("d/a.log: ENOENT"));
    fs::create_dir(bench.path("d")).unwrap();
    child.write_all(b"back").unwrap();
    bench.main_log_says("can be written again, nothing was lost");
    assert_eq!(bench.text("d/a.log"), "held back");
}

#[test]
fn trouble_with_the_main_log_is_told_on_stderr() {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let bench = Bench::with(
        |main| main.target = MainTarget::File("/dev/full".into()),
        |around| around.stderr = Some(writer),
    );
    bench.handle.record(Record::new(Level::Info, "nobody hears"));
    bench.sync();
    let mut buffer = [0; 200];
    let n = File::from(reader).read(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..n]);
    assert!(text.starts_with("supervisord: can't write log /dev/full: ENOSPC"), "{text}");
}

#[test]
fn a_rename_that_fails_lets_the_file_grow() {
    // C-374
    let bench = Bench::new();
    let plan = ChannelPlan { maxbytes: 5, backups: 1, ..bench.plan("a.log") };
    // A file cannot take the place of a directory.
    fs::create_dir(bench.path("a.log.1")).unwrap();
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"1234567").unwrap();
    bench.sync();
    child.write_all(b"89").unwrap();
    let log = bench.main_log();
    assert_eq!(log.matches("can't rotate log").count(), 1, "{log}");
    assert_eq!(bench.text("a.log"), "123456789");
}

/// A file system of its own, gone with the value.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: PathBuf, flags: MsFlags, size: &str) -> Result<Self, Errno> {
        mount(Some("tmpfs"), &at, Some("tmpfs"), flags, Some(size))?;
        Ok(Self(at))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_holds_a_little_counts_the_rest_and_says_when_it_is_over() {
    let bench = Bench::new();
    fs::create_dir(bench.path("disk")).unwrap();
    let small = match Tmpfs::mount(bench.path("disk"), MsFlags::empty(), "size=64k") {
        Ok(disk) => disk,
        Err(Errno::EPERM) if std::env::var_os("CI").is_none() => {
            eprintln!("NOT TESTED: a full disk; mounting one takes root");
            return;
        }
        Err(errno) => panic!("cannot mount a small disk: {errno}"),
    };
    let mut child = bench.child(key(1), &bench.plan("disk/a.log"));
    let data: Vec<u8> = (0..800_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for piece in data.chunks(60_000) {
        child.write_all(piece).unwrap();
        bench.sync();
    }
    assert!(bench.main_log().contains("disk/a.log: ENOSPC"));
    let large = Tmpfs::mount(bench.path("disk"), MsFlags::MS_REMOUNT, "size=4m").unwrap();
    std::mem::forget(large);
    bench.main_log_says("bytes were lost");
    let written = fs::read(bench.path("disk/a.log")).unwrap();
    assert!(written.len() >= 300_000 && data.starts_with(&written), "{}", written.len());
    let lost = data.len() - written.len();
    assert!(bench.main_log().contains(&format!("written again, {lost} bytes were lost")));
    child.write_all(b"and on").unwrap();
    bench.sync();
    assert!(fs::read(bench.path("disk/a.log")).unwrap().ends_with(b"and on"));
    drop(small);
}
