//! Reading, following and emptying logs (C-293 to C-295, C-312 to C-316).

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::processes::in_scope;
use super::{Api, Named, bad_name, bounds};
use crate::core::request::{ProcessResult, Scope};
use crate::model::fault::{Fault, FaultKind, IN_JOURNAL};
use crate::model::key::ProcKey;
use crate::model::message::Field;
use crate::model::name::Target;
use crate::model::snapshot::{Channel, ProcessSnapshot};
use crate::model::spec::{LogFile, ProcessSpec};
use crate::runtime::logs::{self, ChannelKey, Follower, Growth, Tail};
use crate::systemd::journal::IDENTIFIER;

/// How long a reader waits for the log plane to write down what a child has said. A disk that
/// hangs does not keep the reader from what is there.
const SETTLING: Duration = Duration::from_secs(1);

/// A log to read: where it is, and whose.
struct Log {
    path: PathBuf,
    channel: Option<ChannelKey>,
}

impl Api {
    /// Reads a log of a process (C-312); at most [`MAX_READ`](super::MAX_READ) bytes.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, NO_FILE, BAD_ARGUMENTS, FAILED.
    pub async fn read_process_log(
        &self,
        name: &Named,
        channel: Channel,
        offset: i64,
        length: i64,
    ) -> Result<Vec<u8>, Fault> {
        self.gate()?;
        let process = self.logging(name)?;
        let log = log_of(&process, channel).ok_or_else(|| no_log(&process, channel))?;
        self.read(log, offset, length).await
    }

    /// The last bytes of a log of a process (C-313): the bytes, the size of the file, and whether
    /// there is more than `offset` and `length` reach.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME.
    pub async fn tail_process_log(
        &self,
        name: &Named,
        channel: Channel,
        offset: i64,
        length: i64,
    ) -> Result<Tail, Fault> {
        self.gate()?;
        let Some(log) = log_of(&*self.logging(name)?, channel) else {
            return Ok((Vec::new(), 0, false));
        };
        let length = length.min(bounds::MAX_READ);
        self.settled(log, move |path| Ok(logs::tail(&path, offset, length))).await
    }

    /// Follows a log of a process from its last `bytes` on.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, NO_FILE, FAILED.
    pub async fn follow_process_log(
        &self,
        name: &Named,
        channel: Channel,
        bytes: u64,
    ) -> Result<Follower, Fault> {
        self.gate()?;
        let process = self.logging(name)?;
        let log = log_of(&process, channel).ok_or_else(|| no_log(&process, channel))?;
        self.follow(log.path, bytes).await
    }

    /// Empties the logs of a process, whether it runs or not (C-315, C-431).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, FAILED.
    pub async fn clear_process_logs(&self, name: &Named) -> Result<(), Fault> {
        self.gate()?;
        let process = self.logging(name)?;
        self.clear(&process).await.map_err(|_| Fault::new(FaultKind::Failed, name.text()))
    }

