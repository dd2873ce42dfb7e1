//! Whether a state fits together that was written down by another program, or by this one in another
//! life. What is kept twice for quick access has to agree, what refers to something has to find it,
//! and what waits has to wait for something: else a process would hang, or be taken for another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::key::ProcKey;
use super::supervisor::Supervisor;
use crate::model::spec::{GroupSpec, ProcessKind};
use crate::model::state::DaemonState;

/// Counters stay below this, so that they have room to go on.
pub(super) const MOST: u64 = u64::MAX / 2;

impl Supervisor {
    /// Whether all of it fits together, as it does after every turn but the last.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), String> {
        self.check_counters()?;
        self.check_processes()?;
        self.check_groups()?;
        self.check_indexes()?;
        self.check_pools()?;
        self.outlet.check(self.serials.published).map_err(|error| format!("outlet: {error}"))?;
        self.waiters.check(|key| self.processes.contains_key(&key))?;
        self.check_shutdown()
    }

    fn check_counters(&self) -> Result<(), String> {
        let counters = [
            ("generation", self.generation),
            ("order", self.next_order),
            ("event serial", self.serials.published),
            ("listener serial", self.serials.listeners),
            ("key", u64::from(self.next_key) << 32),
        ];
        let ended = counters.into_iter().find(|&(_, counter)| counter >= MOST);
        ended.map_or(Ok(()), |(name, _)| Err(format!("the counter of the {name} is at its end")))
    }

    fn check_processes(&self) -> Result<(), String> {
        let accepting = self.state == DaemonState::Running;
        let mut pids = BTreeMap::new();
        for (&key, process) in &self.processes {
            let name = &process.spec().name;
            let wrong = |what: &str| Err(format!("process {name}: {what}"));
            if process.key() != key {
                return wrong(&format!("it has the keys {key} and {}", process.key()));
            }
            if key.0 >= self.next_key {
                return wrong(&format!("its key {key} is still to be given"));
            }
            if process.run().generation > self.generation {
                return wrong("its spawn is still to come");
            }
            if process.pid() != 0
                && let Some(other) = pids.insert(process.pid(), name)
            {
                return wrong(&format!("its pid {} is that of {other} too", process.pid()));
            }
            process.check(accepting).or_else(|what| wrong(&what))?;
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), String> {
        let mut members = BTreeSet::new();
        for (name, group) in &self.groups {
            let wrong = |what: &str| Err(format!("group {name}: {what}"));
            if group.spec.name != *name {
                return wrong(&format!("it is {} too", group.spec.name));
            }
            if group.order >= self.next_order {
                return wrong("its turn is still to come");
            }
            check_spec(&group.spec)?;
            let mut names = Vec::with_capacity(group.members.len());
            for &key in &group.members {
                let Some(process) = self.processes.get(&key) else {
                    return wrong(&format!("its process {key} is not there"));
                };
                if !members.insert(key) {
                    return wrong(&format!("its process {key} is a member twice"));
                }
                names.push(&process.spec().name);
            }
            if !names.into_iter().eq(group.spec.processes.iter().map(|spec| &spec.name)) {
                return wrong("its processes are not those of its configuration");
            }
        }
        let alone = self.processes.iter().find(|(key, _)| !members.contains(key));
        if let Some((_, process)) = alone {
            return Err(format!("process {}: its group is not there", process.spec().name));
        }
        self.configured.iter().try_for_each(|spec| check_spec(spec))
    }

    /// What is kept for quick access agrees with the processes themselves.
    fn check_indexes(&self) -> Result<(), String> {
        let all = || self.processes.values();
        let deadlines = all().filter_map(|p| p.deadline().map(|at| (at, p.key()))).collect();
        if self.deadlines != deadlines {
            let differ = self.deadlines.symmetric_difference(&deadlines).next();
            let key = differ.map_or(ProcKey(0), |&(_, key)| key);
            return Err(format!("the deadlines are not those of the processes, as for {key}"));
        }
        let pids: HashMap<i32, ProcKey> =
            all().filter(|p| p.pid() != 0).map(|p| (p.pid(), p.key())).collect();
        if self.by_pid != pids {
            return Err("the pids are not those of the processes".to_owned());
        }
        let names = all().map(|p| (p.spec().name.clone(), p.key())).collect();
        if self.by_name != names {
            return Err("the names are not those of the processes".to_owned());
        }
        Ok(())
    }

    fn check_pools(&self) -> Result<(), String> {
        for (name, group) in &self.groups {
            if group.spec.listener.is_some() != self.pools.contains_key(name) {
                return Err(format!("group {name}: it has a pool of listeners, or should have"));
            }
        }
        for (name, pool) in &self.pools {
            let Some(group) = self.groups.get(name) else {
                return Err(format!("pool {name}: its group is not there"));
            };
            pool.check(name, &group.members, self.generation, self.serials.listeners)
                .map_err(|what| format!("pool {name}: {what}"))?;
        }
        Ok(())
    }

    fn check_shutdown(&self) -> Result<(), String> {
        let Some(shutdown) = &self.shutdown else {
            return match self.state {
                DaemonState::Running => Ok(()),
                state => Err(format!(
                    "it is in the state {}, and nothing is being stopped",
                    state.name()
                )),
            };
        };
        if self.state == DaemonState::Running {
            return Err("everything is being stopped, and it is in the state RUNNING".to_owned());
        }
        let mut named = shutdown.groups.iter().chain(&shutdown.current);
        match named.find(|name| !self.groups.contains_key(*name)) {
            Some(name) => Err(format!("group {name} is to be stopped, and is not there")),
            None => Ok(()),
        }
    }
}

fn check_spec(spec: &GroupSpec) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for process in &spec.processes {
        let name = &process.name;
        if name.group != spec.name {
            return Err(format!("group {}: {name} is a process of another group", spec.name));
        }
        if matches!(process.kind, ProcessKind::EventListener) != spec.listener.is_some() {
            return Err(format!(
                "group {}: {name} is a listener without a pool, or none",
                spec.name
            ));
        }
        if !names.insert(name) {
            return Err(format!("group {}: {name} is there twice", spec.name));
        }
    }
    Ok(())
}
