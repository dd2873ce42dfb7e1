//! Work that somebody asked for, and that does not end half done because they left.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};

use super::wire::End;

/// How long work goes on whose client is gone.
const ABANDONED: Duration = Duration::from_secs(5);

/// A call that somebody asked for. When they leave before it has ended, what was asked for is
/// still done, as upstream does it; only waiting for it ends soon.
pub(super) struct Asked<T: Send + 'static> {
    call: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Asked<T> {
    pub(super) fn new(call: JoinHandle<T>) -> Self {
        Self { call: Some(call) }
    }

    /// What became of it. It is given up some time after its client has left.
    pub(super) async fn ended(mut self, end: &End) -> Result<T, JoinError> {
        let abandoned = async {
            end.reached().await;
            sleep(ABANDONED).await;
        };
        tokio::select! {
            ended = &mut self => return ended,
            () = abandoned => {}
        }
        if let Some(call) = &self.call {
            call.abort();
        }
        self.await
    }
}

impl<T: Send + 'static> Future for Asked<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = &mut self.call else { return Poll::Pending };
        let poll = Pin::new(call).poll(cx);
        if poll.is_ready() {
            self.call = None;
        }
        poll
    }
}

impl<T: Send + 'static> Drop for Asked<T> {
    fn drop(&mut self) {
        if let Some(mut call) = self.call.take() {
            tokio::spawn(async move {
                if timeout(ABANDONED, &mut call).await.is_err() {
                    call.abort();
                }
            });
        }
    }
}
