//! Daemons that are killed at any moment, one after the other, on the same pipe.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Instant, SystemTime};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::*;
use crate::core::rotate::numbered;

/// How many are killed.
const DAEMONS: u32 = 100;

/// Tells a process that it is one of them, and where the log is.
const LOG: &str = "SUPERVISOR_TEST_KILLED_LOG";

/// What it says when it has the pipe.
const READY: &str = "the pipe is mine";

/// A generator of numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = std::env::var("SEED").map_or_else(
            |_| u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap() | 1,
            |seed| seed.parse().unwrap(),
        );
        println!("SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The life of a daemon that has the pipe as its standard input.
fn live(plan: ChannelPlan) -> ! {
    set_pdeathsig(Signal::SIGKILL).unwrap();
    let main = MainLogPlan {
        target: MainTarget::None,
        maxbytes: 0,
        backups: 0,
        level: Level::Info,
        copy_to_stdout: false,
    };
    let pipe = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let (plane, mut tapped) = LogPlane::start(&main).unwrap();
    let file = plan.open_file().unwrap();
    plane.handle().attach(key(1), 1, Arc::new(plan), file, (pipe, None), 42);
    println!("{READY}");
    while tapped.blocking_recv().is_some() {}
    unreachable!("the plane runs until it is killed");
}

/// Starts another daemon, which is this test in a process of its own.
fn next_daemon(test: &str, log: &Path, pipe: &OwnedFd) -> Child {
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(LOG, log)
        .stdin(pipe.try_clone().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(daemon.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with(READY)));
    daemon
}

/// Writes numbered lines, in pieces of many sizes, as many bytes at a time as it is told; answers
/// with all of them.
fn write_lines(mut pipe: File, random: u64, budgets: &mpsc::Receiver<u64>) -> Vec<u8> {
    let (mut random, mut written, mut line) = (Random(random), Vec::new(), 0);
    for budget in budgets {
        let until = written.len() + usize::try_from(budget).unwrap();
        let lines = [1, 1, 5, 300][usize::try_from(random.below(4)).unwrap()];
        while written.len() < until {
            let from = written.len();
            for _ in 0..=random.below(lines) {
                let rest = usize::try_from(random.below(120)).unwrap();
                writeln!(written, "{line} {:x<rest$}", "").unwrap();
                line += 1;
            }
            pipe.write_all(&written[from..]).unwrap();
        }
    }
    written
}

/// Kills daemons that write this log; `budget` is how much is written for each.
fn kill_and_compare(test: &str, budget: u64, of: impl FnOnce(ChannelPlan) -> ChannelPlan) {
    if let Some(log) = std::env::var_os(LOG) {
        live(of(plan(Path::new(&log))));
    }
    let mut bench = Bench::new();
    let plan = of(bench.plan("a.log"));
    let log = bench.path("a.log");
    let mut random = Random::new();
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (budgets, to_write) = mpsc::channel();
    let for_writer = random.below(u64::MAX);
    let program = thread::spawn(move || write_lines(writer.into(), for_writer, &to_write));
    for _ in 0..DAEMONS {
        let mut daemon = next_daemon(test, &log, &reader);
        budgets.send(random.below(budget)).unwrap();
        let moment = Instant::now() + Duration::from_micros(random.below(2_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
    drop(budgets);
    // The last one is left alone. What it tells is not asked for.
    bench.tapped.close();
    let maxbytes = usize::try_from(plan.maxbytes).unwrap();
    let file = plan.open_file().unwrap();
    bench.handle.attach(key(1), 1, Arc::new(plan), file, (reader, None), 42);
    let written = program.join().unwrap();
    bench.handle.ended(key(1), 1);
    bench.sync();
    // Whoever is killed while files are renamed leaves a number out.
    let mut files: Vec<_> = (0..3_000).filter_map(|n| fs::read(numbered(&log, n)).ok()).collect();
    files.reverse();
    let logged = files.concat();
    let differs = logged.iter().zip(&written).position(|(logged, written)| logged != written);
    assert!(
        logged == written,
        "{} of {} bytes are logged, they differ at {differs:?}",
        logged.len(),
        written.len()
    );
    if maxbytes > 0 {
        assert!(files.len() > 20, "{} files", files.len());
        assert!(files[..files.len() - 1].iter().all(|file| file.len() == maxbytes));
    }
}

#[test]
fn a_log_is_exact_whenever_the_daemon_is_killed() {
    let test = "a_log_is_exact_whenever_the_daemon_is_killed";
    kill_and_compare(test, 300_000, |plan| plan);
}

#[test]
fn a_log_that_is_rotated_is_exact_whenever_the_daemon_is_killed() {
    let test = "a_log_that_is_rotated_is_exact_whenever_the_daemon_is_killed";
    kill_and_compare(test, 60_000, |plan| ChannelPlan {
        maxbytes: 20_000,
        backups: i64::MAX,
        ..plan
    });
}

#[test]
fn a_log_that_events_are_made_of_is_exact_whenever_the_daemon_is_killed() {
    let test = "a_log_that_events_are_made_of_is_exact_whenever_the_daemon_is_killed";
    let tap = TapPlan { log: true, ..TapPlan::OFF };
    kill_and_compare(test, 300_000, |plan| ChannelPlan { tap, ..plan });
}
