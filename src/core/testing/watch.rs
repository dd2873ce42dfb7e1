//! What must hold in every turn, whatever the test is about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Child;
use crate::core::action::{Action, Run};
use crate::core::key::ProcKey;
use crate::core::process::Process;
use crate::core::request::Token;
use crate::core::supervisor::Supervisor;
use crate::model::event::{Event, Published};
use crate::model::name::ProcessName;
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::state::DaemonState;
use crate::model::state::ProcessState::{
    self, Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unknown,
};
use crate::model::time::Mono;

/// Every way from one state to another.
const LEGAL: [(ProcessState, &[ProcessState]); 8] = [
    (Stopped, &[Starting]),
    (Starting, &[Running, Backoff, Stopping, Unknown]),
    (Running, &[Exited, Stopping, Unknown]),
    (Backoff, &[Starting, Fatal, Stopped]),
    (Stopping, &[Stopped, Unknown]),
    // Unlike upstream (C-428): quick failures count, and a restart that was put off can be stopped.
    (Exited, &[Starting, Backoff, Stopped]),
    // Unlike upstream: what it left behind can be stopped.
    (Fatal, &[Starting, Stopped]),
    // Unlike upstream: reaped after all.
    (Unknown, &[Stopped]),
];

/// What a turn may lead to at most, for each process.
const ACTIONS_PER_PROCESS: usize = 12;

/// One input leads to no more than so much work.
pub fn bounded(actions: &[Action], core: &Supervisor) {
    let most = ACTIONS_PER_PROCESS * (core.processes().count() + 1);
    assert!(actions.len() <= most, "{} actions in a turn: {actions:#?}", actions.len());
}

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// The states, folded from the events.
    states: BTreeMap<ProcessName, ProcessState>,
    spawning: BTreeSet<ProcKey>,
    /// When every child was born, the dead ones too.
    births: BTreeMap<i32, Mono>,
    unanswered: BTreeSet<Token>,
    published: u64,
    /// The listeners that have an event.
    busy: BTreeMap<Run, u64>,
    /// What they said.
    said: BTreeMap<Run, Vec<u8>>,
}

impl Watch {
    pub fn asked(&mut self, token: Token) {
        assert!(self.unanswered.insert(token), "a token is used twice");
    }

    pub fn abandoned(&mut self, token: Token) {
        self.unanswered.remove(&token);
    }

    pub fn answered(&mut self, token: Token) {
        assert!(self.unanswered.remove(&token), "nobody waits for the answer to {token:?}");
    }

    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    pub fn spawn(&mut self, key: ProcKey, core: &Supervisor, children: &BTreeMap<i32, Child>) {
        assert_eq!(core.state(), DaemonState::Running, "a spawn while stopping (C-151)");
        assert!(children.values().all(|child| child.key != key), "a spawn beside a live child");
        assert!(self.spawning.insert(key), "a spawn beside a spawn");
    }

    pub fn spawn_reported(&mut self, key: ProcKey) {
        self.spawning.remove(&key);
    }

    pub fn born(&mut self, pid: i32, key: ProcKey, now: Mono, children: &BTreeMap<i32, Child>) {
        assert!(children.values().all(|child| child.key != key), "two live children");
        self.births.insert(pid, now);
    }

    pub fn delivered(&mut self, run: Run, serial: u64) {
        let before = self.busy.insert(run, serial);
        assert_eq!(before, None, "a listener gets an event while it has one");
    }

    /// A listener that is ready again has answered.
    pub fn said(&mut self, run: Run, data: &[u8]) {
        let said = self.said.entry(run).or_default();
        said.extend_from_slice(data);
        if said.ends_with(b"READY\n") {
            self.busy.remove(&run);
        }
    }

    pub fn lost(&mut self, run: Run) {
        self.busy.remove(&run);
    }

    pub fn published(&mut self, published: &Published, now: Mono, core: &Supervisor) {
        assert_eq!(published.serial, self.published, "a serial is left out, or comes twice");
        self.published += 1;
        match &published.event {
            Event::ProcessState { name, from, to, pid, .. } => {
                let state = self.states.entry(name.clone()).or_insert(Stopped);
                assert_eq!(state, from, "{name} left a state that it was not in");
                let legal = LEGAL.iter().any(|(a, b)| a == from && b.contains(to));
                assert!(legal, "{name} went from {from} to {to}");
                *state = *to;
                if *to == Running {
                    let process = core.processes().find(|p| p.spec().name == *name);
                    let startsecs = process.map_or(0, |p| p.spec().startsecs.max(0));
                    let lived = now - *self.births.get(pid).expect("a child that was born");
                    let wanted = Duration::from_secs(startsecs.unsigned_abs());
                    assert!(lived >= wanted, "{name} RUNNING after {lived:?}");
                }
            }
            Event::GroupRemoved(group) => self.states.retain(|name, _| name.group != *group),
            _ => {}
        }
    }

    pub fn exited(
        &mut self,
        core: &Supervisor,
        children: &BTreeMap<i32, Child>,
        left: &BTreeMap<ProcKey, u32>,
    ) {
        assert!(self.spawning.is_empty(), "the end while a spawn is under way");
        for process in core.processes().filter(|process| process.state() != Unknown) {
            assert!(process.state().is_stopped(), "{:?}", process.state());
            assert!(children.values().all(|child| child.key != process.key()), "a survivor");
            let given_up = process.snapshot().left > 0;
            assert!(given_up || !left.contains_key(&process.key()), "something is left behind");
        }
    }

    pub fn after(&self, core: &Supervisor, snapshot: &Snapshot, children: &BTreeMap<i32, Child>) {
        if core.state() == DaemonState::Running && core.waiting() == 0 {
            let due = core.processes().filter_map(Process::deadline).min();
            let due = [due, core.events_deadline()].into_iter().flatten().min();
            assert_eq!(core.next_deadline(), due, "a wake-up without a cause");
        }
        assert_eq!(snapshot.state, core.state());
        assert_eq!(snapshot.processes.len(), core.processes().count());
        for process in core.processes() {
            let name = &process.spec().name;
            let folded = self.states.get(name).copied().unwrap_or(Stopped);
            assert_eq!(process.state(), folded, "{name}: its state, and the fold of its events");
            let seen = snapshot.processes.get(name).expect("every process is in the picture");
            let told = ProcessSnapshot { listener: None, ..(**seen).clone() };
            assert_eq!(told, process.snapshot(), "{name}: the picture is out of date");
            self.goes_on(process, core);
            let pid = process.pid();
            assert!(pid == 0 || children.contains_key(&pid), "{name} has the pid of a dead child");
        }
    }
    /// What is not at rest waits for a report, for an exit or for a moment.
    fn goes_on(&self, process: &Process, core: &Supervisor) {
        let (state, child) = (process.state(), process.pid() != 0);
        let spawning = self.spawning.contains(&process.key());
        let sweeping = process.is_sweeping();
        assert!(!(spawning && sweeping), "a spawn beside what is being ended");
        let between = (spawning || sweeping) && matches!(state, Starting | Stopping);
        assert!(!spawning || between, "a spawn in {state}");
        assert_eq!(between, matches!(state, Starting | Stopping) && !child, "{state}");
        let timed = match state {
            _ if sweeping => true,
            Starting | Stopping => child,
            Backoff => core.state() == DaemonState::Running,
            _ => false,
        };
        assert!(!timed || process.deadline().is_some(), "stuck in {state}");
        assert_eq!(child, matches!(state, Starting | Stopping | Running | Unknown) && !between);
    }
}
