//! Random programs, random commands, random hot upgrades and restarts, a daemon that is killed again
//! and again, and then a count: every byte
//! that a program wrote is in its log once and in order, no program ran twice at the same time, every
//! command was answered, what the daemon says is so, and nothing is left in the end.
//!
//! A run has a seed, which a failure tells. `make chaos` runs longer: `SUPERVISOR_CHAOS` are the
//! seconds, `SUPERVISOR_SEED` is the seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::support::PATIENCE;
use crate::support::daemon::command;
use crate::support::disk::SmallDisk;
use crate::support::manager::{Service, ctl_command};
use crate::support::process::{Running, run};
use crate::support::scratch::Scratch;

/// A program of one KIND called NAME. It holds a lock, so that a second one is found out; it writes
/// `RUN NUMBER` lines in pieces, and notes beside the log how many of them it has written.
const WORKER: &str = r"
import fcntl, os, random, signal, sys, time
name, kind = sys.argv[1:]
lock = os.open(name + '.lock', os.O_CREAT | os.O_RDWR)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open('violations', 'a').write('%s runs twice\n' % name)
    os._exit(9)
run = '%d.%d' % (os.getpid(), time.time_ns())
noted = os.open(name + '.noted', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
dice = random.Random(run)
if kind == 'stubborn':
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if kind == 'parent' and os.fork() == 0:
    # It holds the pipes, and outlives its parent.
    os.close(lock)
    time.sleep(dice.random())
    os._exit(0)
written, ends = 0, time.monotonic() + dice.random() * 3
while True:
    count = dice.randint(50, 150) if kind == 'spew' else 1
    piece = ''.join('%s %d\n' % (run, written + at + 1) for at in range(count))
    # Less than what is written to a pipe at once: a signal tears no piece.
    piece = piece[:4000].rpartition('\n')[0] + '\n'
    os.write(1, piece.encode())
    written += piece.count('\n')
    os.write(noted, ('%s %d\n' % (run, written)).encode())
    if time.monotonic() > ends:
        if kind == 'crash':
            os.kill(os.getpid(), dice.choice([signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT]))
        if kind == 'exit':
            os._exit(dice.choice([0, 0, 1, 7]))
    time.sleep(0.02 if kind == 'spew' else dice.random() / 50)
";

/// The kinds of programs, two of each.
const KINDS: [&str; 6] = ["steady", "spew", "crash", "exit", "stubborn", "parent"];

/// Numbers that look random, the same for the same seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).expect("small")).expect("small")
    }

    fn of<'t>(&mut self, choice: &[&'t str]) -> &'t str {
        choice[self.below(choice.len())]
    }
}

fn names() -> Vec<(String, &'static str)> {
    KINDS.iter().flat_map(|kind| (0..2).map(move |at| (format!("{kind}{at}"), *kind))).collect()
}

fn programs() -> String {
    let mut text = String::new();
    for (name, kind) in names() {
        write!(
            text,
            "[program:{name}]\ncommand=/usr/bin/python3 -S %(here)s/worker.py {name} {kind}\n\
             directory=%(here)s\nstdout_logfile=%(here)s/{name}.log\nstdout_logfile_maxbytes=0\n\
             stderr_logfile=NONE\nstartsecs=0\nautorestart=true\nstopwaitsecs=1\n\
             stdout_events_enabled={}\n",
            name.ends_with('1')
        )
        .expect("memory");
    }
    // What a full disk does not take is lost, and said.
    text += "[program:full]\ncommand=/usr/bin/python3 -S %(here)s/worker.py full steady\n\
             directory=%(here)s\nstdout_logfile=%(here)s/disk/full.log\n\
             stdout_logfile_maxbytes=20000\nstdout_logfile_backups=1\nstderr_logfile=NONE\n\
             startsecs=0\nstopwaitsecs=1\n";
    text + "[eventlistener:all]\ncommand=/usr/bin/python3 -S %(here)s/listener.py\n\
            events=EVENT\ndirectory=%(here)s\nstdout_logfile=NONE\nstderr_logfile=NONE\n\
            buffer_size=100000\n"
}

