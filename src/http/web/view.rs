//! A process as the pages show it: for their HTML and, as JSON, for their scripts.

use serde::Serialize;

use crate::api::describe::describe;
use crate::model::snapshot::ProcessSnapshot;
use crate::model::state::ProcessState;
use crate::model::time::{Now, Wall};

/// A process at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// As people write it: `web`, or `group:name`.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its name in the group.
    pub process: String,
    /// Its state, in lower case.
    pub state: String,
    /// What `status` says of it.
    pub text: String,
    /// Its pid; 0 while it does not live.
    pub pid: i32,
    /// When it was started, in milliseconds since the epoch: now, less the time it is up.
    pub started: Option<u64>,
    /// When it last ended, in milliseconds since the epoch.
    pub stopped: Option<u64>,
    /// How many times it was started again by itself.
    pub restarts: u32,
    /// How it last ended, or why it could not be started; empty when there is nothing to tell.
    pub cause: String,
    /// Whether somebody should look.
    pub problem: bool,
}

impl View {
    /// This process, now.
    #[must_use]
    pub fn of(process: &ProcessSnapshot, now: Now) -> Self {
        let name = &process.spec.name;
        let started =
            process.started.map(|(started, _)| Wall(now.wall.0.saturating_sub(now.mono - started)));
        Self {
            name: name.to_string(),
            group: name.group.as_ref().to_owned(),
            process: name.process.as_ref().to_owned(),
            state: process.state.name().to_lowercase(),
            text: describe(process, now),
            pid: process.pid,
            started: started.map(millis),
            stopped: process.stopped.map(millis),
            restarts: process.restarts,
            cause: cause(process),
            problem: is_problem(process),
        }
    }

    /// The class of its state in style sheets (C-332).
    #[must_use]
    pub fn class(&self) -> &'static str {
        class_of(&self.state)
    }

    /// What the page offers to do with it (C-332): the action, and what it is called.
    #[must_use]
    pub fn offers(&self) -> &'static [(&'static str, &'static str)] {
        match self.state.as_str() {
            "running" => &[("restart", "Restart"), ("stop", "Stop")],
            "stopped" | "exited" | "fatal" => &[("start", "Start")],
            // It is tried again and again; somebody may have had enough of it.
            "starting" | "backoff" => &[("stop", "Stop")],
            _ => &[],
        }
    }
}

/// The class of a state in style sheets (C-332).
#[must_use]
pub fn class_of(state: &str) -> &'static str {
    match state {
        "running" => "statusrunning",
        "fatal" | "backoff" => "statuserror",
        _ => "statusnominal",
    }
}

/// In milliseconds since the epoch.
#[must_use]
pub fn millis(wall: Wall) -> u64 {
    u64::try_from(wall.0.as_millis()).unwrap_or(u64::MAX)
}

fn is_problem(process: &ProcessSnapshot) -> bool {
    match process.state {
        ProcessState::Fatal | ProcessState::Backoff | ProcessState::Unknown => true,
        ProcessState::Exited => {
            process.exit_signal.is_some()
                || process.exit_code.is_some_and(|code| !process.spec.exitcodes.contains(&code))
        }
        _ => false,
    }
}

fn cause(process: &ProcessSnapshot) -> String {
    // Of an end upstream knows no signals: "Bad exit code -1".
    let is_told = process.state != ProcessState::Exited && !process.spawn_error.is_empty();
    match (process.exit_signal, process.exit_code) {
        _ if is_told => process.spawn_error.as_ref().to_owned(),
        (Some(signal), _) => format!("ended by {signal}"),
        (None, Some(code)) => format!("exit status {code}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::tests::process;
    use crate::model::signal::Signal;
    use crate::model::time::Mono;

    fn at(state: ProcessState) -> ProcessSnapshot {
        ProcessSnapshot { state, ..process("g", "a") }
    }

    #[test]
    fn a_state_has_a_class_and_what_can_be_done() {
        // C-332
        let shown = |state| {
            let view = View::of(&at(state), Now::default());
            let offers: Vec<_> = view.offers().iter().map(|(_, label)| *label).collect();
            format!("{} {} {}", view.state, view.class(), offers.join("+"))
        };
        let all: Vec<_> = ProcessState::ALL.into_iter().map(shown).collect();
        assert_eq!(
            all,
            [
                "stopped statusnominal Start",
                "starting statusnominal Stop",
                "running statusrunning Restart+Stop",
                "backoff statuserror Stop",
                "stopping statusnominal ",
                "exited statusnominal Start",
                "fatal statuserror Start",
                "unknown statusnominal ",
            ]
        );
    }

    #[test]
    fn an_unexpected_end_is_a_problem_with_a_cause() {
        let exited = |code, signal, why: &str| {
            let mut process = at(ProcessState::Exited);
            (process.exit_code, process.exit_signal) = (code, signal);
            process.spawn_error = Arc::from(why);
            let view = View::of(&process, Now::default());
            (view.problem, view.cause)
        };
        assert_eq!(exited(Some(0), None, ""), (false, "exit status 0".to_owned()));
        assert_eq!(exited(Some(3), None, ""), (true, "exit status 3".to_owned()));
        assert_eq!(exited(Some(-1), Some(Signal::KILL), ""), (true, "ended by SIGKILL".to_owned()));
        let segv = exited(Some(-1), Some(Signal(11)), "Bad exit code -1");
        assert_eq!(segv, (true, "ended by SIGSEGV".to_owned()));
        assert_eq!(exited(Some(3), None, "Bad exit code 3"), (true, "exit status 3".to_owned()));
        let mut fatal = at(ProcessState::Fatal);
        (fatal.exit_signal, fatal.spawn_error) = (Some(Signal::KILL), "can't find command".into());
        assert_eq!(View::of(&fatal, Now::default()).cause, "can't find command");
        for state in ProcessState::ALL {
            use ProcessState::{Backoff, Fatal, Unknown};
            let problem = View::of(&at(state), Now::default()).problem;
            assert_eq!(problem, matches!(state, Backoff | Fatal | Unknown), "{state}");
        }
    }

    #[test]
    fn the_start_is_told_by_the_clock_of_now() {
        let mut process = at(ProcessState::Running);
        let secs = std::time::Duration::from_secs;
        // The wall clock was set since.
        process.started = Some((Mono(secs(100)), Wall(secs(5))));
        let now = Now { mono: Mono(secs(130)), wall: Wall(secs(1_000_000)) };
        assert_eq!(View::of(&process, now).started, Some(999_970_000));
    }
}
