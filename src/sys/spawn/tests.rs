//! With real processes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal as Sig, signal};
use nix::unistd::{Uid, setuid};

use super::*;
use crate::sys::reap;
use crate::sys::testing::{alone, children, is_root, open_fds};

fn cstrings(words: &[&str]) -> Vec<CString> {
    words.iter().map(|word| CString::new(*word).unwrap()).collect()
}

fn plan(argv: &[&str]) -> Plan {
    Plan {
        program: CString::new(argv[0]).unwrap(),
        argv: cstrings(argv),
        envp: cstrings(&["PATH=/usr/bin:/bin"]),
        cwd: None,
        umask: None,
        identity: None,
        nofile: None,
        cgroup: None,
        own_group: true,
        stdin: Stdio::Pipe,
        stdout: Stdio::Pipe,
        stderr: Stderr::Own(Stdio::Pipe),
    }
}

fn shell(script: &str) -> Plan {
    plan(&["/bin/sh", "-c", script])
}

fn identity(uid: u32, gid: u32, groups: &[u32]) -> Identity {
    Identity { uid, gid, groups: groups.into() }
}

/// Everything that comes out of a non-blocking end, to its end.
fn read(fd: Option<OwnedFd>) -> String {
    let fd = fd.unwrap();
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).unwrap());
    assert!(flags.contains(OFlag::O_NONBLOCK), "our ends do not block");
    fcntl(&fd, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).unwrap();
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

/// stdout of a child that has to succeed.
fn output(plan: &Plan) -> String {
    let child = spawn(plan).unwrap();
    let text = read(child.stdout);
    let errors = read(child.stderr);
    assert_eq!(reap::wait(child.pid), Ok(ExitStatus::Code(0)), "{text}{errors}");
    text
}

fn script(dir: &Path, text: &str, mode: u32) -> CString {
    let path = dir.join("script");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    CString::new(path.to_str().unwrap()).unwrap()
}

#[test]
fn a_child_gets_its_arguments_environment_directory_and_umask() {
    // C-199, C-208
    let dir = tempfile::tempdir().unwrap();
    let cwd = dir.path().canonicalize().unwrap();
    let mut plan = shell("echo \"$0 $1 $A\"; pwd; umask; ls -l /proc/self/exe | grep -c ls");
    plan.argv.extend(cstrings(&["zero", "one two"]));
    plan.envp.push(c"A=b c".into());
    plan.cwd = Some(CString::new(cwd.to_str().unwrap()).unwrap());
    plan.umask = Some(0o27);
    assert_eq!(output(&plan), format!("zero one two b c\n{}\n0027\n1\n", cwd.display()));

    let mut other_name = plan_of_true();
    other_name.program = c"/bin/sh".into();
    other_name.argv = cstrings(&["not-sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline"]);
    assert!(output(&other_name).starts_with("not-sh -c "));
}

fn plan_of_true() -> Plan {
    plan(&["/bin/true"])
}

#[test]
fn bytes_that_are_not_utf_8_reach_the_child_unchanged() {
    let mut plan = shell("printf '%s' \"$X\" | od -An -tx1");
    plan.envp.push(CString::new(b"X=\xff\xfe".to_vec()).unwrap());
    assert_eq!(output(&plan).trim(), "ff fe");
}

