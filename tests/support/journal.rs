//! journald's side of its native protocol: a socket that takes entries.

use std::collections::BTreeMap;
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::PATIENCE;

/// Names the socket to the daemon.
pub const VARIABLE: &str = "SUPERVISOR_JOURNAL_SOCKET";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    fields: BTreeMap<String, Vec<u8>>,
    /// It came as a file in memory.
    pub in_memory: bool,
}

impl Entry {
    /// The text of a field; empty when there is none.
    pub fn get(&self, name: &str) -> String {
        String::from_utf8_lossy(self.bytes(name)).into_owned()
    }

    /// The value of a field.
    pub fn bytes(&self, name: &str) -> &[u8] {
        self.fields.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names of its fields, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.fields.keys().map(String::as_str).collect()
    }
}

/// A socket as journald has one.
pub struct Journald {
    socket: UnixDatagram,
    path: PathBuf,
    seen: Vec<Entry>,
}

impl Journald {
    /// Binds it at a path that does not exist yet.
    pub fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        Self { socket, path: path.to_owned(), seen: Vec::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What came so far, as far as it was waited for.
    pub fn seen(&self) -> &[Entry] {
        &self.seen
    }

    /// Waits for the first entry that is as wanted, among those that came already, too.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&mut self, what: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
        if let Some(entry) = self.seen.iter().find(|entry| wanted(entry)) {
            return entry.clone();
        }
        let end = Instant::now() + PATIENCE;
        loop {
            let entry = self.next(end).unwrap_or_else(|| {
                let messages: Vec<_> = self.seen.iter().map(|entry| entry.get("MESSAGE")).collect();
                panic!("no {what} came to the journal, but {messages:#?}");
            });
            self.seen.push(entry.clone());
            if wanted(&entry) {
                return entry;
            }
        }
    }

    /// Waits for an entry with this text in its message.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect_message(&mut self, text: &str) -> Entry {
        self.expect(text, |entry| entry.get("MESSAGE").contains(text))
    }

    /// Whether nothing waits to be read.
    pub fn is_empty(&self) -> bool {
        self.socket.set_nonblocking(true).expect("a flag");
        let outcome = self.socket.recv(&mut [0; 1]);
        self.socket.set_nonblocking(false).expect("a flag");
        outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    fn next(&self, end: Instant) -> Option<Entry> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        self.socket.set_read_timeout(Some(left)).expect("a timeout above zero");
        let mut buffer = vec![0; 1 << 20];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let fd = self.socket.as_raw_fd();
        let received =
            recvmsg::<()>(fd, &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC).ok()?;
        let (count, mut passed) = (received.bytes, Vec::new());
        for message in received.cmsgs().expect("room for them") {
            if let ControlMessageOwned::ScmRights(fds) = message {
                passed.extend(fds);
            }
        }
        match passed[..] {
            [] => Some(Entry { fields: decode(&buffer[..count]), in_memory: false }),
            [fd] => {
                assert_eq!(count, 0, "a file comes alone");
                let mut file = std::fs::File::open(format!("/proc/self/fd/{fd}")).expect("a file");
                nix::unistd::close(fd).expect("it was open");
                let seals = fcntl(&file, FcntlArg::F_GET_SEALS).expect("it can be sealed");
                assert_eq!(seals, 0b1111, "journald takes no file that may still change");
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).expect("its contents");
                Some(Entry { fields: decode(&bytes), in_memory: true })
            }
            _ => panic!("more than one file: {passed:?}"),
        }
    }
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The fields of an entry.
fn decode(mut bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|&b| b == b'\n').expect("a line");
        let line = &bytes[..end];
        let (name, value, rest) = if let Some(at) = line.iter().position(|&b| b == b'=') {
            (&line[..at], &line[at + 1..], &bytes[end + 1..])
        } else {
            let (length, rest) = bytes[end + 1..].split_first_chunk::<8>().expect("a length");
            let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fits");
            assert_eq!(rest[length], b'\n', "a newline after the value");
            (line, &rest[..length], &rest[length + 1..])
        };
        let name = String::from_utf8(name.to_vec()).expect("a name");
        let earlier = fields.insert(name, value.to_vec());
        assert!(earlier.is_none(), "a field comes twice");
        bytes = rest;
    }
    fields
}
