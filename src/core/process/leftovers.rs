//! What a run leaves behind when its main process is gone: background children, workers, daemons
//! that forked twice. After a stop they are ended, unless `killmode=process`, and the process has
//! stopped only when they are gone; before a start they are ended, so that there are never two
//! sets of them. When the main process ends by itself they are left alone, and reported.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Process;
use super::steps::secs;
use crate::core::action::{Action, Generation, Leftovers, Sweep};
use crate::core::turn::{Transition, Turn};
use crate::model::fault::{Fault, FaultKind};
use crate::model::message::Kind;
use crate::model::record::Level;
use crate::model::signal::Signal;
use crate::model::spec::KillMode;
use crate::model::state::ProcessState::{Starting, Stopped, Stopping};
use crate::model::time::Mono;

/// The most that leftovers get between SIGTERM and SIGKILL: their main process had its time, and
/// whoever waits for a stop has waited for that already.
const MOST_GRACE: Duration = Duration::from_secs(5);

/// How long leftovers may take to die of SIGKILL before they are given up. Only what hangs in the
/// kernel takes that long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What earlier runs left behind is being ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sweeping {
    /// The main process that ended, for the event of its stop; 0 when it ended long ago.
    pub pid: i32,
    /// What is done to them now.
    stage: Sweep,
    /// It is stopped when they are gone. Else a shutdown ends them, and it stays what it is.
    stops: bool,
    /// Who they are, once that was seen.
    seen: Leftovers,
}

impl Process {
    /// Whether it must be looked after what its runs leave behind.
    fn sweeps(&self) -> bool {
        self.spec.killmode != KillMode::Process
    }

    /// Whether something of an earlier run may be there.
    #[must_use]
    pub(in crate::core) fn may_have_left(&self) -> bool {
        self.left > 0 || self.unseen
    }

