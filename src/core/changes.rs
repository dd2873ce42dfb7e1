//! The state in pieces, for whoever writes down at the end of each turn what changed in it, and
//! the way back from the pieces: crash recovery. A hot upgrade hands the state over whole instead.
//!
//! Requests that wait are no part of it: whoever asked is told by the end of their connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::action::{ExitKind, Generation};
use super::auto::AutoNames;
use super::events::Serials;
use super::key::ProcKey;
use super::outlet::Outlet;
use super::pool::queue::Queued;
use super::pool::{Pool, PoolLeft};
use super::process::Process;
use super::shutdown::Shutdown;
use super::supervisor::{ActiveGroup, Supervisor};
use super::ticks::Ticks;
use super::view::View;
use super::waiters::Waiters;
use crate::model::spec::GroupSpec;
use crate::model::state::DaemonState;
use crate::model::time::Mono;

/// A part of the state that changes at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// What there is one of.
    Whole,
    /// The configuration as last read.
    Configured,
    /// An active group.
    Group(Arc<str>),
    /// A process.
    Process(ProcKey),
    /// A pool of event listeners, without its events.
    Pool(Arc<str>),
    /// An event that waits in a pool, by its number there.
    Event(Arc<str>, u64),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Configured => f.write_str("configured"),
            Self::Group(name) => write!(f, "group/{name}"),
            Self::Process(key) => write!(f, "process/{}", key.0),
            Self::Pool(name) => write!(f, "pool/{name}"),
            Self::Event(name, number) => write!(f, "event/{number}/{name}"),
        }
    }
}

/// It is the name of something else.
#[derive(Debug, PartialEq, Eq)]
pub struct NoPiece;

impl FromStr for Piece {
    type Err = NoPiece;

    fn from_str(text: &str) -> Result<Self, NoPiece> {
        let (kind, rest) = text.split_once('/').unwrap_or((text, ""));
        match kind {
            "whole" => Some(Self::Whole),
            "configured" => Some(Self::Configured),
            "group" => Some(Self::Group(rest.into())),
            "process" => rest.parse().ok().map(|key| Self::Process(ProcKey(key))),
            "pool" => Some(Self::Pool(rest.into())),
            "event" => rest
                .split_once('/')
                .and_then(|(number, name)| Some(Self::Event(name.into(), number.parse().ok()?))),
            _ => None,
        }
        .ok_or(NoPiece)
    }
}

/// What changed since it was last written down. Nothing is noted while nobody writes.
#[derive(Debug, Default)]
pub struct Changes {
    on: bool,
    configured: bool,
    groups: BTreeSet<Arc<str>>,
    processes: BTreeSet<ProcKey>,
    /// Pools that came or went; those that are there are looked at each time.
    pools: BTreeSet<Arc<str>>,
}

impl Changes {
    /// Whether somebody writes them down.
    #[must_use]
    pub fn are_noted(&self) -> bool {
        self.on
    }

    /// A process came, changed or went.
    pub fn process(&mut self, key: ProcKey) {
        if self.on {
            self.processes.insert(key);
        }
    }

    /// A group came, changed or went, and its pool perhaps.
    pub fn group(&mut self, name: &Arc<str>) {
        if self.on {
            self.groups.insert(Arc::clone(name));
            self.pools.insert(Arc::clone(name));
        }
    }

    /// The configuration was read again.
    pub fn configured(&mut self) {
        self.configured = true;
    }
}

/// [`Piece::Whole`], on its way out.
#[derive(Serialize)]
struct WholeNow<'a> {
    state: DaemonState,
    shutdown: &'a Option<Shutdown>,
    autos: &'a AutoNames,
    identifier: &'a str,
    serials: Serials,
    outlet: &'a Outlet,
    ticks: &'a Ticks,
    events_at: Option<Mono>,
    generation: Generation,
    next_key: u32,
    next_order: u64,
}

/// The same on its way in.
#[derive(Deserialize)]
struct Whole {
    state: DaemonState,
    shutdown: Option<Shutdown>,
    autos: AutoNames,
    identifier: Arc<str>,
    serials: Serials,
    outlet: Outlet,
    ticks: Ticks,
    events_at: Option<Mono>,
    generation: Generation,
    next_key: u32,
    next_order: u64,
}

impl Supervisor {
    /// From now on it is noted what changes; everything counts as changed.
    pub fn note_changes(&mut self) {
        self.changes = Changes {
            on: true,
            configured: true,
            groups: self.groups.keys().cloned().collect(),
            processes: self.processes.keys().copied().collect(),
            pools: BTreeSet::new(),
        };
        self.pools.values_mut().for_each(Pool::note_changes);
    }

