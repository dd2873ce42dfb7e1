//! The plain pages: errors (C-326), and the front page.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use warp::Reply;
use warp::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use warp::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use warp::reply::Response;

use crate::config::settings::Access;

const STYLE: &str = include_str!("card.css");

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src {}; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
        style_source(STYLE)
    );
    // It consists of what a header can carry; without it a page could do nothing at all.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// How a Content-Security-Policy names a style sheet that stands in a page.
#[must_use]
pub fn style_source(sheet: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(sheet)))
}

/// What an answer says with a status that is an error; `message` is for people, in one line.
#[must_use]
pub fn error(status: StatusCode, message: &str) -> Response {
    let code = status.as_u16();
    let text = format!(
        "<h1>Error response</h1>\n<p>Error code {code}.\n<p>Message: {}.\n",
        escape(message)
    );
    let mut response = card("Error response", &text);
    *response.status_mut() = status;
    response
}

/// An error with nothing more to say than its name.
#[must_use]
pub fn plain_error(status: StatusCode) -> Response {
    error(status, status.canonical_reason().unwrap_or("Error"))
}

/// The same answer as the last one of its connection.
#[must_use]
pub fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Nobody gets in like that (C-324). The connection ends with it.
#[must_use]
pub fn unauthorized(access: &Access) -> Response {
    let (message, challenge) = match access {
        Access::Login => (
            "This server lets in nobody who has not logged in, and does nothing for others. \
             On this machine, use: sudo supervisorctl web",
            // No browser knows it, so none asks for a password that nobody has.
            "Supervisor-Login realm=\"default\"",
        ),
        Access::Open | Access::Basic { .. } => ("Unauthorized", "Basic realm=\"default\""),
    };
    let mut response = error(StatusCode::UNAUTHORIZED, message);
    let headers = response.headers_mut();
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    closing(response)
}

/// Somebody was logged in, and is not any more; `cookie` takes their cookie away.
#[must_use]
pub fn session_over(cookie: &str) -> Response {
    let mut response = unauthorized(&Access::Login);
    let text = "The session is over. On this machine, use: sudo supervisorctl web";
    *response.body_mut() = error(StatusCode::UNAUTHORIZED, text).into_body();
    // It consists of what a header can carry.
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// Too many wait for their passwords to be looked at.
#[must_use]
pub fn busy() -> Response {
    let mut response =
        error(StatusCode::SERVICE_UNAVAILABLE, "Too many logins at once, try again in a moment");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// What somebody sees who opens the address in a browser. It tells nothing of what runs here.
#[must_use]
pub fn front() -> Response {
    card(
        "Supervisor",
        "<h1>Supervisor</h1>\n\
         <p>Supervisor runs on this machine and takes care of its programs.</p>\n\
         <p>To see and control them here, use on that machine:</p>\n\
         <pre>sudo supervisorctl web</pre>\n\
         <p>It prints a link that opens this page.</p>\n",
    )
}

/// What somebody sees who opens a link that lets them in. Only the button uses it up.
#[must_use]
pub fn log_in() -> Response {
    card(
        "Supervisor",
        "<h1>Supervisor</h1>\n<form method=\"post\"><button>Log in</button></form>\n\
         <p>The link is good once, and for a minute.</p>\n",
    )
}

/// A page that is nothing but this. Its style is the one thing that stands in it, known by its hash.
fn card(title: &str, text: &str) -> Response {
    let mut response = warp::reply::html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\n\
         <body>\n<main>\n{text}</main>\n</body>\n</html>\n"
    ))
    .into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// That the server is there (C-334).
#[must_use]
pub fn ok() -> Response {
    let mut response = Response::new("OK".into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// What every answer carries: nothing of ours is kept, framed, taken for something else, or told of
/// to other sites.
fn hardening() -> [(HeaderName, &'static str); 5] {
    [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        // Not less: with `no-referrer` a browser says of our own forms that they come from nowhere.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ]
}

/// Gives an answer what every one carries, where it says nothing else itself.
pub fn harden(headers: &mut HeaderMap) {
    for (name, value) in hardening() {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The bytes of an answer in plain text for who is not served; `more` are lines of its head.
#[must_use]
pub fn raw(status: StatusCode, more: &str, text: &str) -> Vec<u8> {
    let headers = hardening().map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let length = text.len();
    format!(
        "HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {length}\r\n{headers}\r\n{text}"
    )
    .into_bytes()
}

/// Text that can be nothing but text in HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_sheet_is_known_by_its_hash() {
        let empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
        assert_eq!(style_source(""), empty);
        let policy = front().headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains(&style_source(STYLE)), "{policy}");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escape("<a href='x'>\"&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;"
        );
    }
}