/// Takes every event.
const LISTENER: &str = r"
import os, sys
while True:
    os.write(1, b'READY\n')
    head = sys.stdin.buffer.readline()
    if not head:
        break
    sys.stdin.buffer.read(int(head.rpartition(b':')[2]))
    os.write(1, b'RESULT 2\nOK')
";

/// One client: commands until the time is over. Each is answered, whatever the answer is.
fn client(place: &Path, seed: u64, until: Instant, answered: &AtomicUsize) {
    let mut dice = Dice(seed);
    let names = names();
    while Instant::now() < until {
        let name = names[dice.below(names.len())].0.as_str();
        let command = dice.of(&["start", "stop", "restart", "signal", "status", "pid", "tail"]);
        let args = match command {
            "signal" => vec![command, dice.of(&["TERM", "KILL", "HUP", "STOP", "CONT"]), name],
            _ => vec![command, name],
        };
        let mut command = ctl_command(place, &place.join("supervisord.conf"), &args);
        let mut process = Running::spawn(command.stdin(Stdio::null()));
        assert!(process.wait(PATIENCE).is_some(), "{args:?} is not answered");
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often what happened to the daemon.
#[derive(Debug, Default)]
struct Troubles {
    upgrades: usize,
    restarts: usize,
    kills: usize,
    buses: usize,
    full_disks: usize,
}

/// A system bus that lets everybody do everything.
const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=bus</listen>
<auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow send_type="signal"/><allow send_requested_reply="true"/>
<allow receive_sender="*"/></policy></busconfig>"#;

fn start_bus(place: &Path) -> Running {
    let _ = fs::remove_file(place.join("bus"));
    let mut bus = command("dbus-daemon", place);
    bus.arg("--config-file=bus.conf").args(["--nofork", "--print-address"]);
    let bus = Running::spawn(&mut bus);
    let up = |text: &str| text.contains("unix:").then_some(());
    assert!(bus.stdout.wait(PATIENCE, up).is_some(), "{}", bus.stderr.text());
    bus
}

/// What is around the daemon.
struct Place<'a> {
    dir: &'a Path,
    disk: &'a SmallDisk,
}

/// What happens to the daemon itself, and to what is around it.
fn trouble(service: &mut Service, place: &Place, seed: u64, until: Instant) -> Troubles {
    let mut dice = Dice(seed);
    let mut bus = start_bus(place.dir);
    let mut full = false;
    let mut troubles = Troubles::default();
    let mut ready = true;
    while Instant::now() < until {
        let what = dice.below(20);
        let kills = (5..=10).contains(&what);
        if !kills && !ready {
            // A program that has only just begun is ended by any signal.
            service.expect_ready();
            ready = true;
        }
        match what {
            0 => {
                service.process.signal(Signal::SIGHUP);
                troubles.restarts += 1;
            }
            1..=4 => {
                // It may be stopping to start again.
                service.ctl(&["upgrade"]);
                troubles.upgrades += 1;
            }
            11 => {
                bus.signal(Signal::SIGKILL);
                assert!(bus.wait(PATIENCE).is_some(), "it is killed");
                bus = start_bus(place.dir);
                troubles.buses += 1;
            }
            12 => {
                if full {
                    place.disk.free();
                } else {
                    place.disk.fill();
                }
                full = !full;
                troubles.full_disks += 1;
            }
            _ if kills => {
                // It may be in the middle of anything, a start too.
                service.end_by(if dice.below(4) == 0 { Signal::SIGABRT } else { Signal::SIGKILL });
                service.launch();
                troubles.kills += 1;
                ready = dice.below(4) > 0;
                if ready {
                    service.expect_ready();
                }
            }
            _ => {
                service.process.signal(Signal::SIGUSR1);
                troubles.upgrades += 1;
            }
        }
        // A pause of some length is a part of the plan.
        thread::sleep(Duration::from_millis(u64::try_from(dice.below(400)).expect("small")));
    }
    if !ready {
        service.expect_ready();
    }
    troubles
}

/// What each run wrote of a program, as its lines `RUN NUMBER` have it.
fn runs(text: &str, whole: bool) -> BTreeMap<&str, usize> {
    let mut runs = BTreeMap::new();
    for line in text.lines() {
        let (run, number) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} is torn"));
        let number: usize = number.parse().unwrap_or_else(|_| panic!("{line:?} is torn"));
        let last = runs.insert(run, number).unwrap_or(0);
        assert!(
            if whole { number == last + 1 } else { number > last },
            "{line} comes after {last}"
        );
    }
    runs
}

