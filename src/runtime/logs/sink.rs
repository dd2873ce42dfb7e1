//! One place where output ends up: a file that is rotated, or a stream that is not.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};

use super::open::{is_device_name, open_log};
use super::stream::Stream;
use crate::core::rotate::{Cut, Rotation};
use crate::model::record::{Level, Record};

/// What a sink that cannot write holds back, in bytes; more is dropped and counted.
pub(super) const HELD_MAX: usize = 256 * 1024;

/// How often a sink that cannot write is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Which file it is, whatever its names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    dev: u64,
    ino: u64,
}

impl FileId {
    pub(super) fn of(meta: &fs::Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino() }
    }
}

/// How the output may be cut between two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Anywhere.
    Bytes,
    /// It is made of whole lines, which stay whole.
    Lines,
}

/// What happens when writing fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Hold output back, say so, try again.
    Retry,
    /// Never write again: for copies that nobody misses.
    GiveUp,
}

/// What happened to a sink since it was last asked.
#[derive(Debug, Default)]
pub(super) struct News {
    /// How many times the name got another file.
    pub rotations: u64,
    /// How many times the file was cut to nothing.
    pub truncations: u64,
    /// Bytes were written.
    pub grew: bool,
    /// What to tell in the daemon's log.
    pub notices: Vec<Record>,
}

#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    /// Other names under which programs know the same file.
    aliases: Vec<PathBuf>,
    private: bool,
    rotation: Rotation,
    on_failure: OnFailure,
    target: Target,
    id: Option<FileId>,
    held: Vec<u8>,
    lost: u64,
    /// Writing fails; when to try again.
    failing: Option<Instant>,
    /// The stream takes nothing at the moment.
    blocked: bool,
    /// Rotating fails; when to try again.
    rotation_fails: Option<Instant>,
    /// The file system does not do it.
    no_splice: bool,
    news: News,
    /// How many pipes (and the main log) end here.
    pub users: usize,
}

#[derive(Debug)]
enum Target {
    Closed,
    Regular(Regular),
    Stream(Stream),
}

/// A regular file and where it ends, as far as is known.
#[derive(Debug)]
struct Regular {
    file: File,
    size: u64,
    append: bool,
}

impl Regular {
    /// Splicing refuses O_APPEND; everything else is safer with it, should others write too.
    fn set_append(&mut self, append: bool) -> io::Result<()> {
        if self.append != append {
            let mut flags = OFlag::from_bits_retain(fcntl(&self.file, FcntlArg::F_GETFL)?);
            flags.set(OFlag::O_APPEND, append);
            fcntl(&self.file, FcntlArg::F_SETFL(flags))?;
            self.append = append;
        }
        Ok(())
    }
}

impl Sink {
    /// A sink that has no file yet; it is opened when something is written.
    pub(super) fn new(path: PathBuf, private: bool, rotation: Rotation) -> Self {
        Self {
            path,
            aliases: Vec::new(),
            private,
            rotation,
            on_failure: OnFailure::Retry,
            target: Target::Closed,
            id: None,
            held: Vec::new(),
            lost: 0,
            failing: None,
            blocked: false,
            rotation_fails: None,
            no_splice: false,
            news: News::default(),
            users: 0,
        }
    }

    /// A sink on a stream that is written to as long as it works (C-384).
    pub(super) fn copy_to(name: &str, file: File) -> Self {
        let mut sink = Self::new(name.into(), false, Rotation::NEVER);
        sink.target = Target::Stream(Stream::new(file));
        sink.on_failure = OnFailure::GiveUp;
        sink
    }

    /// Writes to this file from now on.
    pub(super) fn adopt(&mut self, file: File) -> io::Result<()> {
        let meta = file.metadata()?;
        self.id = Some(FileId::of(&meta));
        self.no_splice = false;
        self.target = if meta.is_file() && !is_device_name(&self.path) {
            let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
            let append = flags.contains(OFlag::O_APPEND);
            Target::Regular(Regular { file, size: meta.len(), append })
        } else {
            Target::Stream(Stream::new(file))
        };
        self.news.rotations += 1;
        Ok(())
    }

