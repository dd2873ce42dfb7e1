//! What happens, to the open pages as it happens: server-sent events at `/live`.
//!
//! Each change is written as JSON once, for all pages. A page first gets everything, then what
//! changed; one that is too slow for that gets everything again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream;
use imbl::ordmap::DiffItem;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;
use warp::reply::Response;

use super::data::feed::Looking;
use super::data::last_line::{LastLines, Line};
use super::data::meter::{Load, Meter};
use super::view::{View, millis};
use crate::api::Api;
use crate::http::streams::{self, Place, Room, stopping};
use crate::model::snapshot::Snapshot;

/// The time between two changes that are told: what comes faster is told together.
const PACE: Duration = Duration::from_millis(40);
/// How many changes a page may be behind.
const BEHIND: usize = 32;
/// How long nothing is said at most: a page takes a longer silence for the end.
const SILENCE: Duration = Duration::from_secs(10);
/// How long nobody has to look before the work for it ends.
const LINGER: Duration = Duration::from_secs(2);

/// The live pages. A clone is the same ones.
#[derive(Clone)]
pub struct Live {
    inner: Arc<Inner>,
    meter: Meter,
    lines: LastLines,
    stopped: watch::Receiver<bool>,
}

struct Inner {
    api: Api,
    room: Room,
    news: Mutex<News>,
}

/// What was told, and to whom.
struct News {
    sender: broadcast::Sender<Arc<str>>,
    /// The picture that those know who got all of the news.
    known: Arc<Snapshot>,
    /// All of it, as JSON; made when somebody needs it.
    whole: Option<Arc<str>>,
    /// Whether somebody looks for changes.
    at_work: bool,
}

/// What is told of processes.
#[derive(Serialize)]
struct Told {
    /// Whether it is all there is.
    whole: bool,
    /// The state of the daemon.
    daemon: &'static str,
    processes: Vec<View>,
    /// Names of processes that are gone.
    gone: Vec<String>,
}

impl Told {
    fn json(&self) -> Arc<str> {
        // Values of ours always have a JSON.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = self.inner.room.left();
        f.debug_struct("Live").field("room", &room).finish_non_exhaustive()
    }
}

impl Live {
    /// Live pages over these use cases, until the server stops.
    #[must_use]
    pub fn new(api: Api, meter: Meter, stopped: watch::Receiver<bool>) -> Self {
        let news = News {
            sender: broadcast::Sender::new(BEHIND),
            known: api.snapshot(),
            whole: None,
            at_work: false,
        };
        let lines = LastLines::new(api.clone());
        let room = Room::new("Too many pages are open");
        Self { inner: Arc::new(Inner { api, room, news: Mutex::new(news) }), meter, lines, stopped }
    }

    /// The stream for one page.
    #[must_use]
    pub fn answer(&self) -> Response {
        let Some(place) = self.inner.room.enter() else { return self.inner.room.full() };
        let (whole, news) = self.inner.look();
        let page = Page {
            knows_time: false,
            whole: Some(whole),
            news,
            inner: Arc::clone(&self.inner),
            meter: Some(self.meter.look()),
            lines: Some(self.lines.look()),
            stopped: self.stopped.clone(),
            _place: place,
        };
        let parts = stream::unfold(page, |mut page| async move {
            let event = page.next().await?;
            Some((event, page))
        });
        streams::unbuffered(streams::answer("text/event-stream", parts))
    }
}

impl Inner {
    /// Everything, and what changes from then on.
    fn look(self: &Arc<Self>) -> (Arc<str>, broadcast::Receiver<Arc<str>>) {
        let mut news = self.news();
        let receiver = news.sender.subscribe();
        if !news.at_work {
            (news.at_work, news.known, news.whole) = (true, self.api.snapshot(), None);
            tokio::spawn(Arc::clone(self).tell());
        }
        let news = &mut *news;
        let whole = news.whole.get_or_insert_with(|| self.everything(&news.known));
        (Arc::clone(whole), receiver)
    }

    fn news(&self) -> MutexGuard<'_, News> {
        // Nothing that holds the lock leaves it half changed.
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn everything(&self, snapshot: &Snapshot) -> Arc<str> {
        let now = self.api.now();
        let processes = snapshot.processes.values().map(|process| View::of(process, now));
        Told {
            whole: true,
            daemon: snapshot.state.name(),
            processes: processes.collect(),
            gone: Vec::new(),
        }
        .json()
    }

    fn difference(&self, old: &Snapshot, new: &Snapshot) -> Arc<str> {
        let now = self.api.now();
        let (mut processes, mut gone) = (Vec::new(), Vec::new());
        for difference in old.processes.diff(&new.processes) {
            match difference {
                DiffItem::Add(_, process) | DiffItem::Update { new: (_, process), .. } => {
                    processes.push(View::of(process, now));
                }
                DiffItem::Remove(name, _) => gone.push(name.to_string()),
            }
        }
        Told { whole: false, daemon: new.state.name(), processes, gone }.json()
    }

    /// Tells changes for as long as somebody looks.
    async fn tell(self: Arc<Self>) {
        let mut snapshots = self.api.engine().snapshots();
        loop {
            let changed = tokio::select! {
                changed = snapshots.changed() => changed,
                () = sleep(LINGER) => Ok(()),
            };
            {
                let mut news = self.news();
                if changed.is_err() || news.sender.receiver_count() == 0 {
                    // Under the lock: whoever begins to look now begins anew.
                    news.at_work = false;
                    return;
                }
                let new = Arc::clone(&snapshots.borrow_and_update());
                if Arc::ptr_eq(&news.known, &new) {
                    continue;
                }
                let told = self.difference(&news.known, &new);
                (news.known, news.whole) = (new, None);
                // That nobody is there any more is seen the next time.
                let _ = news.sender.send(told);
            }
            sleep(PACE).await;
        }
    }
}

/// One page that is open.
struct Page {
    inner: Arc<Inner>,
    /// Whether it was told what time it is here: what is told of all processes may have been
    /// written a while ago.
    knows_time: bool,
    /// What it does not know yet.
    whole: Option<Arc<str>>,
    news: broadcast::Receiver<Arc<str>>,
    meter: Option<Looking<Load>>,
    lines: Option<Looking<Line>>,
    stopped: watch::Receiver<bool>,
    _place: Place,
}

impl Page {
    /// The next event; none at the end.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.knows_time, true) {
            return Some(self.time());
        }
        if let Some(whole) = self.whole.take() {
            return Some(event("state", &whole));
        }
        tokio::select! {
            biased;
            () = stopping(&mut self.stopped) => None,
            news = self.news.recv() => match news {
                Ok(news) => Some(event("state", &news)),
                Err(RecvError::Lagged(_)) => {
                    let (whole, news) = self.inner.look();
                    self.news = news;
                    Some(event("state", &whole))
                }
                Err(RecvError::Closed) => None,
            },
            json = next(&mut self.meter) => Some(event("use", &json)),
            json = next(&mut self.lines) => Some(event("lines", &json)),
            () = sleep(SILENCE) => Some(self.time()),
        }
    }

    /// What time it is, in milliseconds since the epoch: the clock of the page may be another one.
    fn time(&self) -> String {
        event("time", &millis(self.inner.api.now().wall).to_string())
    }
}

/// The next picture; never comes after the last.
async fn next<V: Serialize>(looking: &mut Option<Looking<V>>) -> Arc<str> {
    if let Some(open) = looking {
        if let Some(json) = open.next().await {
            return json;
        }
        *looking = None;
    }
    std::future::pending().await
}

fn event(name: &str, json: &str) -> String {
    format!("event: {name}\ndata: {json}\n\n")
}