#[test]
fn the_three_standard_files_are_blocking_pipes_and_nothing_else_is_open() {
    // C-203: a descriptor that somebody leaked into the daemon does not reach the child.
    let leaked = File::open("/dev/zero").unwrap();
    fcntl(&leaked, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let high = fcntl(&leaked, FcntlArg::F_DUPFD(900)).unwrap();
    let text = output(&plan(&[
        "/usr/bin/python3",
        "-c",
        "import os\n\
         for fd in sorted(os.listdir('/proc/self/fd'), key=int):\n\
         \x20   try: print(fd, os.readlink('/proc/self/fd/' + fd).split(':')[0], os.get_blocking(int(fd)))\n\
         \x20   except OSError: pass",
    ]));
    assert_eq!(text, "0 pipe True\n1 pipe True\n2 pipe True\n");
    nix::unistd::close(high).unwrap();
}

#[test]
fn stdin_stays_open_until_the_daemon_closes_it() {
    // C-204
    let mut child = spawn(&shell("cat; echo end")).unwrap();
    let mut stdin = File::from(child.stdin.take().unwrap());
    stdin.write_all(b"hello\n").unwrap();
    assert_eq!(reap::peek_pid(child.pid), Ok(None));
    drop(stdin);
    assert_eq!(read(child.stdout), "hello\nend\n");
    assert_eq!(reap::wait(child.pid), Ok(ExitStatus::Code(0)));
}

#[test]
fn stderr_goes_to_its_own_pipe_or_into_stdout() {
    let mut plan = shell("echo out; echo err >&2");
    let child = spawn(&plan).unwrap();
    assert_eq!((read(child.stdout).as_str(), read(child.stderr).as_str()), ("out\n", "err\n"));
    reap::wait(child.pid).unwrap();

    plan.stderr = Stderr::Stdout;
    let child = spawn(&plan).unwrap();
    assert!(child.stderr.is_none());
    assert_eq!(read(child.stdout), "out\nerr\n");
    reap::wait(child.pid).unwrap();
}

#[test]
fn given_files_are_connected_as_they_are() {
    let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let mut plan = shell("readlink /proc/self/fd/0; echo sent");
    plan.stdin = Stdio::Fd(Arc::new(File::open("/dev/null").unwrap().into()));
    plan.stdout = Stdio::Fd(Arc::new(write_end));
    let child = spawn(&plan).unwrap();
    drop(plan);
    assert!(child.stdin.is_none() && child.stdout.is_none());
    let mut text = String::new();
    File::from(read_end).read_to_string(&mut text).unwrap();
    assert_eq!(text, "/dev/null\nsent\n");
    reap::wait(child.pid).unwrap();
}

#[test]
fn a_daemon_without_standard_files_starts_children_all_the_same() {
    if !alone(module_path!(), "a_daemon_without_standard_files_starts_children_all_the_same") {
        return;
    }
    let saved = nix::unistd::dup(std::io::stdout()).unwrap();
    // SAFETY: std treats 0, 1 and 2 as always open and merely gets errors from them; nothing is
    // printed before 1 is back.
    unsafe {
        libc::close(0);
        libc::close(1);
        libc::close(2);
    }
    let child = spawn(&shell("cat; echo out; echo err >&2"));
    nix::unistd::dup2_stdout(&saved).unwrap();
    let mut child = child.unwrap();
    drop(child.stdin.take());
    assert_eq!((read(child.stdout).as_str(), read(child.stderr).as_str()), ("out\n", "err\n"));
    reap::wait(child.pid).unwrap();
}

#[test]
fn a_child_leads_its_own_process_group_in_the_daemons_session_unless_told_otherwise() {
    // C-202
    let child = spawn(&shell("read line")).unwrap();
    let pid = nix::unistd::Pid::from_raw(child.pid);
    assert_eq!(nix::unistd::getpgid(Some(pid)), Ok(pid));
    assert_eq!(nix::unistd::getsid(Some(pid)), nix::unistd::getsid(None));
    drop(child.stdin);
    reap::wait(child.pid).unwrap();

    let mut plan = shell("read line");
    plan.own_group = false;
    let child = spawn(&plan).unwrap();
    let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(child.pid)));
    assert_eq!(group, nix::unistd::getpgid(None));
    drop(child.stdin);
    reap::wait(child.pid).unwrap();
}

#[test]
fn a_child_starts_with_default_signals_and_none_blocked_whatever_the_daemon_does() {
    // C-211, C-430
    extern "C" fn handler(_: i32) {}
    // SAFETY: the handler does nothing, the signals are not used otherwise.
    unsafe {
        signal(Sig::SIGPIPE, SigHandler::SigIgn).unwrap();
        signal(Sig::SIGXFSZ, SigHandler::SigIgn).unwrap();
        signal(Sig::SIGUSR1, SigHandler::Handler(handler)).unwrap();
    }
    let blocked = signals::block_all();
    let status = output(&plan(&["/bin/cat", "/proc/self/status"]));
    drop(blocked);
    let set = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().trim_start_matches('0').to_owned()
    };
    assert_eq!([set("SigBlk"), set("SigIgn"), set("SigCgt")], ["", "", ""]);
}

