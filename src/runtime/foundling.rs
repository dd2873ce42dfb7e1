//! Programs that an earlier daemon started, which was killed. They are not our children, so the
//! kernel does not tell us how they end; that they end is seen by their pidfd.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use tokio::io::Interest;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::model::exit::ExitStatus;
use crate::sys::pidfd;
use crate::sys::watch::watch;

/// How often, and how long apart, it is looked how one ended: between the last breath of a process
/// and its end nobody knows.
const LOOKS: usize = 50;
const APART: Duration = Duration::from_millis(2);

/// One that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Its pid, which may be another's by now.
    pub pid: i32,
    /// How it ended.
    pub status: ExitStatus,
}

/// One that is watched, until this is dropped.
#[derive(Debug)]
pub struct Foundling(JoinHandle<()>);

impl Foundling {
    /// Watches one. Runs on the engine's event loop. Without a pidfd it is gone.
    #[must_use]
    pub fn watch(pid: i32, pidfd: Option<OwnedFd>, gone: mpsc::UnboundedSender<Gone>) -> Self {
        Self(tokio::spawn(async move {
            let status = match pidfd {
                Some(pidfd) => end_of(pidfd, pid).await,
                None => ExitStatus::Unknown,
            };
            let _ = gone.send(Gone { pid, status }); // the engine may have ended
        }))
    }
}

impl Drop for Foundling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn end_of(pidfd: OwnedFd, pid: i32) -> ExitStatus {
    let Ok(pidfd) = watch(pidfd, Interest::READABLE) else { return ExitStatus::Unknown };
    // It does not fail while the event loop is there.
    let _ = pidfd.readable().await;
    for _ in 0..LOOKS {
        if let Some(status) = pidfd::end(pidfd.as_fd(), pid) {
            return status;
        }
        sleep(APART).await;
    }
    ExitStatus::Unknown
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sys::reap;

    #[tokio::test]
    #[allow(clippy::zombie_processes, reason = "reaped by its pid")]
    async fn the_end_of_a_program_is_seen_and_how_as_far_as_the_kernel_tells() {
        let (gone_in, mut gone) = mpsc::unbounded_channel();
        let mut child = Command::new("sh")
            .args(["-c", "read x; exit 3"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let _watched = Foundling::watch(pid, pidfd::open(pid).ok(), gone_in);
        tokio::task::yield_now().await;
        assert!(gone.try_recv().is_err());
        drop(child.stdin.take());
        // A zombie is looked at by root alone.
        let told = gone.recv().await.unwrap();
        assert_eq!(told.pid, pid);
        assert!([ExitStatus::Code(3), ExitStatus::Unknown].contains(&told.status), "{told:?}");
        assert_eq!(reap::wait(pid), Ok(ExitStatus::Code(3)));
    }

    #[tokio::test]
    async fn one_without_a_handle_is_gone() {
        let (gone_in, mut gone) = mpsc::unbounded_channel();
        let _watched = Foundling::watch(7, None, gone_in);
        assert_eq!(gone.recv().await, Some(Gone { pid: 7, status: ExitStatus::Unknown }));
    }
}
