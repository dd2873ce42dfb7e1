//! What a configuration means once it is expanded and checked.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::record::{Level, Record};
use crate::model::spec::{Account, GroupSpec};

/// Where the daemon's own log goes (C-052).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MainLog {
    /// To syslog only.
    Syslog,
    /// To the journal only.
    Journal,
    /// To this absolute path.
    Path(PathBuf),
}

/// `[supervisord]`, with the command line's values over it (C-059 to C-066).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonSettings {
    /// The main configuration file, absolute.
    pub config_file: PathBuf,
    /// The daemon's own log.
    pub logfile: MainLog,
    /// Rotate it at this size; 0 is never.
    pub logfile_maxbytes: i64,
    /// Rotated files to keep.
    pub logfile_backups: i64,
    /// The least important level that is logged.
    pub loglevel: Level,
    /// The pid file, absolute.
    pub pidfile: PathBuf,
    /// Where AUTO logs live, absolute.
    pub childlogdir: PathBuf,
    /// Working directory when daemonized.
    pub directory: Option<PathBuf>,
    /// File mode mask when daemonized.
    pub umask: u32,
    /// The account to become.
    pub user: Option<Account>,
    /// What names this daemon in events and AUTO logs.
    pub identifier: String,
    /// File descriptors that must be available.
    pub minfds: i64,
    /// Processes that must be available.
    pub minprocs: i64,
    /// Stay in the foreground.
    pub nodaemon: bool,
    /// No copy of the log on stdout.
    pub silent: bool,
    /// Keep AUTO logs of an earlier run.
    pub nocleanup: bool,
    /// Remove ANSI escapes from child logs.
    pub strip_ansi: bool,
    /// Variables for all children; already part of every [`ProcessSpec`] environment.
    ///
    /// [`ProcessSpec`]: crate::model::spec::ProcessSpec
    pub environment: Vec<(String, String)>,
}

/// What an HTTP server listens on (C-067 to C-071).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpAddress {
    /// `[inet_http_server]`.
    Inet {
        /// A name or an address, without brackets; empty is every IPv4 address.
        host: String,
        /// The port.
        port: u16,
    },
    /// `[unix_http_server]`.
    Unix {
        /// The absolute path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner as uid and gid, none is unchanged.
        owner: Option<(u32, Option<u32>)>,
    },
}

/// One HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpServer {
    /// The section that defines it.
    pub section: String,
    /// Where it listens.
    pub address: HttpAddress,
    /// Who may use it.
    pub access: Access,
    /// What it serves HTTPS with; none is plain HTTP. Only inet servers have it.
    pub tls: Option<TlsFiles>,
}

/// The files of a certificate: `tls_certificate` and `tls_key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// PEM: the server's certificate, then those between it and the authority; absolute.
    pub certificate: PathBuf,
    /// PEM: its private key; absolute.
    pub key: PathBuf,
}

/// Who may use an HTTP server: the option `auth`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Everybody who can connect: upstream's meaning of no `username` (C-069).
    Open,
    /// Whoever knows user name and password (C-324, C-325).
    Basic {
        /// `username`, not empty.
        username: String,
        /// `password`: as it is, or `{SHA}` and a hash of it.
        password: String,
    },
    /// Whoever was let in by somebody who may use D-Bus; there is no password.
    Login,
}

impl Access {
    /// The value of `auth` that says this.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "none",
            Self::Basic { .. } => "basic",
            Self::Login => "login",
        }
    }
}

/// Without the password: settings are shown in errors and logs.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet { host, port } if host.is_empty() => write!(f, "*:{port}"),
            Self::Inet { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Inet { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// One `[rpcinterface:x]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcInterface {
    /// The RPC namespace.
    pub namespace: String,
    /// Whether it is the built-in one; others cannot be loaded and are reported in the notes.
    pub builtin: bool,
}

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The daemon itself.
    pub daemon: DaemonSettings,
    /// HTTP servers: inet ones first, then unix, each in file order (C-071).
    pub servers: Vec<HttpServer>,
    /// RPC interfaces in file order.
    pub rpcinterfaces: Vec<RpcInterface>,
    /// Groups sorted by priority and name, each name once (C-098, C-099).
    pub groups: Vec<Arc<GroupSpec>>,
    /// What to log once there is a log: criticals, warnings, infos, in upstream's order (C-118).
    pub notes: Vec<Record>,
}

/// What supervisorctl needs of a configuration (C-074 to C-076).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtlSettings {
    /// The configuration file, absolute; none when none was found.
    pub config_file: Option<PathBuf>,
    /// `serverurl`, default `http://localhost:9001`.
    pub serverurl: String,
    /// `username`.
    pub username: Option<String>,
    /// `password`.
    pub password: Option<String>,
    /// `prompt`.
    pub prompt: String,
    /// `history_file`.
    pub history_file: Option<PathBuf>,
    /// `tls_ca`.
    pub tls_ca: Option<PathBuf>,
    /// `[supervisord] pidfile`, absolute: the peer-to-peer bus is beside it. None without a file
    /// or without that section.
    pub pidfile: Option<PathBuf>,
    /// What to tell the user: plugins that cannot be loaded.
    pub notes: Vec<Record>,
}
