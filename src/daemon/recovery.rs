//! Going on where a daemon stopped that was killed: by a signal, the watchdog, for want of memory,
//! or by a mistake of its own. Its programs run on meanwhile; what it had written down of them, and
//! their descriptors, were kept by the service manager.
//!
//! Elsewhere than under a service manager that keeps descriptors, and without a cgroup for each
//! program, there is no recovery: nobody would start the daemon again, and a child that was being
//! made when the daemon was killed could not be told from a stranger.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

use super::upgrade::FileLeft;
use crate::config::Overrides;
use crate::config::settings::Settings;
use crate::http::listen::{Listeners, ListenersLeft};
use crate::http::sessions::{Sessions, SessionsLeft};
use crate::runtime::checkpoint::{Checkpoint, Memories, Pieces};
use crate::runtime::handover::Baggage;
use crate::runtime::keep::{Keep, Kept, Name};
use crate::runtime::recover::Descriptors;
use crate::sys::cgroup::Tree;
use crate::sys::leftovers::{Leftovers, is_populated};
use crate::sys::socket::Listener;
use crate::systemd::notify::Manager;

/// What the state is written as. A program that writes something else counts on.
const FORMAT: u32 = 1;
/// What the piece is called that is the daemon's.
const HEAD: &str = "head";
/// How long processes may take to die of SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon it is looked again whether they did.
const AGAIN: Duration = Duration::from_millis(5);
/// Descriptors of the store that are left for the unit's own sockets.
const RESERVE: usize = 64;

/// How the rest is to be read.
#[derive(Deserialize)]
struct Version {
    format: u32,
    version: String,
}

/// What of a daemon is not the engine's, on its way out.
#[derive(Serialize)]
struct HeadNow<'a> {
    format: u32,
    version: &'a str,
    /// The descriptors below, by the inodes that they are kept by.
    sockets: Vec<u64>,
    overrides: &'a Overrides,
    settings: &'a Settings,
    bus: Option<FileLeft<(u64, u64)>>,
    servers: ListenersLeft,
    sessions: SessionsLeft,
    upgrades: u32,
}

/// The same on its way in.
#[derive(Debug, Deserialize)]
pub struct Head {
    /// The program that wrote it.
    pub version: String,
    sockets: Vec<u64>,
    /// The command line, as it was resolved at the start.
    pub overrides: Overrides,
    /// The configuration of the daemon itself, as in force.
    pub settings: Settings,
    /// The socket of the peer-to-peer bus.
    pub bus: Option<FileLeft<(u64, u64)>>,
    /// The sockets of the HTTP servers.
    pub servers: ListenersLeft,
    /// Who was logged in there at the start.
    pub sessions: SessionsLeft,
    /// How often the program was replaced before.
    pub upgrades: u32,
}

/// What a daemon that was killed left behind.
#[derive(Debug)]
pub struct Found {
    /// What of it was not the engine's.
    pub head: Head,
    /// The listening sockets.
    pub sockets: Baggage,
    /// All that was written down.
    pub pieces: Pieces,
    /// The descriptors of its programs.
    pub kept: Descriptors,
    /// Where it was written.
    pub memories: Memories,
}

/// What an earlier daemon left.
#[derive(Debug)]
pub enum Legacy {
    /// Nothing.
    Nothing,
    /// A state that can be read.
    Found(Box<Found>),
    /// Something that cannot be gone on with, and why.
    Lost(String),
}

/// Looks at what the service manager handed over from its store.
#[must_use]
pub fn look(kept: Vec<(String, OwnedFd)>) -> (Legacy, Vec<Name>) {
    let mut descriptors = Descriptors::new();
    for (name, fd) in kept {
        if let Ok(name) = name.parse() {
            descriptors.insert(name, fd);
        }
    }
    let names = descriptors.keys().copied().collect();
    let memories = [0, 1].map(|number| descriptors.remove(&Name::Memory(number)));
    let [Some(first), Some(second)] = memories else {
        let nothing = descriptors.is_empty();
        let why = "what it had written down is not there".to_owned();
        return (if nothing { Legacy::Nothing } else { Legacy::Lost(why) }, names);
    };
    let found = match Memories::adopt([first, second]) {
        Err(error) => Err(format!("what it had written down cannot be read: {error}")),
        // It ended in order, or was killed before it had begun.
        Ok((_, None)) if descriptors.is_empty() => return (Legacy::Nothing, names),
        Ok((_, None)) => Err("it had not written anything down".to_owned()),
        Ok((memories, Some(pieces))) => understand(memories, pieces, descriptors),
    };
    (found.map_or_else(Legacy::Lost, |found| Legacy::Found(Box::new(found))), names)
}

