//! Answers for browsers: headers that say what a page may do, and compression.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use warp::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    LOCATION, REFERRER_POLICY, VARY,
};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use crate::http::page;

/// What our pages may do: nothing inline, nothing from elsewhere, and nobody frames them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
pub fn html(status: StatusCode, body: String, request: &HeaderMap) -> Response {
    let packed = (body.len() > SMALL && takes_gzip(request))
        .then(|| gzip(body.as_bytes(), Compression::fast()))
        .flatten();
    let mut response = match packed {
        Some(packed) => {
            let mut response = Response::new(packed.into());
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        None => Response::new(body.into()),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(CONTENT_TYPE, "text/html;charset=utf-8");
    set(CACHE_CONTROL, "no-store");
    set(CONTENT_SECURITY_POLICY, POLICY);
    // Not less: with `no-referrer` a browser says of our own forms that they come from nowhere.
    set(REFERRER_POLICY, "same-origin");
    set(VARY, "Accept-Encoding");
    response
}

/// Sends a browser that posted something to another page of ours.
#[must_use]
pub fn see(path: &str) -> Response {
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
