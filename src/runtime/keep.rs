//! What is kept for the next daemon, in case this one is killed: descriptors in the service
//! manager's store, each under a name that says what it is.
//!
//! Whoever puts one there gets a [`Kept`], which is held beside the descriptor and takes it out of
//! the store when it is dropped. Where nothing keeps descriptors, nothing of this does anything.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::logs::ChannelKey;
use crate::core::action::Run;
use crate::core::key::ProcKey;
use crate::model::snapshot::Channel;
use crate::systemd::fdstore::Store;

/// How long the end of the daemon waits until the service manager has let go of everything.
const PATIENCE: Duration = Duration::from_secs(5);

/// What our descriptors begin with in the store; sockets of units do not.
const MARK: char = '+';

/// What a kept descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// One of the two memories that the state is written into.
    Memory(u8),
    /// A socket that the daemon listens on, by its inode.
    Listener(u64),
    /// The handle on a child.
    Process(Run),
    /// The writing end of a child's stdin.
    Stdin(Run),
    /// The reading end of a child's stdout or stderr.
    Output(Run, Channel),
    /// The socket of a FastCGI program, kept for one of its runs.
    Socket(Run),
}

impl Name {
    /// The output of a run.
    #[must_use]
    pub fn output(key: ChannelKey, generation: u64) -> Self {
        Self::Output(Run { key: key.process, generation }, key.channel)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, run) = match self {
            Self::Memory(number) => return write!(f, "{MARK}m{number}"),
            Self::Listener(inode) => return write!(f, "{MARK}l{inode}"),
            Self::Process(run) => ('p', run),
            Self::Stdin(run) => ('i', run),
            Self::Output(run, Channel::Stdout) => ('o', run),
            Self::Output(run, Channel::Stderr) => ('e', run),
            Self::Socket(run) => ('f', run),
        };
        write!(f, "{MARK}{kind}{}.{}", run.key.0, run.generation)
    }
}

/// It is the name of something else.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown;

impl FromStr for Name {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let mut rest = text.strip_prefix(MARK).ok_or(Unknown)?.chars();
        let kind = rest.next().ok_or(Unknown)?;
        let rest = rest.as_str();
        let run = || {
            let (key, generation) = rest.split_once('.')?;
            Some(Run { key: ProcKey(key.parse().ok()?), generation: generation.parse().ok()? })
        };
        match kind {
            'm' => rest.parse().ok().map(Self::Memory),
            'l' => rest.parse().ok().map(Self::Listener),
            'p' => run().map(Self::Process),
            'i' => run().map(Self::Stdin),
            'o' => run().map(|run| Self::Output(run, Channel::Stdout)),
            'e' => run().map(|run| Self::Output(run, Channel::Stderr)),
            'f' => run().map(Self::Socket),
            _ => None,
        }
        .ok_or(Unknown)
    }
}

/// Whether a descriptor that the service manager handed over was put into its store by a daemon.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    name.starts_with(MARK)
}

/// The way to what keeps descriptors, if anything does.
#[derive(Debug, Clone, Default)]
pub struct Keep(Option<Arc<Keeper>>);

/// What the thread is asked for.
#[derive(Debug)]
enum Job {
    Remove(Name),
    /// Tell when all before is done, and, if so asked, read by the service manager.
    Settle {
        read: bool,
        done: mpsc::Sender<()>,
    },
}

#[derive(Debug)]
struct Keeper {
    store: Store,
    /// What the thread behind it is asked for, which may wait.
    jobs: Mutex<mpsc::Sender<Job>>,
    /// How many more may be put there.
    room: AtomicUsize,
    /// Somebody else goes on with what is there: nothing is removed.
    leaving: AtomicBool,
    /// There was no room for something; and that it was told.
    full: AtomicBool,
    told: AtomicBool,
}

