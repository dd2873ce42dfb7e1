//! `tail -f`: woken by the log plane, never polling, and nothing missed (C-433).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::handle::LogHandle;
use super::output::{FileId, News};
use super::read::open_regular;
use crate::core::rotate::numbered;

/// What a follower prints when the file was emptied under it (C-433).
pub const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// How much a follower reads at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// How many rotated files may be missing in a row before the end of the row is assumed.
const GAP: u32 = 3;

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
            let mut bytes = self.read()?;
            if !bytes.is_empty() || !rotated {
                return Ok(bytes);
            }
            let Some(newer) = self.successor()? else {
                self.rotations = growth.rotations;
                return Ok(bytes);
            };
            // Now that there is a newer one, this file is complete: what came since the last look
            // was the last.
            bytes = self.read()?;
            if !bytes.is_empty() {
                return Ok(bytes);
            }
            self.file = newer;
            self.position = 0;
            self.truncations = growth.truncations;
        }
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; CHUNK];
        let n = self.file.read_at(&mut bytes, self.position)?;
        self.position += n as u64;
        bytes.truncate(n);
        Ok(bytes)
    }

    /// The file that was begun after the one that is open; none when there is none yet.
    ///
    /// Looks from the newest to the oldest and keeps each file open while it looks at the next:
    /// as rotation moves files the same way, none can slip by, whenever it happens.
    fn successor(&self) -> io::Result<Option<File>> {
        let own = FileId::of(&self.file.metadata()?);
        let (mut newest, mut newer) = (None, None);
        let mut gap = 0;
        for n in 0.. {
            match open_regular(&numbered(&self.path, n)) {
                Ok(file) if FileId::of(&file.metadata()?) == own => return Ok(newer),
                Ok(file) => {
                    gap = 0;
                    if n == 0 {
                        newest = Some(file.try_clone()?);
                    }
                    newer = Some(file);
                }
                // There is a gap while files are being renamed, or where one was removed.
                Err(_) if gap < GAP => gap += 1,
                Err(_) => break,
            }
        }
        // The old file is gone from here; what was between is unknown.
        Ok(newest)
    }
}
