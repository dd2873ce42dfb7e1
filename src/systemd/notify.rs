//! The way to the service manager: sd_notify(3). Nothing here waits, but for [`Manager::failed`]:
//! the engine speaks through this, and a service manager that hangs must not hang supervision.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::unistd::pipe2;
use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};

use super::fdstore::Store;
use super::status::line;
use crate::model::time::Mono;

/// Messages that wait while the service manager takes none.
const QUEUE: usize = 64;
/// How soon it is asked again then.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a daemon that could not start waits until the service manager has read why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the service manager told this process when it was started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Manager {
    /// Where it listens; none when nobody does.
    address: Option<OsString>,
    /// How long it waits for a sign of life; none is for ever.
    watchdog: Option<Duration>,
    /// The process it was told to, when the daemon is another.
    started: u32,
    /// How many descriptors it keeps for the next process.
    keeps: u32,
}

impl Manager {
    /// Looks into the environment. Before a fork: what it says is about the process that was
    /// executed.
    #[must_use]
    pub fn of_environment() -> Self {
        Self {
            address: env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()),
            watchdog: sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()),
            started: std::process::id(),
            keeps: keeps(),
        }
    }

    /// How many descriptors it keeps for the next process.
    #[must_use]
    pub fn keeps(&self) -> usize {
        usize::try_from(self.keeps).unwrap_or(usize::MAX)
    }

    /// What keeps descriptors for the next process; none where nothing does. A daemon in the
    /// background is another process than the one that the service manager knows, and has none.
    #[must_use]
    pub fn store(&self) -> Option<Store> {
        if self.keeps == 0 || self.main_pid().is_some() {
            return None;
        }
        Store::at(address(self.address.as_ref()?).ok()?).ok()
    }

    /// How long the service manager waits for a sign of life; none is for ever, or there is no
    /// service manager.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.address.is_some())
    }

    /// The pid of this process, when it is not the one that the service manager knows.
    #[must_use]
    pub fn main_pid(&self) -> Option<u32> {
        let own = std::process::id();
        (own != self.started).then_some(own)
    }

    /// A way to it; none when there is no service manager, or no way.
    #[must_use]
    pub fn notifier(&self) -> Option<Notifier> {
        let address = address(self.address.as_ref()?).ok()?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Notifier { socket, address, queue: VecDeque::new(), retry_at: None })
    }

    /// Says why the daemon does not start, and waits a little until that was read: a process that
    /// is gone is not always known any more.
    pub fn failed(&self, why: &str, errno: Option<Errno>, bus_error: &str) {
        let Some(notifier) = self.notifier() else { return };
        let why = line(&why.replace('\n', "; "));
        let mut states = vec![NotifyState::Status(&why)];
        states.extend(errno.map(|errno| NotifyState::Errno((errno as i32).unsigned_abs())));
        states.push(NotifyState::BusError(bus_error));
        // There is nobody left to tell that it could not be told.
        let _ = notifier.say_last(&message(&states));
    }
}

/// How many descriptors the service manager keeps (`$FDSTORE`), as far as it can hand them to a
/// process with the limit of open files that this one was started with.
fn keeps() -> u32 {
    let kept: u32 = env::var("FDSTORE").ok().and_then(|max| max.parse().ok()).unwrap_or_default();
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    kept.min(u32::try_from(limit).unwrap_or(u32::MAX))
}

/// States as one message.
#[must_use]
pub fn message(states: &[NotifyState<'_>]) -> String {
    let mut message = String::new();
    for state in states {
        let _ = writeln!(message, "{state}"); // a String takes everything
    }
    message
}

/// A path, or an abstract name that begins with `@`.
fn address(text: &OsString) -> io::Result<SocketAddr> {
    match text.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(text),
        _ => Err(ErrorKind::Unsupported.into()), // vsock is for virtual machines as a whole
    }
}

/// The same address, for messages that carry descriptors.
pub(super) fn unix_address(address: &SocketAddr) -> nix::Result<UnixAddr> {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => UnixAddr::new(path),
        (None, Some(name)) => UnixAddr::new_abstract(name),
        (None, None) => Err(Errno::EDESTADDRREQ),
    }
}

/// A way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    queue: VecDeque<String>,
    retry_at: Option<Mono>,
}

impl Notifier {
    /// Sends a message, after those that wait. Never blocks: what is not taken now is sent again
    /// at [`Self::retry_at`].
    pub fn send(&mut self, message: String, now: Mono) {
        if self.queue.len() == QUEUE {
            self.queue.pop_front(); // the newest are the true ones
        }
        self.queue.push_back(message);
        self.flush(now);
    }

