//! Writes to the stdin of children. A child that does not read cannot hold the engine up: what
//! its pipe does not take is queued, up to a bound (C-317, C-408, C-409).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::core::action::Run;
use crate::model::fault::{Fault, FaultKind};

/// Bytes of clients that wait for one child at most. An event of a listener comes on top: it has one
/// at a time.
const QUEUE_BYTES: usize = 1 << 20;

/// An event on its way to its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// To which.
    pub run: Run,
    /// The serial of the event.
    pub serial: u64,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// All of it was written to its listener.
    Delivered(Delivery),
    /// It cannot be written.
    Undelivered(Delivery),
}

/// Something to write, and who is told what becomes of it.
#[derive(Debug)]
struct Item {
    data: Vec<u8>,
    event: Option<(Delivery, mpsc::UnboundedSender<Told>)>,
    /// It is told when the event is written, too.
    confirmed: bool,
}

impl Item {
    /// What is left when so many bytes are written.
    fn rest(mut self, written: usize) -> Unwritten {
        self.data.drain(..written);
        let event = self.event.map(|(delivery, _)| delivery.serial);
        Unwritten { data: self.data, event }
    }

    fn fail(self) {
        if let Some((event, told)) = self.event {
            let _ = told.send(Told::Undelivered(event)); // the engine may have ended
        }
    }

    fn written(self) {
        if let (Some((event, told)), true) = (self.event, self.confirmed) {
            let _ = told.send(Told::Delivered(event)); // as above
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
    stop: oneshot::Sender<()>,
    task: AbortOnDrop,
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<Option<(OwnedFd, Vec<Unwritten>)>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Something that was not written when the stdin of a child went to another daemon, or what is
/// left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwritten {
    data: Vec<u8>,
    /// The serial of the event that it is of, if it is of one.
    event: Option<u64>,
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
        writer
            .push(Item { data, event: None, confirmed: false })
            .map_err(|_| Fault::new(FaultKind::NoFile, name))
    }

    /// Writes an event, whatever else waits, and tells when that cannot be done; when it is to be
    /// `confirmed`, also when it is done. Runs on the engine's event loop.
    pub fn deliver(
        &mut self,
        data: Vec<u8>,
        delivery: Delivery,
        told: &mpsc::UnboundedSender<Told>,
        confirmed: bool,
    ) {
        let item = Item { data, event: Some((delivery, told.clone())), confirmed };
        let refused = match self.writer() {
            Ok(Some(writer)) => writer.push(item).err(),
            Ok(None) | Err(_) => Some(item),
        };
        if let Some(item) = refused {
            item.fail();
        }
    }

    /// Writes nothing more; gives the pipe away, and what it did not take yet.
    pub async fn hand_over(self) -> Option<(OwnedFd, Vec<Unwritten>)> {
        match self {
            Self::Idle(pipe) => Some((pipe, Vec::new())),
            Self::Active(Writer { mut task, stop, .. }) => {
                let _ = stop.send(()); // it may have ended
                (&mut task.0).await.ok().flatten()
            }
            Self::Closed => None,
        }
    }

    /// Goes on where another daemon stopped. Runs on the engine's event loop.
    ///
    /// # Errors
    /// It is no pipe that can be written to.
    pub fn adopt(
        pipe: OwnedFd,
        unwritten: Vec<Unwritten>,
        run: Run,
        told: &mpsc::UnboundedSender<Told>,
    ) -> io::Result<Self> {
        if unwritten.is_empty() {
            return Ok(Self::Idle(pipe));
        }
        let writer = Writer::start(pipe)?;
        for Unwritten { data, event } in unwritten {
            let event = event.map(|serial| (Delivery { run, serial }, told.clone()));
            // Its task has only just begun.
            let _ = writer.push(Item { data, event, confirmed: true });
        }
        Ok(Self::Active(writer))
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
        let pipe = Sender::from_owned_fd(pipe)?;
        let (queue, items) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(write_all(pipe, items, Arc::clone(&queued), stopped));
        Ok(Self { queue, queued, stop, task: AbortOnDrop(task) })
    }

    fn push(&self, item: Item) -> Result<(), Item> {
        let bytes = item.data.len();
        self.queued.fetch_add(bytes, Ordering::AcqRel);
        self.queue.send(item).map_err(|refused| refused.0)
    }
}

/// Writes what comes. Told to stop, gives back what is left; nothing when the pipe is closed.
async fn write_all(
    mut pipe: Sender,
    mut items: mpsc::UnboundedReceiver<Item>,
    queued: Arc<AtomicUsize>,
    mut stopped: oneshot::Receiver<()>,
) -> Option<(OwnedFd, Vec<Unwritten>)> {
    let mut left = Vec::new();
    'all: loop {
        let item = tokio::select! {
            biased;
            // A writer that is dropped aborts this task.
            Ok(()) = &mut stopped => break,
            item = items.recv() => item?,
        };
        let mut at = 0;
        while at < item.data.len() {
            let written = tokio::select! {
                biased;
                Ok(()) = &mut stopped => {
                    left.push(item.rest(at));
                    break 'all;
                }
                // When it is cancelled nothing was written.
                written = pipe.write(&item.data[at..]) => written,
            };
            match written {
                Ok(n) if n > 0 => at += n,
                _ => {
                    queued.store(usize::MAX, Ordering::Release);
                    items.close();
                    item.fail();
                    while let Some(item) = items.recv().await {
                        item.fail();
                    }
                    return None;
                }
            }
        }
        queued.fetch_sub(item.data.len(), Ordering::AcqRel);
        item.written();
    }
    while let Ok(item) = items.try_recv() {
        left.push(item.rest(0));
    }
    Some((pipe.into_nonblocking_fd().ok()?, left))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::core::key::ProcKey;