    /// Opens the file by its name, after letting go of the one that is open.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.target = Target::Closed;
        self.id = None;
        let file = open_log(&self.path, self.private)?;
        self.adopt(file)
    }

    pub(super) fn id(&self) -> Option<FileId> {
        self.id
    }

    /// All names under which it may be followed.
    pub(super) fn names(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.path).chain(&self.aliases).map(PathBuf::as_path)
    }

    /// Another name for the same file.
    pub(super) fn also_named(&mut self, path: &Path) {
        if !self.names().any(|name| name == path) {
            self.aliases.push(path.to_path_buf());
        }
    }

    pub(super) fn set_rotation(&mut self, rotation: Rotation) {
        self.rotation = rotation;
    }

    /// Where it is written, and how many bytes are held back or lost.
    pub(super) fn unwritten(&self) -> (&Path, u64) {
        (&self.path, self.held.len() as u64 + self.lost)
    }

    /// Where the file ends; 0 for a stream.
    pub(super) fn size(&self) -> u64 {
        if let Target::Regular(regular) = &self.target { regular.size } else { 0 }
    }

    pub(super) fn take_news(&mut self) -> News {
        mem::take(&mut self.news)
    }

    /// When to [`resume`](Self::resume) although nothing is ready.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.failing
    }

    /// The stream to wait for before [`resume`](Self::resume).
    pub(super) fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        match &self.target {
            Target::Stream(stream) if self.blocked => Some(stream.as_fd()),
            _ => None,
        }
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
            match self.put(&mut rest, shape) {
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
        match self.put(&mut rest, Shape::Bytes) {
            Ok(()) => self.recovered(),
            Err(error) => {
                self.failed(&error);
                self.held = rest.to_vec();
            }
        }
    }

    /// Moves up to `most` bytes from a pipe to the file without a copy through this process.
    /// Nothing is taken from the pipe when it fails. Tells how many (0 is the end of the pipe)
    /// and whether that emptied it.
    ///
    /// # Errors
    /// `WouldBlock` when the pipe is empty; [`ErrorKind::Unsupported`] when this is no file to do
    /// so; anything else is the file's trouble, already noted.
    pub(super) fn splice(
        &mut self,
        pipe: BorrowedFd<'_>,
        most: usize,
    ) -> io::Result<(usize, bool)> {
        if self.is_holding() || self.users > 1 || self.no_splice {
            return Err(ErrorKind::Unsupported.into());
        }
        let outcome = self.try_splice(pipe, most);
        match &outcome {
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                self.no_splice = true;
                return Err(ErrorKind::Unsupported.into());
            }
            Err(error) if !is_passing(error) => self.failed(error),
            _ => {}
        }
        outcome
    }

    fn try_splice(&mut self, pipe: BorrowedFd<'_>, most: usize) -> io::Result<(usize, bool)> {
        self.refresh()?;
        if self.rotation.is_due(self.size()) {
            self.rotate()?;
        }
        let room = if self.rotation_fails.is_some() {
            most
        } else {
            usize::try_from(self.rotation.room(self.size())).unwrap_or(most)
        };
        let Target::Regular(regular) = &mut self.target else {
            return Err(ErrorKind::Unsupported.into());
        };
        regular.set_append(false)?;
        let mut offset = i64::try_from(regular.size).map_err(io::Error::other)?;
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        let most = most.min(room);
        let n = splice(pipe, None, &regular.file, Some(&mut offset), most, flags)?;
        regular.size += n as u64;
        self.news.grew |= n > 0;
        // The bytes are written; if rotating fails now, the next write finds out.
        if self.rotation.is_due(self.size()) && self.rotate().is_err() {
            self.target = Target::Closed;
        }
        Ok((n, n < most))
    }

    /// Forgets what is in the file. Streams are left alone.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.held.clear();
        self.lost = 0;
        match &self.target {
            Target::Closed => self.open()?,
            Target::Regular(_) => self.refresh()?,
            Target::Stream(_) => return Ok(()),
        }
        self.truncate()
    }

    /// Lets go of the file and opens it by name again (C-378). What stands for an open
    /// descriptor stays.
    pub(super) fn reopen(&mut self) {
        if self.on_failure == OnFailure::GiveUp || is_device_name(&self.path) {
            return;
        }
        if let Err(error) = self.open() {
            self.failed(&error);
        } else if self.is_holding() {
            self.resume();
        }
    }

    fn put(&mut self, rest: &mut &[u8], shape: Shape) -> io::Result<()> {
        if matches!(self.target, Target::Closed) {
            self.open()?;
        }
        self.refresh()?;
        while !rest.is_empty() {
            let n = match self.put_piece(rest, shape) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) if !rest.is_empty() => return Err(ErrorKind::WriteZero.into()),
                outcome => outcome?,
            };
            *rest = &rest[n..];
            self.news.grew = true;
            if self.rotation.is_due(self.size()) {
                self.rotate()?;
            }
        }
        Ok(())
    }

    /// Writes what fits into the file that is open, or rotates to one where something fits.
    fn put_piece(&mut self, data: &[u8], shape: Shape) -> io::Result<usize> {
        if let Target::Regular(regular) = &mut self.target {
            let cut = match shape {
                Shape::Bytes => self.rotation.cut(regular.size, data),
                Shape::Lines => self.rotation.cut_lines(regular.size, data),
            };
            let n = match cut {
                _ if self.rotation_fails.is_some() => data.len(),
                Cut::Write(n) => n,
                Cut::Rotate => {
                    self.rotate()?;
                    return self.put_piece(data, shape);
                }
            };
            regular.set_append(true)?;
            let n = regular.file.write(&data[..n])?;
            regular.size += n as u64;
            return Ok(n);
        }
        match &self.target {
            Target::Stream(stream) => stream.write(data),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Learns what others did to the file: one system call for a batch of output (USERS 9).
    fn refresh(&mut self) -> io::Result<()> {
        let Target::Regular(regular) = &mut self.target else { return Ok(()) };
        let meta = regular.file.metadata()?;
        if meta.nlink() == 0 {
            return self.open();
        }
        if meta.len() < regular.size {
            self.news.truncations += 1;
        }
        regular.size = meta.len();
        Ok(())
    }

    /// Frees the name and opens a new file under it, or truncates when no backup is kept (C-374).
    /// A rename that fails is said once; the file grows on until it works.
    fn rotate(&mut self) -> io::Result<()> {
        if self.rotation_fails.is_some_and(|retry| Instant::now() < retry) {
            return Ok(());
        }
        if !self.rotation.keeps_backups() {
            return self.truncate();
        }
        let is_ours = fs::metadata(&self.path).is_ok_and(|meta| self.id == Some(FileId::of(&meta)));
        // If the name leads elsewhere, somebody else has rotated it.
        if is_ours && let Err((from, error)) = self.rename_backups() {
            self.rotation_failed(&from, &error);
            return Ok(());
        }
        self.rotation_fails = None;
        self.open()
    }

    fn rename_backups(&self) -> Result<(), (PathBuf, io::Error)> {
        for (from, to) in self.rotation.renames(&self.path, |path| path.symlink_metadata().is_ok())
        {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err((from, error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn truncate(&mut self) -> io::Result<()> {
        if let Target::Regular(regular) = &mut self.target {
            regular.file.set_len(0)?;
            regular.size = 0;
            self.news.truncations += 1;
        }
        Ok(())
    }

    fn rotation_failed(&mut self, from: &Path, error: &io::Error) {
        if self.rotation_fails.is_none() {
            let text = format!("can't rotate log {}: {}; it grows on", from.display(), why(error));
            self.news.notices.push(Record::new(Level::Error, text));
        }
        self.rotation_fails = Some(Instant::now() + RETRY);
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
        if matches!(self.target, Target::Stream(_)) {
            self.target = Target::Closed;
        }
        if self.failing.is_none() && self.on_failure == OnFailure::Retry {
            let text = format!(
                "can't write log {}: {}; up to {} KiB of output are held back until it works",
                self.path.display(),
                why(error),
                HELD_MAX / 1024
            );
            self.news.notices.push(Record::new(Level::Error, text));
        }
        self.failing = Some(Instant::now() + RETRY);
    }

    fn recovered(&mut self) {
        let (was_failing, lost) = (self.failing.take().is_some(), mem::take(&mut self.lost));
        self.blocked = false;
        let path = self.path.display();
        let text = match (was_failing, lost) {
            (false, 0) => return,
            (true, 0) => format!("log {path} can be written again, nothing was lost"),
            (_, lost) => format!("log {path} can be written again, {lost} bytes were lost"),
        };
        self.news.notices.push(Record::new(Level::Warn, text));
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
        self.target = Target::Closed;
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

/// An error as a person looks it up: the name of the errno, and what it means.
pub(super) fn why(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(
        || error.to_string(),
        |code| {
            let errno = Errno::from_raw(code);
            format!("{errno:?} ({})", errno.desc())
        },
    )
}
