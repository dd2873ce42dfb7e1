//! An answer that keeps its connection's place until it is sent, and ends when nobody is there for
//! it, or nobody who may have it.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

/// A body, and what is not given back before it is sent.
pub struct Kept<B, K> {
    body: B,
    _owed: K,
    left: Option<Coming>,
    over: Option<Coming>,
}

type Coming = Pin<Box<dyn Future<Output = ()> + Send>>;

fn coming(what: Option<impl Future<Output = ()> + Send + 'static>) -> Option<Coming> {
    what.map(|what| Box::pin(what) as _)
}

impl<B: Body, K> Kept<B, K> {
    /// This body, and this with it.
    pub fn new(body: B, kept: K) -> Self {
        Self { body, _owed: kept, left: None, over: None }
    }

    /// `left` comes when the client has closed its side: it still gets what there is.
    #[must_use]
    pub fn until_left(self, left: Option<impl Future<Output = ()> + Send + 'static>) -> Self {
        Self { left: coming(left), ..self }
    }

    /// `over` comes when the client may have no more: it gets nothing more, however much there is.
    /// A body that is there as a whole was given already.
    #[must_use]
    pub fn until_over(self, over: Option<impl Future<Output = ()> + Send + 'static>) -> Self {
        let is_whole = self.body.size_hint().exact().is_some();
        Self { over: coming(over.filter(|_| !is_whole)), ..self }
    }
}

fn has_come(what: &mut Option<Coming>, cx: &mut Context<'_>) -> bool {
    what.as_mut().is_some_and(|what| what.as_mut().poll(cx).is_ready())
}

impl<B: Body + Unpin, K: Unpin> Body for Kept<B, K> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        if has_come(&mut this.over, cx) {
            return Poll::Ready(None);
        }
        let poll = Pin::new(&mut this.body).poll_frame(cx);
        if poll.is_pending() && has_come(&mut this.left, cx) {
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, poll_fn, ready};
    use std::time::Duration;

    use futures_util::FutureExt;
    use hyper::body::Bytes;
    use tokio::time::{Instant, advance};
    use warp::http::HeaderMap;
    use warp::http::header::COOKIE;
    use warp::reply::Response;

    use super::super::sessions::{Grant, Sessions};
    use super::super::visitor::Role;
    use super::*;

    type Never = std::future::Pending<()>;

    /// A body without an end, that always or never has something to say.
    enum Endless {
        Busy,
        Silent,
    }

    use Endless::{Busy, Silent};

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match *self {
                Busy => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more"))))),
                Silent => Poll::Pending,
            }
        }
    }

    /// Whether something more comes; comes itself when that is known.
    async fn goes_on<B: Body + Unpin>(body: &mut B) -> bool {
        poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.is_some()
    }

    #[tokio::test]
    async fn who_has_left_gets_what_there_is_and_who_may_not_gets_nothing_more() {
        assert!(goes_on(&mut Kept::new(Busy, ()).until_left(Some(ready(())))).await);
        assert!(!goes_on(&mut Kept::new(Silent, ()).until_left(Some(ready(())))).await);
        assert!(!goes_on(&mut Kept::new(Busy, ()).until_over(Some(ready(())))).await);
        assert!(goes_on(&mut Kept::new(Busy, ()).until_over(Some(pending()))).await);
        let mut silent = Kept::new(Silent, ()).until_left(None::<Never>);
        assert!(goes_on(&mut silent).now_or_never().is_none());
        let whole = Response::new("all".into()).into_body();
        assert!(goes_on(&mut Kept::new(whole, ()).until_over(Some(ready(())))).await);
    }

    /// What a server does with the answer to somebody who is logged in.
    fn kept(body: Endless, sessions: &Sessions, headers: &HeaderMap) -> impl Body + Unpin + use<> {
        let stay = sessions.of(headers, false).unwrap().stay;
        let over = stay.ended();
        Kept::new(body, stay).until_over(Some(over))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_with_the_session_that_it_is_for() {
        let sessions = Sessions::default();
        let log_in = || {
            let link = sessions.offer(Grant { role: Role::Read, name: "user 0".into() }).unwrap();
            let (cookie, _) = sessions.open(&link, false).unwrap();
            let set = sessions.set_cookie(&cookie, false);
            let pair = set.split(';').next().unwrap().parse().unwrap();
            HeaderMap::from_iter([(COOKIE, pair)])
        };
        let streams = |headers: &HeaderMap| {
            (kept(Silent, &sessions, headers), kept(Busy, &sessions, headers))
        };
        // It expires, although the streams are use of it.
        let (mut silent, mut busy) = streams(&log_in());
        let began = Instant::now();
        assert!(goes_on(&mut busy).await && !goes_on(&mut silent).await);
        assert_eq!(began.elapsed().as_secs(), 12 * 60 * 60);
        assert!(!goes_on(&mut busy).await);
        // Somebody signs out.
        let headers = log_in();
        let (mut silent, mut busy) = streams(&headers);
        assert!(goes_on(&mut busy).await && goes_on(&mut silent).now_or_never().is_none());
        sessions.close(&headers, false);
        assert!(!goes_on(&mut busy).await && !goes_on(&mut silent).await);
        // Others need the place, and all are in use: the one that was first gives way.
        let (mut silent, mut busy) = streams(&log_in());
        let others: Vec<_> = (0..63).map(|_| streams(&log_in())).collect();
        assert!(goes_on(&mut silent).now_or_never().is_none());
        advance(Duration::from_secs(1)).await;
        let _last = streams(&log_in());
        assert!(!goes_on(&mut busy).await && !goes_on(&mut silent).await);
        assert_eq!(others.len(), 63);
    }
}
