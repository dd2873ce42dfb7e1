//! A client of journald's native protocol: one datagram for each entry, to a socket of its own.
//!
//! Nothing here ever waits. What journald does not take at once is queued within bounds; whoever
//! feeds programs' output into it asks [`Journal::is_congested`] first, so that a program that
//! writes more than journald takes waits for it, as it would on journald's own stream. When
//! journald has taken nothing for a while, nobody waits for it any more: entries are dropped,
//! counted, and their number is told.

use std::collections::VecDeque;
use std::env;
use std::io::{self, ErrorKind, Write as _};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    ControlMessage, MsgFlags, UnixAddr, getpeername, sendmsg, setsockopt, sockopt,
};
use nix::sys::stat::fstat;

mod entry;
#[cfg(test)]
pub(crate) mod testing;

pub use entry::{Entry, IDENTIFIER, LineEnd, Source, of_record, priority, take_priority};

use crate::model::message::Kind;
use crate::model::record::{Level, Record};

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Names another socket, for tests.
const SOCKET_VARIABLE: &str = "SUPERVISOR_JOURNAL_SOCKET";

/// Where journald listens for the standard output of services.
const STREAM_SOCKET: &str = "/run/systemd/journal/stdout";

/// Bytes that may wait for journald. The last part is for the daemon's own lines.
const QUEUE_MAX: usize = 2 << 20;
const OUTPUT_MAX: usize = QUEUE_MAX - (256 << 10);

/// With more than this in the queue, programs are made to wait.
const CONGESTED: usize = 256 << 10;

/// How long anybody waits for a journald that takes nothing.
const STALL: Duration = Duration::from_secs(5);

/// How soon a journald that is not there is looked for again, at first and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(32);

/// How soon a kernel without room is asked again.
const SOON: Duration = Duration::from_millis(100);

/// What the kernel may hold for us: as much as systemd's own clients ask for.
const SEND_BUFFER: usize = 8 << 20;

/// The socket of this machine's journald, or the one that the environment names.
#[must_use]
pub fn socket_path() -> PathBuf {
    env::var_os(SOCKET_VARIABLE).map_or_else(|| SOCKET.into(), PathBuf::from)
}

/// Looks whether entries can be sent there.
///
/// # Errors
/// What the system says of the socket.
pub fn check(path: &Path) -> io::Result<()> {
    connect(path).map(drop)
}

/// Whether a descriptor is a stream to the journal, as `JOURNAL_STREAM` says of one of the two
/// standard ones: DEVICE:INODE of standard error, if that is one, else of standard output
/// (systemd.exec(5)).
#[must_use]
pub fn is_journal(stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>, stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let (Ok(device), Ok(inode)) = (device.parse(), inode.parse()) else { return false };
    let named = |fd| fstat(fd).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode));
    // Another stream of the same service is one too.
    named(stdout) || (named(stderr) && is_stream_of_journald(stdout))
}

fn is_stream_of_journald(fd: BorrowedFd<'_>) -> bool {
    getpeername::<UnixAddr>(fd.as_raw_fd())
        .is_ok_and(|peer| peer.path() == Some(Path::new(STREAM_SOCKET)))
}

/// The way to journald.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// Entries that were dropped since the last that was sent.
    lost: u64,
    absent: Option<Absent>,
    /// Nothing is tried before.
    not_before: Option<Instant>,
    /// Since when it has taken nothing.
    full_since: Option<Instant>,
    /// It takes nothing, and nobody waits for it any more.
    stalled: bool,
    congested: bool,
    relieved: bool,
    notices: Vec<Record>,
}

/// journald is not there.
#[derive(Debug)]
struct Absent {
    /// When it is looked for again.
    until: Instant,
    pause: Duration,
}

/// What became of an entry.
enum Sent {
    Yes,
    /// The socket takes nothing at the moment.
    Full,
    /// The kernel takes nothing, and does not tell when it does again.
    Later,
    /// Nobody listens.
    Gone(io::Error),
    /// This one cannot be sent.
    Refused,
}

