//! An answer that keeps its connection's place until it is sent, and ends when nobody is there for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

/// A body, and what is not given back before it is sent.
pub struct Kept<B, K> {
    body: B,
    _owed: K,
    /// Comes when nobody is there any more for a body without a length.
    gone: Option<Gone>,
}

type Gone = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<B: Body, K> Kept<B, K> {
    /// This body, and this with it. `gone` comes when nobody is there any more for it.
    pub fn new(body: B, kept: K, gone: impl Future<Output = ()> + Send + 'static) -> Self {
        let is_endless = body.size_hint().exact().is_none();
        let gone = is_endless.then(|| Box::pin(gone) as _);
        Self { body, _owed: kept, gone }
    }
}

impl<B: Body + Unpin, K: Unpin> Body for Kept<B, K> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.body).poll_frame(cx);
        let gone = |gone: &mut Gone| gone.as_mut().poll(cx).is_ready();
        if poll.is_pending() && this.gone.as_mut().is_some_and(gone) {
            return Poll::Ready(None);
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
