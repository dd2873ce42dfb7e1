//! Whole logs as files.

use std::convert::Infallible;

use futures_util::stream;
use warp::Reply;
use warp::http::HeaderValue;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use warp::reply::Response;

use super::form::Form;
use super::routes::Web;
use crate::api::{Api, Named};
use crate::model::fault::Fault;
use crate::model::snapshot::Channel;

/// How much of a log is read at once, in bytes.
const PART: i64 = 256 * 1024;

/// A log that can be downloaded.
enum Source {
    Daemon,
    Process(Named, Channel),
}

impl Source {
    async fn size(&self, api: &Api) -> Result<i64, Fault> {
        match self {
            Self::Daemon => Ok(api.tail_log(0, 0).await?.1),
            Self::Process(name, channel) => {
                // Whether there is a file; then how large it is.
                api.read_process_log(name, *channel, 0, 1).await?;
                Ok(api.tail_process_log(name, *channel, 0, 0).await?.1)
            }
        }
    }

    async fn read(&self, api: &Api, at: i64, length: i64) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Daemon => api.read_log(at, length).await,
            Self::Process(name, channel) => api.read_process_log(name, *channel, at, length).await,
        }
    }
}

impl Web {
    /// All of a log, as a file: of a process, or the daemon's own.
    pub(super) async fn download(&self, form: &Form) -> Option<Response> {
        let (source, file) = match form.get("name") {
            None => (Source::Daemon, "supervisord.log".to_owned()),
            Some(name) => {
                let channel = match form.get("channel").unwrap_or("stdout") {
                    "stdout" => Channel::Stdout,
                    "stderr" => Channel::Stderr,
                    _ => return None,
                };
                let named = Named::parse_process(name).ok()?;
                let plain =
                    |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
                let file: String = name.chars().take(64).map(plain).collect();
                (Source::Process(named, channel), format!("{file}-{}.log", channel.name()))
            }
        };
        let size = source.size(&self.api).await.ok()?;
        let state = (self.api.clone(), source, 0_i64);
        let parts = stream::unfold(state, move |(api, source, at)| async move {
            let length = PART.min(size - at);
            if length <= 0 {
                return None;
            }
            // A log that was rotated meanwhile ends here.
            let bytes =
                source.read(&api, at, length).await.ok().filter(|bytes| !bytes.is_empty())?;
            let next = at + i64::try_from(bytes.len()).unwrap_or(length);
            Some((Ok::<_, Infallible>(bytes), (api, source, next)))
        });
        let mut response = warp::reply::stream(parts).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
        let disposition = format!("attachment; filename=\"{file}\"");
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).ok()?);
        Some(response)
    }
}
