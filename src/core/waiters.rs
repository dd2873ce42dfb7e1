//! Requests that wait for processes. Every token is answered exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::key::ProcKey;
use super::process::Process;
use super::request::{ProcessResult, Reply, Token};
use super::turn::{Transition, Turn};
use crate::model::fault::{Fault, FaultKind};
use crate::model::record::Level;
use crate::model::state::ProcessState;
use crate::model::time::Mono;

/// How often a waiting stop says in the log what it waits for (C-165).
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// Its processes run.
    Running,
    /// Its processes are stopped.
    Stopped,
    /// A signal was sent to its processes.
    Signalled,
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// What for.
    pub goal: Goal,
    /// Whether it is about one process by name: then the process's outcome is the answer.
    pub single: bool,
    /// The processes it still waits for.
    pub pending: BTreeSet<ProcKey>,
    /// What became of the others, in the order of their completion (C-249).
    pub results: Vec<ProcessResult>,
}

/// All requests that wait.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Waiters {
    waiting: BTreeMap<Token, Waiter>,
    /// Who waits for a process: a transition costs what it concerns.
    by_process: BTreeMap<ProcKey, BTreeSet<Token>>,
    /// When to log next what the stops wait for.
    reports: BTreeSet<(Mono, Token)>,
}

impl Waiters {
    /// Takes a request on; answers at once when there is nothing to wait for.
    pub fn add(&mut self, token: Token, waiter: Waiter, turn: &mut Turn) {
        if waiter.pending.is_empty() {
            answer(token, waiter, turn);
            return;
        }
        for &key in &waiter.pending {
            self.by_process.entry(key).or_default().insert(token);
        }
        if waiter.goal == Goal::Stopped {
            self.reports.insert((turn.now.mono, token));
        }
        self.waiting.insert(token, waiter);
    }

    /// Forgets a request whose client went away.
    pub fn abandon(&mut self, token: Token) {
        if let Some(waiter) = self.waiting.remove(&token) {
            for key in waiter.pending {
                self.unlink(key, token);
            }
        }
        self.reports.retain(|&(_, waiting)| waiting != token);
    }

    /// When something is to be logged.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.reports.first().map(|&(at, _)| at)
    }

    /// How many requests wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no request waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A process changed its state: answers who waited for that.
    pub fn on_transition(&mut self, transition: Transition, process: &Process, turn: &mut Turn) {
        let Some(tokens) = self.by_process.get(&transition.key) else { return };
        for token in tokens.clone() {
            let Some(waiter) = self.waiting.get(&token) else { continue };
            if let Some(outcome) = judge(waiter.goal, transition, process) {
                self.settle(token, process, outcome, turn);
            }
        }
    }

    /// A signal was sent to a process for this request, or could not be.
    pub fn on_signalled(
        &mut self,
        token: Token,
        process: &Process,
        outcome: Result<(), Fault>,
        turn: &mut Turn,
    ) {
        if self.waiting.get(&token).is_some_and(|w| w.goal == Goal::Signalled) {
            self.settle(token, process, outcome, turn);
        }
    }

    /// A process is gone for good: whoever waits for it has nothing to wait for.
    pub fn on_removed(&mut self, key: ProcKey, process: &Process, turn: &mut Turn) {
        for token in self.by_process.get(&key).cloned().unwrap_or_default() {
            let fault = Fault::new(FaultKind::AbnormalTermination, process.spec().name.to_string());
            self.settle(token, process, Err(fault), turn);
        }
    }

    /// Logs what the stops wait for, when it is time to (C-165).
    pub fn report<'a>(
        &mut self,
        process: impl Fn(ProcKey) -> Option<&'a Process>,
        turn: &mut Turn,
    ) {
        while let Some(&(at, token)) = self.reports.first() {
            if at > turn.now.mono {
                return;
            }
            self.reports.pop_first();
            let Some(waiter) = self.waiting.get(&token) else { continue };
            for process in waiter.pending.iter().filter_map(|&key| process(key)) {
                let text = format!("waiting for {} to stop", process.spec().name.process);
                turn.say(process.line(Level::Info, text));
            }
            self.reports.insert((turn.now.mono + REPORT_EVERY, token));
        }
    }

    /// Whether all wait for something, and are found by it.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, exists: impl Fn(ProcKey) -> bool) -> Result<(), String> {
        let mut by_process: BTreeMap<ProcKey, BTreeSet<Token>> = BTreeMap::new();
        for (&token, waiter) in &self.waiting {
            let wrong = |what: &str| Err(format!("request {}: {what}", token.0));
            if waiter.pending.is_empty() {
                return wrong("it waits for nothing");
            }
            for &key in &waiter.pending {
                if !exists(key) {
                    return wrong(&format!("it waits for process {key}, which is not there"));
                }
                by_process.entry(key).or_default().insert(token);
            }
        }
        if self.by_process != by_process {
            return Err("who waits for a process is not who waits".to_owned());
        }
        match self.reports.iter().find(|(_, token)| !self.waiting.contains_key(token)) {
            Some((_, token)) => Err(format!("request {}: it does not wait", token.0)),
            None => Ok(()),
        }
    }

    /// One process of a request is done.
    fn settle(
        &mut self,
        token: Token,
        process: &Process,
        outcome: Result<(), Fault>,
        turn: &mut Turn,
    ) {
        let key = process.key();
        self.unlink(key, token);
        let Some(waiter) = self.waiting.get_mut(&token) else { return };
        if !waiter.pending.remove(&key) {
            return;
        }
        waiter.results.push(ProcessResult::new(process.spec().name.clone(), outcome.clone()));
        if waiter.pending.is_empty()
            && let Some(waiter) = self.waiting.remove(&token)
        {
            self.reports.retain(|&(_, waiting)| waiting != token);
            if waiter.single {
                let outcome = outcome.map(|()| Reply::Done);
                turn.act(Action::Reply { token, outcome });
            } else {
                answer(token, waiter, turn);
            }
        }
    }

    fn unlink(&mut self, key: ProcKey, token: Token) {
        if let Some(tokens) = self.by_process.get_mut(&key) {
            tokens.remove(&token);
            if tokens.is_empty() {
                self.by_process.remove(&key);
            }
        }
    }
}

/// Answers a request for which nothing is pending.
fn answer(token: Token, waiter: Waiter, turn: &mut Turn) {
    let reply = if waiter.single { Reply::Done } else { Reply::Results(waiter.results) };
    turn.act(Action::Reply { token, outcome: Ok(reply) });
}

/// What a transition means to a request (C-300 to C-303); none when it has to wait on.
fn judge(goal: Goal, transition: Transition, process: &Process) -> Option<Result<(), Fault>> {
    let fault = |kind| Some(Err(Fault::new(kind, process.spec().name.to_string())));
    match (goal, transition.to) {
        (Goal::Running, ProcessState::Running) => Some(Ok(())),
        (Goal::Running, ProcessState::Starting) => None,
        (Goal::Running, ProcessState::Stopped) if transition.start_queued => None,
        (Goal::Running, ProcessState::Backoff | ProcessState::Fatal) => {
            fault(FaultKind::SpawnError)
        }
        (Goal::Running, _) => fault(FaultKind::AbnormalTermination),
        (Goal::Stopped, ProcessState::Unknown) => fault(FaultKind::Failed),
        (Goal::Stopped, state) if state.is_stopped() => Some(process.nothing_is_left()),
        // What became of a signal is reported, whatever it did to the process (C-189).
        (Goal::Stopped | Goal::Signalled, _) => None,
    }
}
