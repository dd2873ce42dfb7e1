//! A place where output ends up, and what becomes of it when that place takes nothing: a bounded
//! part is held back, the trouble is said once, and it is tried again.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::open::is_device_name;
use super::output::{FileId, News, Output, RETRY, Shape, why};
use crate::core::rotate::Rotation;
use crate::model::message::Kind;
use crate::model::record::{Level, Record};

/// What a sink that cannot write holds back, in bytes; more is dropped and counted.
const HELD_MAX: usize = 256 * 1024;

/// What happens when writing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Hold output back, say so, try again.
    Retry,
    /// Never write again: for copies that nobody misses.
    GiveUp,
}

/// What a sink held back when it went to another daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub path: PathBuf,
    pub private: bool,
    pub rotation: Rotation,
    pub bytes: Vec<u8>,
    pub lost: u64,
}

#[derive(Debug)]
pub(super) struct Sink {
    output: Output,
    /// Other names under which programs know the same file.
    aliases: Vec<PathBuf>,
    on_failure: OnFailure,
    held: Vec<u8>,
    lost: u64,
    /// Writing fails; when to try again.
    failing: Option<Instant>,
    /// The stream takes nothing at the moment.
    blocked: bool,
    notices: Vec<Record>,
    /// How many pipes (and the main log) end here.
    pub users: usize,
}

impl Sink {
    /// A sink that has no file yet; it is opened when something is written.
    pub(super) fn new(path: PathBuf, private: bool, rotation: Rotation) -> Self {
        Self::on(Output::new(path, private, rotation), OnFailure::Retry)
    }

    /// A sink on a stream that is written to as long as it works (C-384).
    pub(super) fn copy_to(name: &str, file: File) -> Self {
        Self::on(Output::stream(name, file), OnFailure::GiveUp)
    }

    fn on(output: Output, on_failure: OnFailure) -> Self {
        Self {
            output,
            aliases: Vec::new(),
            on_failure,
            held: Vec::new(),
            lost: 0,
            failing: None,
            blocked: false,
            notices: Vec::new(),
            users: 0,
        }
    }