impl Journal {
    /// A way to the journald that listens at this path. It is looked for when it is needed.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            socket: None,
            queue: VecDeque::new(),
            queued: 0,
            lost: 0,
            absent: None,
            not_before: None,
            full_since: None,
            stalled: false,
            congested: false,
            relieved: false,
            notices: Vec::new(),
        }
    }

    /// Whether journald is there, as far as is known: it is looked for if it was not needed yet.
    pub fn is_there(&mut self) -> bool {
        let is_due = |absent: &Absent| absent.until <= Instant::now();
        if self.socket.is_none() && self.absent.as_ref().is_none_or(is_due) {
            self.look();
        }
        self.socket.is_some()
    }

    /// Sends an entry of the daemon's own, now or soon.
    pub fn send(&mut self, entry: Entry) {
        self.push(entry, QUEUE_MAX);
    }

    /// Sends an entry with a program's line, now or soon.
    pub fn send_output(&mut self, entry: Entry) {
        self.push(entry, OUTPUT_MAX);
    }

    /// Sends what waits, as far as journald takes it.
    pub fn flush(&mut self) {
        let now = Instant::now();
        if self.due().is_none_or(|due| due <= now) {
            self.not_before = None;
            self.send_queue(now);
        }
        self.settle(now);
    }

    /// What waits, for another daemon.
    pub fn take_queue(&mut self) -> Vec<Vec<u8>> {
        self.queued = 0;
        self.queue.drain(..).collect()
    }

    /// What waited when another daemon stopped.
    pub fn put_back(&mut self, queue: Vec<Vec<u8>>) {
        self.queued += queue.iter().map(Vec::len).sum::<usize>();
        self.queue.extend(queue);
        self.flush();
    }

    /// The socket to wait for before [`flush`](Self::flush), when entries wait.
    #[must_use]
    pub fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        let waits = !self.queue.is_empty() && self.not_before.is_none();
        self.socket.as_ref().filter(|_| waits).map(AsFd::as_fd)
    }

    /// When to [`flush`](Self::flush) although nothing is ready.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let patience = self.full_since.filter(|_| self.congested).map(|since| since + STALL);
        self.due().or(patience)
    }

    /// When there is a point in trying again, if not now.
    fn due(&self) -> Option<Instant> {
        self.absent.as_ref().map(|absent| absent.until).or(self.not_before)
    }

    /// Whether whoever feeds output into it should wait.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.congested
    }

    /// Whether it was congested and is no more, since this was last asked.
    pub fn take_relief(&mut self) -> bool {
        mem::take(&mut self.relieved)
    }

    /// What the daemon's log should say about it.
    pub fn take_notices(&mut self) -> Vec<Record> {
        mem::take(&mut self.notices)
    }

    fn push(&mut self, entry: Entry, most: usize) {
        let bytes = entry.into_bytes();
        // One that is too large for the queue may still go at once.
        if !self.queue.is_empty() && self.queued + bytes.len() > most {
            self.lost += 1;
            return;
        }
        self.queued += bytes.len();
        self.queue.push_back(bytes);
        if self.queue.len() == 1 && self.absent.is_none() {
            self.flush();
        } else {
            self.settle(Instant::now());
        }
    }

    fn send_queue(&mut self, now: Instant) {
        let mut fresh = self.socket.is_none();
        while let Some(entry) = self.queue.front() {
            let Some(socket) = &self.socket else {
                if !self.look() {
                    return;
                }
                continue;
            };
            match deliver(socket, entry) {
                Sent::Yes => {
                    self.queued -= entry.len();
                    self.queue.pop_front();
                    self.full_since = None;
                    self.stalled = false;
                    fresh = false;
                    self.report_losses();
                }
                Sent::Full => {
                    self.full_since.get_or_insert(now);
                    return;
                }
                Sent::Later => {
                    self.full_since.get_or_insert(now);
                    self.not_before = Some(now + SOON);
                    return;
                }
                // Another one may listen there already.
                Sent::Gone(_) if !fresh => {
                    self.socket = None;
                    fresh = true;
                }
                Sent::Gone(error) => return self.miss(&error),
                Sent::Refused => {
                    self.queued -= entry.len();
                    self.queue.pop_front();
                    self.lost += 1;
                }
            }
        }
        self.full_since = None;
    }

    /// Looks for journald.
    fn look(&mut self) -> bool {
        match connect(&self.path) {
            Ok(socket) => {
                if self.absent.take().is_some() {
                    let text = format!("the journal is there again at {}", self.path.display());
                    self.notices.push(Record::new(Level::Warn, text));
                }
                self.socket = Some(socket);
                true
            }
            Err(error) => {
                self.miss(&error);
                false
            }
        }
    }

    fn miss(&mut self, error: &io::Error) {
        self.socket = None;
        self.full_since = None;
        let pause = self.absent.as_ref().map_or(AGAIN, |absent| absent.pause * 2).min(AGAIN_MOST);
        if self.absent.is_none() {
            let text = format!(
                "no journal at {}: {error}; up to {} MiB of this log wait for it, and output of \
                 programs that belongs there goes to this log instead",
                self.path.display(),
                QUEUE_MAX >> 20
            );
            self.notices.push(Record::new(Level::Error, text).of(Kind::LogTrouble));
        }
        self.absent = Some(Absent { until: Instant::now() + pause, pause });
    }

    /// Decides anew whether anybody should wait for it.
    fn settle(&mut self, now: Instant) {
        if self.full_since.is_some_and(|since| since + STALL <= now) {
            self.stalled = true;
        }
        let congested = self.queued > CONGESTED && self.full_since.is_some() && !self.stalled;
        self.relieved |= self.congested && !congested;
        self.congested = congested;
    }

    fn report_losses(&mut self) {
        let lost = mem::take(&mut self.lost);
        if lost > 0 {
            let text = format!("{lost} lines to the journal were lost: it did not take them");
            self.notices.push(Record::new(Level::Warn, text).of(Kind::OutputLost));
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    // The kernel's default does as well, with shorter bursts.
    let _ = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER);
    socket.connect(path)?;
    Ok(socket)
}