    fn event(serial: u64) -> Delivery {
        Delivery { run: Run { key: ProcKey(1), generation: 1 }, serial }
    }

    #[tokio::test]
    async fn an_event_is_written_whole_however_slowly_it_is_read() {
        // C-408
        let (mut reader, writer) = io::pipe().unwrap();
        let (mut stdin, (lost_in, mut lost)) =
            (Stdin::new(Some(writer.into())), mpsc::unbounded_channel());
        let data = vec![b'x'; 3 * QUEUE_BYTES];
        stdin.deliver(data.clone(), event(1), &lost_in, false);
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
        stdin.deliver(vec![b'x'; QUEUE_BYTES], event(1), &lost_in, false);
        stdin.deliver(b"x".to_vec(), event(2), &lost_in, false);
        tokio::task::yield_now().await;
        drop(reader);
        assert_eq!(lost.recv().await, Some(Told::Undelivered(event(1))));
        assert_eq!(lost.recv().await, Some(Told::Undelivered(event(2))));
        stdin.deliver(b"x".to_vec(), event(3), &lost_in, false);
        assert_eq!(lost.recv().await, Some(Told::Undelivered(event(3))));
        assert_eq!(stdin.write("a", b"x".to_vec()).unwrap_err().kind, FaultKind::NoFile);
    }

    #[tokio::test]
    async fn a_handover_in_the_middle_of_a_write_loses_and_repeats_nothing() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (lost_in, mut lost) = mpsc::unbounded_channel();
        let mut stdin = Stdin::new(Some(writer.into()));
        let data: Vec<u8> = (0..=250).cycle().take(3 * QUEUE_BYTES).collect();
        stdin.deliver(data.clone(), event(1), &lost_in, false);
        stdin.deliver(b"the next".to_vec(), event(2), &lost_in, false);
        let total = data.len() + 8;
        let (enough, half) = oneshot::channel();
        let read = tokio::task::spawn_blocking(move || {
            let mut read = vec![0; total];
            reader.read_exact(&mut read[..QUEUE_BYTES]).unwrap();
            enough.send(()).unwrap();
            reader.read_exact(&mut read[QUEUE_BYTES..]).unwrap();
            (read, reader)
        });
        half.await.unwrap();
        let (pipe, unwritten) = stdin.hand_over().await.unwrap();
        assert_eq!(unwritten.iter().map(|left| left.event).collect::<Vec<_>>(), [Some(1), Some(2)]);
        let stdin = Stdin::adopt(pipe, unwritten, event(1).run, &lost_in).unwrap();
        let (read, reader) = read.await.unwrap();
        assert!(read[..data.len()] == data && read[data.len()..] == *b"the next");
        assert_eq!(lost.recv().await, Some(Told::Delivered(event(1))));
        assert_eq!(lost.recv().await, Some(Told::Delivered(event(2))));
        // Nothing waits any more: it goes as it is.
        assert_eq!(stdin.hand_over().await.unwrap().1, []);
        drop(reader);
    }

    #[tokio::test]
    async fn a_closed_stdin_is_not_handed_over() {
        let (reader, writer) = io::pipe().unwrap();
        let (lost_in, mut lost) = mpsc::unbounded_channel();
        let mut stdin = Stdin::new(Some(writer.into()));
        drop(reader);
        stdin.deliver(b"x".to_vec(), event(1), &lost_in, false);
        assert_eq!(lost.recv().await, Some(Told::Undelivered(event(1))));
        assert!(stdin.hand_over().await.is_none());
        assert!(Stdin::new(None).hand_over().await.is_none());
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_child_that_is_gone() {
        let (reader, writer) = io::pipe().unwrap();
        let (mut stdin, (lost_in, _lost)) =
            (Stdin::new(Some(writer.into())), mpsc::unbounded_channel());
        stdin.deliver(vec![b'x'; QUEUE_BYTES], event(1), &lost_in, false);
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
