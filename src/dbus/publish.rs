//! Signals: transitions as they happen, and what they changed in properties and objects.
//!
//! On a bus signals are always sent: clients keep properties in caches and count on being told,
//! and the broker drops what nobody matches. On a connection without a broker they are sent to a
//! client that asked: most are a `supervisorctl` that never reads one.
//!
//! `PropertiesChanged` and the object manager's signals come from the difference of two
//! snapshots, so a burst of transitions is one signal and a slow client misses no last state;
//! `ProcessStateChanged` and `Event` come from the stream of events, and a client that is too slow
//! for it misses some.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imbl::ordmap::DiffItem;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::AbortHandle;
use zbus::names::OwnedUniqueName;
use zbus::{Connection, Message, OwnedObjectPath};

use super::error::Failure;
use super::happening::happening;
use super::path;
use super::standard::{Found, Interfaces, OBJECT_MANAGER, PROPERTIES, Properties, properties};
use super::types::{GROUP, MANAGER, MANAGER_PATH, PROCESS};
use super::watch::{Watch, Watches};
use crate::api::Api;
use crate::model::event::Event;
use crate::model::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::snapshot::{Channel, GroupSnapshot, ProcessSnapshot, Snapshot};
use crate::runtime::happenings::Subscription;
use crate::runtime::logs::Growth;

/// The signals of one connection.
#[derive(Debug)]
pub(super) struct Signals {
    api: Api,
    connection: Connection,
    /// Whether they are always sent.
    always: bool,
    task: Mutex<Option<Task>>,
    watches: Watches,
}

#[derive(Debug)]
struct Task {
    /// Dropped to end the task after the message it is sending.
    _wanted: watch::Sender<()>,
    /// Ends it at once, for when the connection ends.
    abort: AbortHandle,
}

impl Signals {
    /// The signals of a bus, from the first [`Self::subscribe`] on. That is when the name is ours:
    /// the bus tells by the name who may receive them.
    pub(super) fn always(api: Api, connection: Connection) -> Self {
        let watches = Watches::default();
        Self { api, connection, always: true, task: Mutex::default(), watches }
    }

    /// The signals of a connection without a broker, when they are asked for.
    pub(super) fn on_request(api: Api, connection: Connection) -> Self {
        Self { api, connection, always: false, task: Mutex::default(), watches: Watches::default() }
    }

    /// Sends signals from now on.
    pub(super) fn subscribe(&self) {
        let mut task = self.task();
        if task.is_some() {
            return;
        }
        let (wanted, until) = watch::channel(());
        let publisher = Publisher {
            events: self.api.engine().events(),
            snapshots: self.api.engine().snapshots(),
            last: self.api.snapshot(),
            api: self.api.clone(),
            connection: self.connection.clone(),
        };
        let abort = tokio::spawn(publisher.run(until)).abort_handle();
        *task = Some(Task { _wanted: wanted, abort });
    }

    /// Sends no more signals, unless they are always sent.
    pub(super) fn unsubscribe(&self) {
        if !self.always {
            self.task().take();
        }
    }

    /// Tells a client from now on that a log grew.
    pub(super) async fn watch(
        &self,
        watch: Watch,
        growth: watch::Receiver<Growth>,
        key: ProcKey,
        slot: OwnedSemaphorePermit,
    ) -> Result<(), Failure> {
        let snapshots = self.api.engine().snapshots();
        self.watches.add(&self.connection, watch, growth, (key, snapshots), slot).await
    }

    /// Tells it no more.
    pub(super) fn unwatch(
        &self,
        whom: Option<OwnedUniqueName>,
        process: ProcessName,
        channel: Channel,
    ) {
        self.watches.remove(&(whom, process, channel));
    }

    fn task(&self) -> MutexGuard<'_, Option<Task>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(task) = self.task().take() {
            task.abort.abort();
        }
    }
}

struct Publisher {
    api: Api,
    connection: Connection,
    events: Subscription,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The picture that the client knows.
    last: Arc<Snapshot>,
}

impl Publisher {
    async fn run(mut self, mut until: watch::Receiver<()>) {
        loop {
            let event = tokio::select! {
                _ = until.changed() => return,
                event = self.events.recv() => match event {
                    Ok(event) => Some(event),
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return,
                },
                changed = self.snapshots.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
            };
            // Whoever hears of a transition finds the properties told already.
            let new = self.snapshots.borrow_and_update().clone();
            let messages = self.differences(&new).and_then(|mut messages| {
                if let Some(event) = &event {
                    messages.extend(transition(&event.event)?);
                    messages.push(happening(event)?);
                }
                Ok(messages)
            });
            self.last = new;
            // Building fails only for what is too large to send; sending, when nobody is there.
            let Ok(messages) = messages else { continue };
            if self.connection.send_all(&messages).await.is_err() {
                return;
            }
        }
    }

