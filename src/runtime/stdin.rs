//! Writes to the stdin of children. A child that does not read cannot hold the engine up: what
//! its pipe does not take is queued, up to a bound (C-317, C-408, C-409).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::core::action::Run;
use crate::model::fault::{Fault, FaultKind};

/// Bytes of clients that wait for one child at most. An event of a listener comes on top: it has one
/// at a time.
const QUEUE_BYTES: usize = 1 << 20;

/// An event that could not be written to its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undelivered {
    /// To which.
    pub run: Run,
    /// The serial of the event.
    pub serial: u64,
}

/// Something to write, and who is told when it cannot be.
#[derive(Debug)]
struct Item {
    data: Vec<u8>,
    event: Option<(Undelivered, mpsc::UnboundedSender<Undelivered>)>,
}

impl Item {
    fn fail(self) {
        if let Some((undelivered, lost)) = self.event {
            let _ = lost.send(undelivered); // the engine may have ended
        }
    }
}

/// The writing end of a child's stdin.
#[derive(Debug)]
pub enum Stdin {
    /// Nothing was written yet: no task, no registration.
    Idle(OwnedFd),
    /// A task writes what is queued.
    Active(Writer),
    /// The child has none (FastCGI), or closed it.
    Closed,
}

/// A task that writes, until this is dropped: a dead child may have left its stdin to one that
/// never reads.
#[derive(Debug)]
pub struct Writer {
    queue: mpsc::UnboundedSender<Item>,
    /// Bytes queued and not written; `usize::MAX` once the pipe is closed.
    queued: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stdin {
    /// The end of a pipe, or none.
    #[must_use]
    pub fn new(pipe: Option<OwnedFd>) -> Self {
        pipe.map_or(Self::Closed, Self::Idle)
    }

    /// Writes, or queues what cannot be written now. Runs on the engine's event loop.
    pub fn write(&mut self, name: &str, data: Vec<u8>) -> Result<(), Fault> {
        let Some(writer) = self
            .writer()
            .map_err(|error| Fault::new(FaultKind::Failed, format!("{name}: {error}")))?
        else {
            return Err(Fault::new(FaultKind::NoFile, name));
        };
        let waiting = writer.queued.load(Ordering::Acquire);
        if waiting.saturating_add(data.len()) > QUEUE_BYTES {
            let text = format!("{name} does not read its stdin: {waiting} bytes are waiting");
            return Err(Fault::new(FaultKind::Failed, text));
        }
        writer.push(Item { data, event: None }).map_err(|_| Fault::new(FaultKind::NoFile, name))
    }

    /// Writes an event, whatever else waits. Runs on the engine's event loop.
    pub fn deliver(
        &mut self,
        data: Vec<u8>,
        undelivered: Undelivered,
        lost: &mpsc::UnboundedSender<Undelivered>,
    ) {
        let item = Item { data, event: Some((undelivered, lost.clone())) };
        let refused = match self.writer() {
            Ok(Some(writer)) => writer.push(item).err(),
            Ok(None) | Err(_) => Some(item),
        };
        if let Some(item) = refused {
            item.fail();
        }
    }

    /// What writes; none when the pipe is closed.
    fn writer(&mut self) -> io::Result<Option<&Writer>> {
        if let Self::Idle(_) = self
            && let Self::Idle(pipe) = std::mem::replace(self, Self::Closed)
        {
            *self = Self::Active(Writer::start(pipe)?);
        }
        if let Self::Active(writer) = self
            && writer.queued.load(Ordering::Acquire) == usize::MAX
        {
            *self = Self::Closed;
        }
        Ok(match self {
            Self::Active(writer) => Some(writer),
            _ => None,
        })
    }
}

impl Writer {
    fn start(pipe: OwnedFd) -> io::Result<Self> {
        let mut pipe = Sender::from_owned_fd(pipe)?;
        let (queue, mut items) = mpsc::unbounded_channel::<Item>();
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&queued);
        let task = tokio::spawn(async move {
            while let Some(item) = items.recv().await {
                if pipe.write_all(&item.data).await.is_err() {
                    counter.store(usize::MAX, Ordering::Release);
                    items.close();
                    item.fail();
                    while let Some(item) = items.recv().await {
                        item.fail();
                    }
                    return;
                }
                counter.fetch_sub(item.data.len(), Ordering::AcqRel);
            }
        });
        Ok(Self { queue, queued, task: task.abort_handle() })
    }

    fn push(&self, item: Item) -> Result<(), Item> {
        let bytes = item.data.len();
        self.queued.fetch_add(bytes, Ordering::AcqRel);
        self.queue.send(item).map_err(|refused| refused.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::core::key::ProcKey;

    fn event(serial: u64) -> Undelivered {
        Undelivered { run: Run { key: ProcKey(1), generation: 1 }, serial }
    }

    #[tokio::test]
    async fn an_event_is_written_whole_however_slowly_it_is_read() {
        // C-408
        let (mut reader, writer) = io::pipe().unwrap();
        let (mut stdin, (lost_in, mut lost)) =
            (Stdin::new(Some(writer.into())), mpsc::unbounded_channel());
        let data = vec![b'x'; 3 * QUEUE_BYTES];
        stdin.deliver(data.clone(), event(1), &lost_in);
        assert!(stdin.write("a", b"y".to_vec()).is_err(), "a client waits for the event");
        let read = tokio::task::spawn_blocking(move || {
            let mut read = vec![0; 3 * QUEUE_BYTES];
            reader.read_exact(&mut read).unwrap();
            read
        });
        assert!(read.await.unwrap() == data);
        assert!(lost.try_recv().is_err());
    }

    #[tokio::test]
    async fn events_that_cannot_be_written_are_told() {
        // C-350
        let (reader, writer) = io::pipe().unwrap();
        let (mut stdin, (lost_in, mut lost)) =
            (Stdin::new(Some(writer.into())), mpsc::unbounded_channel());
        stdin.deliver(vec![b'x'; QUEUE_BYTES], event(1), &lost_in);
        stdin.deliver(b"x".to_vec(), event(2), &lost_in);
        tokio::task::yield_now().await;
        drop(reader);
        assert_eq!(lost.recv().await, Some(event(1)));
        assert_eq!(lost.recv().await, Some(event(2)));
        stdin.deliver(b"x".to_vec(), event(3), &lost_in);
        assert_eq!(lost.recv().await, Some(event(3)));
        assert_eq!(stdin.write("a", b"x".to_vec()).unwrap_err().kind, FaultKind::NoFile);
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_child_that_is_gone() {
        let (reader, writer) = io::pipe().unwrap();
        let (mut stdin, (lost_in, _lost)) =
            (Stdin::new(Some(writer.into())), mpsc::unbounded_channel());
        stdin.deliver(vec![b'x'; QUEUE_BYTES], event(1), &lost_in);
        tokio::task::yield_now().await;
        drop(stdin);
        // The end of what was written can only be read when nobody can write any more.
        let read = tokio::task::spawn_blocking(move || {
            let mut reader = reader;
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|bytes| (bytes, reader.as_raw_fd()))
        });
        assert!(read.await.unwrap().unwrap().0 < QUEUE_BYTES);
    }
}
