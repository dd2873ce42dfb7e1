//! Followed logs: a pipe goes to the client, and a task copies into it what is added to the log.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Failure;
use crate::runtime::logs::Follower;

/// How many logs may be followed at the same time, over all connections.
const MAX_FOLLOWERS: usize = 256;

/// The room for followers.
#[derive(Debug, Clone)]
pub struct Followers {
    room: Arc<Semaphore>,
}

impl Default for Followers {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MAX_FOLLOWERS)) }
    }
}

impl Followers {
    /// Takes a place.
    pub(super) fn slot(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.room.clone().try_acquire_owned().map_err(|_| {
            Failure::limits_exceeded(format!("{MAX_FOLLOWERS} logs are being followed already."))
        })
    }
}

/// Something that is added to.
pub(super) trait Source: Send + 'static {
    /// What was added since, waiting for it; none when there will be no more. May be cancelled
    /// and called again.
    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

impl Source for Follower {
    async fn next(&mut self) -> Option<Vec<u8>> {
        Follower::next(self).await.ok().flatten()
    }
}

/// Starts to copy a log into a new pipe, and returns the end to read from. It ends when that end
/// is closed, even if nothing is added to the log any more, or when the log is gone.
pub(super) fn hand_over(
    mut log: impl Source,
    slot: OwnedSemaphorePermit,
) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| Failure::failed(error.to_string());
    let (mut writer, reader) = pipe::pipe().map_err(failed)?;
    let reader = reader.into_blocking_fd().map_err(failed)?;
    tokio::spawn(async move {
        loop {
            let added = tokio::select! {
                added = log.next() => added,
                // A write end reports an error when nobody has the other end any more.
                _ = writer.ready(Interest::ERROR) => None,
            };
            let Some(added) = added else { break };
            if writer.write_all(&added).await.is_err() {
                break;
            }
        }
        drop(slot);
    });
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use tokio::sync::mpsc;

    use super::*;

    impl Source for mpsc::Receiver<Vec<u8>> {
        async fn next(&mut self) -> Option<Vec<u8>> {
            self.recv().await
        }
    }

    fn followed() -> (mpsc::Sender<Vec<u8>>, OwnedFd) {
        let (feed, log) = mpsc::channel(1);
        let slot = Followers::default().slot().unwrap();
        (feed, hand_over(log, slot).unwrap())
    }

    #[tokio::test]
    async fn the_pipe_carries_everything_and_ends_with_the_log() {
        let (feed, pipe) = followed();
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            File::from(pipe).read_to_end(&mut all).map(|_| all)
        });
        // More than a pipe holds.
        for part in 0..8 {
            feed.send(vec![part; 60_000]).await.unwrap();
        }
        drop(feed);
        let all = read.await.unwrap().unwrap();
        assert_eq!(all.len(), 8 * 60_000);
        assert!(all.chunks(60_000).enumerate().all(|(at, c)| c.iter().all(|b| *b as usize == at)));
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_it_though_nothing_is_added() {
        let (feed, pipe) = followed();
        drop(pipe);
        feed.closed().await;
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_it_in_the_middle_of_a_write() {
        let (feed, pipe) = followed();
        feed.send(vec![0; 1 << 20]).await.unwrap();
        // The write has begun when there is room for the next.
        feed.send(Vec::new()).await.unwrap();
        drop(pipe);
        feed.closed().await;
    }

    #[test]
    fn there_is_room_for_so_many_only() {
        let followers = Followers::default();
        let slots: Vec<_> = (0..MAX_FOLLOWERS).map(|_| followers.slot().unwrap()).collect();
        assert!(followers.slot().is_err());
        drop(slots);
        assert!(followers.slot().is_ok());
    }
}
