//! Signals that a log grew, for the client that asked for them and nobody else.
//!
//! The log plane tells the size; nothing of the log is read for it. A client that goes away ends
//! its watches: on a bus the broker tells so, without one they end with the connection.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use zbus::fdo::{self, NameOwnerChangedStream};
use zbus::names::OwnedUniqueName;
use zbus::{Connection, Message};

use super::error::Failure;
use super::path;
use super::types::PROCESS;
use crate::model::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::snapshot::{Channel, Snapshot};
use crate::runtime::logs::Growth;

/// Who watches what.
pub(super) type Key = (Option<OwnedUniqueName>, ProcessName, Channel);

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Watch {
    /// The client, on a bus.
    pub(super) whom: Option<OwnedUniqueName>,
    /// Whose log.
    pub(super) process: ProcessName,
    /// Which one.
    pub(super) channel: Channel,
    /// The least time between two signals.
    pub(super) interval: Duration,
}

/// The watches of one connection.
#[derive(Default)]
pub(super) struct Watches {
    tasks: Mutex<HashMap<Key, AbortHandle>>,
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watches").field("count", &self.tasks().len()).finish()
    }
}

/// How it is noticed that a process was removed, or replaced by one of the same name.
type Life<S> = (ProcKey, watch::Receiver<S>);

impl Watches {
    /// Watches from now on, in place of a watch of the same log for the same client.
    pub(super) async fn add(
        &self,
        connection: &Connection,
        watch: Watch,
        growth: watch::Receiver<Growth>,
        life: Life<Arc<Snapshot>>,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), Failure> {
        let client = match &watch.whom {
            Some(whom) => Some(departure(connection, whom).await?),
            None => None,
        };
        let key = (watch.whom.clone(), watch.process.clone(), watch.channel);
        let connection = connection.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = gone(client) => {}
                () = removed(&watch.process, life) => {}
                _ = tell(&connection, &watch, growth) => {}
            }
            drop(slot);
        });
        let mut tasks = self.tasks();
        tasks.retain(|_, task| !task.is_finished());
        if let Some(old) = tasks.insert(key, task.abort_handle()) {
            old.abort();
        }
        Ok(())
    }

    /// Ends a watch, if there is one.
    pub(super) fn remove(&self, key: &Key) {
        if let Some(task) = self.tasks().remove(key) {
            task.abort();
        }
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<Key, AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        for task in self.tasks().values() {
            task.abort();
        }
    }
}

/// Has the broker tell when a client leaves.
async fn departure(
    connection: &Connection,
    whom: &OwnedUniqueName,
) -> Result<NameOwnerChangedStream, Failure> {
    let bus = fdo::DBusProxy::new(connection).await?;
    let changes = bus.receive_name_owner_changed_with_args(&[(0, whom.as_str())]).await?;
    // It may have left before the broker was asked.
    let is_there = bus.name_has_owner(whom.as_ref().into()).await;
    if is_there.unwrap_or(false) {
        Ok(changes)
    } else {
        Err(Failure::failed("The caller has left the bus."))
    }
}

async fn gone(client: Option<NameOwnerChangedStream>) {
    match client {
        // A unique name changes its owner once: when the owner leaves. The stream ends with the bus.
        Some(mut changes) => drop(changes.next().await),
        None => std::future::pending().await,
    }
}

async fn removed(process: &ProcessName, (key, mut snapshots): Life<Arc<Snapshot>>) {
    let other =
        |snapshot: &Arc<Snapshot>| snapshot.processes.get(process).is_none_or(|now| now.key != key);
    // An error says that the daemon ends.
    let _ = snapshots.wait_for(other).await;
}

/// Tells what is new until nobody can be told.
async fn tell(
    connection: &Connection,
    watch: &Watch,
    mut growth: watch::Receiver<Growth>,
) -> zbus::Result<()> {
    let at = path::process(&watch.process);
    let mut told = Growth::default();
    while growth.changed().await.is_ok() {
        let now = *growth.borrow_and_update();
        // The first news is no news: see `LogHandle::follow`.
        if now == told {
            continue;
        }
        told = now;
        let mut signal = Message::signal(&at, PROCESS, "LogGrown");
        if let Some(whom) = &watch.whom {
            signal = signal.destination(whom.as_str());
        }
        let body = (watch.channel.name(), now.size, now.rotations);
        connection.send(&signal.build(&body)?).await?;
        sleep(watch.interval).await;
    }
    Ok(())
}