/// Sends an entry; one that is too large for a datagram goes as a file in memory.
fn deliver(socket: &UnixDatagram, entry: &[u8]) -> Sent {
    let mut outcome = retry(|| socket.send(entry).map(drop));
    let is = |outcome: &io::Result<()>, code: Errno| {
        outcome.as_ref().is_err_and(|e| e.raw_os_error() == Some(code as i32))
    };
    if is(&outcome, Errno::EMSGSIZE) || is(&outcome, Errno::ENOBUFS) {
        outcome = in_memory(entry).and_then(|file| {
            let fds = [file.as_raw_fd()];
            let rights = [ControlMessage::ScmRights(&fds)];
            let flags = MsgFlags::MSG_NOSIGNAL;
            retry(|| Ok(sendmsg::<()>(socket.as_raw_fd(), &[], &rights, flags, None).map(drop)?))
        });
    }
    match outcome {
        Ok(()) => Sent::Yes,
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EAGAIN) => Sent::Full,
            Some(Errno::ENOBUFS | Errno::ENOMEM | Errno::ETOOMANYREFS) => Sent::Later,
            Some(
                Errno::ECONNREFUSED
                | Errno::ECONNRESET
                | Errno::ENOTCONN
                | Errno::ENOENT
                | Errno::EPIPE,
            ) => Sent::Gone(error),
            _ => Sent::Refused,
        },
    }
}

fn retry(mut send: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match send() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// A file in memory that nobody can change any more: journald takes no other.
fn in_memory(entry: &[u8]) -> io::Result<std::fs::File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create(c"supervisor-journal", flags)?);
    file.write_all(entry)?;
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
