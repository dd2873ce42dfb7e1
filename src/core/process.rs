//! One process: its state machine (COMPAT section 3).
//!
//! A process has at most one live child. `pid` is set from the report of the spawn to the report
//! of the exit; STARTING or STOPPING without a pid, its spawn is under way. A timer is one
//! `deadline` whose meaning is given by the state: enter RUNNING (STARTING), try again (BACKOFF,
//! and EXITED when a restart was put off), send SIGKILL (STOPPING).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{Action, Generation, SignalScope};
use super::key::ProcKey;
use super::request::Token;
use super::turn::{Transition, Turn};
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::fault::{Fault, FaultKind};
use crate::model::record::Level;
use crate::model::signal::Signal;
use crate::model::snapshot::{LogPaths, ProcessSnapshot};
use crate::model::spec::{Autorestart, ProcessSpec};
use crate::model::state::ProcessState::{
    self, Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unknown,
};
use crate::model::time::{Mono, Wall};

/// A run shorter than this is quick: with `startsecs=0` it counts against the restart limits
/// below (C-428; upstream is limited by its tick of the same length).
const QUICK: Duration = Duration::from_secs(1);

/// Quick runs in a row after which an expected exit is restarted only once per [`QUICK`].
const QUICK_BURST: u32 = 5;

/// The least time between two SIGKILLs.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// One process of an active group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    key: ProcKey,
    spec: Arc<ProcessSpec>,
    logs: Arc<LogPaths>,
    state: ProcessState,
    generation: Generation,
    pid: i32,
    deadline: Option<Mono>,
    /// Failed attempts in a row, `tries` in events (C-175, C-359).
    backoff: u32,
    /// Quick runs in a row that ended as expected.
    quick_runs: u32,
    /// Somebody asked for a start while it was stopping (C-425).
    start_queued: bool,
    started: Option<(Mono, Wall)>,
    stopped: Option<Wall>,
    exit_code: Option<i32>,
    spawn_error: Arc<str>,
}