#[test]
fn nothing_is_lost_and_nothing_runs_twice_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seconds = number("SUPERVISOR_CHAOS").unwrap_or(8);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros();
    let seed = number("SUPERVISOR_SEED").unwrap_or(u64::try_from(now).expect("some years")).max(1);
    println!("SUPERVISOR_SEED={seed}");

    let scratch = Scratch::new();
    scratch.write("worker.py", WORKER);
    scratch.write("listener.py", LISTENER);
    scratch.write("bus.conf", BUS);
    let disk = SmallDisk::mount(&scratch.join("disk"), "256k");
    let bus = format!("unix:path={}", scratch.join("bus").display());
    let mut service = Service::start_with_bus(&scratch, &programs(), &bus);
    let until = Instant::now() + Duration::from_secs(seconds);
    let answered = AtomicUsize::new(0);
    let place = scratch.path();
    let troubles = thread::scope(|scope| {
        for client_number in 1..=2 {
            let answered = &answered;
            scope.spawn(move || client(place, seed ^ (client_number << 20), until, answered));
        }
        trouble(&mut service, &Place { dir: place, disk: &disk }, seed, until)
    });

    // It comes to rest, and what it says is so.
    let rest = Instant::now();
    while !service.ctl(&["status"]).stdout.contains("RUNNING") {
        assert!(rest.elapsed() < PATIENCE, "{}", service.log());
    }
    for line in service.ctl(&["status"]).stdout.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, "RUNNING", "pid", pid, ..] = words[..]
            && name != "all"
        {
            let pid = pid.trim_end_matches(',');
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            // It may have ended since.
            assert!(command.is_empty() || command.contains(name), "{line}: {command}");
        }
    }
    let ended = service.stop();
    assert_eq!(ended.code, 0, "{ended:?}\n{}", service.log());
    assert_eq!(service.stored(), [""; 0]);
    assert!(!service.log().contains("started anew"), "{}", service.log());

    assert!(!scratch.join("violations").exists(), "{}", scratch.read("violations"));
    let mut lines = 0;
    for (name, _) in names() {
        let (log, noted) =
            (scratch.read(&format!("{name}.log")), scratch.read(&format!("{name}.noted")));
        let (written, noted) = (runs(&log, true), runs(&noted, false));
        lines += written.values().sum::<usize>();
        for (run, count) in &noted {
            let there = written.get(run).copied().unwrap_or(0);
            assert!(there >= *count, "{name} {run} wrote {count} lines, {there} are in its log");
        }
        // One that was killed has not noted its last piece.
        for (run, there) in &written {
            let count = noted.get(run).copied().unwrap_or(0);
            assert!(there - count <= 150, "{name} {run} noted {count} lines of {there}");
        }
    }
    let mine = scratch.path().to_string_lossy().into_owned();
    let left = run(std::process::Command::new("pgrep").args(["-f", &format!("{mine}/worker.py")]));
    assert_eq!(left.stdout, "", "still there");
    let answered = answered.into_inner();
    println!("{troubles:?}, {answered} commands, {lines} lines");
    assert!(answered > 10 && lines > 100, "{answered} commands, {lines} lines");
}
