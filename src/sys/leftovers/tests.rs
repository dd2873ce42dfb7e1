//! As root, in a real cgroup; without, in process groups.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::sys::reap;
use crate::sys::subreaper::adopt_orphans;
use crate::sys::testing::{alone, is_root};

/// A cgroup below that of the tests.
struct Ground(PathBuf);

impl Ground {
    fn new(name: &str) -> Self {
        let mounts = fs::read("/proc/self/mountinfo").unwrap();
        let path = super::super::cgroup::own_path(&fs::read("/proc/self/cgroup").unwrap());
        let path = path.expect("cgroups of version 2");
        let (home, _) = super::super::cgroup::directories(&mounts, &path).next().expect("a mount");
        let dir = home.join(format!("test-left-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// A Python program in it, and in a process group of its own, and its first line.
    fn python(&self, below: &str, program: &str) -> (Child, i32) {
        let dir = self.0.join(below);
        fs::create_dir_all(&dir).unwrap();
        python(&format!("open('{}/cgroup.procs', 'w').write('0')\n{program}", dir.display()))
    }

    fn leftovers(&self) -> Leftovers {
        Leftovers::Cgroup(self.0.clone())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        while self.0.exists() && !std::thread::panicking() {
            let _ = fs::remove_dir(self.0.join("below"));
            let _ = fs::remove_dir(&self.0);
        }
    }
}

fn python(program: &str) -> (Child, i32) {
    let program = format!("import os, signal, time\n{program}\ntime.sleep(600)");
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim().parse().unwrap())
}

/// Waits until nothing is left, reaping what becomes ours.
fn until_gone(leftovers: &mut Leftovers) {
    let began = Instant::now();
    while !leftovers.look().unwrap().gone {
        while let Some((pid, _)) = reap::peek() {
            reap::reap(pid).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", leftovers.look());
        std::thread::yield_now();
    }
}

fn pid(child: &Child) -> i32 {
    child.id().cast_signed()
}

fn end(child: &Child) -> ExitStatus {
    reap::wait(pid(child)).unwrap()
}

fn killed(signal: Signal) -> ExitStatus {
    ExitStatus::Signal { signal, core_dumped: false }
}

#[test]
fn a_cgroup_that_is_not_there_holds_nothing() {
    let mut leftovers = Leftovers::Cgroup("/no/such/cgroup".into());
    let look = leftovers.look().unwrap();
    assert!(look.gone && look.pids.is_empty() && look.alarm.is_none());
    assert!(!is_populated("/no/such/cgroup".as_ref()).unwrap());
}

#[test]
fn all_in_and_below_a_cgroup_are_found_and_terminated_once() {
    let name = "all_in_and_below_a_cgroup_are_found_and_terminated_once";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    let ground = Ground::new("term");
    let counts = "n = 0\n\
                  def again(*_):\n global n; n += 1\n if n > 1: os._exit(7)\n\
                  signal.signal(15, again)\nprint(os.getpid(), flush=True)\n\
                  while n < 1: time.sleep(600)\nos.kill(os.getpid(), 19)\nos._exit(n)";
    let (one, _) = ground.python("", counts);
    let (two, _) = ground.python("below", "print(1, flush=True)\nos.kill(os.getpid(), 19)");
    let mut leftovers = ground.leftovers();
    let mut told = HashSet::new();
    let mut pids = leftovers.look().unwrap().pids;
    pids.sort_unstable();
    let mut expected = [pid(&one), pid(&two)];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert!(describe(&pids).contains(&format!("{} (python3)", pid(&one))));
    leftovers.terminate(&pids, &mut told);
    assert_eq!(end(&two), killed(Signal::TERM), "stopped as it was");
    leftovers.terminate(&pids, &mut told);
    leftovers.terminate(&[std::process::id().cast_signed()], &mut told);
    leftovers.kill().unwrap();
    let status = end(&one);
    assert!(status == killed(Signal::KILL) || status == ExitStatus::Code(1), "{status:?}");
    until_gone(&mut leftovers);
}

#[test]
fn what_forks_as_fast_as_it_can_is_killed_by_the_kernel_or_by_hand() {
    let name = "what_forks_as_fast_as_it_can_is_killed_by_the_kernel_or_by_hand";
    if !is_root() || !alone(module_path!(), name) {
        return;
    }
    adopt_orphans().unwrap();
    // Ten that are replaced all the time, and end by themselves after a minute.
    let bomb = "print(1, flush=True)\nend = time.time() + 60\n\
                signal.signal(15, signal.SIG_IGN)\n\
                for _ in range(10):\n if not os.fork(): break\n\
                while time.time() < end:\n if os.fork(): os._exit(0)\n";
    for by_hand in [false, true] {
        let ground = Ground::new("bomb");
        let (_main, _) = ground.python("", bomb);
        let mut leftovers = ground.leftovers();
        let began = Instant::now();
        loop {
            if by_hand { cgroup::kill_each(&ground.0) } else { leftovers.kill() }.unwrap();
            while let Some((pid, _)) = reap::peek() {
                reap::reap(pid).unwrap();
            }
            if leftovers.look().unwrap().gone {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(30));
        }
    }
}

#[test]
fn an_alarm_rings_when_the_last_one_is_gone() {
    if !is_root() || !alone(module_path!(), "an_alarm_rings_when_the_last_one_is_gone") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ground = Ground::new("alarm");
    let (inside, _) = ground.python("", "print(1, flush=True)");
    let (grouped, _) = python("print(1, flush=True)");
    let seen = procfs::Alive::of(pid(&grouped)).unwrap();
    let family = Family { leader: i32::MAX, descendants: vec![seen] };
    for (mut leftovers, child) in
        [(ground.leftovers(), inside), (Leftovers::Family(family), grouped)]
    {
        let alarm = leftovers.look().unwrap().alarm.expect("somebody is there");
        runtime.block_on(async {
            let fd = crate::sys::watch::watch(alarm.fd, alarm.interest).unwrap();
            nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(pid(&child)),
                nix::sys::signal::Signal::SIGKILL,
            )
            .unwrap();
            fd.ready(alarm.interest).await.map(drop).unwrap();
        });
        end(&child);
    }
}

#[test]
fn a_group_and_the_descendants_that_left_it_are_found_when_the_leader_is_gone() {
    let name = "a_group_and_the_descendants_that_left_it_are_found_when_the_leader_is_gone";
    if !alone(module_path!(), name) {
        return;
    }
    adopt_orphans().unwrap();
    let (leader, session) = python(
        "signal.signal(15, signal.SIG_IGN)\n\
         if not os.fork(): time.sleep(600)\n\
         r, w = os.pipe()\n\
         child = os.fork()\n\
         if not child:\n os.setsid(); os.write(w, b'x'); time.sleep(600)\n\
         os.read(r, 1)\nprint(child, flush=True)",
    );
    let mut family = Family::new(pid(&leader));
    family.learn();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid(&leader)),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    end(&leader);
    let mut leftovers = Leftovers::Family(family);
    let pids = leftovers.look().unwrap().pids;
    assert!(pids.len() == 2 && pids.contains(&session), "{pids:?}");
    leftovers.terminate(&pids, &mut HashSet::new());
    assert_eq!(leftovers.look().unwrap().pids.len(), 2, "they ignore it");
    leftovers.kill().unwrap();
    until_gone(&mut leftovers);
}

#[test]
fn nobody_else_is_taken_for_a_leftover() {
    // A pid, or a group's number, that belongs to somebody else by now.
    let (other, _) = python("print(1, flush=True)");
    let mut taken = Family::new(pid(&other));
    assert!(taken.look().gone, "somebody lives who has it for a pid");
    let seen = procfs::Alive { started: 1, ..procfs::Alive::of(pid(&other)).unwrap() };
    let mut reused = Family { leader: i32::MAX, descendants: vec![seen] };
    reused.kill();
    taken.kill();
    assert!(reused.look().gone);
    assert_eq!(reap::peek_pid(pid(&other)), Ok(None));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid(&other)),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    end(&other);
}