    /// Gives `put` what changed since it was last asked, piece by piece; none for one that is
    /// gone. May give what did not change after all.
    ///
    /// # Errors
    /// A piece cannot be written as JSON, which would be a mistake in this program.
    pub fn take_changes(
        &mut self,
        put: &mut dyn FnMut(Piece, Option<Vec<u8>>),
    ) -> serde_json::Result<()> {
        let whole = WholeNow {
            state: self.state,
            shutdown: &self.shutdown,
            autos: &self.autos,
            identifier: &self.identifier,
            serials: self.serials,
            outlet: &self.outlet,
            ticks: &self.ticks,
            events_at: self.events_at,
            generation: self.generation,
            next_key: self.next_key,
            next_order: self.next_order,
        };
        put(Piece::Whole, Some(serde_json::to_vec(&whole)?));
        if std::mem::take(&mut self.changes.configured) {
            put(Piece::Configured, Some(serde_json::to_vec(&self.configured)?));
        }
        for name in std::mem::take(&mut self.changes.groups) {
            let group = self.groups.get(&name).map(serde_json::to_vec).transpose()?;
            put(Piece::Group(name), group);
        }
        for key in std::mem::take(&mut self.changes.processes) {
            let process = self.processes.get(&key).map(serde_json::to_vec).transpose()?;
            put(Piece::Process(key), process);
        }
        for name in std::mem::take(&mut self.changes.pools) {
            if !self.pools.contains_key(&name) {
                put(Piece::Pool(name), None);
            }
        }
        for (name, pool) in &mut self.pools {
            for (number, event) in pool.take_changes() {
                let event = event.map(serde_json::to_vec).transpose()?;
                put(Piece::Event(Arc::clone(name), number), event);
            }
            put(Piece::Pool(Arc::clone(name)), Some(serde_json::to_vec(&pool.left())?));
        }
        Ok(())
    }

    /// The state that these pieces are of. Events of pools that are gone are passed over.
    ///
    /// # Errors
    /// What is missing or cannot be read.
    pub fn from_pieces<'a>(
        pieces: impl Iterator<Item = (Piece, &'a [u8])>,
    ) -> Result<Self, String> {
        let (mut whole, mut configured) = (None::<Whole>, None::<Vec<Arc<GroupSpec>>>);
        let mut groups = BTreeMap::new();
        let mut processes = BTreeMap::new();
        let mut pools = BTreeMap::new();
        let mut events = BTreeMap::<Arc<str>, Vec<Queued>>::new();
        for (piece, bytes) in pieces {
            let unreadable = |error| format!("{piece} cannot be read: {error}");
            match &piece {
                Piece::Whole => whole = Some(read(bytes).map_err(unreadable)?),
                Piece::Configured => configured = Some(read(bytes).map_err(unreadable)?),
                Piece::Group(name) => {
                    let group: ActiveGroup = read(bytes).map_err(unreadable)?;
                    groups.insert(Arc::clone(name), group);
                }
                Piece::Process(key) => {
                    let process: Process = read(bytes).map_err(unreadable)?;
                    processes.insert(*key, process);
                }
                Piece::Pool(name) => {
                    let pool: PoolLeft = read(bytes).map_err(unreadable)?;
                    pools.insert(Arc::clone(name), pool);
                }
                Piece::Event(name, _) => {
                    let event = read(bytes).map_err(unreadable)?;
                    events.entry(Arc::clone(name)).or_default().push(event);
                }
            }
        }
        let whole = whole.ok_or("what there is one of is missing")?;
        let configured = configured.ok_or("the configuration is missing")?;
        let mut ticks = whole.ticks;
        ticks.forget_clients();
        let pools = pools.into_iter().map(|(name, left)| {
            let events = events.remove(&name).unwrap_or_default();
            (name, left.with(events))
        });
        let all = || processes.values();
        Ok(Self {
            state: whole.state,
            configured: Arc::new(configured),
            by_name: all().map(|process| (process.spec().name.clone(), process.key())).collect(),
            by_pid: all().filter(|p| p.pid() != 0).map(|p| (p.pid(), p.key())).collect(),
            deadlines: all().filter_map(|p| Some((p.deadline()?, p.key()))).collect(),
            waiters: Waiters::default(),
            shutdown: whole.shutdown.or_else(|| ended(whole.state)),
            autos: whole.autos,
            identifier: whole.identifier,
            serials: whole.serials,
            pools: pools.collect(),
            outlet: whole.outlet,
            ticks,
            events_at: whole.events_at,
            generation: whole.generation,
            next_key: whole.next_key,
            next_order: whole.next_order,
            groups,
            processes,
            changes: Changes::default(),
            view: View::default(),
        })
    }
}

/// Everything was stopped, and the daemon killed before it ended: it ends now.
fn ended(state: DaemonState) -> Option<Shutdown> {
    let kind = match state {
        DaemonState::Shutdown => ExitKind::Shutdown,
        DaemonState::Restarting => ExitKind::Restart,
        _ => return None,
    };
    let (groups, report_at) = (Vec::new(), Mono::default());
    Some(Shutdown { kind, groups, current: None, report_at, telling_until: None })
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes)
}
