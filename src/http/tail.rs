//! `/logtail/NAME[/stdout|stderr]` and `/mainlogtail`: the end of a log, and then what is added to
//! it, for as long as the client listens (C-327, C-328). The log plane wakes a stream; nothing
//! looks at the file in between.

use std::time::Duration;

use futures_util::stream;
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use tokio::time::timeout;
use warp::http::StatusCode;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::page;
use super::streams::{self, Place, Room, stopping};
use crate::api::{Api, Named};
use crate::model::fault::{Fault, FaultKind};
use crate::model::snapshot::Channel;
use crate::runtime::logs::Follower;

/// How many bytes a stream begins with, unless `?bytes=` asks for more or less.
const HEAD: u64 = 1024;
/// The most that it begins with.
const MAX_HEAD: u64 = 1024 * 1024;
/// What is still said when the server stops is waited for so long.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The streams of logs.
#[derive(Debug, Clone)]
pub struct Tails {
    api: Api,
    room: Room,
    stopped: watch::Receiver<bool>,
}

impl Tails {
    /// Streams logs until the server stops.
    #[must_use]
    pub fn new(api: Api, stopped: watch::Receiver<bool>) -> Self {
        Self { api, room: Room::new("Too many logs are followed"), stopped }
    }

    /// The routes: paths that begin so (C-323), by GET.
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let here = warp::path::full().and_then(|path: FullPath| async move {
            let path = path.as_str();
            let ours = path.starts_with("/logtail") || path.starts_with("/mainlogtail");
            if ours { Ok(()) } else { Err(warp::reject::not_found()) }
        });
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        here.untuple_one().and(warp::get()).and(warp::path::full()).and(query).then(
            move |path: FullPath, query: String| {
                let tails = self.clone();
                async move { tails.answer(path.as_str(), begin(&query)).await }
            },
        )
    }

    async fn answer(&self, path: &str, head: u64) -> Response {
        let Some(place) = self.room.enter() else { return self.room.full() };
        let main = path.starts_with("/mainlogtail");
        let follower = if main {
            self.api.follow_log(head).await
        } else {
            match wanted(path) {
                Some((name, channel)) => self.follow(&name, channel, head).await,
                None => Err(FaultKind::BadName.into()),
            }
        };
        match follower {
            Ok(follower) => self.stream(follower, place, main),
            Err(fault) => refusal(&fault),
        }
    }

    async fn follow(&self, name: &str, channel: Channel, head: u64) -> Result<Follower, Fault> {
        self.api.follow_process_log(&Named::parse_process(name)?, channel, head).await
    }

    fn stream(&self, follower: Follower, place: Place, main: bool) -> Response {
        let state = (follower, self.stopped.clone(), place);
        let parts = stream::unfold(state, |(mut follower, mut stopped, place)| async move {
            let part = tokio::select! {
                part = follower.next() => part,
                () = stopping(&mut stopped) => {
                    timeout(LAST_WORDS, follower.next()).await.unwrap_or(Ok(None))
                }
            };
            // A log that cannot be read any more has come to its end.
            let part = part.ok().flatten()?;
            Some((part, (follower, stopped, place)))
        });
        let response = streams::answer("text/plain;charset=utf-8", parts);
        if main { response } else { streams::unbuffered(response) }
    }
}

/// How many bytes of a log a query asks for.
fn begin(query: &str) -> u64 {
    let asked = query.split('&').find_map(|part| part.strip_prefix("bytes="));
    asked.and_then(|bytes| bytes.parse().ok()).map_or(HEAD, |bytes: u64| bytes.min(MAX_HEAD))
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
    fn a_query_says_how_much_of_a_log_is_wanted() {
        assert_eq!(begin(""), HEAD);
        assert_eq!(begin("a=b&bytes=4096"), 4096);
        assert_eq!(begin("bytes=99999999999"), MAX_HEAD);
        for wrong in ["bytes=", "bytes=-1", "bytes=x", "xbytes=4"] {
            assert_eq!(begin(wrong), HEAD, "{wrong}");
        }
    }

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