/// Seconds of a configuration as a duration; what is negative counts as 0 (C-045).
fn secs(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

impl Process {
    /// A process that was never started.
    #[must_use]
    pub fn new(key: ProcKey, spec: Arc<ProcessSpec>, logs: Arc<LogPaths>) -> Self {
        Self {
            key,
            spec,
            logs,
            state: Stopped,
            generation: 0,
            pid: 0,
            deadline: None,
            backoff: 0,
            quick_runs: 0,
            start_queued: false,
            started: None,
            stopped: None,
            exit_code: None,
            spawn_error: "".into(),
        }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> ProcKey {
        self.key
    }

    /// What it is configured as.
    #[must_use]
    pub fn spec(&self) -> &Arc<ProcessSpec> {
        &self.spec
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> ProcessState {
        self.state
    }

    /// The pid of its live child, or 0.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.deadline
    }

    /// Whether this is the spawn that it is about now.
    #[must_use]
    pub fn is_current(&self, generation: Generation) -> bool {
        self.generation == generation
    }

    /// Whether a stop has anything to do: it is up, or about to be (C-303).
    #[must_use]
    pub fn can_stop(&self) -> bool {
        match self.state {
            Exited => self.deadline.is_some(), // its restart was put off
            Stopping => self.start_queued,
            state => state.is_running(),
        }
    }

    /// Whether nothing of it is left: in UNKNOWN, a child may be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state.is_stopped() && self.pid == 0
    }

    /// What readers see of it.
    #[must_use]
    pub fn snapshot(&self) -> ProcessSnapshot {
        ProcessSnapshot {
            key: self.key,
            spec: Arc::clone(&self.spec),
            state: self.state,
            pid: self.pid,
            started: self.started,
            stopped: self.stopped,
            exit_code: self.exit_code,
            spawn_error: Arc::clone(&self.spawn_error),
            logs: Arc::clone(&self.logs),
        }
    }

    /// Starts it with the daemon, when it is configured so and was never started (C-170).
    pub fn autostart(&mut self, generation: &mut Generation, turn: &mut Turn) {
        let fresh = self.state == Stopped && self.started.is_none();
        if fresh && self.spec.autostart && turn.accepting {
            self.spawn(generation, turn);
        }
    }

    /// Starts it because somebody asked (C-300). A start while it is stopping is carried out when
    /// it has stopped (C-425).
    pub fn start(&mut self, generation: &mut Generation, turn: &mut Turn) -> Result<(), Fault> {
        match self.state {
            Starting | Running | Backoff => {
                Err(Fault::new(FaultKind::AlreadyStarted, self.spec.name.to_string()))
            }
            Unknown => Err(Fault::new(
                FaultKind::Failed,
                format!("{} is in an unknown process state", self.spec.name),
            )),
            Stopping => {
                self.start_queued = true;
                Ok(())
            }
            Stopped | Exited | Fatal => {
                self.backoff = 0;
                self.quick_runs = 0;
                self.spawn(generation, turn);
                Ok(())
            }
        }
    }

    /// Stops it because somebody asked (C-178, C-179, C-187, C-303).
    pub fn stop(&mut self, turn: &mut Turn) -> Result<(), Fault> {
        if !self.can_stop() {
            return Err(Fault::new(FaultKind::NotRunning, self.spec.name.to_string()));
        }
        match self.state {
            Starting | Running => self.begin_stop(turn),
            Stopping => self.start_queued = false,
            Backoff => {
                let name = &self.spec.name.process;
                let text = format!("Attempted to kill {name}, which is in BACKOFF state.");
                turn.log_about(Level::Debug, &self.spec.name, text);
                self.halt(turn);
            }
            _ => self.halt(turn),
        }
        Ok(())
    }

    /// Stops it because the daemon stops; like [`Self::stop`], but what is in BACKOFF goes to
    /// FATAL (C-149).
    pub fn shut_down(&mut self, turn: &mut Turn) {
        self.start_queued = false;
        match self.state {
            Starting | Running => self.begin_stop(turn),
            Backoff => self.give_up(turn),
            Exited => self.deadline = None,
            Stopping | Stopped | Fatal | Unknown => {}
        }
    }

    /// Sends it a signal because somebody asked (C-305).
    pub fn signal(&mut self, signal: Signal, token: Token, turn: &mut Turn) -> Result<(), Fault> {
        if !self.state.is_signallable() || self.pid == 0 {
            return Err(Fault::new(FaultKind::NotRunning, self.spec.name.to_string()));
        }
        let text = format!("sending {} (pid {}) sig {signal}", self.spec.name.process, self.pid);
        turn.log_about(Level::Debug, &self.spec.name, text);
        self.send(signal, SignalScope::Process, Some(token), turn);
        Ok(())
    }

    /// A signal could not be sent, and not because it is gone: nobody knows what it does now
    /// (C-188). It may have been the signal of a client (`asked`), or one that was to end it.
    pub fn signal_failed(&mut self, asked: bool, error: &str, turn: &mut Turn) {
        let problem = if asked { "sending sig" } else { "killing" };
        let name = &self.spec.name.process;
        let text = format!("unknown problem {problem} {name} ({}):{error}", self.pid);
        turn.log_about(Level::Critical, &self.spec.name, text);
        self.deadline = None;
        self.start_queued = false;
        self.change_state(Unknown, turn);
    }

    /// Its child was made.
    pub fn spawned(&mut self, pid: i32, turn: &mut Turn) {
        self.pid = pid;
        // A spawn may take long, and is no time that the program was up.
        self.started = Some((turn.now.mono, turn.now.wall));
        let text = format!("spawned: '{}' with pid {pid}", self.spec.name.process);
        turn.log_about(Level::Info, &self.spec.name, text);
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
        turn.log_about(Level::Info, &self.spec.name, format!("spawnerr: {error}"));
        if self.state == Stopping {
            self.come_to_rest(generation, turn);
        } else {
            self.back_off(turn);
        }
    }

    /// Its child ended.
    pub fn exited(&mut self, status: ExitStatus, generation: &mut Generation, turn: &mut Turn) {
        turn.act(Action::Ended { key: self.key, generation: self.generation });
        self.deadline = None;
        self.stopped = Some(turn.now.wall);
        let lived = self.started.map_or(Duration::MAX, |(mono, _)| turn.now.mono - mono);
        let name = Arc::clone(&self.spec.name.process);
        let listed = self.spec.exitcodes.contains(&status.code());

        if self.state == Stopping || self.state == Unknown {
            self.exit_code = Some(status.code());
            let level = if listed { Level::Info } else { Level::Warn };
            turn.log_about(level, &self.spec.name, format!("stopped: {name} ({status})"));
            self.come_to_rest(generation, turn);
        } else if self.state == Starting && lived < secs(self.spec.startsecs) {
            self.spawn_error = "Exited too quickly (process log may have details)".into();
            let text = format!("exited: {name} ({status}; not expected)");
            turn.log_about(Level::Warn, &self.spec.name, text);
            self.pid_gone_into(Backoff, turn);
        } else {
            if self.state == Starting {
                self.succeed(turn);
            }
            self.exit_code = Some(status.code());
            let (level, verdict) =
                if listed { (Level::Info, "expected") } else { (Level::Warn, "not expected") };
            if !listed {
                self.spawn_error = format!("Bad exit code {}", status.code()).into();
            }
            let text = format!("exited: {name} ({status}; {verdict})");
            turn.log_about(level, &self.spec.name, text);
            self.pid_gone_into(Exited, turn);
            if turn.accepting {
                self.restart_after_exit(lived, listed, generation, turn);
            }
        }
    }

    /// Carries out what is due.
    pub fn tick(&mut self, generation: &mut Generation, turn: &mut Turn) {
        if self.deadline.is_none_or(|at| at > turn.now.mono) {
            return;
        }
        self.deadline = None;
        match self.state {
            Starting => self.succeed(turn),
            Backoff | Exited if turn.accepting => self.spawn(generation, turn),
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
            self.spawn(generation, turn);
        } else if listed {
            self.quick_runs += 1;
            if self.quick_runs <= QUICK_BURST {
                self.spawn(generation, turn);
            } else {
                self.deadline = self.started.map(|(mono, _)| mono + QUICK);
            }
        } else {
            // With startsecs=0 upstream would start it again for ever.
            self.back_off(turn);
        }
    }

    /// Asks for a child (C-171).
    fn spawn(&mut self, generation: &mut Generation, turn: &mut Turn) {
        *generation += 1;
        self.generation = *generation;
        self.start_queued = false;
        self.deadline = None;
        self.exit_code = None;
        self.spawn_error = "".into();
        self.started = Some((turn.now.mono, turn.now.wall));
        self.change_state(Starting, turn);
        turn.act(Action::Spawn {
            key: self.key,
            generation: self.generation,
            spec: Arc::clone(&self.spec),
            logs: Arc::clone(&self.logs),
        });
    }

    /// It stayed up for `startsecs` (C-172).
    fn succeed(&mut self, turn: &mut Turn) {
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
        turn.log_about(Level::Info, &self.spec.name, text);
    }

    /// An attempt failed: try again later, or give up (C-175 to C-177).
    fn back_off(&mut self, turn: &mut Turn) {
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
            turn.log_about(Level::Info, &self.spec.name, text);
        } else {
            self.deadline = Some(turn.now.mono + Duration::from_secs(self.backoff.into()));
        }
    }

    fn give_up(&mut self, turn: &mut Turn) {
        self.backoff = 0;
        self.deadline = None;
        self.change_state(Fatal, turn);
    }

    /// Nothing of it runs: no more attempts (C-178, C-426).
    fn halt(&mut self, turn: &mut Turn) {
        self.backoff = 0;
        self.quick_runs = 0;
        self.deadline = None;
        self.stopped = Some(turn.now.wall);
        self.change_state(Stopped, turn);
    }

    fn begin_stop(&mut self, turn: &mut Turn) {
        self.change_state(Stopping, turn);
        if self.pid == 0 {
            self.deadline = None; // its spawn is under way: the signal follows the pid
        } else {
            self.send_stop(turn);
        }
    }

    /// Sends the stop signal; SIGKILL follows after `stopwaitsecs` (C-179, C-212).
    fn send_stop(&mut self, turn: &mut Turn) {
        let scope = if self.spec.stopasgroup { SignalScope::Group } else { SignalScope::Process };
        self.log_kill(self.spec.stopsignal, scope, turn);
        self.send(self.spec.stopsignal, scope, None, turn);
        self.deadline = Some(turn.now.mono + secs(self.spec.stopwaitsecs));
    }

    /// It did not stop in time (C-180).
    fn kill(&mut self, turn: &mut Turn) {
        let text = format!("killing '{}' ({}) with SIGKILL", self.spec.name.process, self.pid);
        turn.log_about(Level::Warn, &self.spec.name, text);
        let scope = if self.spec.killasgroup { SignalScope::Group } else { SignalScope::Process };
        self.log_kill(Signal::KILL, scope, turn);
        self.send(Signal::KILL, scope, None, turn);
        self.deadline = Some(turn.now.mono + secs(self.spec.stopwaitsecs).max(KILL_AGAIN));
    }

    fn log_kill(&self, signal: Signal, scope: SignalScope, turn: &mut Turn) {
        let whom = match scope {
            SignalScope::Process => "",
            SignalScope::Group => "process group ",
        };
        let text = format!(
            "killing {} (pid {}) {whom}with signal {signal}",
            self.spec.name.process, self.pid
        );
        turn.log_about(Level::Debug, &self.spec.name, text);
    }

    fn send(&self, signal: Signal, scope: SignalScope, token: Option<Token>, turn: &mut Turn) {
        turn.act(Action::Signal {
            key: self.key,
            generation: self.generation,
            pid: self.pid,
            signal,
            scope,
            token,
        });
    }

    /// It stopped as asked; a start that was asked for meanwhile follows (C-181, C-191, C-425).
    fn come_to_rest(&mut self, generation: &mut Generation, turn: &mut Turn) {
        self.backoff = 0;
        self.quick_runs = 0;
        self.deadline = None;
        self.stopped = Some(turn.now.wall);
        self.pid_gone_into(Stopped, turn);
        if self.start_queued && turn.accepting {
            self.spawn(generation, turn);
        }
        self.start_queued = false;
    }

    /// Enters a state in which it has no child; the event still tells the pid that it had.
    fn pid_gone_into(&mut self, to: ProcessState, turn: &mut Turn) {
        if to == Backoff {
            self.pid = 0;
            self.back_off(turn);
        } else {
            self.change_state(to, turn);
            self.pid = 0;
        }
    }

    /// The one place where the state changes.
    fn change_state(&mut self, to: ProcessState, turn: &mut Turn) {
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
            pid: self.pid,
            tries: self.backoff,
            expected: to == Exited && self.spawn_error.is_empty(),
        });
    }
}
