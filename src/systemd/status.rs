//! The line that `systemctl status` shows.

use std::fmt::Write as _;

use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::state::ProcessState::{
    self, Backoff, Exited, Fatal, Running, Starting, Stopping, Unknown,
};

/// Characters of a line; more would not be seen.
const LONGEST: usize = 300;
/// Processes that are named when something waits for them.
const NAMED: usize = 3;

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It starts.
    Starting,
    /// It is at work.
    Working,
    /// It applies a changed configuration.
    Reloading,
    /// It stops everything to start again.
    Restarting,
    /// It stops everything.
    Stopping,
}

/// Text as one line, of bounded length: a name may hold anything, and a line break would begin
/// another message.
#[must_use]
pub fn line(text: &str) -> String {
    let clean = text.trim().chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut line: String = clean.clone().take(LONGEST).collect();
    if clean.count() > LONGEST {
        line.pop();
        line.push('…');
    }
    line
}

/// The line for what the daemon is doing.
#[must_use]
pub fn summary(doing: Doing, snapshot: &Snapshot) -> String {
    let text = match doing {
        Doing::Starting => format!("Starting: {}", counts(snapshot)),
        Doing::Working => working(snapshot),
        Doing::Reloading => join("Reloading", &waiting(snapshot, is_stopping)),
        Doing::Restarting => join("Restarting", &waiting(snapshot, is_left)),
        Doing::Stopping => join("Stopping", &waiting(snapshot, is_left)),
    };
    line(&text)
}

fn join(doing: &str, waiting: &str) -> String {
    if waiting.is_empty() { doing.to_owned() } else { format!("{doing}: {waiting}") }
}

fn count(snapshot: &Snapshot, state: ProcessState) -> usize {
    snapshot.processes.values().filter(|process| process.state == state).count()
}

/// `12 of 14 running, 1 starting`.
fn counts(snapshot: &Snapshot) -> String {
    let total = snapshot.processes.len();
    if total == 0 {
        return "no programs are configured".to_owned();
    }
    let mut text = format!("{} of {total} running", count(snapshot, Running));
    for (state, what) in [(Starting, "starting"), (Stopping, "stopping")] {
        let count = count(snapshot, state);
        if count > 0 {
            let _ = write!(text, ", {count} {what}"); // a String takes everything
        }
    }
    text
}

/// The counts and the first problem.
fn working(snapshot: &Snapshot) -> String {
    let mut text = counts(snapshot);
    if let Some(first) = text.get(..1) {
        let capital = first.to_uppercase();
        text.replace_range(..1, &capital);
    }
    let mut problems = problems(snapshot);
    problems.sort_by_key(|&(severity, _)| severity); // and by name, as they are
    let Some((_, worst)) = problems.first() else { return text };
    let _ = write!(text, "; {worst}");
    match problems.len() - 1 {
        0 => {}
        1 => text.push_str(" (and 1 more problem)"),
        more => {
            let _ = write!(text, " (and {more} more problems)");
        }
    }
    text
}

/// What needs somebody, and how much: what is worst has the lowest number.
fn problems(snapshot: &Snapshot) -> Vec<(u8, String)> {
    let processes = snapshot.processes.values().filter_map(|process| {
        let mut text = format!("{} {}", process.spec.name, process.state);
        if !process.spawn_error.is_empty() {
            let _ = write!(text, ": {}", process.spawn_error);
        }
        Some((severity(process)?, text))
    });
    let pools = snapshot.groups.values().filter_map(|group| {
        let dropped = group.pool?.dropped;
        let events = if dropped == 1 { "event" } else { "events" };
        let text = || format!("{} has lost {dropped} {events} (buffer_size)", group.spec.name);
        (dropped > 0).then(|| (LOST_EVENTS, text()))
    });
    processes.chain(pools).collect()
}

/// How bad it is that a listener was too slow: it is not going to be mended, but that of a program
/// may be going on.
const LOST_EVENTS: u8 = 4;

/// How bad the state of a process is, worst first; none when all is well.
fn severity(process: &ProcessSnapshot) -> Option<u8> {
    match process.state {
        Fatal => Some(0),
        Unknown => Some(1),
        Backoff => Some(2),
        Exited if !process.spawn_error.is_empty() => Some(3),
        _ => None,
    }
}

fn is_stopping(process: &ProcessSnapshot) -> bool {
    process.state == Stopping
}

/// Still to be stopped.
fn is_left(process: &ProcessSnapshot) -> bool {
    !process.state.is_stopped()
}

