//! The plain pages: errors (C-326), and the front page.

use warp::Reply;
use warp::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;

use crate::config::settings::Access;

/// What an answer says with a status that is an error; `message` is for people, in one line.
#[must_use]
pub fn error(status: StatusCode, message: &str) -> Response {
    let code = status.as_u16();
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>Error response</title></head>\n<body>\n<h1>Error response</h1>\n\
         <p>Error code {code}.\n<p>Message: {}.\n</body>\n</html>\n",
        escape(message)
    );
    let mut response = warp::reply::html(body).into_response();
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
    warp::reply::html(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Supervisor</title></head>\n\
         <body>\n<h1>Supervisor</h1>\n\
         <p>Supervisor runs on this machine and takes care of its programs.</p>\n\
         <p>To see and control them here, use on that machine:</p>\n\
         <pre>sudo supervisorctl web</pre>\n\
         <p>It prints a link that opens this page.</p>\n</body>\n</html>\n",
    )
    .into_response()
}

/// That the server is there (C-334).
#[must_use]
pub fn ok() -> Response {
    let mut response = Response::new("OK".into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// What every answer carries: nothing of ours is kept, framed, or taken for something else.
pub fn harden(headers: &mut HeaderMap) {
    let mut give = |name, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    give(CACHE_CONTROL, "no-store");
    give(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    give(X_CONTENT_TYPE_OPTIONS, "nosniff");
    give(X_FRAME_OPTIONS, "DENY");
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
    fn text_stays_text() {
        assert_eq!(
            escape("<a href='x'>\"&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;"
        );
    }
}
