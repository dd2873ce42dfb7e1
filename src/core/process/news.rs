//! What became of the child of a process, and of time.

use std::sync::Arc;
use std::time::Duration;

use super::Process;
use super::steps::secs;
use crate::core::action::{Action, Generation};
use crate::core::turn::Turn;
use crate::model::exit::ExitStatus;
use crate::model::message::{Field, Kind};
use crate::model::record::Level;
use crate::model::spec::Autorestart;
use crate::model::state::ProcessState::{Backoff, Exited, Starting, Stopped, Stopping, Unknown};

/// A run shorter than this is quick: with `startsecs=0` it counts against the restart limits
/// below (C-428; upstream is limited by its tick of the same length).
const QUICK: Duration = Duration::from_secs(1);

/// Quick runs in a row after which an expected exit is restarted only once per [`QUICK`].
const QUICK_BURST: u32 = 5;

impl Process {
    /// A signal could not be sent, and not because it is gone: nobody knows what it does now
    /// (C-188). It may have been the signal of a client (`asked`), or one that was to end it.
    pub fn signal_failed(&mut self, asked: bool, error: &str, turn: &mut Turn) {
        let problem = if asked { "sending sig" } else { "killing" };
        let name = &self.spec.name.process;
        let text = format!("unknown problem {problem} {name} ({}):{error}", self.pid);
        let line = self.line(Level::Critical, text).of(Kind::ProcessUnknown).state(Unknown);
        turn.say(line.with(Field::Error, error));
        self.deadline = None;
        self.start_queued = false;
        self.change_state(Unknown, turn);
    }

    /// Its child was made.
    pub fn spawned(&mut self, pid: i32, turn: &mut Turn) {
        self.pid = pid;
        self.left = 0;
        self.unseen = false;
        // A spawn may take long, and is no time that the program was up.
        self.started = Some((turn.now.mono, turn.now.wall));
        let text = format!("spawned: '{}' with pid {pid}", self.spec.name.process);
        turn.say(self.line(Level::Info, text).of(Kind::ProcessSpawned));
        if self.state == Stopping {
            self.send_stop(turn);
        } else if self.spec.startsecs > 0 {
            self.deadline = Some(turn.now.mono + secs(self.spec.startsecs));
        } else {
            self.succeed(turn);
        }
    }

    /// No child could be made (C-174).
    pub fn spawn_failed(&mut self, error: &str, generation: &mut Generation, turn: &mut Turn) {
        self.spawn_error = error.into();
        let next = if self.state == Stopping { Stopped } else { Backoff };
        let line = self.line(Level::Info, format!("spawnerr: {error}")).of(Kind::SpawnError);
        turn.say(line.state(next).with(Field::Error, error));
        if self.state == Stopping && self.may_have_left() {
            self.begin_sweep(0, turn);
        } else if self.state == Stopping {
            self.come_to_rest(generation, turn);
        } else {
            self.back_off(turn);
        }
    }

    /// An earlier daemon was killed. If its child was being made then, that is ended by now, and
    /// another is made; a sweep that was under way is begun again.
    pub fn taken_back(&mut self, generation: &mut Generation, turn: &mut Turn) {
        match self.state {
            _ if self.pid != 0 => {}
            Starting if self.sweep.is_none() => {
                *generation += 1;
                self.generation = *generation;
                self.make_child(turn);
            }
            Stopping if self.sweep.is_none() => self.come_to_rest(generation, turn),
            _ => self.sweep_again(turn),
        }
    }

    /// Its child ended.
    pub fn exited(&mut self, status: ExitStatus, generation: &mut Generation, turn: &mut Turn) {
        turn.act(Action::Ended { key: self.key, generation: self.generation });
        self.main_process_ended();
        self.deadline = None;
        self.stopped = Some(turn.now.wall);
        self.ended = Some(status);
        let lived = self.started.map_or(Duration::MAX, |(mono, _)| turn.now.mono - mono);
        let name = Arc::clone(&self.spec.name.process);
        let listed = self.spec.exitcodes.contains(&status.code());

        if self.state == Stopping || self.state == Unknown {
            self.exit_code = Some(status.code());
            self.exit_signal = status.signal();
            let level = if listed { Level::Info } else { Level::Warn };
            let line = self.line(level, format!("stopped: {name} ({status})"));
            turn.say(line.of(Kind::ProcessStopped).state(Stopped).ended(status));
            if self.state == Stopping && self.may_have_left() {
                self.begin_sweep(self.pid, turn);
            } else {
                self.come_to_rest(generation, turn);
            }
        } else if self.state == Starting && lived < secs(self.spec.startsecs) {
            // The code stays unknown, as upstream has it (C-308).
            self.exit_signal = status.signal();
            self.spawn_error = "Exited too quickly (process log may have details)".into();
            let text = format!("exited: {name} ({status}; not expected)");
            let line = self.line(Level::Warn, text).of(Kind::ProcessFailed);
            turn.say(line.state(Backoff).ended(status));
            self.pid_gone_into(Backoff, turn);
        } else {
            if self.state == Starting {
                self.succeed(turn);
            }
            self.exit_code = Some(status.code());
            self.exit_signal = status.signal();
            let (level, verdict) =
                if listed { (Level::Info, "expected") } else { (Level::Warn, "not expected") };
            if !listed {
                self.spawn_error = match status {
                    ExitStatus::Unknown => "Exit status unknown".into(),
                    _ => format!("Bad exit code {}", status.code()).into(),
                };
            }
            let text = format!("exited: {name} ({status}; {verdict})");
            let kind = if listed { Kind::ProcessExited } else { Kind::ProcessFailed };
            turn.say(self.line(level, text).of(kind).state(Exited).ended(status));
            self.pid_gone_into(Exited, turn);
            if turn.accepting {
                self.restart_after_exit(lived, listed, generation, turn);
            }
        }
        self.report_leftovers(turn);
    }

    /// Carries out what is due.
    pub fn tick(&mut self, generation: &mut Generation, turn: &mut Turn) {
        if self.deadline.is_none_or(|at| at > turn.now.mono) {
            return;
        }
        self.deadline = None;
        match self.state {
            _ if self.sweep.is_some() => self.escalate(generation, turn),
            Starting => self.succeed(turn),
            Backoff | Exited if turn.accepting => self.respawn(generation, turn),
            Stopping if self.pid != 0 => self.kill(turn),
            _ => {}
        }
    }

    /// Whether it should be started again, and when (C-183, C-428).
    fn restart_after_exit(
        &mut self,
        lived: Duration,
        listed: bool,
        generation: &mut Generation,
        turn: &mut Turn,
    ) {
        let wanted = match self.spec.autorestart {
            Autorestart::Never => false,
            Autorestart::Unexpected => !listed,
            Autorestart::Always => true,
        };
        if !wanted {
            return;
        }
        if lived >= QUICK {
            self.backoff = 0;
            self.quick_runs = 0;
            self.respawn(generation, turn);
        } else if listed {
            self.quick_runs += 1;
            if self.quick_runs <= QUICK_BURST {
                self.respawn(generation, turn);
            } else {
                self.deadline = self.started.map(|(mono, _)| mono + QUICK);
            }
        } else {
            // With startsecs=0 upstream would start it again for ever.
            self.back_off(turn);
        }
    }
}
