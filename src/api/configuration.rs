//! The configuration, and the daemon as a whole (C-296 to C-299, C-310).

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;

use super::{Api, bounds};
use crate::config::diff;
use crate::config::settings::Settings;
use crate::core::request::{Changes, Reply, Request, Scope};
use crate::model::fault::{Fault, FaultKind};
use crate::model::message::{Field, Kind};
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::spec::{GroupSpec, ProcessSpec};

/// What an update does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is gone from the configuration: stopped and deactivated.
    Removed,
    /// It is configured differently: what changed in it is replaced.
    Changed,
    /// It is new: activated.
    Added,
}

impl Change {
    /// `removed`, `changed` or `added`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Added => "added",
        }
    }
}

/// What became of one group in an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// Which group.
    pub group: Arc<str>,
    /// What was to be done.
    pub change: Change,
    /// Whether it was.
    pub outcome: Result<(), Fault>,
}

/// One process of the configuration as last read.
#[derive(Debug, Clone)]
pub struct Configured {
    /// Its group.
    pub group: Arc<GroupSpec>,
    /// Itself.
    pub process: Arc<ProcessSpec>,
    /// Whether its group is active.
    pub active: bool,
}

impl Api {
    /// The configuration as last read, by the names of the processes (C-259, C-310).
    #[must_use]
    pub fn configuration(&self) -> Vec<Configured> {
        let snapshot = self.snapshot();
        let mut all: Vec<_> = snapshot
            .configured
            .iter()
            .flat_map(|group| {
                let active = snapshot.groups.contains_key(&group.name);
                group.processes.iter().map(move |process| Configured {
                    group: group.clone(),
                    process: process.clone(),
                    active,
                })
            })
            .collect();
        let by_name = |one: &Configured| {
            let name = &one.process.name;
            (name.process.clone(), name.group.clone())
        };
        all.sort_by_cached_key(by_name);
        all
    }

    /// Reads the configuration again and tells how its groups differ from the active ones
    /// (C-297). What runs stays as it is, and so does everything when it cannot be read (C-397).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, CANT_REREAD.
    pub async fn reread(&self) -> Result<Changes, Fault> {
        self.gate()?;
        let groups = Arc::new(self.load().await?.groups);
        match self.ask(Request::Reread { groups }).await? {
            Reply::Changes(changes) => Ok(changes),
            Reply::Done | Reply::Results(_) => Ok(Changes::default()),
        }
    }

    /// Reads the configuration and gives its groups; nothing is done with them.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, CANT_REREAD.
    pub async fn read_configuration(&self) -> Result<Vec<Arc<GroupSpec>>, Fault> {
        self.gate()?;
        let read = self.read_settings().await;
        read.map(|read| read.groups).map_err(|why| Fault::new(FaultKind::CantReread, why))
    }

    /// Reads the configuration again and applies how its groups differ from the active ones: first
    /// those that are gone, then those that changed, then new ones, each kind sorted by name
    /// (C-261). Without names, or with `all` among them, this is about all groups; else about
    /// these (C-262). What is configured as before runs on. A configuration with errors, or the
    /// name of a group that is in neither, changes nothing.
    ///
    /// One group that cannot be stopped does not keep the others from what is to be done with
    /// them. It goes on to its end when nobody waits for it any more.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, CANT_REREAD, BAD_NAME.
    pub async fn update(&self, groups: &[String]) -> Result<Vec<Updated>, Fault> {
        self.gate()?;
        for name in groups {
            bounds::target(name)?;
        }
        let (api, groups) = (self.clone(), groups.to_owned());
        // A client that goes away leaves nothing half done.
        let update = tokio::spawn(async move { api.carry_out_update(&groups).await });
        update.await.unwrap_or_else(|error| Err(Fault::new(FaultKind::Failed, error.to_string())))
    }

    async fn carry_out_update(&self, groups: &[String]) -> Result<Vec<Updated>, Fault> {
        // Closed only with the api itself.
        let _permit = self.inner.updating.acquire().await;
        let Changes { mut removed, mut changed, mut added } = self.reread().await?;
        if !groups.is_empty() && !groups.iter().any(|name| name == "all") {
            let snapshot = self.snapshot();
            let known = |name: &str| {
                snapshot.groups.contains_key(name)
                    || snapshot.configured.iter().any(|group| &*group.name == name)
            };
            if let Some(unknown) = groups.iter().find(|name| !known(name)) {
                return Err(super::bad_name(unknown));
            }
            for list in [&mut removed, &mut changed, &mut added] {
                list.retain(|group| groups.iter().any(|name| **name == **group));
            }
        }
        if removed.is_empty() && changed.is_empty() && added.is_empty() {
            return Ok(Vec::new());
        }
        let _reloading = self.engine().reloading();
        let removals = removed.into_iter().map(|group| async move {
            let outcome = self.stop_and_remove(&group).await;
            Updated { group, change: Change::Removed, outcome }
        });
        let mut updated = join_all(removals).await;
        let replacements = changed.into_iter().map(|group| async move {
            let outcome = self.update_group(&group).await;
            Updated { group, change: Change::Changed, outcome }
        });
        updated.extend(join_all(replacements).await);
        for group in added {
            let outcome = self.add_group(&group).await;
            updated.push(Updated { group, change: Change::Added, outcome });
        }
        Ok(updated)
    }

