//! What the log plane is told about a log: which file, how large, where else.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::open::open_log;
use super::tap::TapPlan;
use crate::core::key::ProcKey;
use crate::core::rotate::Rotation;
use crate::model::name::ProcessName;
use crate::model::record::Level;
use crate::model::snapshot::Channel;

/// One output channel of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelKey {
    /// The process.
    pub process: ProcKey,
    /// Its stdout or stderr.
    pub channel: Channel,
}

/// Where the output of one channel goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelPlan {
    /// The process, as syslog lines and the debug echo name it.
    pub name: ProcessName,
    /// The log file; none is no file.
    pub file: Option<PathBuf>,
    /// The file is one that supervisord made (AUTO): mode 0600, symbolic links are not followed.
    pub auto: bool,
    /// Rotate at this many bytes; 0 or less is never.
    pub maxbytes: i64,
    /// Rotated files to keep; 0 truncates in place.
    pub backups: i64,
    /// Send lines to syslog too.
    pub syslog: bool,
    /// Send lines to the journal under this name, that of the program.
    pub journal: Option<Arc<str>>,
    /// Remove ANSI escape sequences (C-381).
    pub strip_ansi: bool,
    /// What the engine hears of it.
    pub tap: TapPlan,
}

impl ChannelPlan {
    /// Opens the log, and creates it if need be, as the daemon's umask says (C-379). Called
    /// before the fork, so that a log that cannot be written fails that start with its errno.
    /// Without a file there is nothing to open.
    ///
    /// # Errors
    /// What the system says of the path.
    pub fn open_file(&self) -> io::Result<Option<File>> {
        self.file.as_deref().map(|path| open_log(path, self.auto)).transpose()
    }

    pub(super) fn rotation(&self) -> Rotation {
        Rotation::new(self.maxbytes, self.backups)
    }
}

/// Where the daemon's own log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MainTarget {
    /// Nowhere but, perhaps, stdout.
    None,
    /// To syslog.
    Syslog,
    /// To the journal.
    Journal,
    /// To this file.
    File(PathBuf),
}

/// The daemon's own log (C-052, C-154).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MainLogPlan {
    /// Where it goes.
    pub target: MainTarget,
    /// Rotate at this many bytes; 0 or less is never.
    pub maxbytes: i64,
    /// Rotated files to keep; 0 truncates in place.
    pub backups: i64,
    /// The least important level that is logged.
    pub level: Level,
    /// Copy every line to stdout: in the foreground, unless silent (C-384).
    pub copy_to_stdout: bool,
}
