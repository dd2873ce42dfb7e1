//! Answers for browsers: headers that say what a page may do, and compression.

use std::io::Write;
use std::sync::LazyLock;

use askama::Template;
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use warp::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, VARY,
};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use super::assets;
use super::request::Request;
use crate::http::page;

/// What our pages may do: nothing inline but the one style sheet that is known by its hash, nothing
/// from elsewhere, and nobody frames them.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = page::style_source(assets::STYLE);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src {style}; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    // It consists of what a header can carry; without it a page could do nothing at all.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The longest message that a page shows, in characters.
pub const MAX_MESSAGE: usize = 2000;
/// An answer of fewer bytes fits into a packet as it is.
const SMALL: usize = 1400;

/// Whether the client takes gzip.
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts
            .filter_map(|part| part.strip_prefix("q="))
            .any(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
        is_gzip && !is_refused
    })
}

/// Compresses; none when that fails.
#[must_use]
pub fn gzip(bytes: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// A page. It is nobody's but the visitor's, and different a moment later.
#[must_use]
pub fn show(status: StatusCode, page: &impl Template, request: &Request) -> Response {
    let Ok(text) = page.render() else {
        return page::plain_error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = packed(text, "text/html;charset=utf-8", request);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// Data for our scripts.
#[must_use]
pub fn json(data: &impl Serialize, request: &Request) -> Response {
    // Values of ours always have a JSON.
    packed(serde_json::to_string(data).unwrap_or_default(), "application/json", request)
}

/// A text as it is at this moment, compressed where that is worth it.
fn packed(text: String, kind: &'static str, request: &Request) -> Response {
    let gzipped = (text.len() > SMALL && takes_gzip(&request.headers))
        .then(|| gzip(text.as_bytes(), Compression::fast()))
        .flatten();
    let mut response = match gzipped {
        Some(bytes) => {
            let mut response = Response::new(bytes.into());
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        None => Response::new(text.into()),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// Back to the overview, with a message.
#[must_use]
pub fn told(message: &str) -> Response {
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    see(&format!("/?message={}", utf8_percent_encode(&message, NON_ALPHANUMERIC)))
}

/// That nobody knows what is wanted.
#[must_use]
pub fn unknown() -> Response {
    page::error(StatusCode::BAD_REQUEST, "Nobody knows what to do with this form")
}

/// Sends a browser that posted something to another page of ours.
fn see(path: &str) -> Response {
    let mut response = page::plain_error(StatusCode::SEE_OTHER);
    match HeaderValue::from_str(path) {
        Ok(path) => drop(response.headers_mut().insert(LOCATION, path)),
        Err(_) => return page::plain_error(StatusCode::INTERNAL_SERVER_ERROR),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        for yes in ["gzip", "deflate, GZIP;q=0.5, br", "gzip;q=1.0"] {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "identity, gzip; q=0.000", "xgzip"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
