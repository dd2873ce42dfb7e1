//! `/logtail/NAME[/stdout|stderr]` and `/mainlogtail`: the end of a log, and then what is added to
//! it, for as long as the client listens (C-327, C-328). The log plane wakes a stream; nothing
//! looks at the file in between.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use percent_encoding::percent_decode_str;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderName, HeaderValue, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::page;
use super::server::stopping;
use crate::api::{Api, Named};
use crate::model::fault::{Fault, FaultKind};
use crate::model::snapshot::Channel;
use crate::runtime::logs::Follower;

/// How many bytes a stream begins with.
const HEAD: u64 = 1024;
/// How many streams all servers have together.
const MAX_STREAMS: usize = 128;
/// What is still said when the server stops is waited for so long.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The streams of logs.
#[derive(Debug, Clone)]
pub struct Tails {
    api: Api,
    room: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

impl Tails {
    /// Streams logs until the server stops.
    #[must_use]
    pub fn new(api: Api, stopped: watch::Receiver<bool>) -> Self {
        Self { api, room: Arc::new(Semaphore::new(MAX_STREAMS)), stopped }
    }

    /// The routes: paths that begin so (C-323), by GET.
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let here = warp::path::full().and_then(|path: FullPath| async move {
            let path = path.as_str();
            let ours = path.starts_with("/logtail") || path.starts_with("/mainlogtail");
            if ours { Ok(()) } else { Err(warp::reject::not_found()) }
        });
        here.untuple_one().and(warp::get()).and(warp::path::full()).then(move |path: FullPath| {
            let tails = self.clone();
            async move { tails.answer(path.as_str()).await }
        })
    }

    async fn answer(&self, path: &str) -> Response {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return page::error(StatusCode::SERVICE_UNAVAILABLE, "Too many logs are followed");
        };
        let main = path.starts_with("/mainlogtail");
        let follower = if main {
            self.api.follow_log(HEAD).await
        } else {
            match wanted(path) {
                Some((name, channel)) => self.follow(&name, channel).await,
                None => Err(FaultKind::BadName.into()),
            }
        };
        match follower {
            Ok(follower) => self.stream(follower, permit, main),
            Err(fault) => refusal(&fault),
        }
    }

    async fn follow(&self, name: &str, channel: Channel) -> Result<Follower, Fault> {
        self.api.follow_process_log(&Named::parse_process(name)?, channel, HEAD).await
    }

    fn stream(&self, follower: Follower, permit: OwnedSemaphorePermit, main: bool) -> Response {
        let state = (follower, self.stopped.clone(), permit);
        let parts = stream::unfold(state, |(mut follower, mut stopped, permit)| async move {
            let part = tokio::select! {
                part = follower.next() => part,
                () = stopping(&mut stopped) => {
                    timeout(LAST_WORDS, follower.next()).await.unwrap_or(Ok(None))
                }
            };
            // A log that cannot be read any more has come to its end.
            let part = part.ok().flatten()?;
            Some((Ok::<_, Infallible>(part), (follower, stopped, permit)))
        });
        let mut response = warp::reply::stream(parts).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
        if !main {
            // Proxies pass on at once what they get.
            let name = HeaderName::from_static("x-accel-buffering");
            headers.insert(name, HeaderValue::from_static("no"));
        }
        response
    }
}

/// The process and the channel that a path names.
pub(super) fn wanted(path: &str) -> Option<(String, Channel)> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (_, rest) = path.trim_start_matches('/').split_once('/')?;
    let (name, channel) = rest.split_once('/').unwrap_or((rest, "stdout"));
    let channel = match channel {
        "stdout" => Channel::Stdout,
        "stderr" => Channel::Stderr,
        _ => return None,
    };
    Some((name.to_owned(), channel))
}

fn refusal(fault: &Fault) -> Response {
    let status = match fault.kind {
        FaultKind::BadName | FaultKind::NoFile => StatusCode::NOT_FOUND,
        FaultKind::ShutdownState => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    page::plain_error(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_process_and_a_channel() {
        // C-323, C-327, C-437
        let named = |path: &str| wanted(path);
        let is = |name: &str, channel| Some((name.to_owned(), channel));
        assert_eq!(named("/logtail/a"), is("a", Channel::Stdout));
        assert_eq!(named("/logtail/g:a/stderr"), is("g:a", Channel::Stderr));
        assert_eq!(named("/logtail/g%3Aa/stdout"), is("g:a", Channel::Stdout));
        assert_eq!(named("/logtail%2Fa"), is("a", Channel::Stdout));
        assert_eq!(named("//logtailx/%C3%A9"), is("é", Channel::Stdout));
        for path in ["/logtail", "/logtail/a/other", "/logtail/a/stdout/", "/logtail/%FF"] {
            assert_eq!(named(path), None, "{path}");
        }
    }
}
