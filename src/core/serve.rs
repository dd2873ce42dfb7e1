//! What the supervisor does for its clients (C-290 to C-322, as far as it concerns state).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::action::{Action, ExitKind};
use super::key::ProcKey;
use super::process::Process;
use super::request::{ProcessResult, Reply, Request, Scope, Token};
use super::supervisor::{ActiveGroup, Supervisor};
use super::turn::Turn;
use super::waiters::{Goal, Waiter};
use crate::config::diff;
use crate::model::event::Event;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::{GroupSpec, ProcessSpec};
use crate::model::state::{DaemonState, ProcessState};

impl Supervisor {
    /// Carries out a request. While the daemon stops, everything but an event is refused (C-288).
    pub(super) fn request(&mut self, token: Token, request: Request, turn: &mut Turn) {
        let outcome = match request {
            Request::RemoteEvent { kind, data } => {
                turn.publish(Event::Remote { kind, data });
                Ok(Some(Reply::Done))
            }
            _ if self.state != DaemonState::Running => Err(FaultKind::ShutdownState.into()),
            Request::Start { scope, wait, refused } => {
                self.start(token, &scope, wait, &refused, turn)
            }
            Request::Stop { scope, wait } => self.stop(token, &scope, wait, turn),
            Request::Signal { scope, signal } => self.signal(token, &scope, signal, turn),
            Request::Stdin { name, data } => self.stdin(token, &name, data, turn),
            Request::Reread { groups } => Ok(Some(self.reread(groups))),
            Request::AddGroup(name) => self.add_group(&name, turn).map(Some),
            Request::RemoveGroup(name) => self.remove_group(&name, turn).map(Some),
            Request::UpdateGroup(name) => self.update_group(&name, turn).map(Some),
            Request::Shutdown => {
                self.begin_shutdown(ExitKind::Shutdown, turn);
                Ok(Some(Reply::Done))
            }
            Request::Upgrade => {
                turn.act(Action::HandOver { token: Some(token) });
                Ok(None)
            }
            Request::Restart => {
                turn.act(Action::LoadForRestart);
                Ok(Some(Reply::Done))
            }
        };
        match outcome {
            Ok(Some(reply)) => turn.act(Action::Reply { token, outcome: Ok(reply) }),
            Ok(None) => {} // answered later
            Err(fault) => turn.act(Action::Reply { token, outcome: Err(fault) }),
        }
    }

    fn start(
        &mut self,
        token: Token,
        scope: &Scope,
        wait: bool,
        refused: &BTreeMap<ProcessName, Fault>,
        turn: &mut Turn,
    ) -> Result<Option<Reply>, Fault> {
        let goal = wait.then_some(Goal::Running);
        let idle = |process: &Process| !process.state().is_running();
        self.apply(token, scope, goal, idle, turn, |supervisor, key, turn| {
            let name = &supervisor.processes.get(&key).ok_or(FaultKind::BadName)?.spec().name;
            if let Some(fault) = refused.get(name) {
                return Err(fault.clone());
            }
            supervisor.with(key, turn, Process::start).unwrap_or(Ok(()))
        })
    }

    fn stop(
        &mut self,
        token: Token,
        scope: &Scope,
        wait: bool,
        turn: &mut Turn,
    ) -> Result<Option<Reply>, Fault> {
        let goal = wait.then_some(Goal::Stopped);
        self.apply(token, scope, goal, Process::can_stop, turn, |supervisor, key, turn| {
            supervisor.with(key, turn, |process, _, turn| process.stop(turn)).unwrap_or(Ok(()))
        })
    }

    fn signal(
        &mut self,
        token: Token,
        scope: &Scope,
        signal: Signal,
        turn: &mut Turn,
    ) -> Result<Option<Reply>, Fault> {
        let signallable = |process: &Process| process.state().is_signallable();
        let goal = Some(Goal::Signalled);
        self.apply(token, scope, goal, signallable, turn, |supervisor, key, turn| {
            supervisor
                .with(key, turn, |process, _, turn| process.signal(signal, token, turn))
                .unwrap_or(Ok(()))
        })
    }

