//! `tail -f`: woken by the log plane, never polling, and nothing missed (C-433).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::handle::LogHandle;
use super::read::open_regular;
use super::sink::{FileId, News};
use crate::core::rotate::numbered;

/// What a follower prints when the file was emptied under it (C-433).
pub const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// How much a follower reads at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// What has happened to a log since the subscription began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Growth {
    /// How many times the name got another file.
    pub rotations: u64,
    /// How many times the file was emptied.
    pub truncations: u64,
    /// Its size in bytes, as the plane knows it.
    pub size: u64,
}

/// The plane's side: who wants to know.
#[derive(Debug, Default)]
pub(super) struct Follows {
    by_path: HashMap<PathBuf, Vec<watch::Sender<Growth>>>,
}

impl Follows {
    pub(super) fn add(&mut self, path: PathBuf, growth: watch::Sender<Growth>) {
        // The first look may have been before this moment.
        growth.send_modify(|_| {});
        self.forget_the_gone();
        self.by_path.entry(path).or_default().push(growth);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    pub(super) fn tell<'a>(
        &mut self,
        names: impl Iterator<Item = &'a Path>,
        news: &News,
        size: u64,
    ) {
        let mut someone_left = false;
        for name in names {
            for growth in self.by_path.get(name).into_iter().flatten() {
                someone_left |= growth.is_closed();
                growth.send_modify(|growth| {
                    growth.rotations += news.rotations;
                    growth.truncations += news.truncations;
                    growth.size = size;
                });
            }
        }
        if someone_left {
            self.forget_the_gone();
        }
    }

    fn forget_the_gone(&mut self) {
        self.by_path.retain(|_, list| {
            list.retain(|growth| !growth.is_closed());
            !list.is_empty()
        });
    }
}

/// Reads a log from near its end, and then everything that is appended, across rotations.
#[derive(Debug)]
pub struct Follower {
    growth: watch::Receiver<Growth>,
    /// Between two looks.
    cursor: Option<Cursor>,
    /// During a look; it goes on when whoever waits for it is cancelled.
    looking: Option<JoinHandle<Look>>,
    plane_stopped: bool,
}

type Look = io::Result<(Cursor, Vec<u8>)>;

impl Follower {
    /// Follows the log at `path`, from `head` bytes before its end (from its beginning when it is
    /// shorter).
    ///
    /// # Errors
    /// What the system says of the file.
    pub async fn open(handle: &LogHandle, path: PathBuf, head: u64) -> io::Result<Self> {
        // Subscribe before looking: what comes in between is told, and found to be known.
        let growth = handle.follow(path.clone());
        let opening = spawn_blocking(move || Cursor::open(path, head));
        let cursor = opening.await.map_err(io::Error::other)??;
        Ok(Self { growth, cursor: Some(cursor), looking: None, plane_stopped: false })
    }

    /// The next bytes, at most 64 KiB; never empty. `None` when the log plane has stopped and
    /// everything was read. It may be cancelled and called again.
    ///
    /// # Errors
    /// What the system says of the file; after that it is `None`.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(mut cursor) = self.cursor.take() {
                let growth = *self.growth.borrow_and_update();
                self.looking = Some(spawn_blocking(move || {
                    let bytes = cursor.step(growth)?;
                    Ok((cursor, bytes))
                }));
            }
            let Some(looking) = &mut self.looking else { return Ok(None) };
            let look = looking.await.map_err(io::Error::other);
            self.looking = None;
            let (cursor, bytes) = look??;
            if !bytes.is_empty() {
                self.cursor = Some(cursor);
                return Ok(Some(bytes));
            }
            // The last look comes after the news that there will be no more.
            if self.plane_stopped {
                return Ok(None);
            }
            self.cursor = Some(cursor);
            self.plane_stopped = self.growth.changed().await.is_err();
        }
    }
}

/// Where a follower is.
#[derive(Debug)]
struct Cursor {
    path: PathBuf,
    file: File,
    position: u64,
    rotations: u64,
    truncations: u64,
}

impl Cursor {
    fn open(path: PathBuf, head: u64) -> io::Result<Self> {
        let file = open_regular(&path)?;
        let position = file.metadata()?.len().saturating_sub(head);
        Ok(Self { path, file, position, rotations: 0, truncations: 0 })
    }

    /// The next bytes, or none when there are none yet.
    fn step(&mut self, growth: Growth) -> io::Result<Vec<u8>> {
        loop {
            let rotated = growth.rotations != self.rotations;
            if !rotated && growth.truncations != self.truncations {
                self.truncations = growth.truncations;
                self.position = 0;
                return Ok(TRUNCATED.to_vec());
            }
            let mut bytes = vec![0; CHUNK];
            let n = self.file.read_at(&mut bytes, self.position)?;
            if n > 0 {
                self.position += n as u64;
                bytes.truncate(n);
                return Ok(bytes);
            }
            if !rotated {
                return Ok(Vec::new());
            }
            // The old file is complete and read: go to the one after it.
            match self.successor()? {
                Some(file) => {
                    self.file = file;
                    self.position = 0;
                }
                None => self.rotations = growth.rotations,
            }
            self.truncations = growth.truncations;
        }
    }

    /// The file that was begun after the one that is open; none when that is the current one.
    fn successor(&self) -> io::Result<Option<File>> {
        let own = FileId::of(&self.file.metadata()?);
        loop {
            let Some(age) = self.age(own) else { return self.current() };
            let Some(newer) = age.checked_sub(1) else { return Ok(None) };
            match open_regular(&numbered(&self.path, newer)) {
                Ok(file) if self.age(own) == Some(age) => return Ok(Some(file)),
                // The file of that name is not made yet; its making will be told.
                Err(error) if error.kind() == io::ErrorKind::NotFound && newer == 0 => {
                    return Ok(None);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // Rotated again meanwhile.
                _ => {}
            }
        }
    }

    fn current(&self) -> io::Result<Option<File>> {
        match open_regular(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// The number of the rotated file that this one is now; none when it is gone.
    fn age(&self, own: FileId) -> Option<u32> {
        for n in 0.. {
            match fs::metadata(numbered(&self.path, n)) {
                Ok(meta) if FileId::of(&meta) == own => return Some(n),
                Err(_) if n > 0 => return None,
                _ => {}
            }
        }
        None
    }
}
