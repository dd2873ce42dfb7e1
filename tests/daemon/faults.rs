//! What may go wrong around the daemon, one test for each fault that no other file is about. The
//! daemon stays up, says what is wrong, tries again, and goes on when it is over.
//! `docs/architecture.md` lists all of them.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::unistd::ttyname;

use crate::support::PATIENCE;
use crate::support::children::signal;
use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::disk::{HungDisk, SmallDisk};
use crate::support::process::{Running, run};
use crate::support::require_root;
use crate::support::scratch::Scratch;
use crate::support::watch::{expect_in_file, wait_dir};

const RETRIED: &str = "command=/bin/sleep 1000\nstartsecs=0\nautorestart=true\nstartretries=20\n";

/// Sets a limit of the daemon, as its own user: root may lack the right to do that for another.
fn limit(daemon: &Daemon, user: u32, limit: &str) {
    let pid = format!("--pid={}", daemon.pid());
    let mut prlimit = command("prlimit", "/".as_ref());
    let output = run(prlimit.args([&pid, limit]).uid(user).gid(user));
    assert_eq!(output.code, 0, "{output:?}");
}

/// Takes a resource away from the daemon of this user, ends its program, and gives the resource
/// back when the start of another has failed twice.
fn starve(daemon: &Daemon, user: u32, [low, high]: [&str; 2], problem: &str) {
    daemon.expect_log("a entered RUNNING");
    let program = daemon.pid_of("a");
    limit(daemon, user, low);
    signal(program.cast_signed(), Signal::SIGKILL);
    daemon.expect_log_times(problem, 2);
    // Who comes meanwhile is answered in the end.
    let mut client = Running::spawn(&mut daemon.ctl_command(&["version"]));
    limit(daemon, user, high);
    assert_eq!(client.finish(PATIENCE).code, 0);
    daemon.expect_log_times("a entered RUNNING", 2);
    assert_ne!(daemon.pid_of("a"), program);
}

#[test]
fn without_descriptors_a_start_is_tried_again() {
    // C-200: EMFILE
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{RETRIED}"));
    let limits = ["--nofile=3:", "--nofile=1024:"];
    starve(
        &daemon,
        nix::unistd::geteuid().as_raw(),
        limits,
        "spawnerr: too many open files to spawn 'a'",
    );
}

#[test]
fn without_room_for_processes_a_start_is_tried_again() {
    // C-200: EAGAIN
    require_root();
    let scratch = Scratch::new();
    std::os::unix::fs::chown(scratch.path(), Some(65534), Some(65534)).unwrap();
    let head = HEAD.trim_end();
    let config = format!("{head}\nuser=nobody\n\n[program:a]\n{RETRIED}");
    let config = scratch.write("supervisord.conf", config);
    let daemon = Daemon::start_on(scratch.path(), &config, &[]);
    let limits = ["--nproc=0:", "--nproc=4096:"];
    let problem = "spawnerr: Too many processes in process table to spawn 'a'";
    starve(&daemon, 65534, limits, problem);
}

#[test]
fn a_log_on_a_read_only_file_system_fails_the_start_which_is_tried_again() {
    let scratch = Scratch::new();
    let disk = SmallDisk::mount(&scratch.join("disk"), "64k");
    disk.set_read_only(true);
    let programs = format!("[program:a]\n{RETRIED}stdout_logfile=%(here)s/disk/a.log\n");
    let daemon = Daemon::start(&scratch, &programs);
    let path = disk.join("a.log");
    daemon.expect_log_times(&format!("can't open log file '{}': EROFS", path.display()), 2);
    disk.set_read_only(false);
    daemon.expect_log("a entered RUNNING");
    assert!(path.exists());
}

#[test]
fn a_daemon_whose_own_log_is_on_a_read_only_file_system_says_so_and_does_not_start() {
    // C-120
    let scratch = Scratch::new();
    let disk = SmallDisk::mount(&scratch.join("disk"), "64k");
    disk.set_read_only(true);
    let text = HEAD.replace("/supervisord.log", "/disk/supervisord.log");
    let config = scratch.write("supervisord.conf", text);
    let output = run(command(SUPERVISORD, scratch.path()).arg("-n").arg("-c").arg(&config));
    assert_ne!(output.code, 0);
    assert!(output.stderr.contains("disk/supervisord.log"), "{output:?}");
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
}

