//! How the front ends talk to the engine: requests go in through a queue, state comes out as
//! snapshots and events. Readers never wait for the engine.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::happenings::{Happenings, Subscription};
use crate::core::request::{Reply, Request};
use crate::model::event::Period;
use crate::model::fault::{Fault, FaultKind};
use crate::model::snapshot::Snapshot;

/// A request on its way to the engine, with the way back.
#[derive(Debug)]
pub struct Envelope {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes. A client that went away has closed it.
    pub reply: oneshot::Sender<Result<Reply, Fault>>,
}

/// What the front ends let the engine know, without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    /// The ways in are open, as far as they can be.
    FrontEndsUp,
    /// A change of the configuration begins.
    ReloadBegins,
    /// A change of the configuration ended.
    ReloadEnds,
    /// Somebody wants TICK events of this period.
    TicksWanted(Period),
    /// They do no longer.
    TicksUnwanted(Period),
}

/// A cheap handle on the engine.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    requests: mpsc::Sender<Envelope>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    events: Happenings,
    announcements: Option<mpsc::UnboundedSender<Announcement>>,
}

/// A change of the configuration that is under way, until it is dropped.
#[derive(Debug)]
#[must_use = "it lasts until this is dropped"]
pub struct Reloading(EngineHandle);

impl Drop for Reloading {
    fn drop(&mut self) {
        self.0.announce(Announcement::ReloadEnds);
    }
}

/// Has TICK events told, until it is dropped.
#[derive(Debug)]
#[must_use = "it lasts until this is dropped"]
pub struct WantedTicks {
    engine: EngineHandle,
    period: Period,
}

impl Drop for WantedTicks {
    fn drop(&mut self) {
        self.engine.announce(Announcement::TicksUnwanted(self.period));
    }
}

impl EngineHandle {
    /// Puts a handle together from the engine's ends.
    #[must_use]
    pub fn new(
        requests: mpsc::Sender<Envelope>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        events: Happenings,
    ) -> Self {
        Self { requests, snapshots, events, announcements: None }
    }

    /// The same handle, with a way for announcements.
    #[must_use]
    pub fn with_announcements(mut self, way: mpsc::UnboundedSender<Announcement>) -> Self {
        self.announcements = Some(way);
        self
    }

    /// Lets the engine know something. One that has ended need not know.
    pub fn announce(&self, announcement: Announcement) {
        if let Some(way) = &self.announcements {
            let _ = way.send(announcement);
        }
    }

    /// Lets the engine know that a change of the configuration is under way, for as long as the
    /// result lives: the service manager is told, and given the time that it takes.
    pub fn reloading(&self) -> Reloading {
        self.announce(Announcement::ReloadBegins);
        Reloading(self.clone())
    }

    /// Has TICK events of this period told, for as long as the result lives. Nothing wakes up for
    /// those that nobody wants.
    pub fn want_ticks(&self, period: Period) -> WantedTicks {
        self.announce(Announcement::TicksWanted(period));
        WantedTicks { engine: self.clone(), period }
    }

    /// Asks the engine and waits for its answer.
    ///
    /// # Errors
    /// The fault of the request; SHUTDOWN_STATE when the engine is gone.
    pub async fn ask(&self, request: Request) -> Result<Reply, Fault> {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Envelope { request, reply }).await.is_err() {
            return Err(FaultKind::ShutdownState.into());
        }
        answer.await.unwrap_or_else(|_| Err(FaultKind::ShutdownState.into()))
    }

    /// The newest picture of everything.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// A receiver that wakes at every new picture.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Everything that happens from now on. A slow receiver is told how much it missed, by number or
    /// by size, and the serials have a gap.
    #[must_use]
    pub fn events(&self) -> Subscription {
        self.events.subscribe()
    }
}
