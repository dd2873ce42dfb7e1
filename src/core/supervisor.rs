//! The owner of all state: processes, groups, requests that wait, and the daemon's own state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::action::{Action, ExitKind, Generation, Input, Run};
use super::auto::AutoNames;
use super::changes::Changes;
pub use super::events::Serials;
use super::key::ProcKey;
use super::outlet::Outlet;
use super::pool::Pool;
use super::process::Process;
use super::request::Token;
use super::shutdown::Shutdown;
use super::ticks::Ticks;
use super::turn::Turn;
use super::view::View;
use super::waiters::Waiters;
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::record::Level;
use crate::model::snapshot::Snapshot;
use crate::model::spec::{GroupSpec, ProcessKind};
use crate::model::state::DaemonState;
use crate::model::time::{Mono, Now};

/// What the core must know of the daemon.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The identifier of this daemon.
    pub identifier: String,
    /// Where AUTO logs live.
    pub childlogdir: PathBuf,
    /// Makes the names of AUTO logs differ from an earlier run's.
    pub seed: u64,
    /// Where an earlier incarnation in the same process left off.
    pub serials: Serials,
}

/// A group at work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ActiveGroup {
    pub spec: Arc<GroupSpec>,
    /// Its processes, in the order of the configuration (C-097).
    pub members: Vec<ProcKey>,
    /// When it was activated, relative to others: breaks ties of priority.
    pub order: u64,
}

/// All processes and what is known of them. A function of (state, input, now) to actions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Supervisor {
    pub(super) state: DaemonState,
    /// The groups of the configuration as last read.
    pub(super) configured: Arc<Vec<Arc<GroupSpec>>>,
    pub(super) groups: BTreeMap<Arc<str>, ActiveGroup>,
    pub(super) processes: BTreeMap<ProcKey, Process>,
    #[serde(with = "pairs")]
    pub(super) by_name: BTreeMap<ProcessName, ProcKey>,
    pub(super) by_pid: HashMap<i32, ProcKey>,
    pub(super) deadlines: BTreeSet<(Mono, ProcKey)>,
    pub(super) waiters: Waiters,
    pub(super) shutdown: Option<Shutdown>,
    pub(super) autos: AutoNames,
    pub(super) identifier: Arc<str>,
    pub(super) serials: Serials,
    /// The pools of event listeners, by group.
    pub(super) pools: BTreeMap<Arc<str>, Pool>,
    pub(super) outlet: Outlet,
    pub(super) ticks: Ticks,
    /// When the events want to be looked after.
    pub(super) events_at: Option<Mono>,
    pub(super) generation: Generation,
    pub(super) next_key: u32,
    pub(super) next_order: u64,
    /// What is to be written down; everything after a handover.
    #[serde(skip)]
    pub(super) changes: Changes,
    /// What readers see; made anew after a handover.
    #[serde(skip)]
    pub(super) view: View,
}

impl Supervisor {
    /// A supervisor with a configuration, of which nothing is active yet.
    #[must_use]
    pub fn new(identity: Identity, configured: Vec<Arc<GroupSpec>>) -> Self {
        let Identity { identifier, childlogdir, seed, serials } = identity;
        Self {
            state: DaemonState::Running,
            configured: Arc::new(configured),
            groups: BTreeMap::new(),
            processes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_pid: HashMap::new(),
            deadlines: BTreeSet::new(),
            waiters: Waiters::default(),
            shutdown: None,
            autos: AutoNames::new(childlogdir, &identifier, seed),
            identifier: identifier.into(),
            serials,
            pools: BTreeMap::new(),
            outlet: Outlet::default(),
            ticks: Ticks::default(),
            events_at: None,
            generation: 0,
            next_key: 0,
            next_order: 0,
            changes: Changes::default(),
            view: View::default(),
        }
    }

