//! Writes to one file and rotates it, or to a stream that is not rotated. Whatever goes wrong is
//! an error; what becomes of the bytes then is for [`Sink`](super::sink::Sink) to decide.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};

use super::open::{is_device_name, may_hang, open_log};
use super::stream::Stream;
use crate::core::rotate::{Cut, Rotation};
use crate::model::message::Kind;
use crate::model::record::{Level, Record};
use crate::sys::failpoint;

/// How often what fails is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// For how long a file is only appended to after somebody else was seen to do so.
const SHARED: Duration = Duration::from_secs(60);

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

/// What happened to a file since it was last asked.
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
pub(super) struct Output {
    path: PathBuf,
    private: bool,
    rotation: Rotation,
    target: Target,
    id: Option<FileId>,
    /// Rotating fails; when to try again.
    rotation_fails: Option<Instant>,
    news: News,
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
    /// Splicing does nothing here that reading and writing would not do better.
    no_splice: bool,
    /// Until when others have to be reckoned with who append to it too.
    shared: Option<Instant>,
}

impl Regular {
    fn new(file: File, size: u64) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
        let append = flags.contains(OFlag::O_APPEND);
        let no_splice = may_hang(&file);
        Ok(Self { file, size, append, no_splice, shared: None })
    }

    fn takes_pipes(&self) -> bool {
        !self.no_splice && self.shared.is_none_or(|until| until <= Instant::now())
    }

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

impl Output {
    /// Nothing is open yet.
    pub(super) fn new(path: PathBuf, private: bool, rotation: Rotation) -> Self {
        Self {
            path,
            private,
            rotation,
            target: Target::Closed,
            id: None,
            rotation_fails: None,
            news: News::default(),
        }
    }

    /// A stream that is open already; `name` is what it is called.
    pub(super) fn stream(name: &str, file: File) -> Self {
        let mut output = Self::new(name.into(), false, Rotation::NEVER);
        output.target = Target::Stream(Stream::new(file));
        output
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is for its owner alone, and when it is rotated.
    pub(super) fn plan(&self) -> (bool, Rotation) {
        (self.private, self.rotation)
    }

    pub(super) fn set_rotation(&mut self, rotation: Rotation) {
        self.rotation = rotation;
    }

    pub(super) fn id(&self) -> Option<FileId> {
        self.id
    }

    /// Where the file ends; 0 for a stream.
    pub(super) fn size(&self) -> u64 {
        if let Target::Regular(regular) = &self.target { regular.size } else { 0 }
    }

    /// The stream, if it is one.
    pub(super) fn as_stream(&self) -> Option<BorrowedFd<'_>> {
        if let Target::Stream(stream) = &self.target { Some(stream.as_fd()) } else { None }
    }

    pub(super) fn take_news(&mut self) -> News {
        mem::take(&mut self.news)
    }

    /// Writes to this file from now on.
    pub(super) fn adopt(&mut self, file: File) -> io::Result<()> {
        let meta = file.metadata()?;
        self.id = Some(FileId::of(&meta));
        self.target = if meta.is_file() && !is_device_name(&self.path) {
            Target::Regular(Regular::new(file, meta.len())?)
        } else {
            Target::Stream(Stream::new(file))
        };
        self.news.rotations += 1;
        Ok(())
    }

    /// Opens the file by its name, after letting go of the one that is open.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.close();
        let file = open_log(&self.path, self.private)?;
        self.adopt(file)
    }

    /// Lets go of what is open.
    pub(super) fn close(&mut self) {
        self.target = Target::Closed;
        self.id = None;
    }

    /// Writes `rest`, and leaves in it what could not be written.
    pub(super) fn put(&mut self, rest: &mut &[u8], shape: Shape) -> io::Result<()> {
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
            failpoint::before_on("write", &self.path)?;
            let n = regular.file.write(&data[..n])?;
            regular.size += n as u64;
            return Ok(n);
        }
        match &self.target {
            Target::Stream(stream) => stream.write(data),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Whether [`splice`](Self::splice) may work, as far as is known without opening the file.
    pub(super) fn takes_pipes(&self) -> bool {
        match &self.target {
            Target::Closed => true,
            Target::Regular(regular) => regular.takes_pipes(),
            Target::Stream(_) => false,
        }
    }

    /// Moves up to `most` bytes from a pipe to the file, and no more than fit there before it is
    /// rotated. Each leaves the pipe by getting into the file, even if this process is killed
    /// meanwhile. Tells how many (0 is the end of the pipe) and whether that emptied it. Nothing is
    /// taken from the pipe when it fails.
    ///
    /// # Errors
    /// `WouldBlock` when the pipe is empty; [`ErrorKind::Unsupported`] when it cannot be done
    /// here; anything else is the file's trouble.
    pub(super) fn splice(
        &mut self,
        pipe: BorrowedFd<'_>,
        most: usize,
    ) -> io::Result<(usize, bool)> {
        let outcome = self.try_splice(pipe, most);
        if let Target::Regular(regular) = &mut self.target
            && outcome.as_ref().is_err_and(|e| e.raw_os_error() == Some(Errno::EINVAL as i32))
        {
            regular.no_splice = true;
            return Err(ErrorKind::Unsupported.into());
        }
        outcome
    }

    fn try_splice(&mut self, pipe: BorrowedFd<'_>, most: usize) -> io::Result<(usize, bool)> {
        if matches!(self.target, Target::Closed) {
            self.open()?;
        }
        self.refresh()?;
        if self.rotation.is_due(self.size()) {
            self.rotate()?;
        }
        let room = if self.rotation_fails.is_some() {
            most
        } else {
            usize::try_from(self.rotation.room(self.size())).unwrap_or(most)
        };
        let regular = match &mut self.target {
            Target::Regular(regular) if regular.takes_pipes() => regular,
            _ => return Err(ErrorKind::Unsupported.into()),
        };
        regular.set_append(false)?;
        let mut offset = i64::try_from(regular.size).map_err(io::Error::other)?;
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
        let most = most.min(room);
        failpoint::before_on("write", &self.path)?;
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
        match &self.target {
            Target::Closed => self.open()?,
            Target::Regular(_) => self.refresh()?,
            Target::Stream(_) => return Ok(()),
        }
        self.truncate()
    }

    /// Learns what others did to the file: one system call for a batch of output (upstream
    /// issue 402).
    fn refresh(&mut self) -> io::Result<()> {
        let Target::Regular(regular) = &mut self.target else { return Ok(()) };
        let meta = regular.file.metadata()?;
        if meta.nlink() == 0 {
            return self.open();
        }
        match meta.len().cmp(&regular.size) {
            Ordering::Less => self.news.truncations += 1,
            // What is spliced goes where the end was a moment ago, be it the end still or not.
            Ordering::Greater => regular.shared = Some(Instant::now() + SHARED),
            Ordering::Equal => {}
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
            let may = failpoint::before_on("rename", &from).map_err(io::Error::from);
            match may.and_then(|()| fs::rename(&from, &to)) {
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
            self.news.notices.push(Record::new(Level::Error, text).of(Kind::LogTrouble));
        }
        self.rotation_fails = Some(Instant::now() + RETRY);
    }
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
