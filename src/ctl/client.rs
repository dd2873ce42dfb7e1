//! What supervisorctl asks of a daemon, whatever carries the question: [`Client`] is the seam
//! between the commands and D-Bus ([`super::bus`]) or any other transport.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::stream::LocalBoxStream;
use tokio::io::AsyncRead;

use crate::model::fault::Fault;
use crate::model::name::ProcessName;
use crate::model::snapshot::Channel;
use crate::model::state::ProcessState;

/// A process as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its group and name.
    pub name: ProcessName,
    /// Its state.
    pub state: ProcessState,
    /// Its pid, or 0.
    pub pid: u32,
    /// What `status` says of it (C-242).
    pub description: String,
}

/// A process as `avail` shows it (C-259).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigInfo {
    /// Its group and name.
    pub name: ProcessName,
    /// Whether its group is active.
    pub active: bool,
    /// Whether it starts with the daemon.
    pub autostart: bool,
    /// Priority of the group.
    pub group_priority: i64,
    /// Priority of the process.
    pub process_priority: i64,
}

/// What became of one process of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its group and name.
    pub name: ProcessName,
    /// 80 is success, others are fault codes (C-287).
    pub code: i32,
    /// The fault as text.
    pub text: String,
}

/// How a configuration differs from what is active (C-260).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Groups that are new.
    pub added: Vec<String>,
    /// Groups that changed.
    pub changed: Vec<String>,
    /// Groups that are gone.
    pub removed: Vec<String>,
}

/// What is done to processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start, and wait until it runs.
    Start,
    /// Stop, and wait until it is gone.
    Stop,
    /// Send this signal, given by name or number.
    Signal(String),
}

/// A log that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log<'a> {
    /// The daemon's own.
    Main,
    /// The log of a process, named as a person writes it.
    Process(&'a str, Channel),
}

/// The hot upgrades of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upgrades {
    /// How many there were, and how many failed since.
    pub counts: (u32, u32),
    /// Why the last one failed.
    pub error: String,
    /// The version that runs now.
    pub version: String,
}

/// A link to the web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The link, as it is at each server.
    pub links: Vec<String>,
    /// How long it is good.
    pub seconds: u64,
}

/// A process went from one state to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Its group and name.
    pub name: ProcessName,
    /// The state it is in now; none for one this client does not know.
    pub to: Option<ProcessState>,
}

/// The bytes of a log as they are written.
pub type LogStream = Pin<Box<dyn AsyncRead>>;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The daemon refused or failed.
    #[error("{0}")]
    Fault(Fault),
    /// This user may not do that; why not.
    #[error("permission denied: {0}")]
    Denied(String),
    /// The server wants another user name and password, or none that we have (C-236).
    #[error("{text}")]
    Unauthorized {
        /// The failure as messages show it.
        text: String,
        /// What the server says.
        hint: String,
    },
    /// No answer came: the connection broke, or the answer was not understood.
    #[error("{class}, {text}")]
    Transport {
        /// What kind of failure it is, as messages show it.
        class: String,
        /// The failure in words.
        text: String,
        /// What to do about it.
        hint: String,
    },
}

/// A daemon that can be asked.
///
/// Names are passed on as a person wrote them: `name` or `group:name`.
#[async_trait(?Send)]
pub trait Client {
    /// Where the daemon is, as messages name it.
    fn url(&self) -> &str;

    /// Ends the connection; there are no calls after this.
    async fn close(&self);

    /// The version of the API it speaks. Fails with `SHUTDOWN_STATE` while the daemon stops,
    /// as upstream's up-check does (C-230, C-238).
    async fn api_version(&self) -> Result<String, CallError>;

    /// The version of supervisord.
    async fn supervisor_version(&self) -> Result<String, CallError>;

    /// The pid of supervisord.
    async fn pid(&self) -> Result<u32, CallError>;

    /// All processes, sorted by group and name.
    async fn processes(&self) -> Result<Vec<ProcessInfo>, CallError>;

    /// One process.
    async fn process(&self, name: &str) -> Result<ProcessInfo, CallError>;

    /// The configuration as last read, sorted by group and name.
    async fn configuration(&self) -> Result<Vec<ConfigInfo>, CallError>;

    /// Acts on one process.
    async fn act_on_process(&self, action: &Action, name: &str) -> Result<(), CallError>;

    /// Acts on the processes of a group.
    async fn act_on_group(&self, action: &Action, group: &str) -> Result<Vec<Outcome>, CallError>;

    /// Acts on all processes.
    async fn act_on_all(&self, action: &Action) -> Result<Vec<Outcome>, CallError>;

    /// Writes to the stdin of a process.
    async fn send_stdin(&self, name: &str, data: &[u8]) -> Result<(), CallError>;

    /// Reads a log from `offset` to its end; a negative one counts from the end.
    async fn read_log(&self, log: Log<'_>, offset: i64) -> Result<Vec<u8>, CallError>;

    /// The last 1024 bytes of a log, and then all that is added.
    async fn follow_log(&self, log: Log<'_>) -> Result<LogStream, CallError>;

    /// Empties the logs of a process.
    async fn clear(&self, name: &str) -> Result<(), CallError>;

    /// Empties the logs of all processes.
    async fn clear_all(&self) -> Result<Vec<Outcome>, CallError>;

    /// Reads the configuration again.
    async fn reread(&self) -> Result<Changes, CallError>;

    /// Activates a group.
    async fn add_group(&self, name: &str) -> Result<(), CallError>;

    /// Deactivates a group.
    async fn remove_group(&self, name: &str) -> Result<(), CallError>;

    /// Makes an active group what the configuration as last read says.
    async fn update_group(&self, name: &str) -> Result<(), CallError>;

    /// Stops the daemon.
    async fn shutdown(&self) -> Result<(), CallError>;

    /// Restarts the daemon.
    async fn restart(&self) -> Result<(), CallError>;

    /// Has the daemon go on as the program that is installed now.
    async fn upgrade(&self) -> Result<(), CallError>;

    /// What the daemon has to say of upgrades.
    async fn upgrades(&self) -> Result<Upgrades, CallError>;

    /// Makes a link that lets somebody in on the web page once, to look only or to act.
    async fn create_login(&self, read_only: bool) -> Result<Login, CallError>;

    /// The changes of state from now on.
    async fn state_changes(&self) -> Result<LocalBoxStream<'static, StateChange>, CallError>;
}