    /// What tells the client how the new picture differs from the one it knows.
    fn differences(&self, new: &Arc<Snapshot>) -> zbus::Result<Vec<Message>> {
        let (old, mut messages) = (&self.last, Vec::new());
        if Arc::ptr_eq(old, new) {
            return Ok(messages);
        }
        if old.state != new.state {
            let state =
                [("State", new.state.name().into()), ("StateCode", new.state.code().into())];
            messages.push(changed(MANAGER_PATH, MANAGER, Properties::from(state))?);
        }
        let all = |found: &Found| properties(&self.api, new, found, None, |_| true);
        let told = |snapshot: &Snapshot, found: &Found| {
            properties(&self.api, snapshot, found, None, |property| property.emits_changed)
        };
        let group = |group: &Arc<GroupSnapshot>| Found::Group(group.clone());
        let process = |process: &Arc<ProcessSnapshot>| Found::Process(process.clone());
        for difference in old.groups.diff(&new.groups) {
            messages.extend(match difference {
                DiffItem::Add(name, new) => {
                    Some(added(path::group(name), GROUP, all(&group(new)))?)
                }
                DiffItem::Remove(name, _) => Some(removed(&path::group(name), GROUP)?),
                DiffItem::Update { old: (_, before), new: (name, after) } => {
                    let (before, after) = (told(old, &group(before)), told(new, &group(after)));
                    updated(&path::group(name), GROUP, &before, after)?
                }
            });
        }
        for difference in old.processes.diff(&new.processes) {
            messages.extend(match difference {
                DiffItem::Add(name, new) => {
                    Some(added(path::process(name), PROCESS, all(&process(new)))?)
                }
                DiffItem::Remove(name, _) => Some(removed(&path::process(name), PROCESS)?),
                DiffItem::Update { old: (_, before), new: (name, after) } => {
                    let (before, after) = (told(old, &process(before)), told(new, &process(after)));
                    updated(&path::process(name), PROCESS, &before, after)?
                }
            });
        }
        Ok(messages)
    }
}

fn added(
    at: OwnedObjectPath,
    interface: &'static str,
    properties: Properties,
) -> zbus::Result<Message> {
    Message::signal(MANAGER_PATH, OBJECT_MANAGER, "InterfacesAdded")
        .build(&(at, Interfaces::from([(interface, properties)])))
}

fn removed(at: &OwnedObjectPath, interface: &str) -> zbus::Result<Message> {
    Message::signal(MANAGER_PATH, OBJECT_MANAGER, "InterfacesRemoved")
        .build(&(at, [interface].as_slice()))
}

/// What of the properties is new; none when nothing is.
fn updated(
    at: &OwnedObjectPath,
    interface: &str,
    before: &Properties,
    mut after: Properties,
) -> zbus::Result<Option<Message>> {
    after.retain(|name, value| before.get(name) != Some(&*value));
    if after.is_empty() { Ok(None) } else { changed(at.as_str(), interface, after).map(Some) }
}

fn changed(at: &str, interface: &str, properties: Properties) -> zbus::Result<Message> {
    let invalidated: [&str; 0] = [];
    Message::signal(at, PROPERTIES, "PropertiesChanged").build(&(
        interface,
        properties,
        invalidated.as_slice(),
    ))
}

/// The manager's own signal of an event, if it has one.
fn transition(event: &Event) -> zbus::Result<Option<Message>> {
    let signal = |member| Message::signal(MANAGER_PATH, MANAGER, member);
    match event {
        Event::ProcessState { name, from, to, pid, .. } => signal("ProcessStateChanged")
            .build(&(
                &*name.group,
                &*name.process,
                from.name(),
                to.name(),
                u32::try_from(*pid).unwrap_or(0),
                path::process(name),
            ))
            .map(Some),
        Event::GroupAdded(name) => {
            signal("GroupAdded").build(&(&**name, path::group(name))).map(Some)
        }
        Event::GroupRemoved(name) => {
            signal("GroupRemoved").build(&(&**name, path::group(name))).map(Some)
        }
        _ => Ok(None),
    }
}
