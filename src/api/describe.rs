//! What `status` says of a process (C-242).

use std::time::Duration;

use chrono::{DateTime, Local, TimeZone};

use super::logs::journal_matches;
use crate::model::snapshot::ProcessSnapshot;
use crate::model::spec::LogFile;
use crate::model::state::ProcessState;
use crate::model::time::{Now, Wall};

/// What `status` says of a process at `now`, in local time.
///
/// Uptime is counted on the monotonic clock, so that setting the clock does not change it; a
/// process that never ended has no stop time to show (C-426).
#[must_use]
pub fn describe(process: &ProcessSnapshot, now: Now) -> String {
    describe_in(&Local, process, now)
}

fn describe_in<Tz: TimeZone>(zone: &Tz, process: &ProcessSnapshot, now: Now) -> String
where
    Tz::Offset: std::fmt::Display,
{
    match process.state {
        ProcessState::Running => {
            let up = process.started.map_or(Duration::ZERO, |(started, _)| now.mono - started);
            format!("pid {}, uptime {}", process.pid, uptime(up.as_secs()))
        }
        ProcessState::Fatal | ProcessState::Backoff => {
            if process.spawn_error.is_empty() {
                let what = if process.spec.stdout.file == LogFile::Journal {
                    format!("journalctl {}", journal_matches(process))
                } else {
                    format!("tail {}", process.spec.name.process)
                };
                format!("unknown error (try \"{what}\")")
            } else {
                process.spawn_error.as_ref().to_owned()
            }
        }
        ProcessState::Stopped | ProcessState::Exited => match process.stopped {
            Some(stopped) if process.started.is_some() => stop_time(zone, stopped),
            _ => "Not started".to_owned(),
        },
        ProcessState::Starting | ProcessState::Stopping | ProcessState::Unknown => String::new(),
    }
}

/// `0:00:01`, `1 day, 1:01:01`, `2 days, 0:00:00`.
fn uptime(secs: u64) -> String {
    let clock = format!("{}:{:02}:{:02}", secs / 3600 % 24, secs / 60 % 60, secs % 60);
    match secs / 86_400 {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

/// `Nov 22 10:23 AM`, in the C locale.
fn stop_time<Tz: TimeZone>(zone: &Tz, stopped: Wall) -> String
where
    Tz::Offset: std::fmt::Display,
{
    let secs = i64::try_from(stopped.secs()).unwrap_or(i64::MAX);
    let time = DateTime::from_timestamp(secs, 0).unwrap_or_default();
    time.with_timezone(zone).format("%b %d %I:%M %p").to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::FixedOffset;

    use super::super::tests::process;
    use super::*;
    use crate::model::time::Mono;

    fn now(mono: u64) -> Now {
        let secs = Duration::from_secs;
        Now { mono: Mono(secs(mono)), wall: Wall(secs(1_000_000 + mono)) }
    }

    fn described(state: ProcessState, change: impl FnOnce(&mut ProcessSnapshot)) -> String {
        let mut process = process("g", "web");
        process.state = state;
        change(&mut process);
        describe_in(&FixedOffset::east_opt(3600).unwrap(), &process, now(100_000))
    }

    fn started(process: &mut ProcessSnapshot, mono: u64) {
        // The wall clock was set forward since: it must not matter.
        process.started = Some((Mono(Duration::from_secs(mono)), Wall::default()));
        process.pid = 42;
    }

    #[test]
    fn a_running_process_shows_pid_and_uptime() {
        // C-242
        let up = |at| described(ProcessState::Running, |p| started(p, at));
        assert_eq!(up(99_999), "pid 42, uptime 0:00:01");
        assert_eq!(up(100_000 - 86_399), "pid 42, uptime 23:59:59");
        assert_eq!(up(100_000 - 90_061), "pid 42, uptime 1 day, 1:01:01");
        assert_eq!(up(100_001), "pid 42, uptime 0:00:00");
        assert_eq!(uptime(2 * 86_400 + 36_000), "2 days, 10:00:00");
    }

    #[test]
    fn a_stopped_process_shows_when_in_local_time() {
        // C-242; 1763803403 is 2025-11-22 09:23:23 UTC
        for state in [ProcessState::Stopped, ProcessState::Exited] {
            let text = described(state, |p| {
                started(p, 1);
                p.stopped = Some(Wall(Duration::from_secs(1_763_803_403)));
            });
            assert_eq!(text, "Nov 22 10:23 AM");
        }
    }

    #[test]
    fn without_a_stop_time_it_was_not_started() {
        // C-242, C-426
        assert_eq!(described(ProcessState::Stopped, |_| {}), "Not started");
        assert_eq!(described(ProcessState::Stopped, |p| started(p, 1)), "Not started");
    }

    #[test]
    fn a_failed_process_shows_why() {
        // C-242
        for state in [ProcessState::Fatal, ProcessState::Backoff] {
            let why = |p: &mut ProcessSnapshot| p.spawn_error = Arc::from("no such thing");
            assert_eq!(described(state, why), "no such thing");
            assert_eq!(described(state, |_| {}), "unknown error (try \"tail web\")");
            let journal = |p: &mut ProcessSnapshot| {
                Arc::make_mut(&mut p.spec).stdout.file = LogFile::Journal;
            };
            assert_eq!(described(state, journal), "unknown error (try \"journalctl -t web\")");
        }
    }

    #[test]
    fn a_process_on_its_way_shows_nothing() {
        // C-242
        for state in [ProcessState::Starting, ProcessState::Stopping, ProcessState::Unknown] {
            assert_eq!(described(state, |p| started(p, 1)), "");
        }
    }
}
