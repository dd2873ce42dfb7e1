//! The two output channels of a process, as the log plane knows them.

use std::fs::File;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::logs::{ChannelKey, ChannelPlan, TapPlan};
use crate::core::key::ProcKey;
use crate::model::snapshot::{Channel, LogPaths};
use crate::model::spawn::{Errno, SpawnError};
use crate::model::spec::{LogFile, LogSpec, ProcessKind, ProcessSpec};

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
            let protocol = spec.kind == ProcessKind::EventListener && channel == Channel::Stdout;
            Arc::new(ChannelPlan {
                name: spec.name.clone(),
                file: logs.of(channel).cloned(),
                auto: log.file == LogFile::Auto,
                maxbytes: log.maxbytes,
                backups: log.backups,
                syslog: log.syslog && !protocol,
                journal: (log.file == LogFile::Journal).then(|| Arc::clone(&spec.program)),
                strip_ansi,
                tap: if protocol { PROTOCOL } else { tap(log) },
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

/// What a listener says to the daemon is neither logged line by line, nor captured, nor an event
/// of its own (C-104).
const PROTOCOL: TapPlan = TapPlan { protocol: true, log: false, capture: None };

fn tap(log: &LogSpec) -> TapPlan {
    let capture = u64::try_from(log.capture_maxbytes).ok().and_then(NonZeroU64::new);
    TapPlan { protocol: false, log: log.events_enabled, capture }
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
    plan.open_file().map_err(|error| match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            SpawnError::TooManyFiles { process: Arc::clone(&plan.name.process) }
        }
        code => SpawnError::LogFile {
            path: plan.file.clone().unwrap_or_default(),
            errno: Errno(code.unwrap_or(0)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::load_text;

    fn channels(text: &str) -> Channels {
        let settings = load_text(text).unwrap();
        Channels::new(&settings.groups[0].processes[0], &LogPaths::default(), false)
    }

    #[test]
    fn programs_are_tapped_as_configured() {
        let channels = channels(
            "[program:a]\ncommand=x\nstdout_capture_maxbytes=1KB\nstderr_events_enabled=true\n\
             stderr_capture_maxbytes=0\n",
        );
        let capture = NonZeroU64::new(1024);
        assert_eq!(channels.stdout.tap, TapPlan { capture, ..TapPlan::OFF });
        assert_eq!(channels.stderr.unwrap().tap, TapPlan { log: true, ..TapPlan::OFF });
    }

    #[test]
    fn of_a_listener_the_stdout_is_its_protocol_alone() {
        // C-104
        let channels = channels(
            "[eventlistener:a]\ncommand=x\nevents=TICK_5\nstdout_capture_maxbytes=1KB\n\
             stdout_events_enabled=true\nstdout_syslog=true\nstderr_capture_maxbytes=1KB\n\
             stderr_syslog=true\n",
        );
        assert_eq!(channels.stdout.tap, PROTOCOL);
        assert!(!channels.stdout.syslog);
        let stderr = channels.stderr.unwrap();
        assert!(stderr.syslog && stderr.tap.capture.is_some() && !stderr.tap.protocol);
    }
}