fn understand(memories: Memories, pieces: Pieces, mut kept: Descriptors) -> Result<Found, String> {
    let head = pieces.get(HEAD).ok_or("the beginning of what it had written down is missing")?;
    let unreadable = |error| format!("what it had written down cannot be read: {error}");
    let Version { format, version } = serde_json::from_slice(head).map_err(unreadable)?;
    if format != FORMAT {
        return Err(format!(
            "supervisord {version} wrote it down in format {format}, this is {} with format \
             {FORMAT}",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let head: Head = serde_json::from_slice(head).map_err(unreadable)?;
    let mut sockets = Baggage::default();
    for &inode in &head.sockets {
        // One that is missing is missed by whoever takes it out.
        sockets.put_or_leave(kept.remove(&Name::Listener(inode)));
    }
    Ok(Found { head, sockets, pieces, kept, memories })
}

/// What of a running daemon is written down and kept, beside what its engine does.
#[derive(Debug)]
pub struct Watch {
    keep: Keep,
    memories: Memories,
    memories_kept: [Option<Kept>; 2],
    sockets: HashMap<u64, Kept>,
}

/// A daemon at work: what of it is not the engine's.
#[derive(Debug)]
pub struct Daemon<'a> {
    /// As in [`Head`].
    pub overrides: &'a Overrides,
    /// As in [`Head`].
    pub settings: &'a Settings,
    /// As in [`Head`].
    pub bus: Option<&'a Listener>,
    /// As in [`Head`].
    pub servers: &'a Listeners,
    /// As in [`Head`].
    pub sessions: &'a Sessions,
    /// As in [`Head`].
    pub upgrades: u32,
}

impl Watch {
    /// Has everything kept from now on, in these memories or in new ones; none where nothing keeps
    /// it. What was kept under these names and is not taken over is removed.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn start(manager: &Manager, memories: Option<Memories>) -> io::Result<Option<Self>> {
        let keep = Keep::start(manager.store(), manager.keeps().saturating_sub(RESERVE));
        if !keep.is_on() {
            return Ok(None);
        }
        let memories = memories.map_or_else(Memories::new, Ok)?;
        let mut kept = [None, None];
        for (number, fd) in (0..).zip(memories.descriptors()) {
            kept[usize::from(number)] = keep.put(Name::Memory(number), fd);
        }
        Ok(Some(Self { keep, memories, memories_kept: kept, sockets: HashMap::new() }))
    }

    /// What keeps the descriptors of programs.
    #[must_use]
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// Where it is written, for another program.
    #[must_use]
    pub fn memories(&self) -> &Memories {
        &self.memories
    }

    /// Keeps the sockets of a daemon, and has its engine write from now on.
    ///
    /// # Errors
    /// There are no descriptors left, or what is written there is not to be read.
    pub fn begin(&mut self, daemon: &Daemon<'_>) -> io::Result<Checkpoint> {
        self.keep.go_on();
        let mut baggage = Baggage::default();
        let bus = daemon.bus.map(|bus| FileLeft::of_bus(bus, &mut baggage)).transpose()?;
        let servers = daemon.servers.share(&mut baggage)?;
        let sockets = self.keep_sockets(&baggage)?;
        let head = HeadNow {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            sockets,
            overrides: daemon.overrides,
            settings: daemon.settings,
            bus,
            servers,
            sessions: daemon.sessions.share(),
            upgrades: daemon.upgrades,
        };
        let (memories, _) = Memories::adopt(self.memories.try_clone()?.into_descriptors())?;
        let mut checkpoint = Checkpoint::new(memories);
        checkpoint.put(HEAD.to_owned(), Some(serde_json::to_vec(&head)?));
        Ok(checkpoint)
    }

    /// Keeps these sockets, and no others any more; answers with what they are kept by.
    fn keep_sockets(&mut self, baggage: &Baggage) -> io::Result<Vec<u64>> {
        let mut before = std::mem::take(&mut self.sockets);
        let mut inodes = Vec::new();
        for socket in baggage.iter() {
            let inode = fstat(socket)?.st_ino;
            let kept = before.remove(&inode);
            let kept = kept.or_else(|| self.keep.put(Name::Listener(inode), socket.as_fd()));
            self.sockets.extend(kept.map(|kept| (inode, kept)));
            inodes.push(inode);
        }
        Ok(inodes)
    }

    /// The daemon ended in order: nobody is to go on from here.
    pub fn end(self) {
        let Self { keep, memories, memories_kept, sockets } = self;
        // What cannot be cleared is removed.
        let _ = memories.clear();
        drop((memories_kept, sockets));
        keep.settle();
    }
}

/// Ends all that runs in these cgroups, and waits until it is gone.
///
/// # Errors
/// The first that could not be ended.
pub fn end_all(dirs: Vec<PathBuf>) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    let mut left = dirs;
    loop {
        left.retain(|dir| is_populated(dir).unwrap_or(false));
        let Some(first) = left.first() else { return Ok(()) };
        if Instant::now() >= until {
            return Err(format!("the processes in {} could not be ended", first.display()));
        }
        for dir in &left {
            // Whether it helped is seen above.
            let _ = Leftovers::Cgroup(dir.clone()).kill();
        }
        thread::sleep(AGAIN);
    }
}

/// Ends what an earlier daemon left behind that cannot be gone on with.
///
/// # Errors
/// As [`end_all`].
pub fn forget(tree: Option<&Tree>) -> Result<(), String> {
    let programs = tree.map(Tree::programs).unwrap_or_default();
    end_all(programs.into_iter().filter_map(|dir| fs::canonicalize(dir).ok()).collect())
}
