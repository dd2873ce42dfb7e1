//! How the programs of a simulated world behave.

use std::time::Duration;

use crate::model::exit::ExitStatus;

/// How a program behaves from its next spawn on; its children keep what they were born with,
/// except for what concerns signals.
#[derive(Debug, Clone)]
pub struct Program {
    /// How long it takes to make a child, or to fail to.
    pub spawns_in: Duration,
    /// Why no child can be made.
    pub spawn_error: Option<&'static str>,
    /// When and how a child ends by itself.
    pub lives: Option<(Duration, ExitStatus)>,
    /// How long it takes to end after its stop signal; none ignores it.
    pub stops_in: Option<Duration>,
    /// How it ends after its stop signal; none is by that signal.
    pub stops_with: Option<ExitStatus>,
    /// Whether SIGKILL ends it.
    pub killable: bool,
    /// Why it cannot be signalled.
    pub signal_error: Option<&'static str>,
    /// How long it takes after the end of a child until all that it wrote is heard.
    pub heard_in: Duration,
    /// How many processes it leaves behind when it ends.
    pub leaves: u32,
    /// How long they take to end after SIGTERM; none ignores it.
    pub left_end_in: Option<Duration>,
    /// Whether SIGKILL ends them.
    pub left_killable: bool,
}

impl Default for Program {
    /// Spawned at once, lives until it is told to stop, then stops at once.
    fn default() -> Self {
        Self {
            spawns_in: Duration::ZERO,
            spawn_error: None,
            lives: None,
            stops_in: Some(Duration::ZERO),
            stops_with: None,
            killable: true,
            signal_error: None,
            heard_in: Duration::ZERO,
            leaves: 0,
            left_end_in: Some(Duration::ZERO),
            left_killable: true,
        }
    }
}

impl Program {
    /// One that ends by itself with this code after so many milliseconds.
    pub fn exiting(millis: u64, code: i32) -> Self {
        let status = ExitStatus::Code(code);
        Self { lives: Some((Duration::from_millis(millis), status)), ..Self::default() }
    }

    /// One that cannot be spawned.
    pub fn failing(error: &'static str) -> Self {
        Self { spawn_error: Some(error), ..Self::default() }
    }

    /// One that ignores its stop signal.
    pub fn stubborn() -> Self {
        Self { stops_in: None, ..Self::default() }
    }

    /// One that leaves so many processes behind, which end as soon as they are told to.
    pub fn leaving(count: u32) -> Self {
        Self { leaves: count, ..Self::default() }
    }

    /// One that takes so many milliseconds to be spawned.
    pub fn slow_to_spawn(millis: u64) -> Self {
        Self { spawns_in: Duration::from_millis(millis), ..Self::default() }
    }

    /// One that takes so many milliseconds to stop.
    pub fn slow_to_stop(millis: u64) -> Self {
        Self { stops_in: Some(Duration::from_millis(millis)), ..Self::default() }
    }
}