/// `waiting for a, b and 3 more to stop (up to 200 s)`; empty when nothing is waited for.
fn waiting(snapshot: &Snapshot, awaited: fn(&ProcessSnapshot) -> bool) -> String {
    let all: Vec<_> = snapshot.processes.values().filter(|process| awaited(process)).collect();
    // Those that were told to stop are what is waited for just now.
    let told: Vec<_> = all.iter().filter(|process| is_stopping(process)).collect();
    let names: Vec<String> = told.iter().take(NAMED).map(|p| p.spec.name.to_string()).collect();
    let Some(longest) = told.iter().map(|process| process.spec.stopwaitsecs).max() else {
        return String::new();
    };
    let more = all.len() - names.len();
    let names = match (names.join(", "), more) {
        (names, 0) => names,
        (names, more) => format!("{names} and {more} more"),
    };
    format!("waiting for {names} to stop (up to {} s)", longest.max(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::request::Request;
    use crate::core::testing::{Program, World, build};
    use crate::model::event_type::EventType;
    use crate::model::exit::ExitStatus;
    use crate::model::signal::Signal;
    use crate::model::spec::GroupSpec;

    fn world(names: &[&str], programs: &[(&str, Program)]) -> World {
        let groups: Vec<Arc<GroupSpec>> = names.iter().map(|name| build::plain(name)).collect();
        let mut world = World::new(groups);
        for (name, program) in programs {
            world.program(name, program.clone());
        }
        world.give(crate::core::action::Input::Boot);
        world
    }

    #[test]
    fn counts_are_told_and_what_needs_somebody() {
        let broken = Program::failing("can't find command '/x'");
        let mut world = world(&["a", "b", "c"], &[("b", broken)]);
        assert_eq!(
            summary(Doing::Working, &world.snapshot),
            "0 of 3 running, 2 starting; b BACKOFF: can't find command '/x'"
        );
        world.run_ms(60_000);
        assert_eq!(
            summary(Doing::Working, &world.snapshot),
            "2 of 3 running; b FATAL: can't find command '/x'"
        );
    }

    #[test]
    fn the_worst_problem_comes_first_and_the_others_are_counted() {
        let broken = || Program::failing("no");
        let mut world = world(
            &["a", "b", "c", "d"],
            &[("a", Program::exiting(3000, 7)), ("c", broken()), ("d", broken())],
        );
        world.run_ms(60_000);
        world.program("c", broken());
        world.start("c");
        world.run_ms(10);
        assert_eq!(world.state("c"), Backoff);
        let text = summary(Doing::Working, &world.snapshot);
        assert!(text.contains("; d FATAL: no (and 1 more problem)"), "{text}");
    }

    #[test]
    fn a_pool_that_lost_events_is_told_of() {
        let pool = build::listeners("p", 1, &[EventType::RemoteCommunication], |pool| {
            pool.buffer_size = 1;
        });
        let mut world = World::booted(vec![pool, build::plain("a")]);
        world.run_ms(5000);
        let send = |world: &mut World| {
            let event = Request::RemoteEvent { kind: String::new(), data: String::new() };
            world.answer(event).unwrap();
            summary(Doing::Working, &world.snapshot)
        };
        assert_eq!(send(&mut world), "2 of 2 running");
        assert_eq!(send(&mut world), "2 of 2 running; p has lost 1 event (buffer_size)");
        assert_eq!(send(&mut world), "2 of 2 running; p has lost 2 events (buffer_size)");
        world.program("a", Program::failing("no"));
        world.exits("a", ExitStatus::Code(1));
        world.run_ms(10);
        let text = send(&mut world);
        assert_eq!(text, "1 of 2 running; a BACKOFF: no (and 1 more problem)");
    }

    #[test]
    fn what_was_stopped_or_ended_as_expected_is_no_problem() {
        let mut world = world(&["a", "b"], &[("a", Program::exiting(3000, 0))]);
        world.stop("b");
        world.run_ms(2000);
        assert_eq!(summary(Doing::Working, &world.snapshot), "1 of 2 running");
        let none = World::booted(Vec::new());
        assert_eq!(summary(Doing::Working, &none.snapshot), "No programs are configured");
        assert_eq!(
            summary(Doing::Starting, &none.snapshot),
            "Starting: no programs are configured"
        );
    }

    #[test]
    fn what_is_waited_for_is_named() {
        let names = ["a", "b", "c", "d", "e"];
        let mut world = world(&names, &names.map(|name| (name, Program::stubborn())));
        world.run_ms(5000);
        for name in names {
            world.stop(name);
        }
        assert_eq!(
            summary(Doing::Reloading, &world.snapshot),
            "Reloading: waiting for a, b, c and 2 more to stop (up to 10 s)"
        );
        world.os(Signal::TERM);
        assert_eq!(
            summary(Doing::Stopping, &world.snapshot),
            "Stopping: waiting for a, b, c and 2 more to stop (up to 10 s)"
        );
        world.run_ms(60_000);
        assert_eq!(summary(Doing::Stopping, &world.snapshot), "Stopping");
        assert_eq!(summary(Doing::Restarting, &world.snapshot), "Restarting");
    }

    #[test]
    fn no_name_begins_another_message_and_no_line_is_endless() {
        assert_eq!(line("a\nREADY=1\u{1b}[m\n"), "a READY=1 [m");
        let long = line(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.ends_with('…'));
        assert_eq!(line(&"ä".repeat(LONGEST)).chars().last(), Some('ä'));
    }
}
