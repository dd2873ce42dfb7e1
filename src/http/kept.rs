//! An answer that keeps its connection's place until it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use super::places::Work;

/// A body, and the work it is part of.
#[derive(Debug)]
pub struct Kept<B> {
    body: B,
    _work: Option<Work>,
}

impl<B> Kept<B> {
    /// The body of an answer to this piece of work.
    pub fn new(body: B, work: Option<Work>) -> Self {
        Self { body, _work: work }
    }
}

impl<B: Body + Unpin> Body for Kept<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