#[test]
fn the_pidfd_is_the_childs_and_closed_on_exec() {
    let child = spawn(&shell("read line")).unwrap();
    let fd = child.pidfd.unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    assert!(info.contains(&format!("Pid:\t{}\n", child.pid)), "{info}");
    assert_eq!(fcntl(&fd, FcntlArg::F_GETFD), Ok(libc::FD_CLOEXEC));
    drop(child.stdin);
    reap::wait(child.pid).unwrap();
}

#[test]
fn a_child_becomes_the_user_with_all_its_groups() {
    // C-207, C-124
    if !is_root() {
        return;
    }
    let mut plan = plan(&["/bin/grep", "-E", "^(Uid|Gid|Groups)", "/proc/self/status"]);
    plan.identity = Some(identity(65534, 65533, &[65533, 4, 7]));
    let text = output(&plan);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words,
        "Uid: 65534 65534 65534 65534 Gid: 65533 65533 65533 65533 Groups: 4 7 65533"
    );
    assert!(Uid::current().is_root(), "the daemon stays what it is");
}

#[test]
fn a_child_gets_the_limit_of_open_files_that_is_meant_for_it() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut plan = shell("ulimit -Sn; ulimit -Hn");
    plan.nofile = Some((256, 512));
    assert_eq!(output(&plan), "256\n512\n");
    assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((soft, hard)));
}

#[test]
fn every_failing_step_is_told_and_leaves_nothing_behind() {
    // C-200, C-205
    if !alone(module_path!(), "every_failing_step_is_told_and_leaves_nothing_behind") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let true_with = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan_of_true();
        change(&mut plan);
        plan
    };
    let executing = |text: &str, mode| script(dir.path(), text, mode);
    let mut cases = vec![
        (true_with(&|p| p.nofile = Some((10, 5))), Stage::Limits, Errno::EINVAL),
        (true_with(&|p| p.cwd = Some(c"/nonexistent".into())), Stage::Chdir, Errno::ENOENT),
        (true_with(&|p| p.cwd = Some(c"/etc/passwd".into())), Stage::Chdir, Errno::ENOTDIR),
        (true_with(&|p| p.program = c"/nonexistent".into()), Stage::Exec, Errno::ENOENT),
        (true_with(&|p| p.program = c"/etc".into()), Stage::Exec, Errno::EACCES),
    ];
    if is_root() {
        let refused = u32::MAX;
        cases.extend([
            (
                true_with(&|p| p.identity = Some(identity(1, 1, &[refused]))),
                Stage::Groups,
                Errno::EINVAL,
            ),
            (
                true_with(&|p| p.identity = Some(identity(1, refused, &[1]))),
                Stage::Gid,
                Errno::EINVAL,
            ),
            (
                true_with(&|p| p.identity = Some(identity(refused, 1, &[1]))),
                Stage::Uid,
                Errno::EINVAL,
            ),
        ]);
    }
    let before = open_fds();
    let check = |plan: &Plan, stage, errno| {
        assert_eq!(spawn(plan).unwrap_err(), SpawnFailure { stage, errno });
        assert_eq!(children(), [0; 0]);
        assert_eq!(open_fds(), before);
    };
    for (plan, stage, errno) in &cases {
        check(plan, *stage, *errno);
    }
    // One file after the other under the same name.
    for (text, mode, errno) in [
        ("#!/bin/sh\n", 0o644, Errno::EACCES),
        ("#!/nonexistent\n", 0o755, Errno::ENOENT),
        ("no program\n", 0o755, Errno::ENOEXEC),
    ] {
        let program = executing(text, mode);
        check(&true_with(&|p| p.program.clone_from(&program)), Stage::Exec, errno);
    }
}

