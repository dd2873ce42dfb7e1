//! The files of the pages. They are part of the program (C-335).

use std::fmt::Write as _;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use blake2::{Blake2s256, Digest};
use flate2::Compression;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION, VARY,
};
use warp::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use warp::reply::Response;

use super::respond::{gzip, takes_gzip};
use crate::http::page;

/// The style sheet, which stands in every page: so it is painted with its first answer.
pub const STYLE: &str = include_str!("assets/stylesheets/supervisor.css");

/// A file: its path, what it is, and what is in it.
type File = (&'static str, &'static str, &'static [u8]);

macro_rules! files {
    ($($path:literal, $kind:literal;)*) => {
        &[$((concat!("/", $path), $kind, include_bytes!(concat!("assets/", $path)))),*]
    };
}

const FILES: &[File] = files! {
    "stylesheets/supervisor.css", "text/css;charset=utf-8";
    "images/icon.svg", "image/svg+xml";
    "scripts/actions.js", "text/javascript;charset=utf-8";
    "scripts/app.js", "text/javascript;charset=utf-8";
    "scripts/ask.js", "text/javascript;charset=utf-8";
    "scripts/chart.js", "text/javascript;charset=utf-8";
    "scripts/daemon.js", "text/javascript;charset=utf-8";
    "scripts/dom.js", "text/javascript;charset=utf-8";
    "scripts/format.js", "text/javascript;charset=utf-8";
    "scripts/live.js", "text/javascript;charset=utf-8";
    "scripts/log.js", "text/javascript;charset=utf-8";
    "scripts/overview.js", "text/javascript;charset=utf-8";
    "scripts/process.js", "text/javascript;charset=utf-8";
    "scripts/state.js", "text/javascript;charset=utf-8";
};

/// A file as it is sent.
struct Ready {
    file: &'static File,
    tag: HeaderValue,
    packed: Option<Vec<u8>>,
}

static READY: LazyLock<Vec<Ready>> = LazyLock::new(|| {
    let ready = |file: &'static File| {
        let mut tag = String::from("\"");
        for byte in Blake2s256::digest(file.2).iter().take(12) {
            let _ = write!(tag, "{byte:02x}"); // a String takes everything
        }
        tag.push('"');
        let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
        let packed = gzip(file.2, Compression::best());
        Ready { file, tag, packed: packed.filter(|packed| packed.len() < file.2.len()) }
    };
    FILES.iter().map(ready).collect()
});

/// When the files last changed: with the program.
static MODIFIED: LazyLock<SystemTime> = LazyLock::new(|| {
    let program = fs::metadata("/proc/self/exe").and_then(|program| program.modified());
    let modified = program.unwrap_or(SystemTime::UNIX_EPOCH);
    // Headers know whole seconds.
    let seconds = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
});

/// The answer for a path that is one of a file, or of a directory of files.
#[must_use]
pub fn find(path: &str, request: &HeaderMap) -> Option<Response> {
    if let Some(ready) = READY.iter().find(|ready| ready.file.0 == path) {
        return Some(answer(ready, request));
    }
    let below = |file: &File| file.0.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    if path.len() > 1 && FILES.iter().any(below) {
        // As upstream does it; there is no list behind it.
        let mut response = page::plain_error(StatusCode::MOVED_PERMANENTLY);
        let there = HeaderValue::from_str(&format!("{path}/")).ok()?;
        response.headers_mut().insert(LOCATION, there);
        return Some(response);
    }
    None
}

fn answer(ready: &Ready, request: &HeaderMap) -> Response {
    let (_, kind, bytes) = *ready.file;
    let mut response = match &ready.packed {
        _ if is_known(ready, request) => {
            let mut response = Response::new(Vec::new().into());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        Some(packed) if takes_gzip(request) => {
            let mut response = Response::new(packed.clone().into());
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        _ => Response::new(bytes.into()),
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value| drop(headers.insert(name, value));
    set(CONTENT_TYPE, HeaderValue::from_static(kind));
    // Kept, and asked about each time: an upgrade shows at once.
    set(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set(ETAG, ready.tag.clone());
    set(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(when) = HeaderValue::from_str(&httpdate::fmt_http_date(*MODIFIED)) {
        set(LAST_MODIFIED, when);
    }
    response
}

/// Whether the client has it already.
fn is_known(ready: &Ready, request: &HeaderMap) -> bool {
    let text = |name| request.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(tags) = text(IF_NONE_MATCH) {
        let ours = ready.tag.to_str().unwrap_or_default();
        return tags.split(',').any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == ours
        });
    }
    text(IF_MODIFIED_SINCE)
        .and_then(|since| httpdate::parse_http_date(since).ok())
        .is_some_and(|since| *MODIFIED <= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, headers: &[(HeaderName, &str)]) -> Option<Response> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        find(path, &headers.collect())
    }

    #[test]
    fn a_file_is_sent_once_and_then_known() {
        // C-335
        const CSS: &str = "/stylesheets/supervisor.css";
        let first = get(CSS, &[]).unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CONTENT_TYPE], "text/css;charset=utf-8");
        let tag = first.headers()[ETAG].to_str().unwrap();
        let when = first.headers()[LAST_MODIFIED].to_str().unwrap();
        let status = |headers: &[(HeaderName, &str)]| get(CSS, headers).unwrap().status();
        assert_eq!(status(&[(IF_NONE_MATCH, tag)]), StatusCode::NOT_MODIFIED);
        assert_eq!(
            status(&[(IF_NONE_MATCH, &format!("\"x\", W/{tag}"))]),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(status(&[(IF_MODIFIED_SINCE, when)]), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, when)]), StatusCode::OK);
        let old = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(status(&[(IF_MODIFIED_SINCE, old)]), StatusCode::OK);
        assert_eq!(status(&[(IF_MODIFIED_SINCE, "yesterday")]), StatusCode::OK);
    }

    #[test]
    fn a_directory_is_no_file_and_nothing_else_is_there() {
        // C-335
        let response = get("/images", &[]).unwrap();
        assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(response.headers()[LOCATION], "/images/");
        for path in [
            "/",
            "",
            "/images/",
            "/image",
            "/images/../images/icon.svg",
            "/images//icon.svg",
            "/stylesheets/%2e%2e/images/icon.svg",
            "/images/icon.svg/",
            "//images/icon.svg",
        ] {
            assert!(get(path, &[]).is_none(), "{path}");
        }
    }
}
