//! What programs write, when files and disks do not play along.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::daemon::Daemon;
use crate::support::disk::SmallDisk;
use crate::support::scratch::Scratch;
use crate::support::watch::{expect_in_file, wait_dir};

// C-373, C-374
#[test]
fn two_programs_on_one_rotated_file_lose_nothing() {
    let scratch = Scratch::new();
    let body = |name: &str| {
        format!(
            "[program:{name}]\ncommand=/bin/sh -c 'i=0; while [ $i -lt 400 ]; do echo {name} $i; i=$((i+1)); done'\n\
             startsecs=0\nautorestart=false\nstdout_logfile=%(here)s/both.out\nstdout_logfile_maxbytes=1KB\nstdout_logfile_backups=99\n"
        )
    };
    let daemon = Daemon::start(&scratch, &format!("{}{}", body("a"), body("b")));
    daemon.expect_log("exited: a");
    daemon.expect_log("exited: b");
    let mut lines: Vec<String> = Vec::new();
    for name in scratch.names(".").iter().filter(|name| name.starts_with("both.out")) {
        lines.extend(scratch.read(name).lines().map(ToOwned::to_owned));
    }
    // A line may be cut between two files; all of the bytes are there.
    let bytes: usize = lines.iter().map(String::len).sum();
    let expected: usize = (0..400).map(|i: u32| 2 * (2 + i.to_string().len())).sum();
    assert_eq!(bytes, expected);
}

#[test]
fn what_a_program_writes_while_it_is_stopped_is_kept() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'trap \"head -c 300000 /dev/zero; echo; echo goodbye; exit 0\" TERM; echo up; while :; do sleep 0.1; done'\n\
         stdout_logfile=%(here)s/a.out\n",
    );
    expect_in_file(&scratch.join("a.out"), "up\n");
    assert_eq!(daemon.ctl(&["stop", "a"]).stdout, "a: stopped\n");
    // The log is written beside supervision: a slow disk does not hold the answer up.
    expect_in_file(&scratch.join("a.out"), "\ngoodbye\n");
    let text = fs::read(scratch.join("a.out")).expect("the log");
    assert_eq!(text.len(), "up\n".len() + 300_000 + "\ngoodbye\n".len());
    assert!(text.ends_with(b"\ngoodbye\n"));
}

// C-378
#[test]
fn reopening_leaks_no_descriptor() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sleep 1000\nnumprocs=5\nprocess_name=a_%(process_num)d\nstartsecs=0\n",
    );
    daemon.expect_log_times("entered RUNNING", 5);
    let count = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("it runs").count();
    daemon.process.signal(Signal::SIGUSR2);
    daemon.expect_log("supervisord logreopen");
    assert_eq!(daemon.ctl(&["version"]).code, 0);
    let before = count();
    for times in 2..20 {
        daemon.process.signal(Signal::SIGUSR2);
        daemon.expect_log_times("supervisord logreopen", times);
    }
    assert_eq!(daemon.ctl(&["version"]).code, 0);
    assert!(count() <= before + 1, "{} became {}", before, count());
}

#[test]
fn a_log_removed_by_hand_comes_back_when_reopened() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'while :; do echo tick; sleep 0.1; done'\nstdout_logfile=%(here)s/a.out\n",
    );
    expect_in_file(&scratch.join("a.out"), "tick\n");
    fs::remove_file(scratch.join("a.out")).expect("it was there");
    daemon.process.signal(Signal::SIGUSR2);
    expect_in_file(&scratch.join("a.out"), "tick\n");
}

#[test]
fn a_full_disk_is_reported_once_and_the_program_goes_on() {
    let scratch = Scratch::new();
    let disk = SmallDisk::mount(&scratch.join("disk"), "64k");
    fs::write(disk.join("filler"), vec![0_u8; 48 * 1024]).expect("it fits");
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'head -c 20000 /dev/zero; i=0; while :; do echo tick $i; echo $i > %(here)s/alive; i=$((i+1)); sleep 0.05; done'\n\
         startsecs=0\nstdout_logfile=%(here)s/disk/a.out\n",
    );
    daemon.expect_log("No space left on device");
    let pid = daemon.pid_of("a");
    // It keeps running: its count goes on.
    let seen = || scratch.read("alive").trim().parse::<u32>().unwrap_or(0);
    let from = seen();
    let further =
        wait_dir(scratch.path(), crate::support::PATIENCE, || (seen() > from + 5).then_some(()));
    assert!(further.is_some(), "the program stands still");
    assert_eq!(daemon.log().matches("No space left on device").count(), 1, "{}", daemon.log());
    fs::remove_file(disk.join("filler")).expect("it was there");
    expect_in_file(&disk.join("a.out"), "tick");
    assert_eq!(daemon.pid_of("a"), pid);
    drop(daemon);
}

// C-377, C-432
#[test]
fn a_terminal_or_pipe_as_log_is_never_rotated() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/sh -c 'i=0; while [ $i -lt 50 ]; do echo through $i; i=$((i+1)); done'\n\
         startsecs=0\nautorestart=false\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=10\n",
    );
    daemon.expect_log("through 49\n");
    assert_eq!(daemon.log().matches("through ").count(), 50);
}
