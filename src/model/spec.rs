//! What a configuration says of one process and one group, fully expanded and checked.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event_type::EventType;
use super::name::ProcessName;
use super::signal::Signal;
use super::snapshot::Channel;

/// When a process that ended by itself is started again (C-050).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Autorestart {
    /// Never.
    Never,
    /// When its exit code is not in `exitcodes`.
    Unexpected,
    /// Always.
    Always,
}

/// What of a program is ended with it, besides its main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KillMode {
    /// What it left behind gets SIGTERM, and SIGKILL if that does not help.
    ControlGroup,
    /// What it left behind gets SIGKILL.
    Mixed,
    /// Nothing, as upstream has it (C-212).
    Process,
}

impl KillMode {
    /// As in the configuration file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlGroup => "control-group",
            Self::Mixed => "mixed",
            Self::Process => "process",
        }
    }
}

/// Where a channel's output goes (C-051).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogFile {
    /// To no file.
    None,
    /// To a file in `childlogdir` that supervisord names and removes.
    Auto,
    /// To the journal, line by line.
    Journal,
    /// To this file; a relative path is relative to the daemon's working directory.
    Path(PathBuf),
}

/// The log of one channel, stdout or stderr.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogSpec {
    /// The file.
    pub file: LogFile,
    /// Rotate when the file holds this many bytes; 0 (or less, upstream's C-432) is never.
    pub maxbytes: i64,
    /// Rotated files to keep; 0 truncates in place.
    pub backups: i64,
    /// Bytes kept of a `PROCESS_COMMUNICATION` capture; 0 is capture off.
    pub capture_maxbytes: i64,
    /// Emit `PROCESS_LOG` events.
    pub events_enabled: bool,
    /// Send lines to syslog too.
    pub syslog: bool,
}

/// The account a process runs under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The user's name in the password database.
    pub name: String,
    /// The user's id.
    pub uid: u32,
    /// The user's primary group.
    pub gid: u32,
}

/// A FastCGI listening socket (C-105 to C-108).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FcgiSocket {
    /// Where it listens.
    pub address: FcgiAddress,
    /// `socket_backlog`; none is the system's maximum.
    pub backlog: Option<u16>,
}

/// Where a FastCGI socket listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FcgiAddress {
    /// `tcp://host:port`.
    Tcp {
        /// A name, or an address without brackets, lower case.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:///path`.
    Unix {
        /// The absolute path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// `socket_owner` as uid and gid, none is unchanged.
        owner: Option<(u32, Option<u32>)>,
    },
}

impl std::fmt::Display for FcgiAddress {
    /// The URL, as in log lines (C-399).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Unix { path, .. } => write!(f, "unix://{}", path.display()),
        }
    }
}

/// What kind of section a process comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ProcessKind {
    /// `[program:x]`.
    Program,
    /// `[eventlistener:x]`.
    EventListener,
    /// `[fcgi-program:x]`.
    FastCgi(FcgiSocket),
}

/// One process, as configured (C-077 to C-091).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// Its group and name.
    pub name: ProcessName,
    /// The name of the section it comes from, after the colon.
    pub program: Arc<str>,
    /// What kind of section that is.
    pub kind: ProcessKind,
    /// The command line, expanded, not yet split into words.
    pub command: String,
    /// Where it runs; none is the daemon's directory.
    pub directory: Option<PathBuf>,
    /// Its file mode mask; none is the daemon's.
    pub umask: Option<u32>,
    /// The account it runs under; none is the daemon's.
    pub user: Option<Account>,
    /// Variables set over the daemon's own: `[supervisord] environment`, then its own. Sorted.
    pub environment: Vec<(String, String)>,
    /// `serverurl` as given; none is AUTO.
    pub serverurl: Option<String>,
    /// What `SUPERVISOR_SERVER_URL` is set to: `serverurl`, or the URL derived from the HTTP
    /// servers (C-072, C-090); none sets no variable.
    pub server_url: Option<String>,
    /// Order among processes; lower starts first.
    pub priority: i64,
    /// Start with the daemon.
    pub autostart: bool,
    /// Start again after an exit.
    pub autorestart: Autorestart,
    /// Seconds it must stay up to count as running; negative counts as 0.
    pub startsecs: i64,
    /// Further attempts before it is given up.
    pub startretries: i64,
    /// Exit codes that are no surprise.
    pub exitcodes: Vec<i32>,
    /// What asks it to stop.
    pub stopsignal: Signal,
    /// Seconds it gets to stop before SIGKILL; negative counts as 0.
    pub stopwaitsecs: i64,
    /// Send the stop signal to its process group.
    pub stopasgroup: bool,
    /// Send SIGKILL to its process group.
    pub killasgroup: bool,
    /// What is ended with it.
    pub killmode: KillMode,
    /// Its stderr goes where its stdout goes.
    pub redirect_stderr: bool,
    /// The log of its stdout.
    pub stdout: LogSpec,
    /// The log of its stderr; `LogFile::None` when redirected.
    pub stderr: LogSpec,
}

impl ProcessSpec {
    /// The log of a channel.
    #[must_use]
    pub fn log_of(&self, channel: Channel) -> &LogSpec {
        match channel {
            Channel::Stdout => &self.stdout,
            Channel::Stderr => &self.stderr,
        }
    }

    /// Whether the daemon hears what it writes to a channel: the words of a listener, or output
    /// that is made into events.
    #[must_use]
    pub fn is_heard(&self, channel: Channel) -> bool {
        if self.kind == ProcessKind::EventListener && channel == Channel::Stdout {
            return true;
        }
        let log = self.log_of(channel);
        let separate = channel == Channel::Stdout || !self.redirect_stderr;
        separate && (log.events_enabled || log.capture_maxbytes > 0)
    }
}

/// What `len` in the header of an event counts (C-339, C-410).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventLength {
    /// The characters of the payload: what listeners read that read text.
    Characters,
    /// Its bytes: what listeners read that read bytes.
    Bytes,
}

/// The event side of an `[eventlistener:x]` group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListenerPool {
    /// Events kept while no listener is ready.
    pub buffer_size: i64,
    /// The types to receive, each once, in the order given.
    pub events: Vec<EventType>,
    /// What `len` in a header counts (C-339).
    pub event_length: EventLength,
    /// The result handler, in upstream's `module:function` form.
    pub result_handler: String,
}

/// One group, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Order among groups; lower starts first.
    pub priority: i64,
    /// Set for an event listener pool.
    pub listener: Option<ListenerPool>,
    /// Its processes, in the order of C-097.
    pub processes: Vec<Arc<ProcessSpec>>,
}
