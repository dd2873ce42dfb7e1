//! The two output channels of a process, as the log plane knows them.

use std::fs::File;
use std::sync::Arc;

use super::logs::{ChannelKey, ChannelPlan};
use crate::core::key::ProcKey;
use crate::model::snapshot::{Channel, LogPaths};
use crate::model::spawn::{Errno, SpawnError};
use crate::model::spec::{LogFile, LogSpec, ProcessSpec};

/// stdout, and stderr unless it goes where stdout goes.
#[derive(Debug, Clone)]
pub struct Channels {
    /// The log of stdout.
    pub stdout: Arc<ChannelPlan>,
    /// The log of stderr; none when it is redirected.
    pub stderr: Option<Arc<ChannelPlan>>,
}

impl Channels {
    /// The channels of a process.
    #[must_use]
    pub fn new(spec: &ProcessSpec, logs: &LogPaths, strip_ansi: bool) -> Self {
        let plan = |log: &LogSpec, channel: Channel| {
            Arc::new(ChannelPlan {
                name: spec.name.clone(),
                file: logs.of(channel).cloned(),
                auto: log.file == LogFile::Auto,
                maxbytes: log.maxbytes,
                backups: log.backups,
                syslog: log.syslog,
                journal: (log.file == LogFile::Journal).then(|| Arc::clone(&spec.program)),
                strip_ansi,
            })
        };
        Self {
            stdout: plan(&spec.stdout, Channel::Stdout),
            stderr: (!spec.redirect_stderr).then(|| plan(&spec.stderr, Channel::Stderr)),
        }
    }

    /// Both, with their keys.
    pub fn each(&self, process: ProcKey) -> impl Iterator<Item = (ChannelKey, &Arc<ChannelPlan>)> {
        let stderr = self.stderr.iter().map(|plan| (Channel::Stderr, plan));
        std::iter::once((Channel::Stdout, &self.stdout))
            .chain(stderr)
            .map(move |(channel, plan)| (ChannelKey { process, channel }, plan))
    }

    /// Where what stands in a child's stderr goes.
    #[must_use]
    pub fn of_errors(&self, process: ProcKey) -> (ChannelKey, &Arc<ChannelPlan>) {
        match &self.stderr {
            Some(plan) => (ChannelKey { process, channel: Channel::Stderr }, plan),
            None => (ChannelKey { process, channel: Channel::Stdout }, &self.stdout),
        }
    }

    /// Opens the files, so that a log that cannot be written fails the start (C-379).
    pub fn open(&self) -> Result<OpenFiles, SpawnError> {
        Ok(OpenFiles {
            stdout: open(&self.stdout)?,
            stderr: match &self.stderr {
                Some(plan) => open(plan)?,
                None => None,
            },
        })
    }
}

/// The opened files of the channels; none where there is none.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// The file of stdout.
    pub stdout: Option<File>,
    /// The file of stderr.
    pub stderr: Option<File>,
}

fn open(plan: &ChannelPlan) -> Result<Option<File>, SpawnError> {
    plan.open_file().map_err(|error| SpawnError::LogFile {
        path: plan.file.clone().unwrap_or_default(),
        errno: Errno(error.raw_os_error().unwrap_or(0)),
    })
}
