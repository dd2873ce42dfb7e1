//! Ours beside Python Supervisor 4.3.0, measured in the same run through what both offer: the
//! configuration file, the log on standard output, `supervisorctl`, and /proc.
//!
//! Read the ratios, not the numbers: machines differ. `BENCH_PROGRAMS` is the number of programs
//! of the large measurements, 1,000 without it; `BENCH_ONLY=ours` leaves the other one out, and
//! `BENCH_SECTION` names the one section to run: one, many, capture or events.

mod peer;

use std::time::{Duration, Instant};

use peer::{Kind, Peer};

/// Lower is better, or higher.
#[derive(Clone, Copy, PartialEq)]
enum Better {
    Lower,
    Higher,
}

/// One line of the table.
struct Row {
    what: String,
    unit: &'static str,
    better: Better,
    values: Vec<Option<f64>>,
}

/// The table as it grows: a row for each measurement, a column for each program.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    columns: usize,
}

impl Table {
    fn put(&mut self, what: &str, unit: &'static str, better: Better, value: f64) {
        eprintln!("  {what}: {value:.3} {unit}");
        let column = self.columns;
        let index = self.rows.iter().position(|row| row.what == what).unwrap_or_else(|| {
            self.rows.push(Row { what: what.to_owned(), unit, better, values: Vec::new() });
            self.rows.len() - 1
        });
        let values = &mut self.rows[index].values;
        values.resize(column + 1, None);
        values[column] = Some(value);
    }

    fn lower(&mut self, what: &str, unit: &'static str, value: f64) {
        self.put(what, unit, Better::Lower, value);
    }

    fn higher(&mut self, what: &str, unit: &'static str, value: f64) {
        self.put(what, unit, Better::Higher, value);
    }