#[test]
fn a_daemon_out_of_descriptors_says_so() {
    // C-200
    if !alone(module_path!(), "a_daemon_out_of_descriptors_says_so") {
        return;
    }
    let before = open_fds();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let probe = File::open("/dev/null").unwrap();
    let free = rlim_t::try_from(probe.as_raw_fd()).unwrap();
    drop(probe);
    // From no pipe at all to all three but no pidfd.
    for room in 0..=6 {
        setrlimit(Resource::RLIMIT_NOFILE, free + room, hard).unwrap();
        let failure = spawn(&plan_of_true()).unwrap_err();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        let stage = if room < 6 { Stage::Pipes } else { Stage::Fork };
        assert_eq!(failure, SpawnFailure { stage, errno: Errno::EMFILE });
        assert_eq!((open_fds(), children()), (before.clone(), vec![]));
    }
}

#[test]
fn a_user_with_too_many_processes_is_told_so_and_cannot_become_another() {
    // C-200, C-207
    let name = "a_user_with_too_many_processes_is_told_so_and_cannot_become_another";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    setuid(Uid::from_raw(65534)).unwrap();
    let mut other_user = plan_of_true();
    other_user.identity = Some(identity(1, 1, &[1]));
    assert_eq!(
        spawn(&other_user).unwrap_err(),
        SpawnFailure { stage: Stage::Groups, errno: Errno::EPERM }
    );
    setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
    assert_eq!(
        spawn(&plan_of_true()).unwrap_err(),
        SpawnFailure { stage: Stage::Fork, errno: Errno::EAGAIN }
    );
    assert_eq!(children(), [0; 0]);
}

#[test]
fn a_system_that_has_no_memory_for_a_child_is_told_of() {
    // C-200
    let name = "a_system_that_has_no_memory_for_a_child_is_told_of";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    // The kernel says so in a pid namespace, too, whose first process has ended.
    // SAFETY: it changes nothing but where later children of this thread are.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    let first = spawn(&plan_of_true()).unwrap();
    assert_eq!(reap::wait(first.pid), Ok(ExitStatus::Code(0)));
    let before = open_fds();
    assert_eq!(
        spawn(&plan_of_true()).unwrap_err(),
        SpawnFailure { stage: Stage::Fork, errno: Errno::ENOMEM }
    );
    assert_eq!((open_fds(), children()), (before, vec![]));
}

#[test]
fn a_thousand_starts_leave_no_descriptor_and_no_zombie() {
    if !alone(module_path!(), "a_thousand_starts_leave_no_descriptor_and_no_zombie") {
        return;
    }
    let before = open_fds();
    let plan = plan_of_true();
    for _ in 0..1000 {
        // It may have ended long before the pid is known here; its exit is not lost.
        let child = spawn(&plan).unwrap();
        assert_eq!(reap::wait(child.pid), Ok(ExitStatus::Code(0)));
    }
    assert_eq!(open_fds(), before);
    assert_eq!(children(), [0; 0]);
}

/// How many children each thread starts.
const EACH: usize = 100;

#[test]
fn threads_start_children_at_once_while_the_engine_reaps_and_failures_stay_unseen() {
    // C-138
    let name = "threads_start_children_at_once_while_the_engine_reaps_and_failures_stay_unseen";
    if !alone(module_path!(), name) {
        return;
    }
    let before = open_fds();
    let spawners: Vec<_> = (0..4)
        .map(|thread| {
            thread::spawn(move || {
                let mut good = Vec::new();
                for turn in 0..EACH {
                    let mut plan = shell(&format!("exit {}", turn % 7));
                    if (turn + thread) % 2 == 0 {
                        plan.cwd = Some(c"/nonexistent".into());
                        assert_eq!(spawn(&plan).unwrap_err().stage, Stage::Chdir);
                    } else {
                        let code = i32::try_from(turn % 7).unwrap();
                        good.push((spawn(&plan).unwrap().pid, ExitStatus::Code(code)));
                    }
                }
                good
            })
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < 4 * EACH / 2 {
        while let Some((pid, status)) = reap::peek() {
            assert_ne!(status, ExitStatus::Code(127), "a child that failed before its exec");
            seen.push((pid, status));
            reap::reap(pid).unwrap();
        }
        thread::yield_now();
    }
    let mut expected: Vec<_> =
        spawners.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    expected.sort_by_key(|(pid, _)| *pid);
    seen.sort_by_key(|(pid, _)| *pid);
    assert_eq!(seen, expected);
    assert_eq!(children(), [0; 0]);
    assert_eq!(open_fds(), before);
}
