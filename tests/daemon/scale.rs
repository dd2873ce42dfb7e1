//! Many programs, and none that does anything.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::http::{Http, Target, loopback};
use crate::support::process::wait_gone;
use crate::support::scratch::Scratch;

fn sleepers(count: usize) -> String {
    format!(
        "[program:p]\ncommand=/bin/sleep 100000\nnumprocs={count}\nprocess_name=%(program_name)s_%(process_num)04d\nstartsecs=0\n"
    )
}

// C-192: far more ends at once than are taken in a turn.
#[test]
fn a_thousand_programs_start_and_stop() {
    let scratch = Scratch::new();
    let mut daemon = Daemon::start(&scratch, &sleepers(1000));
    daemon.expect_log_times("entered RUNNING", 1000);
    let status = daemon.ctl(&["status"]);
    assert_eq!(status.stdout.matches("RUNNING").count(), 1000);
    assert_eq!(status.code, 0);
    let stopped = daemon.ctl(&["stop", "all"]);
    assert_eq!(stopped.stdout.matches(": stopped\n").count(), 1000);
    let started = daemon.ctl(&["start", "p:*"]);
    assert_eq!(started.stdout.matches(": started\n").count(), 1000);
    assert_eq!(crate::support::children::descendants(daemon.pid()).len(), 1000);
    assert_eq!(daemon.stop().code, 0);
}

// C-146: there is no tick.
#[test]
fn an_idle_daemon_does_not_wake_up() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &sleepers(100));
    daemon.expect_log_times("entered RUNNING", 100);
    let wakeups = || -> u64 {
        fs::read_dir(format!("/proc/{}/task", daemon.pid()))
            .expect("it runs")
            .flatten()
            .filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
            .filter_map(|text| {
                let line = text.lines().find(|line| line.starts_with("voluntary_ctxt"))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .sum()
    };
    // Stretches of time in which it does not end are what is looked at here. The first few settle
    // what the start left.
    let window = || {
        let before = wakeups();
        assert!(!wait_gone(daemon.pid(), Duration::from_secs(3)), "it runs on");
        wakeups() - before
    };
    let quiet = (0..4).map(|_| window()).min().expect("four of them");
    assert_eq!(quiet, 0);
}

#[test]
fn ten_open_pages_of_a_hundred_programs_cost_less_than_a_fiftieth_of_a_processor() {
    const PAGES: usize = 10;
    let scratch = Scratch::new();
    let address = loopback();
    // One of them is not idle: its line and its load are news every second.
    let config = format!(
        "[inet_http_server]\nport={address}\nauth=none\n{}\
         [program:talk]\ncommand=/bin/sh -c 'while sleep 1; do date; done'\nstartsecs=0\n",
        sleepers(99)
    );
    let daemon = Daemon::start(&scratch, &config);
    daemon.expect_log_times("entered RUNNING", 100);
    let target = Target::Inet(address);
    let news = Arc::new(AtomicUsize::new(0));
    for _ in 0..PAGES {
        let mut page = Http::connect(&target).expect("it listens");
        page.send("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it takes it");
        assert_eq!(page.head().expect("it answers").expect("it does").status(), 200);
        let mut ahead = Vec::new();
        while !String::from_utf8_lossy(&ahead).contains("event: use") {
            ahead.extend(page.chunk().expect("it goes on"));
        }
        let news = Arc::clone(&news);
        // It ends with the daemon.
        std::thread::spawn(move || {
            while page.chunk().is_ok_and(|chunk| !chunk.is_empty()) {
                news.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // User and system time, in ticks of a hundredth of a second.
    let used = || -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        ticks.sum::<Result<u64, _>>().expect("numbers")
    };
    // A stretch of time is what is looked at here.
    let (began, before) = (Instant::now(), used());
    std::thread::sleep(Duration::from_secs(6));
    let (spent, passed) = (used() - before, began.elapsed());
    let share = f64::from(u32::try_from(spent).expect("few")) / passed.as_secs_f64();
    eprintln!("{PAGES} open pages cost {share:.1} % of a processor");
    assert!(share < 2.0, "{share} %");
    let told = news.load(Ordering::Relaxed);
    assert!(told >= 3 * PAGES, "each of them is told something all the time: {told}");
}

// C-125
#[test]
fn programs_get_the_limits_the_daemon_was_started_with() {
    let scratch = Scratch::new();
    let config = scratch.write(
        "supervisord.conf",
        format!(
            "{}[program:a]\ncommand=/bin/sh -c 'ulimit -Sn; ulimit -Hn'\nstartsecs=0\nautorestart=false\nstdout_logfile=%(here)s/a.out\n",
            crate::support::daemon::HEAD
        ),
    );
    let mut limited = crate::support::daemon::command("/bin/sh", scratch.path());
    limited.args(["-c", "ulimit -Sn 1024; ulimit -Hn 4096; exec \"$@\"", "sh"]);
    limited.arg(crate::support::daemon::SUPERVISORD).arg("-n").arg("-c").arg(&config);
    let daemon = Daemon::start_command(scratch.path(), &config, limited);
    daemon.expect_log("exited: a");
    assert_eq!(scratch.read("a.out"), "1024\n4096\n");
    let own = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it runs");
    let files = own.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    assert!(files.contains(" 4096 "), "{files}");
}
