//! The pid file, which is also the lock that keeps a second daemon out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

/// Why there is no pid file.
#[derive(Debug, Error)]
pub enum PidFileError {
    /// Another daemon runs with this pid file.
    #[error(
        "Another supervisord is already running{} (it holds the pid file {})",
        pid.map_or_else(String::new, |pid| format!(" with pid {pid}")),
        path.display()
    )]
    Held {
        /// The file.
        path: PathBuf,
        /// What is written there.
        pid: Option<i32>,
    },
    /// It cannot be written: a reason for a critical log line, not for giving up (C-130).
    #[error("could not write pidfile {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The pid file of this daemon: locked for as long as this lives.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    /// Some for a regular file: nothing else (`/dev/null`) is locked, or removed.
    identity: Option<(u64, u64)>,
    file: Holder,
    /// Why the pid does not stand in it.
    problem: Option<PidFileError>,
}

/// The open file, with its lock or on a file system that has none.
#[derive(Debug)]
enum Holder {
    Locked(Flock<File>),
    Open(File),
}

impl PidFile {
    /// Opens and locks the file and writes this process's pid and a newline. A file that nobody
    /// holds, left from another run, is taken over. Its mode is that of the mask (C-130). One that
    /// has no room for the pid is a lock all the same.
    ///
    /// Call it in the process that stays: after daemonizing.
    ///
    /// # Errors
    /// Another daemon holds it, or it cannot be opened.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let unwritable = |source| PidFileError::Unwritable { path: path.to_owned(), source };
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
                .open(path)
                .map_err(unwritable)?;
            let found = file.metadata().map_err(unwritable)?;
            if !found.is_file() {
                let problem = write_pid(&file).map_err(unwritable).err();
                return Ok(Self {
                    path: path.to_owned(),
                    identity: None,
                    file: Holder::Open(file),
                    problem,
                });
            }
            let identity = (found.dev(), found.ino());
            let (holder, written) = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => {
                    // The one that held it may have removed it meanwhile: then it is no lock.
                    if identity_of(path) != Some(identity) {
                        continue;
                    }
                    let written = write_pid(&locked);
                    (Holder::Locked(locked), written)
                }
                Err((file, Errno::EWOULDBLOCK)) => {
                    return Err(PidFileError::Held { path: path.to_owned(), pid: read_pid(file) });
                }
                // A file system without locks.
                Err((file, _)) => {
                    let written = write_pid(&file);
                    (Holder::Open(file), written)
                }
            };
            let problem = written.map_err(unwritable).err();
            let (path, identity) = (path.to_owned(), Some(identity));
            return Ok(Self { path, identity, file: holder, problem });
        }
    }

    /// Why the pid does not stand in it; none when it does.
    #[must_use]
    pub fn problem(&self) -> Option<&PidFileError> {
        self.problem.as_ref()
    }

    /// Another handle on it, for another program in this process, and what it is known by. The
    /// lock holds as long as one of them is open.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn share(&self) -> io::Result<(OwnedFd, Option<(u64, u64)>)> {
        let file: &File = match &self.file {
            Holder::Locked(file) => file,
            Holder::Open(file) => file,
        };
        Ok((file.try_clone()?.into(), self.identity))
    }

    /// Goes on with a pid file that was shared.
    #[must_use]
    pub fn adopt(path: &Path, fd: OwnedFd, identity: Option<(u64, u64)>) -> Self {
        Self { path: path.to_owned(), identity, file: Holder::Open(fd.into()), problem: None }
    }

    /// Removes the file, unless it is another's by now (C-131).
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn remove(self) -> io::Result<()> {
        match self.identity {
            Some(identity) if identity_of(&self.path) == Some(identity) => {
                fs::remove_file(&self.path)
            }
            _ => Ok(()),
        }
    }
}

/// Refuses when another daemon holds this pid file. Changes nothing: for a check before
/// daemonizing, while there is somebody to tell.
///
/// # Errors
/// [`PidFileError::Held`] only.
pub fn check_free(path: &Path) -> Result<(), PidFileError> {
    let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) else {
        return Ok(());
    };
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Err((file, Errno::EWOULDBLOCK)) => {
            Err(PidFileError::Held { path: path.to_owned(), pid: read_pid(file) })
        }
        _ => Ok(()),
    }
}

fn write_pid(mut file: &File) -> io::Result<()> {
    // A device has no length.
    match file.set_len(0) {
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => return Err(error),
        _ => {}
    }
    let _ = file.rewind();
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn read_pid(file: File) -> Option<i32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Device and inode of what is at this path.
fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

    #[test]
    fn the_file_holds_the_pid_and_goes_at_the_end() {
        // C-130, C-131
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.pid");
        fs::write(&path, "99999999 left from another run\n").unwrap();
        check_free(&path).unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", own_pid()));
        file.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_second_daemon_is_told_the_pid_of_the_first() {
        // C-130
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.pid");
        check_free(&path).unwrap();
        let first = PidFile::create(&path).unwrap();
        for error in [check_free(&path).unwrap_err(), PidFile::create(&path).unwrap_err()] {
            assert!(
                matches!(error, PidFileError::Held { pid: Some(pid), .. } if pid == own_pid()),
                "{error}"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", own_pid()));
        drop(first);
        PidFile::create(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_anothers_by_now_stays() {
        // C-131
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.pid");
        let first = PidFile::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = PidFile::create(&path).unwrap();
        first.remove().unwrap();
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
        second.remove().unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        // C-130
        let error = PidFile::create(Path::new("/nonexistent/d.pid")).unwrap_err();
        assert_eq!(error.to_string(), "could not write pidfile /nonexistent/d.pid");
        assert!(matches!(error, PidFileError::Unwritable { .. }));
        check_free(Path::new("/nonexistent/d.pid")).unwrap();
    }

    #[test]
    fn a_device_is_neither_locked_nor_removed() {
        let null = Path::new("/dev/null");
        let first = PidFile::create(null).unwrap();
        let second = PidFile::create(null).unwrap();
        check_free(null).unwrap();
        first.remove().unwrap();
        second.remove().unwrap();
        assert!(null.exists());
    }
}