    async fn stop_and_remove(&self, group: &str) -> Result<(), Fault> {
        for stopped in self.stop_group(group, true).await? {
            if stopped.status == FaultKind::Failed {
                return Err(Fault::new(stopped.status, stopped.name.to_string()));
            }
        }
        self.remove_group(group).await
    }

    /// Activates a group of the configuration as last read (C-298).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, ALREADY_ADDED, BAD_NAME.
    pub async fn add_group(&self, name: &str) -> Result<(), Fault> {
        self.gate()?;
        bounds::target(name)?;
        self.ask(Request::AddGroup(name.into())).await?;
        self.applied(Change::Added, name);
        Ok(())
    }

    /// Deactivates a group that is stopped (C-299).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, STILL_RUNNING.
    pub async fn remove_group(&self, name: &str) -> Result<(), Fault> {
        self.gate()?;
        bounds::target(name)?;
        self.ask(Request::RemoveGroup(name.into())).await?;
        self.applied(Change::Removed, name);
        Ok(())
    }

    /// Makes an active group what the configuration as last read says. Only processes that are
    /// configured differently now, or no more, are stopped for it.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, STILL_RUNNING, and whatever a stop fails with.
    pub async fn update_group(&self, name: &str) -> Result<(), Fault> {
        self.gate()?;
        bounds::target(name)?;
        let _reloading = self.engine().reloading();
        let stops = self.outdated(name).into_iter().map(|process| async move {
            let scope = Scope::Process(process);
            match self.ask(Request::Stop { scope, wait: true }).await {
                // It was not up, or is gone: nothing is in the way.
                Err(Fault { kind: FaultKind::NotRunning | FaultKind::BadName, .. }) => Ok(()),
                outcome => outcome.map(drop),
            }
        });
        for stopped in join_all(stops).await {
            stopped?;
        }
        self.ask(Request::UpdateGroup(name.into())).await?;
        self.applied(Change::Changed, name);
        Ok(())
    }

    /// A group is now what the configuration says.
    fn applied(&self, change: Change, group: &str) {
        let text = format!("configuration applied: {} group {group}", change.name());
        let record = Record::new(Level::Info, text).of(Kind::ConfigurationApplied);
        self.inner.parts.logs.record(record.with(Field::Group, group));
    }

    /// The processes of a group that are configured differently now, or no more.
    fn outdated(&self, group: &str) -> Vec<ProcessName> {
        let snapshot = self.snapshot();
        let read = snapshot.configured.iter().find(|spec| &*spec.name == group);
        let is_as_read = |spec: &ProcessSpec| {
            read.is_some_and(|read| read.processes.iter().any(|new| diff::is_same(spec, new)))
        };
        let members = snapshot.members(group).map(|process| &process.spec);
        members.filter(|spec| !is_as_read(spec)).map(|spec| spec.name.clone()).collect()
    }

    /// Stops everything, then the daemon; answers at once (C-296).
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn shutdown(&self) -> Result<(), Fault> {
        self.gate()?;
        self.ask(Request::Shutdown).await.map(drop)
    }

    /// Goes on as the program that is installed now; answers when all is ready for that. Whether it
    /// worked is told by [`Upgrades`](super::Upgrades) of who answers then.
    ///
    /// # Errors
    /// SHUTDOWN_STATE; FAILED when one is under way or programs take too long to start.
    pub async fn upgrade(&self) -> Result<(), Fault> {
        self.gate()?;
        self.engine().ask(Request::Upgrade).await.map(drop)
    }

    /// Stops everything and starts again with the configuration read afresh; answers at once
    /// (C-296). A configuration that cannot be read is refused and nothing is stopped (C-415).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, CANT_REREAD.
    pub async fn restart(&self) -> Result<(), Fault> {
        self.gate()?;
        self.load().await?;
        self.ask(Request::Restart).await.map(drop)
    }

    /// Reads the configuration to do something with it.
    async fn load(&self) -> Result<Settings, Fault> {
        self.read_settings().await.map_err(|why| {
            let text = format!("the configuration has errors, all stays as it is: {why}");
            let record = Record::new(Level::Error, text).of(Kind::ConfigurationRefused);
            self.inner.parts.logs.record(record.with(Field::Error, &why));
            Fault::new(FaultKind::CantReread, why)
        })
    }

    async fn read_settings(&self) -> Result<Settings, String> {
        // Closed only with the api itself.
        let _permit = self.inner.loading.acquire().await;
        let load = self.inner.parts.load.clone();
        spawn_blocking(move || load()).await.map_err(|error| error.to_string())?
    }
}
