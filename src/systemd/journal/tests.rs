use std::io::{IoSliceMut, Read};

use nix::sys::socket::{ControlMessageOwned, recvmsg};
use tempfile::TempDir;

use super::testing::decode;
use super::*;

/// A journald that takes what is sent to it.
struct Journald {
    dir: TempDir,
    socket: UnixDatagram,
}

impl Journald {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { dir, socket }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// It is gone, and so is its socket.
    fn kill(self) -> TempDir {
        drop(self.socket);
        std::fs::remove_file(self.dir.path().join("socket")).unwrap();
        self.dir
    }

    /// The messages that wait, but not more than a journald reads at once.
    fn take(&self) -> Vec<String> {
        let mut buffer = vec![0; 1 << 20];
        let mut messages = Vec::new();
        while let Ok(count) = self.socket.recv(&mut buffer) {
            messages.push(message(&buffer[..count]));
        }
        messages
    }
}

fn message(bytes: &[u8]) -> String {
    let fields = decode(bytes);
    let (_, value) = fields.iter().find(|(name, _)| name == "MESSAGE").unwrap();
    String::from_utf8(value.clone()).unwrap()
}

fn entry(text: &str) -> Entry {
    of_record(&Record::new(Level::Info, text))
}

fn texts(journal: &mut Journal) -> Vec<String> {
    journal.take_notices().into_iter().map(|notice| notice.text).collect()
}

#[test]
fn an_entry_is_one_datagram() {
    let journald = Journald::new();
    let mut journal = Journal::new(journald.path());
    assert!(journal.is_there());
    journal.send(entry("one"));
    journal.send(entry("two\nlines"));
    assert_eq!(journald.take(), ["one", "two\nlines"]);
    assert!(journal.waits_for().is_none() && journal.retry_at().is_none());
}

#[test]
fn what_is_too_large_for_a_datagram_goes_in_sealed_memory() {
    let journald = Journald::new();
    let mut journal = Journal::new(journald.path());
    let large = "x".repeat(9 << 20);
    journal.send(entry(&large));
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut buffer = [0; 10];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let fd = journald.socket.as_raw_fd();
    let received = recvmsg::<()>(fd, &mut parts, Some(&mut space), MsgFlags::empty()).unwrap();
    assert_eq!(received.bytes, 0);
    let ControlMessageOwned::ScmRights(fds) = received.cmsgs().unwrap().next().unwrap() else {
        panic!("no descriptor");
    };
    let mut file = std::fs::File::open(format!("/proc/self/fd/{}", fds[0])).unwrap();
    let seals = fcntl(&file, FcntlArg::F_GET_SEALS).unwrap();
    assert_eq!(seals, 0b1111, "shrink, grow, write and seal");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(message(&bytes), large);
}

#[test]
fn a_slow_journald_gets_everything_in_order() {
    let journald = Journald::new();
    let mut journal = Journal::new(journald.path());
    for n in 0..2_000 {
        journal.send(entry(&n.to_string()));
    }
    assert!(journal.waits_for().is_some());
    let mut seen = Vec::new();
    while seen.len() < 2_000 {
        seen.extend(journald.take());
        journal.flush();
    }
    let expected: Vec<_> = (0..2_000).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
    assert!(journal.waits_for().is_none() && texts(&mut journal).is_empty());
}

#[test]
fn a_journald_that_takes_nothing_is_waited_for_and_then_not_any_more() {
    let journald = Journald::new();
    let mut journal = Journal::new(journald.path());
    let line = "x".repeat(1000);
    let mut sent: u64 = 0;
    while !journal.is_congested() {
        journal.send_output(entry(&line));
        sent += 1;
    }
    assert!(journal.queued > CONGESTED && journal.queued < CONGESTED + 4_000);
    assert!(journal.retry_at().is_some() && !journal.take_relief());
    // Its time is up: what goes on is dropped, within bounds.
    journal.full_since = Instant::now().checked_sub(STALL);
    journal.flush();
    assert!(!journal.is_congested() && journal.take_relief() && !journal.take_relief());
    while journal.lost < 5 {
        journal.send_output(entry(&line));
        sent += 1;
    }
    assert!(journal.queued <= OUTPUT_MAX && !journal.is_congested());
    // There is still room for the daemon's own lines, within bounds too.
    journal.send(entry("own"));
    assert_eq!(journal.lost, 5);
    while journal.lost < 6 {
        journal.send(entry(&line));
        sent += 1;
    }
    assert!(journal.queued <= QUEUE_MAX);
    let mut seen = Vec::new();
    while journal.waits_for().is_some() {
        seen.extend(journald.take());
        journal.flush();
    }
    seen.extend(journald.take());
    assert_eq!(seen.len() as u64, sent + 1 - 6);
    assert!(seen.contains(&"own".to_owned()));
    assert_eq!(texts(&mut journal), ["6 lines to the journal were lost: it did not take them"]);
}

#[test]
fn one_that_comes_late_gets_what_waited() {
    let dir = Journald::new().kill();
    let path = dir.path().join("socket");
    let mut journal = Journal::new(path.clone());
    assert!(!journal.is_there());
    journal.send(entry("early"));
    let notice = texts(&mut journal).concat();
    assert!(notice.starts_with("no journal at ") && notice.contains("No such file"), "{notice}");
    assert!(journal.waits_for().is_none());
    let again = journal.retry_at().unwrap();
    assert!(again <= Instant::now() + AGAIN);
    // It is left alone until then.
    let socket = UnixDatagram::bind(&path).unwrap();
    journal.flush();
    assert!(journal.retry_at().is_some());
    journal.absent.as_mut().unwrap().until = Instant::now();
    journal.flush();
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).unwrap();
    assert_eq!(message(&buffer[..count]), "early");
    assert!(texts(&mut journal).concat().starts_with("the journal is there again at "));
}

#[test]
fn one_that_never_comes_costs_bounded_memory_and_ever_fewer_looks() {
    let dir = Journald::new().kill();
    let mut journal = Journal::new(dir.path().join("socket"));
    let line = "x".repeat(1000);
    while journal.lost == 0 {
        journal.send(entry(&line));
    }
    assert!(journal.queued <= QUEUE_MAX);
    for _ in 0..9 {
        journal.absent.as_mut().unwrap().until = Instant::now();
        journal.flush();
    }
    assert_eq!(journal.absent.as_ref().unwrap().pause, AGAIN_MOST);
    assert_eq!(texts(&mut journal).len(), 1);
}

#[test]
fn a_journald_that_restarts_loses_nothing_of_what_comes_then() {
    let journald = Journald::new();
    let mut journal = Journal::new(journald.path());
    journal.send(entry("to the first"));
    assert_eq!(journald.take(), ["to the first"]);
    let dir = journald.kill();
    let socket = UnixDatagram::bind(dir.path().join("socket")).unwrap();
    journal.send(entry("to the second"));
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).unwrap();
    assert_eq!(message(&buffer[..count]), "to the second");
    assert!(texts(&mut journal).is_empty());
}

#[test]
fn a_standard_stream_is_known_by_device_and_inode() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let stat = fstat(&ours).unwrap();
    let named = format!("{}:{}", stat.st_dev, stat.st_ino);
    let (ours, theirs) = (ours.as_fd(), theirs.as_fd());
    assert!(is_journal(ours, theirs, Some(&named)));
    // Standard error is the journal, standard output is something else.
    assert!(!is_journal(theirs, ours, Some(&named)));
    for wrong in [None, Some(""), Some("1"), Some(":"), Some("1:x"), Some("1:2")] {
        assert!(!is_journal(ours, theirs, wrong), "{wrong:?}");
    }
}