    /// Whether what it left behind is being ended.
    #[must_use]
    pub fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }

    /// How long leftovers get to end by themselves.
    fn grace(&self) -> Duration {
        match self.spec.killmode {
            KillMode::ControlGroup => secs(self.spec.stopwaitsecs).min(MOST_GRACE),
            KillMode::Mixed | KillMode::Process => Duration::ZERO,
        }
    }

    /// When all that it was told to stop is killed at the latest; none when it is not stopping.
    #[must_use]
    pub fn stops_by(&self) -> Option<Mono> {
        match self.state {
            _ if self.sweep.is_some() => self.deadline,
            Stopping => self.deadline.map(|at| at + self.grace()),
            _ => None,
        }
    }

    /// Whether its stop is complete: what it left behind may have been given up.
    pub(in crate::core) fn nothing_is_left(&self) -> Result<(), Fault> {
        if self.left == 0 {
            return Ok(());
        }
        let text =
            format!("{}: it left {} that could not be ended", self.spec.name, many(self.left));
        Err(Fault::new(FaultKind::Failed, text))
    }

    /// Its main process ended: what it left behind is not known yet.
    pub(super) fn main_process_ended(&mut self) {
        self.unseen = self.sweeps();
    }

    /// Its main process ended by itself, and no other follows now: what it left stays, and is
    /// reported.
    pub(super) fn report_leftovers(&self, turn: &mut Turn) {
        if self.unseen && self.sweep.is_none() && self.state != Starting {
            self.act_on_leftovers(Sweep::Watch, turn);
        }
    }

    /// The spawn found processes of an earlier run.
    pub fn occupied(&mut self, turn: &mut Turn) {
        self.unseen = true;
        self.begin_sweep(0, turn);
    }

    /// Ends what earlier runs left behind. The main process that ended just now had this pid.
    pub(super) fn begin_sweep(&mut self, pid: i32, turn: &mut Turn) {
        let stage = match self.spec.killmode {
            KillMode::ControlGroup => Sweep::Terminate,
            KillMode::Mixed | KillMode::Process => Sweep::Kill,
        };
        self.sweep = Some(Sweeping { pid, stage, stops: false, seen: Leftovers::default() });
        self.pid = 0;
        let wait = if stage == Sweep::Kill { PATIENCE } else { self.grace() };
        self.deadline = Some(turn.now.mono + wait);
        self.act_on_leftovers(stage, turn);
    }

    /// No main process runs: stops it, with what it left behind.
    pub(super) fn stop_without_child(&mut self, turn: &mut Turn) {
        if self.may_have_left() {
            self.begin_sweep(0, turn);
            if let Some(sweep) = &mut self.sweep {
                sweep.stops = true;
            }
        } else {
            self.halt(turn);
        }
    }

    /// A look at what is left.
    pub fn swept(&mut self, left: Leftovers, generation: &mut Generation, turn: &mut Turn) {
        let before = std::mem::replace(&mut self.left, left.count);
        self.unseen = false;
        if left.count == 0 {
            if self.sweep.is_some() {
                self.finish_sweep(generation, turn);
            }
            return;
        }
        let (level, fate) = match self.sweep.as_ref().map(|sweep| sweep.stage) {
            Some(Sweep::Terminate) => (Level::Info, ", sending SIGTERM"),
            Some(Sweep::Kill) => (Level::Warn, ", sending SIGKILL"),
            Some(Sweep::Watch) | None => (Level::Warn, ""),
        };
        if before != left.count {
            let text = format!("{} left {}{fate}: {}", self.name(), many(left.count), left.text);
            turn.say(self.line(level, text).of(Kind::LeftBehind));
        }
        if let Some(sweep) = &mut self.sweep {
            sweep.seen = left;
        }
    }

    /// It is removed, and what its last run left behind was not even looked at yet: it must not
    /// stay without anybody who knows of it.
    pub fn give_up_leftovers(&self, turn: &mut Turn) {
        if self.may_have_left() {
            self.act_on_leftovers(Sweep::Kill, turn);
        }
    }

    /// They had their time.
    pub(super) fn escalate(&mut self, generation: &mut Generation, turn: &mut Turn) {
        let Some(sweep) = &mut self.sweep else { return };
        if sweep.stage == Sweep::Terminate {
            sweep.stage = Sweep::Kill;
            self.deadline = Some(turn.now.mono + PATIENCE);
            if self.left > 0 {
                let text = format!("killing what '{}' left behind with SIGKILL", self.name());
                let line = self.line(Level::Warn, text).of(Kind::LeftBehind);
                turn.say(line.signal(Signal::KILL));
            }
            self.act_on_leftovers(Sweep::Kill, turn);
            return;
        }
        let who = if self.left > 0 { sweep.seen.text.as_str() } else { "nobody could look" };
        let error = format!("what an earlier run left behind could not be ended: {who}");
        let text = format!("{}: {error}", self.name());
        turn.say(self.line(Level::Error, text).of(Kind::LeftBehind));
        self.left = self.left.max(1);
        self.act_on_leftovers(Sweep::Watch, turn);
        if self.state == Starting {
            self.sweep = None;
            self.spawn_failed(&error, generation, turn);
        } else {
            self.finish_sweep(generation, turn);
        }
    }

    /// They are gone, or given up: what was to happen then.
    fn finish_sweep(&mut self, generation: &mut Generation, turn: &mut Turn) {
        self.deadline = None;
        match self.state {
            Starting => {
                self.sweep = None;
                if turn.accepting {
                    self.make_child(turn);
                } else {
                    self.spawn_failed("supervisord is stopping", generation, turn); // C-151
                }
            }
            Stopping => self.come_to_rest(generation, turn),
            _ if self.sweep.as_ref().is_some_and(|sweep| sweep.stops) => {
                if self.state == Stopped {
                    // Somebody waits for that all the same.
                    let start_queued = self.start_queued && turn.accepting;
                    turn.transitions.push(Transition { key: self.key, to: Stopped, start_queued });
                }
                self.come_to_rest(generation, turn);
            }
            _ => self.sweep = None,
        }
    }

    /// An earlier daemon was killed while something was being done about leftovers, or before it
    /// was known whether there are any.
    pub(super) fn sweep_again(&self, turn: &mut Turn) {
        let stage = self.sweep.as_ref().map(|sweep| sweep.stage);
        if let Some(stage) = stage.or(self.may_have_left().then_some(Sweep::Watch)) {
            self.act_on_leftovers(stage, turn);
        }
    }

    fn act_on_leftovers(&self, sweep: Sweep, turn: &mut Turn) {
        turn.act(Action::Sweep { key: self.key, generation: self.generation, sweep });
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.spec.name.process)
    }
}

fn many(count: u32) -> String {
    if count == 1 { "1 process behind".to_owned() } else { format!("{count} processes behind") }
}