impl Keep {
    /// Keeps as many descriptors as fit. To be called after the daemon has gone to the background.
    #[must_use]
    pub fn start(store: Option<Store>, room: usize) -> Self {
        let Some(store) = store else { return Self::default() };
        let (jobs, queue) = mpsc::channel::<Job>();
        let keeper = Arc::new(Keeper {
            store,
            jobs: Mutex::new(jobs),
            room: room.into(),
            leaving: false.into(),
            full: false.into(),
            told: false.into(),
        });
        let behind = Arc::downgrade(&keeper);
        let started = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            while let Ok(job) = queue.recv() {
                let Some(keeper) = behind.upgrade() else { return };
                // Without a service manager there is no store either.
                match job {
                    Job::Remove(name) => drop(keeper.store.remove(&name.to_string())),
                    Job::Settle { read, done } => {
                        if read {
                            drop(keeper.store.settle(PATIENCE));
                        }
                        let _ = done.send(()); // whoever asked may wait no longer
                    }
                }
            }
        });
        if started.is_ok() { Self(Some(keeper)) } else { Self::default() }
    }

    /// Whether anything is kept at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Puts a descriptor there, waiting for the service manager if it must. None when it does not
    /// take it, or has no room.
    #[must_use]
    pub fn put(&self, name: Name, fd: BorrowedFd<'_>) -> Option<Kept> {
        let keeper = self.0.as_ref()?;
        let kept = self.claim(name)?;
        match keeper.store.put(&name.to_string(), fd) {
            Ok(()) => Some(kept),
            // It is not there; to remove it does no harm.
            Err(_) => None,
        }
    }

    /// What holds a descriptor that is there already. None when there is no room for it.
    #[must_use]
    pub fn claim(&self, name: Name) -> Option<Kept> {
        let keeper = self.0.as_ref()?;
        let less = |room: usize| room.checked_sub(1);
        if keeper.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err() {
            keeper.full.store(true, Ordering::Release);
            return None;
        }
        Some(Kept { keeper: Arc::clone(keeper), name })
    }

    /// Whether something was not kept for want of room; says so once.
    #[must_use]
    pub fn is_full_for_the_first_time(&self) -> bool {
        self.0.as_ref().is_some_and(|keeper| {
            keeper.full.load(Ordering::Acquire) && !keeper.told.swap(true, Ordering::AcqRel)
        })
    }

    /// Removes what nobody goes on with.
    pub fn remove(&self, name: Name) {
        if let Some(keeper) = &self.0 {
            keeper.remove(name);
        }
    }

    /// From now on another daemon has what is there, until [`go_on`](Self::go_on).
    pub fn leave(&self) {
        if let Some(keeper) = &self.0 {
            keeper.settle(false);
            keeper.leaving.store(true, Ordering::Release);
        }
    }

    /// It is this one's again, after all.
    pub fn go_on(&self) {
        if let Some(keeper) = &self.0 {
            keeper.leaving.store(false, Ordering::Release);
        }
    }

    /// Waits until what was removed is removed: a daemon that ended is not to be gone on with.
    pub fn settle(&self) {
        if let Some(keeper) = &self.0 {
            keeper.settle(true);
        }
    }
}

impl Keeper {
    fn ask(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = jobs.send(job); // there is no thread any more: nothing is kept
    }

    fn remove(&self, name: Name) {
        if !self.leaving.load(Ordering::Acquire) {
            self.ask(Job::Remove(name));
        }
    }

    fn settle(&self, read: bool) {
        let (done, settled) = mpsc::channel();
        self.ask(Job::Settle { read, done });
        let _ = settled.recv_timeout(2 * PATIENCE); // then nothing helps
    }
}

/// A descriptor in the store. It is taken out when this is dropped.
#[derive(Debug)]
pub struct Kept {
    keeper: Arc<Keeper>,
    name: Name,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.room.fetch_add(1, Ordering::AcqRel);
        self.keeper.remove(self.name);
    }
}
