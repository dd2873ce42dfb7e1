//! The use cases, transport-neutral: D-Bus and XML-RPC are thin edges over these methods, so both
//! find the same names, give the same faults and check in the same order.
//!
//! While the daemon stops, every method that acts or reads logs fails with SHUTDOWN_STATE.
//! Upstream refuses even `getState` then (C-288); methods that only look at the snapshot keep
//! answering here, for nothing is easier to answer and nothing more useful to a person who waits.
//! An edge that must be like upstream asks [`Api::gate`] first.

mod askers;
mod bounds;
mod configuration;
pub mod describe;
mod logs;
mod processes;
mod restart;
#[cfg(test)]
pub(crate) mod tests;
mod usage;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;

pub use askers::Askers;
pub use bounds::{MAX_EVENT, MAX_NAME, MAX_READ, MAX_STDIN};
pub use configuration::{Change, Configured, Updated};
pub use processes::{Named, Outcome};
pub use usage::{Member, Usage};

use crate::config::settings::Settings;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::{ProcessName, Target};
use crate::model::snapshot::{GroupSnapshot, ProcessSnapshot, Snapshot};
use crate::model::spec::ProcessSpec;
use crate::model::state::DaemonState;
use crate::model::time::{Now, Wall};
use crate::runtime::handle::EngineHandle;
use crate::runtime::logs::LogHandle;

/// The version of the XML-RPC API that the daemon is compatible with (C-290).
pub const API_VERSION: &str = "3.0";

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Reads the configuration again; its error is the text for a person. May block.
pub type Loader = Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>;

/// Looks whether the command of a process could be executed: NO_FILE and NOT_EXECUTABLE (C-300).
/// May block.
pub type Resolver = Arc<dyn Fn(&ProcessSpec) -> Result<(), Fault> + Send + Sync>;

/// Who the daemon is. Fixed from its start on (C-417).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `[supervisord] identifier`.
    pub identifier: String,
    /// The daemon's pid.
    pub pid: u32,
    /// The main configuration file, absolute.
    pub config_file: PathBuf,
    /// What there is to say of hot upgrades.
    pub upgrades: Upgrades,
}

/// The hot upgrades of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upgrades {
    /// How often another program took its place.
    pub done: u32,
    /// How often that was tried and failed, since it did the last time.
    pub failed: u32,
    /// Why that failed the last time; none when it did not.
    pub error: Option<Arc<str>>,
}

/// What an [`Api`] stands on.
#[derive(Clone)]
pub struct Parts {
    /// The owner of the state.
    pub engine: EngineHandle,
    /// The log plane.
    pub logs: LogHandle,
    /// The file of the daemon's own log; none when it goes to syslog.
    pub main_log: Option<PathBuf>,
    /// Reads the configuration again.
    pub load: Loader,
    /// Looks at a command before a start.
    pub resolve: Resolver,
    /// Both clocks.
    pub clock: fn() -> Now,
    /// Who the daemon is.
    pub identity: Identity,
}

/// The use cases. A clone is the same one.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
    /// Who asks, where that is known.
    by: Option<Arc<str>>,
}

struct Inner {
    parts: Parts,
    /// When this began.
    started: Wall,
    /// How many may look at commands at the same time: a hung file system must not take all
    /// threads.
    resolving: Semaphore,
    /// How many may read a log at the same time: each holds up to [`MAX_READ`] bytes.
    reading: Semaphore,
    /// How many may look at what programs use at the same time.
    measuring: Semaphore,
    /// How many may look at the processes of a program at the same time: command lines are in the
    /// memory of those processes.
    looking: Arc<Semaphore>,
    askers: Askers,
    /// One reads the configuration at a time.
    loading: Semaphore,
    /// One update is carried out at a time.
    updating: Semaphore,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("identity", &self.inner.parts.identity).finish_non_exhaustive()
    }
}

impl Api {
    /// The use cases over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let inner = Inner {
            started: (parts.clock)().wall,
            parts,
            askers: Askers::default(),
            resolving: Semaphore::new(4),
            reading: Semaphore::new(8),
            measuring: Semaphore::new(4),
            looking: Arc::new(Semaphore::new(2)),
            loading: Semaphore::new(1),
            updating: Semaphore::new(1),
        };
        Self { inner: Arc::new(inner), by: None }
    }

    /// Who the daemon is (C-291).
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.parts.identity
    }

    /// When the daemon began to work with its configuration.
    #[must_use]
    pub fn started(&self) -> Wall {
        self.inner.started
    }

    /// The file of the daemon's own log; none when it goes to syslog.
    #[must_use]
    pub fn log_file(&self) -> Option<&Path> {
        self.inner.parts.main_log.as_deref()
    }

    /// The engine, for snapshots and events.
    #[must_use]
    pub fn engine(&self) -> &EngineHandle {
        &self.inner.parts.engine
    }

    /// The newest picture of everything.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.engine().snapshot()
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Now {
        (self.inner.parts.clock)()
    }

    /// The state of the daemon (C-292).
    #[must_use]
    pub fn state(&self) -> DaemonState {
        self.snapshot().state
    }

    /// Passes while the daemon is at work.
    ///
    /// # Errors
    /// SHUTDOWN_STATE while it stops or restarts (C-288).
    pub fn gate(&self) -> Result<(), Fault> {
        match self.state() {
            DaemonState::Running => Ok(()),
            _ => Err(FaultKind::ShutdownState.into()),
        }
    }

    /// One process (C-307). A whole group is a bad name here.
    ///
    /// # Errors
    /// BAD_NAME.
    pub fn process(&self, name: &str) -> Result<Arc<ProcessSnapshot>, Fault> {
        match bounds::target(name)? {
            Target::Process(process) => {
                self.snapshot().processes.get(&process).cloned().ok_or_else(|| bad_name(name))
            }
            Target::Group(_) => Err(bad_name(name)),
        }
    }

    /// One group.
    ///
    /// # Errors
    /// BAD_NAME.
    pub fn group(&self, name: &str) -> Result<Arc<GroupSnapshot>, Fault> {
        self.snapshot().groups.get(name).cloned().ok_or_else(|| bad_name(name))
    }

    /// What `status` says of a process now (C-242).
    #[must_use]
    pub fn describe(&self, process: &ProcessSnapshot) -> String {
        describe::describe(process, self.now())
    }
}

fn bad_name(name: impl AsRef<str>) -> Fault {
    Fault::new(FaultKind::BadName, bounds::shortened(name.as_ref()))
}

/// The processes of a snapshot by priority of group and process, then by name: the order of
/// everything that is done to many (C-216, C-217, C-316).
fn by_priority(snapshot: &Snapshot) -> Vec<(ProcessName, Arc<ProcessSnapshot>)> {
    let mut all: Vec<_> =
        snapshot.processes.iter().map(|(name, process)| (name.clone(), process.clone())).collect();
    let group = |name: &ProcessName| snapshot.groups.get(&name.group).map(|g| g.spec.priority);
    // The order by name is there already, and the sort keeps it.
    all.sort_by_cached_key(|(name, process)| {
        (group(name), name.group.clone(), process.spec.priority)
    });
    all
}