    /// Empties the logs of all processes, by priority (C-316).
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn clear_all_process_logs(&self) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        Ok(self.clear_many(&Scope::All).await)
    }

    /// Empties the logs of all processes of a group, by priority.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME.
    pub async fn clear_group_logs(&self, group: &str) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        Ok(self.clear_many(&self.group_scope(group)?).await)
    }

    /// Watches a log of a process grow: what to wait on, and whose log it is.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, NO_FILE.
    pub fn watch_process_log(
        &self,
        name: &Named,
        channel: Channel,
    ) -> Result<(watch::Receiver<Growth>, ProcKey), Fault> {
        self.gate()?;
        let process = self.logging(name)?;
        let log = log_of(&process, channel).ok_or_else(|| no_log(&process, channel))?;
        Ok((self.inner.parts.logs.follow(log.path), process.key))
    }

    /// Reads the daemon's own log (C-293); at most [`MAX_READ`](super::MAX_READ) bytes.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE, BAD_ARGUMENTS, FAILED.
    pub async fn read_log(&self, offset: i64, length: i64) -> Result<Vec<u8>, Fault> {
        self.gate()?;
        // Upstream calls its log so when it has no file (C-293).
        let path = self.main_log().map_err(|fault| {
            if fault.detail.is_empty() { Fault::new(fault.kind, "syslog") } else { fault }
        })?;
        self.read(Log { path, channel: None }, offset, length).await
    }

    /// The last bytes of the daemon's own log, as
    /// [`tail_process_log`](Self::tail_process_log) tells them.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE.
    pub async fn tail_log(&self, offset: i64, length: i64) -> Result<Tail, Fault> {
        self.gate()?;
        let log = Log { path: self.main_log()?, channel: None };
        let length = length.min(bounds::MAX_READ);
        self.settled(log, move |path| Ok(logs::tail(&path, offset, length))).await
    }

    /// Follows the daemon's own log from its last `bytes` on.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE, FAILED.
    pub async fn follow_log(&self, bytes: u64) -> Result<Follower, Fault> {
        self.gate()?;
        self.follow(self.main_log()?, bytes).await
    }

    /// Empties the daemon's own log (C-295).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE, FAILED.
    pub async fn clear_log(&self) -> Result<(), Fault> {
        self.gate()?;
        self.inner.parts.logs.clear_main().await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => FaultKind::NoFile.into(),
            _ => FaultKind::Failed.into(),
        })
    }

    /// The file of the daemon's own log; with `logfile=syslog` or `journal` there is none.
    fn main_log(&self) -> Result<PathBuf, Fault> {
        let parts = &self.inner.parts;
        parts.main_log.clone().ok_or_else(|| {
            if parts.logs.is_in_journal() {
                in_journal(&format!("-t {IDENTIFIER}"))
            } else {
                FaultKind::NoFile.into()
            }
        })
    }

    async fn read(&self, log: Log, offset: i64, length: i64) -> Result<Vec<u8>, Fault> {
        let (offset, length) = bounded(offset, length);
        self.settled(log, move |path| logs::read(&path, offset, length)).await
    }

    /// Reads a log once everything that was said so far is in it.
    async fn settled<T: Send + 'static>(
        &self,
        log: Log,
        read: impl FnOnce(PathBuf) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        // Late or stopped, the plane has nothing more to add.
        let _ = timeout(SETTLING, self.inner.parts.logs.sync(log.channel)).await;
        // Closed only with the api itself.
        let _permit = self.inner.reading.acquire().await;
        let reading = spawn_blocking(move || read(log.path));
        reading.await.unwrap_or_else(|_| Err(FaultKind::Failed.into()))
    }

    async fn follow(&self, path: PathBuf, bytes: u64) -> Result<Follower, Fault> {
        let missing = path.display().to_string();
        let bytes = bytes.min(bounds::MAX_READ.unsigned_abs());
        Follower::open(&self.inner.parts.logs, path, bytes).await.map_err(|error| {
            match error.kind() {
                ErrorKind::NotFound => Fault::new(FaultKind::NoFile, missing),
                _ => Fault::new(FaultKind::Failed, error.to_string()),
            }
        })
    }

    /// The process whose log is meant; a whole group has none.
    fn logging(&self, name: &Named) -> Result<Arc<ProcessSnapshot>, Fault> {
        let found = match name.target() {
            Target::Process(process) => self.snapshot().processes.get(process).cloned(),
            Target::Group(_) => None,
        };
        found.ok_or_else(|| bad_name(name.text()))
    }

    async fn clear_many(&self, scope: &Scope) -> Vec<ProcessResult> {
        let mut results = Vec::new();
        for (name, process) in in_scope(&self.snapshot(), scope) {
            let failed = |_| Fault::new(FaultKind::Failed, name.to_string());
            let outcome = self.clear(&process).await.map_err(failed);
            results.push(ProcessResult::new(name, outcome));
        }
        results
    }

    async fn clear(&self, process: &ProcessSnapshot) -> io::Result<()> {
        let mut outcome = Ok(());
        for channel in [Channel::Stdout, Channel::Stderr] {
            if let Some(path) = process.logs.of(channel) {
                let key = ChannelKey { process: process.key, channel };
                let cleared = self.inner.parts.logs.clear(key, Some(path.clone())).await;
                outcome = outcome.and(cleared);
            }
        }
        outcome
    }
}

