//! The steps from one state to another.

use std::sync::Arc;
use std::time::Duration;

use super::Process;
use crate::core::action::{Action, Generation, SignalScope};
use crate::core::request::Token;
use crate::core::turn::{Transition, Turn};
use crate::model::event::Event;
use crate::model::message::Kind;
use crate::model::record::Level;
use crate::model::signal::Signal;
use crate::model::state::ProcessState::{
    self, Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping,
};

/// The least time between two SIGKILLs.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// Seconds of a configuration as a duration; what is negative counts as 0 (C-045).
pub(super) fn secs(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

impl Process {
    /// Asks for a child (C-171).
    pub(super) fn spawn(&mut self, generation: &mut Generation, turn: &mut Turn) {
        *generation += 1;
        self.generation = *generation;
        self.start_queued = false;
        self.deadline = None;
        self.ended = None;
        self.exit_code = None;
        self.exit_signal = None;
        self.spawn_error = "".into();
        self.started = Some((turn.now.mono, turn.now.wall));
        self.change_state(Starting, turn);
        self.make_child(turn);
    }

    pub(super) fn make_child(&self, turn: &mut Turn) {
        turn.act(Action::Spawn {
            key: self.key,
            generation: self.generation,
            spec: Arc::clone(&self.spec),
            logs: Arc::clone(&self.logs),
        });
    }

    /// Asks for a child because the last one ended, or failed to run.
    pub(super) fn respawn(&mut self, generation: &mut Generation, turn: &mut Turn) {
        self.restarts = self.restarts.saturating_add(1);
        self.spawn(generation, turn);
    }

    /// It stayed up for `startsecs` (C-172).
    pub(super) fn succeed(&mut self, turn: &mut Turn) {
        self.deadline = None;
        if self.spec.startsecs > 0 {
            self.backoff = 0;
        }
        self.change_state(Running, turn);
        let text = format!(
            "success: {} entered RUNNING state, process has stayed up for > than {} seconds \
             (startsecs)",
            self.spec.name.process, self.spec.startsecs
        );
        turn.say(self.line(Level::Info, text).of(Kind::ProcessRunning));
    }

    /// An attempt failed: try again later, or give up (C-175 to C-177).
    pub(super) fn back_off(&mut self, turn: &mut Turn) {
        self.backoff += 1;
        self.change_state(Backoff, turn);
        if !turn.accepting {
            self.give_up(turn);
        } else if i64::from(self.backoff) > self.spec.startretries {
            self.give_up(turn);
            let text = format!(
                "gave up: {} entered FATAL state, too many start retries too quickly",
                self.spec.name.process
            );
            turn.say(self.line(Level::Info, text).of(Kind::ProcessGaveUp));
        } else {
            self.deadline = Some(turn.now.mono + Duration::from_secs(self.backoff.into()));
        }
    }

    pub(super) fn give_up(&mut self, turn: &mut Turn) {
        self.backoff = 0;
        self.deadline = None;
        self.change_state(Fatal, turn);
    }

    /// Nothing of it runs: no more attempts (C-178, C-426).
    pub(super) fn halt(&mut self, turn: &mut Turn) {
        self.backoff = 0;
        self.quick_runs = 0;
        self.deadline = None;
        self.stopped = Some(turn.now.wall);
        self.change_state(Stopped, turn);
    }

    pub(super) fn begin_stop(&mut self, turn: &mut Turn) {
        self.change_state(Stopping, turn);
        if self.pid != 0 {
            self.send_stop(turn);
        } else if self.sweep.is_none() {
            self.deadline = None; // its spawn is under way: the signal follows the pid
        }
    }

    /// Sends the stop signal; SIGKILL follows after `stopwaitsecs` (C-179, C-212).
    pub(super) fn send_stop(&mut self, turn: &mut Turn) {
        let scope = if self.spec.stopasgroup { SignalScope::Group } else { SignalScope::Process };
        self.log_kill(self.spec.stopsignal, scope, turn);
        self.send(self.spec.stopsignal, scope, None, turn);
        self.deadline = Some(turn.now.mono + secs(self.spec.stopwaitsecs));
    }

    /// It did not stop in time (C-180).
    pub(super) fn kill(&mut self, turn: &mut Turn) {
        let text = format!("killing '{}' ({}) with SIGKILL", self.spec.name.process, self.pid);
        turn.say(self.line(Level::Warn, text).of(Kind::ProcessKilled).signal(Signal::KILL));
        let scope = if self.spec.killasgroup { SignalScope::Group } else { SignalScope::Process };
        self.log_kill(Signal::KILL, scope, turn);
        self.send(Signal::KILL, scope, None, turn);
        self.deadline = Some(turn.now.mono + secs(self.spec.stopwaitsecs).max(KILL_AGAIN));
    }

    pub(super) fn log_kill(&self, signal: Signal, scope: SignalScope, turn: &mut Turn) {
        let whom = match scope {
            SignalScope::Process => "",
            SignalScope::Group => "process group ",
        };
        let text = format!(
            "killing {} (pid {}) {whom}with signal {signal}",
            self.spec.name.process, self.pid
        );
        turn.say(self.line(Level::Debug, text).signal(signal));
    }

    pub(super) fn send(
        &self,
        signal: Signal,
        scope: SignalScope,
        token: Option<Token>,
        turn: &mut Turn,
    ) {
        turn.act(Action::Signal {
            key: self.key,
            generation: self.generation,
            pid: self.pid,
            signal,
            scope,
            token,
        });
    }

    /// It stopped as asked, and nothing of it is left; a start that was asked for meanwhile follows
    /// (C-181, C-191, C-425).
    pub(super) fn come_to_rest(&mut self, generation: &mut Generation, turn: &mut Turn) {
        self.backoff = 0;
        self.quick_runs = 0;
        self.deadline = None;
        self.stopped = Some(turn.now.wall);
        self.pid_gone_into(Stopped, turn);
        self.sweep = None;
        if self.start_queued && turn.accepting {
            self.spawn(generation, turn);
        }
        self.start_queued = false;
    }

    /// Enters a state in which it has no child; the event still tells the pid that it had.
    pub(super) fn pid_gone_into(&mut self, to: ProcessState, turn: &mut Turn) {
        if to == Backoff {
            self.pid = 0;
            self.back_off(turn);
        } else {
            self.change_state(to, turn);
            self.pid = 0;
        }
    }

    /// The one place where the state changes.
    pub(super) fn change_state(&mut self, to: ProcessState, turn: &mut Turn) {
        let from = std::mem::replace(&mut self.state, to);
        if from == to {
            return;
        }
        turn.transitions.push(Transition {
            key: self.key,
            to,
            start_queued: self.start_queued && turn.accepting,
        });
        turn.publish(Event::ProcessState {
            name: self.spec.name.clone(),
            from,
            to,
            pid: self.sweep.as_ref().map_or(self.pid, |sweep| sweep.pid),
            tries: self.backoff,
            expected: to == Exited && self.spawn_error.is_empty(),
            ended: self.ended,
            problem: Arc::clone(&self.spawn_error),
            restarts: self.restarts,
        });
    }
}
