//! Lines to the local syslog daemon, as `syslog(3)` words them (C-380). Never waits: what the
//! daemon does not take at once is queued, within bounds.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Local;
use nix::libc;

use crate::model::message::Kind;
use crate::model::record::{Level, Record};

/// Where the syslog daemon listens.
pub(super) const SOCKET: &str = "/dev/log";

/// Facility user, priority info.
const PRIORITY: u8 = 8 + 6;

/// A longer line goes in parts.
pub(super) const LONGEST: usize = 8 * 1024;

/// Bytes that may wait for a slow daemon.
const QUEUE_MAX: usize = 256 * 1024;

/// How long a daemon that is not there is left alone.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    absent_until: Option<Instant>,
    lost: u64,
    notices: Vec<Record>,
}

impl Syslog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            socket: None,
            queue: VecDeque::new(),
            queued: 0,
            absent_until: None,
            lost: 0,
            notices: Vec::new(),
        }
    }

    /// Sends one line, now or soon. A line for which there is no daemon, or no room, is lost and
    /// counted.
    pub(super) fn send(&mut self, line: &[u8]) {
        let now = Local::now().format("%b %e %H:%M:%S");
        let mut message = Vec::with_capacity(line.len() + 40);
        if write!(message, "<{PRIORITY}>{now} supervisord: ").is_err() {
            return;
        }
        message.extend_from_slice(line);
        if self.queued + message.len() > QUEUE_MAX {
            self.lost += 1;
            return;
        }
        self.queued += message.len();
        self.queue.push_back(message);
        if self.queue.len() == 1 {
            self.flush();
        }
    }

    /// Sends what waits, as far as the daemon takes it.
    pub(super) fn flush(&mut self) {
        while let Some(message) = self.queue.pop_front() {
            match self.connected().and_then(|socket| deliver(socket, &message)) {
                Ok(()) => {
                    self.queued -= message.len();
                    self.report_losses();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.queue.push_front(message);
                }
                // Without a daemon nothing is kept: it may never come.
                Err(_) => {
                    self.socket = None;
                    self.lost += 1 + self.queue.len() as u64;
                    self.queue.clear();
                    self.queued = 0;
                    self.absent_until = Some(Instant::now() + AGAIN);
                }
            }
        }
    }

    /// The socket to wait for before [`flush`](Self::flush), when lines wait.
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        if self.queue.is_empty() { None } else { self.socket.as_ref().map(AsFd::as_fd) }
    }

    /// What waits, for another daemon.
    pub(super) fn take_queue(&mut self) -> Vec<Vec<u8>> {
        self.queued = 0;
        self.queue.drain(..).collect()
    }

    /// What waited when another daemon stopped.
    pub(super) fn put_back(&mut self, queue: Vec<Vec<u8>>) {
        self.queued += queue.iter().map(Vec::len).sum::<usize>();
        self.queue.extend(queue);
        self.flush();
    }

    pub(super) fn take_notices(&mut self) -> Vec<Record> {
        mem::take(&mut self.notices)
    }

    fn connected(&mut self) -> io::Result<&UnixDatagram> {
        if self.socket.is_none() {
            if self.absent_until.is_some_and(|until| Instant::now() < until) {
                return Err(ErrorKind::NotConnected.into());
            }
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            socket.connect(&self.path)?;
            self.socket = Some(socket);
            self.absent_until = None;
        }
        self.socket.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    fn report_losses(&mut self) {
        let lost = mem::take(&mut self.lost);
        if lost > 0 {
            let text = format!("{lost} lines to syslog were lost");
            self.notices.push(Record::new(Level::Warn, text).of(Kind::OutputLost));
        }
    }
}

/// Sends a datagram; one that is too long for the daemon is cut.
fn deliver(socket: &UnixDatagram, message: &[u8]) -> io::Result<()> {
    let mut length = message.len();
    loop {
        match socket.send(&message[..length]) {
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) && length > 1024 => {
                length /= 2;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                return Err(ErrorKind::WouldBlock.into());
            }
            outcome => return outcome.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_looks_as_syslog_words_it() {
        // C-380
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(path);
        syslog.send(b"web hello");
        let mut buffer = [0; 200];
        let n = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..n]).unwrap();
        assert!(text.starts_with("<14>") && text.ends_with(" supervisord: web hello"), "{text}");
        assert_eq!(text.len(), "<14>Jan  1 00:00:00 supervisord: web hello".len());
    }

    #[test]
    fn a_slow_daemon_gets_everything_in_order_and_a_dead_one_is_not_waited_for() {
        // C-380
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(path.clone());
        for n in 0..1_500 {
            syslog.send(format!("line {n}").as_bytes());
        }
        assert!(syslog.waits_for().is_some());
        let mut buffer = [0; 200];
        for n in 0..1_500 {
            syslog.flush();
            let size = daemon.recv(&mut buffer).unwrap();
            assert!(buffer[..size].ends_with(format!(": line {n}").as_bytes()));
        }
        assert!(syslog.waits_for().is_none());
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        syslog.send(b"to nobody");
        assert!(syslog.waits_for().is_none());
        let daemon = UnixDatagram::bind(&path).unwrap();
        syslog.absent_until = None;
        syslog.send(b"again");
        daemon.recv(&mut buffer).unwrap();
        assert_eq!(syslog.take_notices()[0].text, "1 lines to syslog were lost");
    }
}
