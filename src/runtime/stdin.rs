//! Writes to the stdin of children. A child that does not read cannot hold the engine up: what
//! its pipe does not take is queued, up to a bound (C-317, C-409).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::unix::pipe::Sender;
use tokio::sync::mpsc;

use crate::model::fault::{Fault, FaultKind};

/// Bytes that wait for one child at most.
const QUEUE_BYTES: usize = 1 << 20;

/// The writing end of a child's stdin.
#[derive(Debug)]
pub enum Stdin {
    /// Nothing was written yet: no task, no registration.
    Idle(OwnedFd),
    /// A task writes what is queued.
    Active {
        /// To the task.
        queue: mpsc::UnboundedSender<Vec<u8>>,
        /// Bytes queued and not written; `usize::MAX` once the pipe is closed.
        queued: Arc<AtomicUsize>,
    },
    /// The child has none (FastCGI), or closed it.
    Closed,
}

impl Stdin {
    /// The end of a pipe, or none.
    #[must_use]
    pub fn new(pipe: Option<OwnedFd>) -> Self {
        pipe.map_or(Self::Closed, Self::Idle)
    }

    /// Writes, or queues what cannot be written now. Runs on the engine's event loop.
    pub fn write(&mut self, name: &str, data: Vec<u8>) -> Result<(), Fault> {
        if let Self::Idle(_) = self {
            let Self::Idle(pipe) = std::mem::replace(self, Self::Closed) else { return Ok(()) };
            *self = Self::activate(pipe)
                .map_err(|error| Fault::new(FaultKind::Failed, format!("{name}: {error}")))?;
        }
        let Self::Active { queue, queued } = self else {
            return Err(Fault::new(FaultKind::NoFile, name));
        };
        let waiting = queued.load(Ordering::Acquire);
        if waiting == usize::MAX {
            *self = Self::Closed;
            return Err(Fault::new(FaultKind::NoFile, name));
        }
        if waiting.saturating_add(data.len()) > QUEUE_BYTES {
            let text = format!("{name} does not read its stdin: {waiting} bytes are waiting");
            return Err(Fault::new(FaultKind::Failed, text));
        }
        queued.fetch_add(data.len(), Ordering::AcqRel);
        queue.send(data).map_err(|_| Fault::new(FaultKind::NoFile, name))
    }

    fn activate(pipe: OwnedFd) -> io::Result<Self> {
        let mut pipe = Sender::from_owned_fd(pipe)?;
        let (queue, mut items) = mpsc::unbounded_channel::<Vec<u8>>();
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&queued);
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            while let Some(item) = items.recv().await {
                if pipe.write_all(&item).await.is_err() {
                    counter.store(usize::MAX, Ordering::Release);
                    return;
                }
                counter.fetch_sub(item.len(), Ordering::AcqRel);
            }
        });
        Ok(Self::Active { queue, queued })
    }
}
