//! What readers see: keeps the published picture in step, at the cost of what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;

use super::key::ProcKey;
use super::pool::Pool;
use super::process::Process;
use super::supervisor::ActiveGroup;
use crate::model::name::ProcessName;
use crate::model::snapshot::{GroupSnapshot, ProcessSnapshot, Snapshot};
use crate::model::spec::GroupSpec;
use crate::model::state::DaemonState;

/// The picture, and what of it is out of date.
#[derive(Debug)]
pub struct View {
    processes: OrdMap<ProcessName, Arc<ProcessSnapshot>>,
    groups: OrdMap<Arc<str>, Arc<GroupSnapshot>>,
    touched: BTreeSet<ProcKey>,
    touched_groups: BTreeSet<Arc<str>>,
    changed: bool,
}

impl Default for View {
    /// An empty picture that is out of date.
    fn default() -> Self {
        Self {
            processes: OrdMap::new(),
            groups: OrdMap::new(),
            touched: BTreeSet::new(),
            touched_groups: BTreeSet::new(),
            changed: true,
        }
    }
}

impl View {
    /// A process may have changed.
    pub fn touch(&mut self, key: ProcKey) {
        self.touched.insert(key);
    }

    /// A group came or went.
    pub fn touch_group(&mut self, name: &str) {
        self.touched_groups.insert(name.into());
    }

    /// The daemon's own state, or the configuration as last read, changed.
    pub fn touch_daemon(&mut self) {
        self.changed = true;
    }

    /// A process is gone.
    pub fn forget(&mut self, name: &ProcessName) {
        self.processes.remove(name);
        self.changed = true;
    }

    /// A new picture, when something changed since the last one.
    pub(super) fn take(
        &mut self,
        state: DaemonState,
        configured: &Arc<Vec<Arc<GroupSpec>>>,
        groups: &BTreeMap<Arc<str>, ActiveGroup>,
        pools: &BTreeMap<Arc<str>, Pool>,
        processes: &BTreeMap<ProcKey, Process>,
    ) -> Option<Arc<Snapshot>> {
        for key in std::mem::take(&mut self.touched) {
            let Some(process) = processes.get(&key) else { continue };
            let name = &process.spec().name;
            let listener = pools.get(&name.group).and_then(|pool| pool.state_of(key));
            let new = ProcessSnapshot { listener, ..process.snapshot() };
            if self.processes.get(name).is_none_or(|old| **old != new) {
                self.processes.insert(name.clone(), Arc::new(new));
                self.changed = true;
            }
        }
        for name in std::mem::take(&mut self.touched_groups) {
            let Some(group) = groups.get(&name) else {
                self.changed |= self.groups.remove(&name).is_some();
                continue;
            };
            let pool = pools.get(&name).map(Pool::snapshot);
            let new = GroupSnapshot { spec: Arc::clone(&group.spec), pool };
            if self.groups.get(&name).is_none_or(|old| **old != new) {
                self.groups.insert(name, Arc::new(new));
                self.changed = true;
            }
        }
        std::mem::take(&mut self.changed).then(|| {
            Arc::new(Snapshot {
                state,
                processes: self.processes.clone(),
                groups: self.groups.clone(),
                configured: Arc::clone(configured),
            })
        })
    }
}