    /// Does something to the processes of a scope, lowest priority number first (C-216, C-217),
    /// and answers now, or has the request wait for the goal.
    fn apply(
        &mut self,
        token: Token,
        scope: &Scope,
        goal: Option<Goal>,
        concerns: impl Fn(&Process) -> bool,
        turn: &mut Turn,
        mut work: impl FnMut(&mut Self, ProcKey, &mut Turn) -> Result<(), Fault>,
    ) -> Result<Option<Reply>, Fault> {
        let single = matches!(scope, Scope::Process(_));
        let keys: Vec<ProcKey> = match scope {
            Scope::Process(name) => vec![self.find(name)?],
            Scope::Group(name) => {
                self.find_group(name)?;
                self.members_by_priority(name)
            }
            Scope::All => self
                .groups_by_priority()
                .iter()
                .flat_map(|group| self.members_by_priority(group))
                .collect(),
        };
        let mut waiter =
            Waiter { goal: Goal::Running, single, pending: BTreeSet::new(), results: Vec::new() };
        for key in keys {
            let Some(process) = self.processes.get(&key) else { continue };
            if !single && !concerns(process) {
                continue;
            }
            let name = process.spec().name.clone();
            match work(self, key, turn) {
                Err(fault) if single => return Err(fault),
                Ok(()) if goal.is_some_and(|goal| !self.has_reached(key, goal)) => {
                    waiter.pending.insert(key);
                }
                outcome => waiter.results.push(ProcessResult::new(name, outcome)),
            }
        }
        waiter.goal = goal.unwrap_or(Goal::Running);
        self.waiters.add(token, waiter, turn);
        Ok(None)
    }

    /// Whether there is nothing to wait for.
    fn has_reached(&self, key: ProcKey, goal: Goal) -> bool {
        self.processes.get(&key).is_none_or(|process| match goal {
            Goal::Running => process.state() == ProcessState::Running,
            Goal::Stopped => process.is_at_rest(),
            Goal::Signalled => false,
        })
    }

    fn stdin(
        &mut self,
        token: Token,
        name: &ProcessName,
        data: Vec<u8>,
        turn: &mut Turn,
    ) -> Result<Option<Reply>, Fault> {
        let key = self.find(name)?;
        let process = self.processes.get(&key).ok_or(FaultKind::BadName)?;
        let stopping = process.state() == ProcessState::Stopping;
        if process.pid() == 0 || stopping {
            return Err(Fault::new(FaultKind::NotRunning, name.to_string()));
        }
        turn.act(Action::WriteStdin { token, key, data });
        Ok(None)
    }

    fn reread(&mut self, groups: Arc<Vec<Arc<GroupSpec>>>) -> Reply {
        self.configured = groups;
        self.changes.configured();
        self.view.touch_daemon();
        let mut groups: Vec<&ActiveGroup> = self.groups.values().collect();
        groups.sort_by_key(|group| group.order);
        let active: Vec<Arc<GroupSpec>> =
            groups.into_iter().map(|group| Arc::clone(&group.spec)).collect();
        Reply::Changes(diff::compare(&active, &self.configured))
    }

    fn add_group(&mut self, name: &str, turn: &mut Turn) -> Result<Reply, Fault> {
        let configured = Arc::clone(&self.configured);
        let Some(spec) = configured.iter().find(|spec| &*spec.name == name) else {
            return Err(Fault::new(FaultKind::BadName, name));
        };
        if self.groups.contains_key(name) {
            return Err(Fault::new(FaultKind::AlreadyAdded, name));
        }
        for key in self.activate(spec, &BTreeMap::new(), turn) {
            self.with(key, turn, Process::autostart);
        }
        Ok(Reply::Done)
    }

    fn update_group(&mut self, name: &str, turn: &mut Turn) -> Result<Reply, Fault> {
        let members = self.find_group(name)?.members.clone();
        let configured = Arc::clone(&self.configured);
        let Some(spec) = configured.iter().find(|spec| &*spec.name == name) else {
            return Err(Fault::new(FaultKind::BadName, name));
        };
        let mut kept = BTreeMap::new();
        for process in members.iter().filter_map(|key| self.processes.get(key)) {
            let same = |new: &&Arc<ProcessSpec>| diff::is_same(process.spec(), new);
            if spec.processes.iter().any(|new| same(&new)) {
                kept.insert(process.spec().name.clone(), process.key());
            } else if !process.is_settled() {
                return Err(Fault::new(FaultKind::StillRunning, process.spec().name.to_string()));
            }
        }
        self.deactivate(name, &kept, turn);
        for key in self.activate(spec, &kept, turn) {
            if !members.contains(&key) {
                self.with(key, turn, Process::autostart);
            }
        }
        Ok(Reply::Done)
    }

    fn remove_group(&mut self, name: &str, turn: &mut Turn) -> Result<Reply, Fault> {
        let group = self.find_group(name)?;
        let mut members = group.members.iter().filter_map(|key| self.processes.get(key));
        if members.any(|process| !process.is_settled()) {
            return Err(Fault::new(FaultKind::StillRunning, name));
        }
        self.deactivate(name, &BTreeMap::new(), turn);
        Ok(Reply::Done)
    }

    fn find(&self, name: &ProcessName) -> Result<ProcKey, Fault> {
        let unknown = || Fault::new(FaultKind::BadName, name.to_string());
        self.by_name.get(name).copied().ok_or_else(unknown)
    }

    fn find_group(&self, name: &str) -> Result<&ActiveGroup, Fault> {
        self.groups.get(name).ok_or_else(|| Fault::new(FaultKind::BadName, name))
    }
}
