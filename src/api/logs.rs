//! Reading, following and emptying logs (C-293 to C-295, C-312 to C-316).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{Api, Named, bad_name, bounds, by_priority};
use crate::core::request::ProcessResult;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::Target;
use crate::model::snapshot::{Channel, ProcessSnapshot};

/// A future of the log plane.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which log.
#[derive(Debug, Clone)]
pub enum LogName {
    /// The daemon's own.
    Main,
    /// That of a process.
    Process(Arc<ProcessSnapshot>, Channel),
}

/// The end of a log (C-313).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tail {
    /// The last bytes.
    pub data: Vec<u8>,
    /// The size of the file in bytes.
    pub size: i64,
    /// Whether there is more than offset and length reach.
    pub overflow: bool,
}

/// A log as it grows.
pub trait Follow: Send {
    /// What was added since, waiting for it; none when the log is gone for good.
    fn next(&mut self) -> Later<'_, Option<Vec<u8>>>;
}

/// What the use cases need of the log plane. Nothing in it blocks the caller's thread.
pub trait LogPlane: Send + Sync {
    /// Reads as C-294 says; never more than [`bounds::MAX_READ`](super::MAX_READ) bytes.
    fn read(&self, log: LogName, offset: i64, length: i64) -> Later<'_, Result<Vec<u8>, Fault>>;
    /// Reads the end as C-313 and C-314 say; nothing when there is no file.
    fn tail(&self, log: LogName, offset: i64, length: i64) -> Later<'_, Result<Tail, Fault>>;
    /// Follows a log from its last `bytes` on.
    fn follow(&self, log: LogName, bytes: u64) -> Later<'_, Result<Box<dyn Follow>, Fault>>;
    /// Empties a log; nothing to do when there is no file.
    fn clear(&self, log: LogName) -> Later<'_, Result<(), Fault>>;
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
        self.read(LogName::Process(self.logging(name)?, channel), offset, length).await
    }

    /// The last bytes of a log of a process (C-313).
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
        let log = LogName::Process(self.logging(name)?, channel);
        self.inner.parts.logs.tail(log, offset, length.min(bounds::MAX_READ)).await
    }

    /// Follows a log of a process from its last `bytes` on.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, NO_FILE.
    pub async fn follow_process_log(
        &self,
        name: &Named,
        channel: Channel,
        bytes: u64,
    ) -> Result<Box<dyn Follow>, Fault> {
        self.gate()?;
        let log = LogName::Process(self.logging(name)?, channel);
        self.inner.parts.logs.follow(log, bytes).await
    }

    /// Empties the logs of a process, whether it runs or not (C-315, C-431).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, FAILED.
    pub async fn clear_process_logs(&self, name: &Named) -> Result<(), Fault> {
        self.gate()?;
        let process = self.logging(name)?;
        self.clear_both(process).await.map_err(|()| Fault::new(FaultKind::Failed, name.text()))
    }

    /// Empties the logs of all processes, by priority (C-316).
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn clear_all_process_logs(&self) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        let mut results = Vec::new();
        for (name, process) in by_priority(&self.snapshot()) {
            let outcome = self
                .clear_both(process)
                .await
                .map_err(|()| Fault::new(FaultKind::Failed, name.to_string()));
            results.push(ProcessResult::new(name, outcome));
        }
        Ok(results)
    }

    /// Reads the daemon's own log (C-293); at most [`MAX_READ`](super::MAX_READ) bytes.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE, BAD_ARGUMENTS, FAILED.
    pub async fn read_log(&self, offset: i64, length: i64) -> Result<Vec<u8>, Fault> {
        self.gate()?;
        self.read(LogName::Main, offset, length).await
    }

    /// Follows the daemon's own log from its last `bytes` on.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE.
    pub async fn follow_log(&self, bytes: u64) -> Result<Box<dyn Follow>, Fault> {
        self.gate()?;
        self.inner.parts.logs.follow(LogName::Main, bytes).await
    }

    /// Empties the daemon's own log (C-295).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, NO_FILE, FAILED.
    pub async fn clear_log(&self) -> Result<(), Fault> {
        self.gate()?;
        self.inner.parts.logs.clear(LogName::Main).await
    }

    async fn read(&self, log: LogName, offset: i64, length: i64) -> Result<Vec<u8>, Fault> {
        let (offset, length) = bounded(offset, length);
        self.inner.parts.logs.read(log, offset, length).await
    }

    /// The process whose log is meant; a whole group has none.
    fn logging(&self, name: &Named) -> Result<Arc<ProcessSnapshot>, Fault> {
        let found = match name.target() {
            Target::Process(process) => self.snapshot().processes.get(process).cloned(),
            Target::Group(_) => None,
        };
        found.ok_or_else(|| bad_name(name.text()))
    }

    async fn clear_both(&self, process: Arc<ProcessSnapshot>) -> Result<(), ()> {
        let logs = &self.inner.parts.logs;
        let out = logs.clear(LogName::Process(process.clone(), Channel::Stdout)).await;
        let err = logs.clear(LogName::Process(process, Channel::Stderr)).await;
        out.and(err).map_err(|_| ())
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
