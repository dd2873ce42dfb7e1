//! Notices when the socket of a bus that is not there appears.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use zbus::address::Transport;
use zbus::address::transport::UnixSocket;

use super::endpoint::Bus;
use crate::sys::watch::watch;

/// A look at the place where the socket of a bus will be.
pub(super) struct Appearance {
    inotify: Inotify,
    /// The same, for the event loop.
    watch: AsyncFd<OwnedFd>,
    /// What has to appear in the directory: the socket, or a directory on the way to it.
    name: OsString,
    /// Whether the socket was not there when the look began.
    pub(super) absent: bool,
}

impl Appearance {
    /// Begins to look; none when the bus has no place in the file system, or cannot be watched.
    pub(super) fn of(bus: &Bus) -> Option<Self> {
        Self::at(&path(bus)?).ok().flatten()
    }

    fn at(path: &Path) -> io::Result<Option<Self>> {
        let mut missing = path;
        let Some(dir) = path.ancestors().skip(1).find(|dir| {
            dir.is_dir() || {
                missing = dir;
                false
            }
        }) else {
            return Ok(None);
        };
        let Some(name) = missing.file_name() else { return Ok(None) };
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        inotify.add_watch(dir, flags)?;
        let watch = watch(inotify.as_fd().try_clone_to_owned()?, Interest::READABLE)?;
        let absent = !path.exists();
        Ok(Some(Self { inotify, watch, name: name.to_owned(), absent }))
    }

    /// Resolves when it may have appeared since the look began; never when that cannot be known.
    pub(super) async fn appeared(&self) {
        loop {
            let Ok(mut ready) = self.watch.readable().await else {
                return std::future::pending().await;
            };
            match self.inotify.read_events() {
                // Without a name it is the directory itself that went away.
                Ok(events) => {
                    let ours = |name: &Option<OsString>| {
                        name.as_ref().is_none_or(|name| *name == self.name)
                    };
                    if events.iter().any(|event| ours(&event.name)) {
                        return;
                    }
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// Where the socket of a bus is.
fn path(bus: &Bus) -> Option<PathBuf> {
    let address = match bus {
        Bus::System => zbus::Address::system(),
        Bus::Session => zbus::Address::session(),
        Bus::Address(address) => address.parse(),
    };
    match address.ok()?.transport() {
        Transport::Unix(unix) => match unix.path() {
            UnixSocket::File(path) => Some(path.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::{Duration, timeout};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn every_step_on_the_way_to_the_socket_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("a/b/bus");
        for name in ["a", "a/b", "a/b/bus"] {
            let look = Appearance::at(&socket).unwrap().unwrap();
            fs::write(dir.path().join("other"), "").unwrap();
            assert!(timeout(Duration::ZERO, look.appeared()).await.is_err(), "{name}");
            let made = dir.path().join(name);
            if made == socket {
                fs::write(made, "").unwrap();
            } else {
                fs::create_dir(made).unwrap();
            }
            assert!(look.absent);
            timeout(PATIENCE, look.appeared()).await.unwrap();
        }
        assert!(!Appearance::at(&socket).unwrap().unwrap().absent);
    }

    #[tokio::test]
    async fn a_directory_that_goes_away_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let look = Appearance::at(&dir.path().join("bus")).unwrap().unwrap();
        drop(dir);
        timeout(PATIENCE, look.appeared()).await.unwrap();
    }

    #[test]
    fn a_bus_without_a_place_cannot_be_watched() {
        assert_eq!(path(&Bus::Address("unix:abstract=x".to_owned())), None);
        assert_eq!(path(&Bus::Address("unix:path=/x/y".to_owned())), Some("/x/y".into()));
        assert_eq!(path(&Bus::Address("nonsense".to_owned())), None);
    }
}