/// The log of a channel, if it has a file.
fn log_of(process: &ProcessSnapshot, channel: Channel) -> Option<Log> {
    let path = process.logs.of(channel)?.clone();
    Some(Log { path, channel: Some(ChannelKey { process: process.key, channel }) })
}

/// Why a channel has no log to read.
fn no_log(process: &ProcessSnapshot, channel: Channel) -> Fault {
    if process.spec.log_of(channel).file == LogFile::Journal {
        in_journal(&journal_matches(process))
    } else {
        FaultKind::NoFile.into()
    }
}

/// What to give `journalctl` to see what a process writes.
pub(super) fn journal_matches(process: &ProcessSnapshot) -> String {
    let ProcessSpec { name, program, .. } = &*process.spec;
    if *name.process == **program {
        format!("-t {}", shell_word(program))
    } else {
        shell_word(&format!("{}={name}", Field::Process.name()))
    }
}

/// A log that journald has; it may be read by whoever journald lets read it.
fn in_journal(matches: &str) -> Fault {
    Fault::new(FaultKind::NoFile, format!("{IN_JOURNAL}journalctl {matches}"))
}

/// A word as a shell takes it.
fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:=+@/".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The same read, of no more than [`MAX_READ`](bounds::MAX_READ) bytes.
fn bounded(offset: i64, length: i64) -> (i64, i64) {
    const MOST: i64 = bounds::MAX_READ;
    match (offset, length) {
        (..0, _) => (offset.max(-MOST), length),
        (_, ..0) => (offset, length),
        (_, 0) => (offset, MOST),
        _ => (offset, length.min(MOST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_the_journal_is_told_as_a_command_that_a_shell_takes() {
        let text = |group: &str, name: &str, program: &str| {
            let mut process = super::super::tests::process(group, name);
            let spec = Arc::make_mut(&mut process.spec);
            spec.program = program.into();
            spec.stdout.file = LogFile::Journal;
            no_log(&process, Channel::Stdout).to_string()
        };
        let told = "NO_FILE: it is in the journal, see: journalctl ";
        assert_eq!(text("web", "web", "web"), format!("{told}-t web"));
        assert_eq!(text("g", "web", "web"), format!("{told}-t web"));
        assert_eq!(text("g", "web_0", "web"), format!("{told}SUPERVISOR_PROCESS=g:web_0"));
        assert_eq!(text("a b", "a b", "a b"), format!("{told}-t 'a b'"));
        assert_eq!(text("it's", "$(x)", "y"), format!("{told}'SUPERVISOR_PROCESS=it'\\''s:$(x)'"));
        let file = super::super::tests::process("g", "web");
        assert_eq!(no_log(&file, Channel::Stdout).to_string(), "NO_FILE");
    }

    #[test]
    fn a_read_is_bounded_and_otherwise_as_asked() {
        // C-294
        const MOST: i64 = bounds::MAX_READ;
        assert_eq!(bounded(5, 7), (5, 7));
        assert_eq!(bounded(5, 0), (5, MOST));
        assert_eq!(bounded(0, i64::MAX), (0, MOST));
        assert_eq!(bounded(-10, 0), (-10, 0));
        assert_eq!(bounded(i64::MIN, 0), (-MOST, 0));
        // Wrong ones stay wrong: the log plane says so, after it looked for the file.
        assert_eq!(bounded(-10, 5), (-10, 5));
        assert_eq!(bounded(1, -5), (1, -5));
    }
}
