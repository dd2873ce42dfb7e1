//! Logging in and out where `auth=login`: `/login/LINK` and `/logout`.
//!
//! A link is only shown a button for by GET, and taken by POST: what looks at links before people
//! do must not use it up. Whether it is good is told to whoever uses it, and to nobody before.

use std::pin::pin;
use std::time::Duration;

use hyper::body::{Body, Bytes};
use tokio::time::timeout;
use warp::http::header::{LOCATION, SET_COOKIE};
use warp::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use warp::reply::Response;

use super::page;
use super::sessions::{Grant, Present, Sessions};
use super::visitor::Role;

/// How many bytes a form may have.
const MAX_FORM: usize = 1024;
/// How long a client may take for it.
const FORM: Duration = Duration::from_secs(20);

/// The link in a path.
fn link(path: &str) -> Option<&str> {
    path.strip_prefix("/login/")
}

/// Whether a request is about logging in or out.
#[must_use]
pub fn is_here(path: &str) -> bool {
    link(path).is_some() || path == "/logout"
}

/// What the log may tell of a target: a link lets somebody in.
#[must_use]
pub fn shown(target: &Uri) -> String {
    match link(target.path()) {
        Some(_) => "/login/...".to_owned(),
        None => target.to_string(),
    }
}

/// What came of a request, and what is to be told of it.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing happened.
    Shown(Response),
    /// Somebody is logged in.
    In(Response, Grant),
    /// Somebody is logged out.
    Out(Response, String),
    /// Somebody tried what they may not, which takes its time.
    Refused(Response, &'static str),
}

/// Answers a request that [`is_here`]; `present` is who sent it.
pub async fn answer<B>(
    sessions: &Sessions,
    secure: bool,
    present: Option<Present>,
    request: hyper::Request<B>,
) -> Outcome
where
    B: Body<Data = Bytes>,
{
    let (head, body) = request.into_parts();
    match (&head.method, link(head.uri.path())) {
        (&Method::GET | &Method::HEAD, Some(_)) => Outcome::Shown(page::log_in()),
        (&Method::POST, Some(link)) => log_in(sessions, secure, &head.headers, link),
        (&Method::POST, None) => {
            let Some(Present { visitor, .. }) = present else {
                return Outcome::Shown(home(""));
            };
            if !form_token(body).await.is_some_and(|token| visitor.owns(&token)) {
                let page = page::error(StatusCode::FORBIDDEN, "This form is of another session");
                return Outcome::Refused(page, "a form of another session");
            }
            sessions.close(&head.headers, secure);
            let gone = sessions.set_cookie("", secure);
            Outcome::Out(home(&gone), visitor.name.as_ref().to_owned())
        }
        _ => Outcome::Shown(page::plain_error(StatusCode::BAD_REQUEST)),
    }
}

fn log_in(sessions: &Sessions, secure: bool, headers: &HeaderMap, link: &str) -> Outcome {
    let Some((cookie, grant)) = sessions.open(link, secure) else {
        let text = "This link was used already, or is older than a minute. \
                    On this machine, use: sudo supervisorctl web";
        return Outcome::Refused(
            page::error(StatusCode::FORBIDDEN, text),
            "a link that is no good",
        );
    };
    // Who logs in again leaves nothing open behind them.
    sessions.close(headers, secure);
    Outcome::In(home(&sessions.set_cookie(&cookie, secure)), grant)
}

/// On to the page itself.
fn home(cookie: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/"));
    // It consists of what a header can carry.
    if let Some(cookie) = HeaderValue::try_from(cookie).ok().filter(|cookie| !cookie.is_empty()) {
        headers.insert(SET_COOKIE, cookie);
    }
    response
}

/// The token that a form carries.
async fn form_token<B: Body<Data = Bytes>>(body: B) -> Option<String> {
    let reading = async {
        let mut body = pin!(body);
        let mut bytes = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            if bytes.len() + data.len() > MAX_FORM {
                return None;
            }
            bytes.extend_from_slice(&data);
        }
        String::from_utf8(bytes).ok()
    };
    let form = timeout(FORM, reading).await.ok()??;
    // It has nothing that would be encoded.
    form.split('&').find_map(|pair| pair.strip_prefix("csrf=")).map(str::to_owned)
}

/// Why somebody who is logged in may not have this; none when they may.
#[must_use]
pub fn refusal(role: Role, method: &Method, path: &str) -> Option<&'static str> {
    if path.starts_with("/RPC2") {
        // It knows no token: another page of the same host could send it.
        return Some("A session of the web page is none for XML-RPC");
    }
    // Another link may let them do more.
    let acts = !matches!(*method, Method::GET | Method::HEAD) && !is_here(path);
    (acts && role == Role::Read).then_some("This session may only look")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_not_shown() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        assert_eq!(shown(&uri("/login/0123")), "/login/...");
        assert_eq!(shown(&uri("/login/0123?x")), "/login/...");
        assert_eq!(shown(&uri("/logtail/a?x=1")), "/logtail/a?x=1");
    }

    #[test]
    fn who_may_look_changes_nothing_and_nobody_speaks_xml_rpc() {
        for role in [Role::Read, Role::Act] {
            assert_eq!(refusal(role, &Method::GET, "/logtail/a"), None);
            assert_eq!(refusal(role, &Method::POST, "/logout"), None);
            assert_eq!(refusal(role, &Method::POST, "/login/0123"), None);
            assert!(refusal(role, &Method::POST, "/RPC2").is_some());
            assert!(refusal(role, &Method::GET, "/RPC2/x").is_some());
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert!(refusal(Role::Read, &method, "/").is_some());
            assert!(refusal(Role::Act, &method, "/").is_none());
        }
    }
}