#[test]
fn a_log_that_breaks_is_told_once_and_the_program_goes_on() {
    // EIO: what a terminal says when it is gone.
    let scratch = Scratch::new();
    let terminal = openpty(None, None).expect("a terminal");
    let path = ttyname(&terminal.slave).expect("its name");
    for end in [&terminal.master, &terminal.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("it is open");
    }
    let daemon = Daemon::start(
        &scratch,
        &format!(
            "[program:a]\ncommand=/bin/sh -c 'i=0; while :; do echo tick $i; echo $i > alive; \
             i=$((i+1)); sleep 0.05; done'\ndirectory=%(here)s\nstdout_logfile={}\n",
            path.display()
        ),
    );
    daemon.expect_log("spawned: 'a'");
    let pid = daemon.pid_of("a");
    drop(terminal);
    daemon.expect_log(&format!("can't write log {}: EIO", path.display()));
    let seen = || scratch.read("alive").trim().parse::<u32>().unwrap_or(0);
    let from = seen();
    let further = wait_dir(scratch.path(), PATIENCE, || (seen() > from + 5).then_some(()));
    assert!(further.is_some(), "the program stands still");
    assert_eq!(daemon.log().matches("EIO").count(), 1, "{}", daemon.log());
    assert_eq!(daemon.pid_of("a"), pid);
}

#[test]
fn a_pid_file_that_has_no_room_is_told_of_and_the_daemon_runs() {
    // C-130: ENOSPC
    let scratch = Scratch::new();
    let disk = SmallDisk::mount(&scratch.join("disk"), "64k");
    disk.fill();
    let text = HEAD.replace("/supervisord.pid", "/disk/supervisord.pid");
    let config = scratch.write("supervisord.conf", format!("{text}[program:a]\n{RETRIED}"));
    let mut daemon = Daemon::start_on(scratch.path(), &config, &[]);
    daemon.expect_log(&format!(
        "CRIT could not write pidfile {}",
        disk.join("supervisord.pid").display()
    ));
    daemon.expect_log("a entered RUNNING");
    assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
    // It is held all the same: a second daemon is kept out.
    let second = run(command(SUPERVISORD, scratch.path()).arg("-n").arg("-c").arg(&config));
    assert!(second.stderr.contains("Another supervisord is already running"), "{second:?}");
    assert_eq!(daemon.stop().code, 0);
    assert!(!disk.join("supervisord.pid").exists());
}

#[test]
fn a_command_on_a_hung_disk_holds_up_starts_and_nothing_else() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("disk")).unwrap();
    std::os::unix::fs::symlink("/bin/sleep", scratch.join("disk/sleep")).unwrap();
    let programs = format!(
        "[program:a]\n{RETRIED}[program:b]\n{RETRIED}autorestart=false\n\
         [program:hung]\n{}",
        RETRIED.replace("/bin/", "%(here)s/disk/")
    );
    let daemon = Daemon::start(&scratch, &programs);
    daemon.expect_log_times("entered RUNNING", 3);
    let hung = HungDisk::mount(&scratch.join("disk"));
    signal(daemon.pid_of("hung").cast_signed(), Signal::SIGKILL);
    let starting = |name: &str| while !daemon.ctl(&["status", name]).stdout.contains("STARTING") {};
    starting("hung");
    assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
    signal(daemon.pid_of("b").cast_signed(), Signal::SIGKILL);
    daemon.expect_log("exited: b");
    let mut start = Running::spawn(&mut daemon.ctl_command(&["start", "a"]));
    starting("a");
    // A start that was not begun looks for its command first: it is the one that waits for that.
    let mut other = Running::spawn(&mut daemon.ctl_command(&["restart", "hung"]));
    assert_eq!(daemon.ctl(&["version"]).code, 0);
    drop(hung);
    assert_eq!(start.finish(PATIENCE).stdout, "a: started\n");
    assert!(other.finish(PATIENCE).stdout.contains("hung: started\n"));
    daemon.expect_log_times("success: hung entered RUNNING", 2);
}

#[test]
fn a_log_on_a_hung_disk_holds_up_no_supervision_and_loses_nothing() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("logs")).unwrap();
    let programs = format!(
        "[program:a]\ncommand=/bin/cat\nstdout_logfile=%(here)s/logs/a.log\n\
         [program:b]\n{RETRIED}"
    );
    let daemon = Daemon::start(&scratch, &programs);
    daemon.expect_log_times("entered RUNNING", 2);
    let hung = HungDisk::mount(&scratch.join("logs"));
    // Now the name of the log is on the disk that hangs.
    daemon.process.signal(Signal::SIGUSR2);
    let write = |text: &str| {
        let path = format!("/proc/{}/fd/0", daemon.pid_of("a"));
        fs::OpenOptions::new().write(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    write("one\n");
    write("two\n");
    for _ in 0..3 {
        assert_eq!(daemon.ctl(&["restart", "b"]).stdout, "b: stopped\nb: started\n");
    }
    assert_eq!(daemon.ctl(&["signal", "CONT", "a"]).stdout, "a: signalled\n");
    drop(hung);
    daemon.process.signal(Signal::SIGUSR2);
    expect_in_file(&scratch.join("logs/a.log"), "one\ntwo\n");
}