    /// Opens the file, for whoever wants to know now whether it can be opened.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.output.open()
    }

    /// Writes to this file from now on. One that cannot be looked at is opened again when
    /// something is written.
    pub(super) fn adopt(&mut self, file: File) {
        if self.output.adopt(file).is_ok() && self.is_holding() {
            self.resume();
        }
    }

    pub(super) fn id(&self) -> Option<FileId> {
        self.output.id()
    }

    /// All names under which it may be followed.
    pub(super) fn names(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.output.path()).chain(self.aliases.iter().map(PathBuf::as_path))
    }

    /// Another name for the same file.
    pub(super) fn also_named(&mut self, path: &Path) {
        if !self.names().any(|name| name == path) {
            self.aliases.push(path.to_path_buf());
        }
    }

    pub(super) fn set_rotation(&mut self, rotation: Rotation) {
        self.output.set_rotation(rotation);
    }

    /// What another daemon has to write where this is written; none when all is, or when it is a
    /// copy.
    pub(super) fn hand_over(&mut self) -> Option<Held> {
        let bytes = mem::take(&mut self.held);
        let lost = mem::take(&mut self.lost);
        let leaves = self.on_failure == OnFailure::Retry && (!bytes.is_empty() || lost > 0);
        leaves.then(|| {
            let (private, rotation) = self.output.plan();
            Held { path: self.output.path().to_owned(), private, rotation, bytes, lost }
        })
    }

    /// Goes on where another daemon stopped. Nothing was written yet.
    pub(super) fn take_over(&mut self, held: Vec<u8>, lost: u64) {
        (self.held, self.lost) = (held, lost);
        self.resume();
    }

    /// Where it is written, and how many bytes are held back or lost.
    pub(super) fn unwritten(&self) -> (&Path, u64) {
        (self.output.path(), self.held.len() as u64 + self.lost)
    }

    /// Where the file ends; 0 for a stream.
    pub(super) fn size(&self) -> u64 {
        self.output.size()
    }

    pub(super) fn take_news(&mut self) -> News {
        let mut news = self.output.take_news();
        news.notices.append(&mut self.notices);
        news
    }

    /// When to [`resume`](Self::resume) although nothing is ready.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.failing
    }

    /// The stream to wait for before [`resume`](Self::resume).
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_stream().filter(|_| self.blocked)
    }

    /// Whether output is held back.
    pub(super) fn is_holding(&self) -> bool {
        self.blocked || self.failing.is_some()
    }

    /// Whether whoever writes here should wait, as if he wrote to the slow stream himself.
    pub(super) fn is_congested(&self) -> bool {
        self.blocked && self.held.len() >= HELD_MAX
    }

    /// Writes, or holds back what cannot be written now. Never fails: what goes wrong is news.
    pub(super) fn write(&mut self, data: &[u8], shape: Shape) {
        let mut rest = data;
        if !self.is_holding() {
            match self.output.put(&mut rest, shape) {
                Ok(()) => return,
                Err(error) => self.failed(&error),
            }
        }
        self.hold(rest);
    }

    /// Tries again to write what was held back.
    pub(super) fn resume(&mut self) {
        let held = mem::take(&mut self.held);
        let mut rest = held.as_slice();
        match self.output.put(&mut rest, Shape::Bytes) {
            Ok(()) => self.recovered(),
            Err(error) => {
                self.failed(&error);
                self.held = rest.to_vec();
            }
        }
    }

    /// Whether output can be moved here from a pipe, as far as is known.
    pub(super) fn takes_pipes(&self) -> bool {
        !self.is_holding() && self.output.takes_pipes()
    }

    /// Moves up to `most` bytes from a pipe to the file, as [`Output::splice`] does; the file's
    /// trouble is noted.
    pub(super) fn splice(
        &mut self,
        pipe: BorrowedFd<'_>,
        most: usize,
    ) -> io::Result<(usize, bool)> {
        if !self.takes_pipes() {
            return Err(ErrorKind::Unsupported.into());
        }
        let outcome = self.output.splice(pipe, most);
        if let Err(error) = &outcome
            && !is_passing(error)
        {
            self.failed(error);
        }
        outcome
    }

    /// Forgets what is in the file. Streams are left alone.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.held.clear();
        self.lost = 0;
        self.output.clear()
    }

    /// Lets go of the file and opens it by name again (C-378). What stands for an open
    /// descriptor stays.
    pub(super) fn reopen(&mut self) {
        if self.on_failure == OnFailure::GiveUp || is_device_name(self.output.path()) {
            return;
        }
        if let Err(error) = self.output.open() {
            self.failed(&error);
        } else if self.is_holding() {
            self.resume();
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if error.kind() == ErrorKind::WouldBlock {
            self.blocked = true;
            self.failing = None;
            return;
        }
        self.blocked = false;
        // A stream may work when it is opened again; a file is the same one until somebody
        // removes it.
        if self.output.as_stream().is_some() {
            self.output.close();
        }
        if self.failing.is_none() && self.on_failure == OnFailure::Retry {
            let text = format!(
                "can't write log {}: {}; up to {} KiB of output are held back until it works",
                self.output.path().display(),
                why(error),
                HELD_MAX / 1024
            );
            self.notices.push(Record::new(Level::Error, text).of(Kind::LogTrouble));
        }
        self.failing = Some(Instant::now() + RETRY);
    }

    fn recovered(&mut self) {
        let (was_failing, lost) = (self.failing.take().is_some(), mem::take(&mut self.lost));
        self.blocked = false;
        let path = self.output.path().display();
        let text = match (was_failing, lost) {
            (false, 0) => return,
            (true, 0) => format!("log {path} can be written again, nothing was lost"),
            (_, lost) => format!("log {path} can be written again, {lost} bytes were lost"),
        };
        self.notices.push(Record::new(Level::Warn, text));
    }

    /// Keeps what fits. A stream that is merely slow gets all of a piece: its writers are made to
    /// wait when there is too much.
    fn hold(&mut self, data: &[u8]) {
        let room = HELD_MAX.saturating_sub(self.held.len());
        let keep = match self.on_failure {
            OnFailure::GiveUp if self.failing.is_some() => return self.give_up(),
            _ if self.blocked && room > 0 => data.len(),
            _ => data.len().min(room),
        };
        self.held.extend_from_slice(&data[..keep]);
        self.lost += (data.len() - keep) as u64;
    }

    fn give_up(&mut self) {
        self.held = Vec::new();
        self.output.close();
    }

    /// Whether a copy has stopped for good.
    pub(super) fn has_given_up(&self) -> bool {
        self.on_failure == OnFailure::GiveUp && self.failing.is_some()
    }
}

/// Errors that say nothing about the file.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::Unsupported)
}