    /// Takes one input in, and says what to do.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        let mut turn = Turn::new(now, self.state == DaemonState::Running);
        let turn = &mut turn;
        self.pass_ticks(turn);
        match input {
            Input::Boot => self.boot(turn),
            Input::Spawned { key, generation, pid } => self.spawned(key, generation, pid, turn),
            Input::SpawnFailed { key, generation, error } => {
                self.with(key, turn, |process, generations, turn| {
                    if process.is_current(generation) {
                        process.spawn_failed(&error, generations, turn);
                    }
                });
            }
            Input::Exited { pid, status } => self.exited(pid, status, turn),
            Input::Occupied { key, generation } => {
                self.with(key, turn, |process, _, turn| {
                    if process.is_current(generation) {
                        process.occupied(turn);
                    }
                });
            }
            Input::Swept { key, generation, left } => {
                // This may be the end of its stop, and what it wrote is not told yet.
                turn.ending = Some(Run { key, generation });
                self.with(key, turn, |process, generations, turn| {
                    if process.is_current(generation) {
                        process.swept(left, generations, turn);
                    }
                });
                turn.ending = None;
            }
            Input::Signalled { key, generation, token, outcome } => {
                self.signalled(key, generation, token, outcome, turn);
            }
            Input::Request { token, request } => self.request(token, request, turn),
            Input::Heard { .. } => self.heard(input, turn),
            Input::Undelivered { run, serial } => self.undelivered(run, serial, turn),
            Input::Delivered { run, serial } => self.delivered(run, serial),
            Input::TakenBack => self.taken_back(turn),
            Input::WantTicks { period, wanted } => self.ticks.want(period, wanted),
            Input::Abandoned(token) => self.waiters.abandon(token),
            Input::Os(signal) => self.os_signal(signal, turn),
            Input::RestartLoaded(outcome) => self.restart_loaded(outcome, turn),
            Input::Tick => {}
        }
        self.tick(turn);
        self.tell(turn);
        self.advance_shutdown(turn);
        self.serve_pools(turn);
        std::mem::take(&mut turn.actions)
    }

    /// When it wants to be called with [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let process = self.deadlines.first().map(|&(at, _)| at);
        let shutdown = self.shutdown.as_ref().map(Shutdown::deadline);
        [process, self.waiters.deadline(), shutdown, self.events_at].into_iter().flatten().min()
    }

    /// The state of the daemon.
    #[must_use]
    pub fn state(&self) -> DaemonState {
        self.state
    }

    /// A new picture of everything, when something changed since the last one.
    pub fn take_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.view.take(self.state, &self.configured, &self.groups, &self.pools, &self.processes)
    }

    /// The processes, for tests of invariants and for a handover.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// Made complete after it was read back from a handover: readers get a picture of it.
    #[must_use]
    pub fn restored(mut self) -> Self {
        self.view = View::default();
        self.processes.keys().for_each(|&key| self.view.touch(key));
        self.groups.keys().for_each(|name| self.view.touch_group(name));
        self
    }

    /// All clients are gone, but for those whose requests were abandoned one by one.
    pub fn forget_clients(&mut self) {
        self.ticks.forget_clients();
    }

    /// How many requests wait for an answer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Activates the configured groups, then starts what is to be started (C-118, C-215, C-370).
    fn boot(&mut self, turn: &mut Turn) {
        let groups = Arc::clone(&self.configured);
        let mut keys = Vec::new();
        for spec in groups.iter() {
            if !self.groups.contains_key(&spec.name) {
                keys.extend(self.activate(spec, &BTreeMap::new(), turn));
            }
        }
        turn.publish(Event::DaemonState(DaemonState::Running));
        for key in keys {
            self.with(key, turn, Process::autostart);
        }
    }

    /// Makes a group active, with the processes that are kept of an earlier one of this name;
    /// returns its processes. A group that keeps processes was never gone: no event.
    pub(super) fn activate(
        &mut self,
        spec: &Arc<GroupSpec>,
        kept: &BTreeMap<ProcessName, ProcKey>,
        turn: &mut Turn,
    ) -> Vec<ProcKey> {
        let mut members = Vec::with_capacity(spec.processes.len());
        let mut programs = BTreeSet::new();
        for process in &spec.processes {
            if let Some(&key) = kept.get(&process.name) {
                members.push(key);
                continue;
            }
            let key = ProcKey(self.next_key);
            self.next_key += 1;
            let logs = Arc::new(self.autos.resolve(process));
            turn.act(Action::CreateLogs { spec: Arc::clone(process), logs: Arc::clone(&logs) });
            if matches!(process.kind, ProcessKind::FastCgi(_)) && programs.insert(&process.program)
            {
                turn.act(Action::TrySocket(Arc::clone(process)));
            }
            self.by_name.insert(process.name.clone(), key);
            self.processes.insert(key, Process::new(key, Arc::clone(process), logs));
            self.view.touch(key);
            self.changes.process(key);
            members.push(key);
        }
        let order = self.next_order;
        self.next_order += 1;
        // What happened before is not for a pool that is new.
        self.tell(turn);
        match (&spec.listener, self.pools.get_mut(&spec.name)) {
            (Some(settings), Some(pool)) => pool.change(settings.clone(), &members, turn),
            (Some(settings), None) => {
                let mut pool = Pool::new(Arc::clone(&spec.name), settings.clone());
                if self.changes.are_noted() {
                    pool.note_changes();
                }
                self.pools.insert(Arc::clone(&spec.name), pool);
            }
            (None, _) => {}
        }
        self.groups.insert(
            Arc::clone(&spec.name),
            ActiveGroup { spec: Arc::clone(spec), members: members.clone(), order },
        );
        self.view.touch_group(&spec.name);
        self.changes.group(&spec.name);
        if kept.is_empty() {
            turn.publish(Event::GroupAdded(Arc::clone(&spec.name)));
        }
        members
    }

    /// Makes a group inactive whose processes are stopped, but for those that are kept.
    pub(super) fn deactivate(
        &mut self,
        name: &str,
        kept: &BTreeMap<ProcessName, ProcKey>,
        turn: &mut Turn,
    ) {
        let Some(group) = self.groups.remove(name) else { return };
        for key in group.members.iter().copied() {
            if kept.values().any(|&stays| stays == key) {
                continue;
            }
            let Some(process) = self.processes.remove(&key) else { continue };
            self.changes.process(key);
            self.waiters.on_removed(key, &process, turn);
            if let Some(at) = process.deadline() {
                self.deadlines.remove(&(at, key));
            }
            self.by_pid.remove(&process.pid());
            if self.by_name.get(&process.spec().name) == Some(&key) {
                self.by_name.remove(&process.spec().name);
            }
            self.view.forget(&process.spec().name);
            process.give_up_leftovers(turn);
            turn.act(Action::Forget(key));
        }
        self.view.touch_group(name);
        self.changes.group(&group.spec.name);
        if kept.is_empty() {
            // A pool that goes does not hear of it.
            self.tell(turn);
            if let Some(pool) = self.pools.remove(name) {
                pool.leave(turn);
            }
            turn.publish(Event::GroupRemoved(name.into()));
        }
    }

    /// The one way to a process: keeps timers, pids, readers and waiters in step with it.
    pub(super) fn with<R>(
        &mut self,
        key: ProcKey,
        turn: &mut Turn,
        work: impl FnOnce(&mut Process, &mut Generation, &mut Turn) -> R,
    ) -> Option<R> {
        let process = self.processes.get_mut(&key)?;
        let (deadline, pid) = (process.deadline(), process.pid());
        let result = work(process, &mut self.generation, turn);
        if process.deadline() != deadline {
            if let Some(at) = deadline {
                self.deadlines.remove(&(at, key));
            }
            if let Some(at) = process.deadline() {
                self.deadlines.insert((at, key));
            }
        }
        if process.pid() != pid {
            self.by_pid.remove(&pid);
            if process.pid() != 0 {
                self.by_pid.insert(process.pid(), key);
            }
        }
        self.view.touch(key);
        self.changes.process(key);
        for transition in std::mem::take(&mut turn.transitions) {
            self.waiters.on_transition(transition, process, turn);
        }
        Some(result)
    }

    fn spawned(&mut self, key: ProcKey, generation: Generation, pid: i32, turn: &mut Turn) {
        self.with(key, turn, |process, _, turn| {
            if process.is_current(generation) {
                process.spawned(pid, turn);
            }
        });
        self.listen_to(Run { key, generation });
    }

    fn exited(&mut self, pid: i32, status: ExitStatus, turn: &mut Turn) {
        match self.by_pid.get(&pid) {
            Some(&key) => {
                let run = self.processes.get(&key).map(Process::run);
                turn.ending = run;
                self.with(key, turn, |process, generations, turn| {
                    process.exited(status, generations, turn);
                });
                turn.ending = None;
                if let Some(run) = run {
                    self.listener_exited(run, turn);
                }
            }
            // Not ours: an orphan that was given to us (C-138). With a subreaper there are many: quietly.
            None => turn.log(Level::Debug, format!("reaped unknown pid {pid} ({status})")),
        }
    }

    fn signalled(
        &mut self,
        key: ProcKey,
        generation: Generation,
        token: Option<Token>,
        outcome: Result<(), String>,
        turn: &mut Turn,
    ) {
        if let Some(process) = self.processes.get(&key)
            && let Some(token) = token
        {
            let answer = outcome.clone().map_err(|error| Fault::new(FaultKind::Failed, error));
            self.waiters.on_signalled(token, process, answer, turn);
        }
        if let Err(error) = outcome {
            self.with(key, turn, |process, _, turn| {
                if process.is_current(generation) && process.pid() != 0 {
                    process.signal_failed(token.is_some(), &error, turn);
                }
            });
        }
    }

    /// Carries out what is due, for the processes that it is due for.
    fn tick(&mut self, turn: &mut Turn) {
        while let Some(&(at, key)) = self.deadlines.first() {
            if at > turn.now.mono {
                break;
            }
            if self.with(key, turn, Process::tick).is_none() {
                self.deadlines.remove(&(at, key));
            }
        }
        let processes = &self.processes;
        self.waiters.report(|key| processes.get(&key), turn);
    }

    /// Begins to stop everything (C-147 to C-153).
    pub(super) fn begin_shutdown(&mut self, kind: ExitKind, turn: &mut Turn) {
        self.state = match kind {
            ExitKind::Shutdown => DaemonState::Shutdown,
            ExitKind::Restart => DaemonState::Restarting,
        };
        turn.accepting = false;
        self.view.touch_daemon();
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.kind = kind;
            return;
        }
        turn.publish(Event::DaemonState(self.state));
        self.shutdown = Some(Shutdown {
            kind,
            groups: self.groups_by_priority(),
            current: None,
            report_at: turn.now.mono,
            telling_until: None,
        });
    }

    /// The names of the active groups, lowest priority number first; ties in the order of their
    /// activation (C-147, C-215).
    pub(super) fn groups_by_priority(&self) -> Vec<Arc<str>> {
        let mut groups: Vec<&ActiveGroup> = self.groups.values().collect();
        groups.sort_by_key(|group| (group.spec.priority, group.order));
        groups.into_iter().map(|group| Arc::clone(&group.spec.name)).collect()
    }

    /// The processes of a group, lowest priority number first; ties in the order of the
    /// configuration (C-216).
    pub(super) fn members_by_priority(&self, group: &str) -> Vec<ProcKey> {
        let mut members = self.groups.get(group).map_or_else(Vec::new, |g| g.members.clone());
        members.sort_by_key(|key| self.processes.get(key).map(|p| p.spec().priority));
        members
    }
}

#[cfg(test)]
impl Supervisor {
    /// When the events want to be looked after.
    pub(super) fn events_deadline(&self) -> Option<Mono> {
        self.events_at
    }
}

/// A map with keys that JSON and the like cannot use as keys, as a list of pairs.
pub(super) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
