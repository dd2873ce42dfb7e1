//! One process: its state machine (C-169 to C-218). Here is what it is and what it can be asked
//! for; `news` takes in what became of its child, and `steps` are the ways from one state to
//! another.
//!
//! A process has at most one live child. `pid` is set from the report of the spawn to the report
//! of the exit; STARTING or STOPPING without a pid, its spawn is under way, or what an earlier run
//! left behind is being ended (`sweep`). A timer is one `deadline` whose meaning is given by the
//! sweep where there is one, else by the state: enter RUNNING (STARTING), try again (BACKOFF, and
//! EXITED when a restart was put off), send SIGKILL (STOPPING).

mod leftovers;
mod news;
mod steps;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::action::{Generation, Run, SignalScope};
use super::key::ProcKey;
use super::request::Token;
use super::turn::Turn;
use crate::model::exit::ExitStatus;
use crate::model::fault::{Fault, FaultKind};
use crate::model::record::{Level, Record, Subject};
use crate::model::signal::Signal;
use crate::model::snapshot::{LogPaths, ProcessSnapshot};
use crate::model::spec::ProcessSpec;
use crate::model::state::ProcessState::{
    self, Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unknown,
};
use crate::model::time::{Mono, Wall};
use leftovers::Sweeping;

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
    /// What earlier runs left behind, as far as it was seen.
    left: u32,
    /// Whether there may be more than was seen.
    unseen: bool,
    /// What earlier runs left behind is being ended.
    sweep: Option<Sweeping>,
    started: Option<(Mono, Wall)>,
    stopped: Option<Wall>,
    /// How the child ended that was started last; the two below are what upstream tells of it.
    ended: Option<ExitStatus>,
    exit_code: Option<i32>,
    exit_signal: Option<Signal>,
    /// Starts of its own since somebody started it.
    restarts: u32,
    spawn_error: Arc<str>,
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
            left: 0,
            unseen: false,
            sweep: None,
            started: None,
            stopped: None,
            ended: None,
            exit_code: None,
            exit_signal: None,
            restarts: 0,
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

    /// Whether a stop has anything to do: it is up, or about to be, or left something behind
    /// (C-303).
    #[must_use]
    pub fn can_stop(&self) -> bool {
        match self.state {
            Starting => true,
            Stopping => self.start_queued,
            Unknown => false,
            _ if self.sweep.is_some() => self.start_queued,
            Stopped | Fatal => self.left > 0,
            Exited => self.left > 0 || self.deadline.is_some(), // its restart was put off
            state => state.is_running(),
        }
    }

    /// Whether it is stopped, and nothing is being done about it. In UNKNOWN it cannot be stopped.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.state.is_stopped() && self.sweep.is_none()
    }

    /// Whether nothing of it is left: in UNKNOWN, a child may be.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_at_rest() && self.pid == 0 && self.left == 0
    }

    /// The spawn that it is about now.
    #[must_use]
    pub fn run(&self) -> Run {
        Run { key: self.key, generation: self.generation }
    }

    /// Whether its state, its child and its timer fit together. `accepting` is whether the daemon
    /// is at work.
    pub(super) fn check(&self, accepting: bool) -> Result<(), String> {
        let (state, child, sweeps) = (self.state, self.pid != 0, self.sweep.is_some());
        let fits = match state {
            Running | Unknown => child && !sweeps,
            Starting | Stopping => !(child && sweeps),
            Stopped | Backoff | Exited | Fatal => !child,
        };
        if !fits || self.pid < 0 {
            return Err(format!("it is {state} with pid {}", self.pid));
        }
        let timed = match state {
            Starting | Stopping => child || sweeps,
            Backoff => accepting || sweeps,
            _ => sweeps,
        };
        if timed && self.deadline.is_none() {
            return Err(format!("it is {state}, and nothing follows"));
        }
        if self.backoff.max(self.quick_runs) > u32::MAX / 2 {
            return Err("a counter is at its end".to_owned());
        }
        Ok(())
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
            exit_signal: self.exit_signal,
            restarts: self.restarts,
            spawn_error: Arc::clone(&self.spawn_error),
            left: self.left,
            logs: Arc::clone(&self.logs),
            listener: None,
        }
    }

    /// A line for the log about it, as it is now.
    pub(super) fn line(&self, level: Level, text: String) -> Record {
        Record::new(level, text).on(Subject {
            program: Some(Arc::clone(&self.spec.program)),
            pid: self.pid,
            alive: self.pid != 0,
            state: Some(self.state),
            ..Subject::new(&self.spec.name)
        })
    }

    /// Starts it with the daemon, when it is configured so and was never started (C-170).
    pub fn autostart(&mut self, generation: &mut Generation, turn: &mut Turn) {
        let fresh = self.state == Stopped && self.started.is_none();
        if fresh && self.spec.autostart && turn.accepting {
            self.spawn(generation, turn);
        }
    }

    /// Starts it because somebody asked (C-300). A start while it is stopping, or while what it
    /// left behind is being ended, is carried out when it has stopped (C-425).
    pub fn start(&mut self, generation: &mut Generation, turn: &mut Turn) -> Result<(), Fault> {
        match self.state {
            Backoff | Stopped | Exited | Fatal if self.sweep.is_some() => {
                self.start_queued = true;
                self.restarts = 0;
                Ok(())
            }
            Starting | Running | Backoff => {
                Err(Fault::new(FaultKind::AlreadyStarted, self.spec.name.to_string()))
            }
            Unknown => Err(Fault::new(
                FaultKind::Failed,
                format!("{} is in an unknown process state", self.spec.name),
            )),
            Stopping => {
                self.start_queued = true;
                self.restarts = 0;
                Ok(())
            }
            Stopped | Exited | Fatal => {
                self.backoff = 0;
                self.quick_runs = 0;
                self.restarts = 0;
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
            _ if self.sweep.is_some() => self.start_queued = false,
            Backoff => {
                let name = &self.spec.name.process;
                let text = format!("Attempted to kill {name}, which is in BACKOFF state.");
                turn.say(self.line(Level::Debug, text));
                self.stop_without_child(turn);
            }
            _ => self.stop_without_child(turn),
        }
        Ok(())
    }

    /// Stops it because the daemon stops; like [`Self::stop`], but what is in BACKOFF goes to
    /// FATAL (C-149). What it left behind goes with it.
    pub fn shut_down(&mut self, turn: &mut Turn) {
        self.start_queued = false;
        match self.state {
            Starting | Running => self.begin_stop(turn),
            Backoff if self.sweep.is_none() => self.give_up(turn),
            Exited if self.sweep.is_none() => self.deadline = None,
            _ => {}
        }
        if self.is_at_rest() && self.pid == 0 && self.may_have_left() {
            self.begin_sweep(0, turn);
        }
    }

    /// Stops it and starts it again because it is an event listener that broke the protocol.
    pub fn restart_listener(&mut self, turn: &mut Turn) {
        if matches!(self.state, Starting | Running) {
            self.begin_stop(turn);
            self.start_queued = true;
            self.restarts = self.restarts.saturating_add(1);
        }
    }

    /// Sends it a signal because somebody asked (C-305).
    pub fn signal(&mut self, signal: Signal, token: Token, turn: &mut Turn) -> Result<(), Fault> {
        if !self.state.is_signallable() || self.pid == 0 {
            return Err(Fault::new(FaultKind::NotRunning, self.spec.name.to_string()));
        }
        let text = format!("sending {} (pid {}) sig {signal}", self.spec.name.process, self.pid);
        turn.say(self.line(Level::Debug, text).signal(signal));
        self.send(signal, SignalScope::Process, Some(token), turn);
        Ok(())
    }
}