    fn print(&self, names: &[&str]) {
        println!();
        print!("{:<44}", "");
        for name in names {
            print!("{name:>14}");
        }
        println!("{:>16}", "ours is better");
        for row in &self.rows {
            print!("{:<44}", format!("{}, {}", row.what, row.unit));
            for column in 0..names.len() {
                let value = row.values.get(column).copied().flatten();
                print!("{:>14}", value.map_or_else(|| "-".to_owned(), short));
            }
            if let [Some(theirs), Some(ours)] = row.values[..] {
                let ratio = if row.better == Better::Lower { theirs / ours } else { ours / theirs };
                print!(
                    "{:>16}",
                    if ratio.is_finite() { format!("{ratio:.1} x") } else { "-".into() }
                );
            }
            println!();
        }
        println!();
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// A part of the comparison: its name, and what measures it.
type Section = (&'static str, fn(&mut Table, Kind));

/// What is measured, each under the name that `BENCH_SECTION` knows.
const SECTIONS: [Section; 4] =
    [("one", one_program), ("many", many_programs), ("capture", capture), ("events", events)];

fn main() {
    let only_ours = std::env::var("BENCH_ONLY").is_ok_and(|only| only == "ours");
    let kinds: &[Kind] = if only_ours { &[Kind::Ours] } else { &[Kind::Upstream, Kind::Ours] };
    let wanted = std::env::var("BENCH_SECTION").ok();
    let wanted = wanted.as_deref();
    let mut table = Table::default();
    for (column, kind) in kinds.iter().enumerate() {
        eprintln!("{}", kind.name());
        table.columns = column;
        for (name, section) in SECTIONS {
            if wanted.is_none_or(|wanted| wanted == name) {
                section(&mut table, *kind);
            }
        }
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    table.print(&names);
}

/// A program that has to stay up for a second: a crash after that is one of a running program, and
/// not one of a program that does not get going, which ours does not restart at once.
const STEADY: &str = "command=/bin/sleep 100000\nstartsecs=1\nautorestart=true\n";

const SLEEP: &str = "command=/bin/sleep 100000\nstartsecs=0\nautorestart=true\n";

/// Start, crash, memory and the command line with a single program.
fn one_program(table: &mut Table, kind: Kind) {
    let programs = format!("[program:a]\n{STEADY}");
    let mut starts = Vec::new();
    for _ in 0..5 {
        let mut peer = Peer::start(kind, &programs);
        starts.push(peer.until_spawned(1).as_secs_f64());
        peer.shutdown();
    }
    table.lower("cold start of 1", "s", median(&mut starts));
    let mut peer = Peer::start(kind, &programs);
    peer.until_spawned(1);
    peer.settle();
    table.lower("crash to restart (p50)", "ms", crashes(&mut peer, "a", kind.repeats()));
    table.lower("memory (PSS), 1 program", "MB", peer.pss());
    for action in ["version", "status"] {
        let mut times = command_times(&peer, action, kind.repeats());
        table.lower(&format!("supervisorctl {action}, 1 program"), "ms", median(&mut times));
    }
    peer.shutdown();
}

/// The same with a thousand, and what only then costs something.
fn many_programs(table: &mut Table, kind: Kind) {
    let many: usize =
        std::env::var("BENCH_PROGRAMS").ok().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let programs = format!(
        "[program:p]\n{SLEEP}numprocs={many}\nprocess_name=%(program_name)s_%(process_num)04d\n[program:steady]\n{STEADY}"
    );
    let mut peer = Peer::start(kind, &programs);
    let start = peer.until_spawned(many + 1);
    table.lower(&format!("cold start of {many}"), "s", start.as_secs_f64());
    table.lower(&format!("cpu of the daemon for it, {many}"), "s", peer.cpu());
    peer.settle();
    table.lower(&format!("memory (PSS), {many} programs"), "MB", peer.pss());

    // What the start set in motion, the last lines of the log for one, comes to rest first.
    std::thread::sleep(Duration::from_secs(1));
    let window = Duration::from_secs(10);
    let (cpu, wakeups) = (peer.cpu(), peer.wakeups());
    // A window of time is what is measured here, not something waited for.
    std::thread::sleep(window);
    let idle_cpu = (peer.cpu() - cpu) * 1000.0;
    let idle_wakeups = peer.wakeups() - wakeups;
    table.lower(&format!("wake-ups in {} idle s, {many}", window.as_secs()), "", idle_wakeups);
    table.lower(&format!("cpu in {} idle s, {many}", window.as_secs()), "ms", idle_cpu);

    let crash = crashes(&mut peer, "steady", kind.repeats());
    table.lower(&format!("crash to restart beside {many} (p50)"), "ms", crash);
    let mut times = command_times(&peer, "status", kind.repeats());
    table.lower(&format!("supervisorctl status, {many} programs"), "ms", median(&mut times));

    for action in ["stop", "start", "restart"] {
        let began = Instant::now();
        peer.ctl(&[action, "p:*"]);
        table.lower(
            &format!("supervisorctl {action} p:*, {many}"),
            "s",
            began.elapsed().as_secs_f64(),
        );
    }
    let began = Instant::now();
    peer.shutdown();
    table.lower(&format!("shutdown, {many}"), "s", began.elapsed().as_secs_f64());
}

/// What a program can write per second while its output is captured and rotated: as dd says.
fn capture(table: &mut Table, kind: Kind) {
    for (what, block, count) in
        [("64 KiB writes", 65_536_u32, 24_576_u32), ("100-byte lines", 100, 3_000_000)]
    {
        let programs = format!(
            "[program:dd]\ncommand=/usr/bin/dd if=/dev/zero bs={block} count={count}\nautorestart=false\nautostart=false\n\
             startsecs=0\nstdout_logfile=%(here)s/dd.out\nstdout_logfile_maxbytes=50MB\nstdout_logfile_backups=1\n\
             stderr_logfile=%(here)s/dd.err\n"
        );
        let mut peer = Peer::start(kind, &programs);
        peer.until_ready();
        let before = peer.cpu();
        peer.ctl(&["start", "dd"]);
        peer.until("exited: dd");
        let cpu = peer.cpu() - before;
        let bytes = f64::from(block) * f64::from(count);
        let seconds = peer.dd_seconds();
        table.higher(&format!("log capture, {what}"), "MB/s", bytes / seconds / 1e6);
        table.lower(&format!("cpu of it, {what}"), "s/GiB", cpu / bytes * 1_073_741_824.0);
        peer.shutdown();
    }
}

/// Takes so many events, says how long that took, and ends.
const LISTENER: &str = "\
import os, sys, time
left = int(sys.argv[1])
os.write(1, b'READY\\n')
began = time.monotonic()
data = b''
while left:
    data += os.read(0, 65536)
    head, newline, rest = data.partition(b'\\n')
    if newline and len(rest) >= int(head[head.rindex(b':') + 1:]):
        data = b''
        left -= 1
        os.write(1, b'RESULT 2\\nOKREADY\\n' if left else b'RESULT 2\\nOK')
print(time.monotonic() - began, file=sys.stderr)
";

/// How many events a second one listener can be given, when they wait for it already.
fn events(table: &mut Table, kind: Kind) {
    let count = match kind {
        Kind::Upstream => 5_000,
        Kind::Ours => 50_000,
    };
    let programs = format!(
        "[eventlistener:l]\ncommand=/usr/bin/python3 -S %(here)s/listener.py {count}\nevents=REMOTE_COMMUNICATION\n\
         buffer_size=100000\nautostart=false\nautorestart=false\nstartsecs=0\nstderr_logfile=%(here)s/l.err\n"
    );
    let mut peer = Peer::start(kind, &programs);
    peer.write("listener.py", LISTENER);
    peer.until_ready();
    peer.send_events(count);
    let before = peer.cpu();
    peer.ctl(&["start", "l"]);
    peer.until("exited: l");
    let cpu = peer.cpu() - before;
    let seconds: f64 = peer.read("l.err").trim().parse().expect("what the listener says");
    let count = f64::from(u32::try_from(count).expect("some thousands"));
    table.higher("events through one listener", "1/s", count / seconds);
    table.lower("cpu of the daemon for an event", "us", cpu / count * 1e6);
    peer.shutdown();
}

/// SIGKILL to the log line of the successor, several times; the median in milliseconds.
fn crashes(peer: &mut Peer, name: &str, repeats: usize) -> f64 {
    let mut times: Vec<f64> =
        (0..repeats).map(|_| peer.crash(name).as_secs_f64() * 1000.0).collect();
    median(&mut times)
}

fn command_times(peer: &Peer, action: &str, repeats: usize) -> Vec<f64> {
    (0..repeats)
        .map(|_| {
            let began = Instant::now();
            peer.ctl(&[action]);
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
