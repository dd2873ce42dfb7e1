//! Answers that go on for as long as somebody listens.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use warp::Reply;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderName, HeaderValue, StatusCode};
use warp::reply::Response;

use super::page;

/// How many streams of a kind all servers have together.
const MOST: usize = 128;

/// Where the streams of one kind find room.
#[derive(Debug, Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    full: &'static str,
}

/// A stream's place, for as long as it goes on.
pub type Place = OwnedSemaphorePermit;

impl Room {
    /// Room for streams; `full` is what one hears that finds none.
    #[must_use]
    pub fn new(full: &'static str) -> Self {
        Self { places: Arc::new(Semaphore::new(MOST)), full }
    }

    /// A place for one more; none when all are taken.
    #[must_use]
    pub fn enter(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// The answer to one that found no place.
    #[must_use]
    pub fn full(&self) -> Response {
        page::error(StatusCode::SERVICE_UNAVAILABLE, self.full)
    }

    /// How many places are free.
    #[must_use]
    pub fn left(&self) -> usize {
        self.places.available_permits()
    }
}

/// Says of an answer that it ends with its listener: in the extensions of the response.
#[derive(Debug, Clone, Copy)]
pub struct Streamed;

/// An answer of these parts, each sent as it comes.
#[must_use]
pub fn answer<P: Into<Bytes> + 'static>(
    kind: &'static str,
    parts: impl Stream<Item = P> + Send + Sync + 'static,
) -> Response {
    let parts = parts.map(|part| Ok::<_, Infallible>(part.into()));
    let mut response = warp::reply::stream(parts).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.extensions_mut().insert(Streamed);
    response
}

/// The same, and proxies pass on at once what they get of it.
#[must_use]
pub fn unbuffered(mut response: Response) -> Response {
    let name = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(name, HeaderValue::from_static("no"));
    response
}

/// Comes when the server shall stop.
pub async fn stopping(stopped: &mut watch::Receiver<bool>) {
    // That the sender is gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
