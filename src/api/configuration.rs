//! The configuration, and the daemon as a whole (C-296 to C-299, C-310).

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;

use super::{Api, bounds};
use crate::config::diff;
use crate::config::settings::Settings;
use crate::core::request::{Changes, Reply, Request, Scope};
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::spec::{GroupSpec, ProcessSpec};

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
        match self.engine().ask(Request::Reread { groups }).await? {
            Reply::Changes(changes) => Ok(changes),
            Reply::Done | Reply::Results(_) => Ok(Changes::default()),
        }
    }

    /// Activates a group of the configuration as last read (C-298).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, ALREADY_ADDED, BAD_NAME.
    pub async fn add_group(&self, name: &str) -> Result<(), Fault> {
        self.gate()?;
        bounds::target(name)?;
        self.engine().ask(Request::AddGroup(name.into())).await.map(drop)
    }

    /// Deactivates a group that is stopped (C-299).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, STILL_RUNNING.
    pub async fn remove_group(&self, name: &str) -> Result<(), Fault> {
        self.gate()?;
        bounds::target(name)?;
        self.engine().ask(Request::RemoveGroup(name.into())).await.map(drop)
    }

    /// Makes an active group what the configuration as last read says. Only processes that are
    /// configured differently now, or no more, are stopped for it.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, STILL_RUNNING, and whatever a stop fails with.
    pub async fn update_group(&self, name: &str) -> Result<(), Fault> {
        self.gate()?;
        bounds::target(name)?;
        let stops = self.outdated(name).into_iter().map(|process| async move {
            let scope = Scope::Process(process);
            match self.engine().ask(Request::Stop { scope, wait: true }).await {
                // It was not up, or is gone: nothing is in the way.
                Err(Fault { kind: FaultKind::NotRunning | FaultKind::BadName, .. }) => Ok(()),
                outcome => outcome.map(drop),
            }
        });
        for stopped in join_all(stops).await {
            stopped?;
        }
        self.engine().ask(Request::UpdateGroup(name.into())).await.map(drop)
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
        self.engine().ask(Request::Shutdown).await.map(drop)
    }

    /// Stops everything and starts again with the configuration read afresh; answers at once
    /// (C-296). A configuration that cannot be read is refused and nothing is stopped (C-415).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, CANT_REREAD.
    pub async fn restart(&self) -> Result<(), Fault> {
        self.gate()?;
        self.load().await?;
        self.engine().ask(Request::Restart).await.map(drop)
    }

    async fn load(&self) -> Result<Settings, Fault> {
        let cannot = |why: String| Fault::new(FaultKind::CantReread, why);
        // Closed only with the api itself.
        let _permit = self.inner.loading.acquire().await;
        let load = self.inner.parts.load.clone();
        spawn_blocking(move || load())
            .await
            .map_err(|error| cannot(error.to_string()))?
            .map_err(cannot)
    }
}