    /// Sends what waits, if its time has come.
    pub fn flush(&mut self, now: Mono) {
        if self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        self.retry_at = None;
        while let Some(message) = self.queue.pop_front() {
            match self.socket.send_to_addr(message.as_bytes(), &self.address) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.queue.push_front(message);
                    self.retry_at = Some(now + AGAIN);
                    return;
                }
                // Nobody listens: it set the socket up, it will know.
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// When to call [`Self::flush`].
    #[must_use]
    pub fn retry_at(&self) -> Option<Mono> {
        self.retry_at
    }

    /// Sends a message and, with `BARRIER=1`, a pipe: its end comes when the service manager has
    /// read all up to there.
    fn say_last(&self, message: &str) -> nix::Result<()> {
        let limit = PollTimeout::try_from(LAST_WORDS).unwrap_or(PollTimeout::ZERO);
        self.transmit(message, None)?;
        let (waiting, ours) = pipe2(OFlag::O_CLOEXEC)?;
        self.transmit("BARRIER=1", Some(ours.as_fd()))?;
        drop(ours);
        poll(&mut [PollFd::new(waiting.as_fd(), PollFlags::empty())], limit).map(drop)
    }

    /// Sends one message, and waits for room.
    fn transmit(&self, message: &str, descriptor: Option<BorrowedFd<'_>>) -> nix::Result<()> {
        let to = unix_address(&self.address)?;
        let fds: Vec<_> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let text = [IoSlice::new(message.as_bytes())];
        let send =
            || sendmsg(self.socket.as_raw_fd(), &text, rights, MsgFlags::MSG_DONTWAIT, Some(&to));
        match send() {
            Err(Errno::EAGAIN) => {
                let room = PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT);
                let limit = PollTimeout::try_from(LAST_WORDS).unwrap_or(PollTimeout::ZERO);
                poll(&mut [room], limit)?;
                send().map(drop)
            }
            outcome => outcome.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn at(address: OsString) -> Manager {
        Manager { address: Some(address), started: std::process::id(), ..Manager::default() }
    }

    fn received(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|n| buffer[..n].to_vec()))
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    const T: Mono = Mono(Duration::from_secs(5));

    #[test]
    fn messages_go_to_paths_and_to_abstract_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        let name = format!("@supervisor-notify-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        for (socket, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), name.into()),
        ] {
            let manager = at(address);
            let mut notifier = manager.notifier().unwrap();
            notifier.send(message(&[NotifyState::Ready, NotifyState::Status("up")]), T);
            assert_eq!(received(&socket), ["READY=1\nSTATUS=up\n"]);
            // What was handed over with the barrier is closed when the message is dropped.
            let teller = std::thread::spawn(move || {
                manager.failed("no\nway", Some(Errno::EINVAL), "a.b");
            });
            let mut buffer = [0; 4096];
            socket.set_nonblocking(false).unwrap();
            let count = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"STATUS=no; way\nERRNO=22\nBUSERROR=a.b\n");
            let count = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"BARRIER=1");
            teller.join().unwrap();
        }
    }

    #[test]
    fn a_service_manager_that_reads_nothing_holds_nothing_up_and_misses_little() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut notifier = at(path.into_os_string()).notifier().unwrap();
        let mut sent = 0;
        while notifier.retry_at().is_none() {
            notifier.send(format!("STATUS={sent}\n"), T);
            sent += 1;
        }
        for _ in 0..QUEUE {
            notifier.send(format!("STATUS={sent}\n"), T);
            sent += 1;
        }
        assert_eq!(notifier.queue.len(), QUEUE);
        let early = received(&socket).len();
        notifier.flush(T);
        assert_eq!(received(&socket).len(), 0, "it is not its time yet");
        let mut late = Vec::new();
        while let Some(at) = notifier.retry_at() {
            notifier.flush(at);
            late.extend(received(&socket));
        }
        assert_eq!(late.last().unwrap(), &format!("STATUS={}\n", sent - 1));
        assert_eq!(early + late.len(), sent - 1, "the oldest that waited was dropped");
    }

    #[test]
    fn without_a_service_manager_there_is_no_way_and_no_watchdog() {
        let alone = Manager { watchdog: Some(Duration::from_secs(1)), ..Manager::default() };
        assert!(alone.notifier().is_none());
        assert_eq!(alone.watchdog(), None);
        assert!(at("vsock:2:1234".into()).notifier().is_none());
        // Nobody listens there: nothing happens.
        let mut gone = at("/nonexistent/notify".into()).notifier().unwrap();
        gone.send("READY=1".to_owned(), T);
        assert_eq!(gone.retry_at(), None);
        assert!(gone.say_last("READY=1").is_err());
    }

    #[test]
    fn a_daemon_in_the_background_says_which_process_it_is() {
        assert_eq!(at("/n".into()).main_pid(), None);
        let forked = Manager { started: 1, ..at("/n".into()) };
        assert_eq!(forked.main_pid(), Some(std::process::id()));
    }
}
