//! One server, and who gets in: a request is let in, refused, or about logging in.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use tokio::time::sleep;
use warp::filters::BoxedFilter;
use warp::http::header::TRANSFER_ENCODING;
use warp::http::{HeaderMap, Request, StatusCode};
use warp::reply::Response;

use super::auth::{self, Failures, Gate, Verdict};
use super::browser::{self, Names};
use super::login::{self, Outcome};
use super::places::Seat;
use super::sessions::{Grant, Present, Sessions};
use super::tls::Tls;
use super::visitor::{Role, Visitor};
use super::{page, routes};
use crate::model::message::Kind;
use crate::model::record::{Level, Record};

/// One server.
pub(super) struct Site {
    pub(super) section: String,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) gate: Gate,
    /// How browsers may call it; none when they cannot reach it.
    pub(super) names: Option<Names>,
    pub(super) failures: Failures,
    /// Who is logged in; none where nobody needs to.
    pub(super) sessions: Option<Sessions>,
    pub(super) service: BoxedFilter<(Response,)>,
    pub(super) log: Arc<dyn Fn(Record) + Send + Sync>,
}

impl Site {
    pub(super) fn log(&self, level: Level, text: String) {
        (self.log)(Record::new(level, text));
    }

    fn audit(&self, text: String) {
        (self.log)(Record::new(Level::Info, text).of(Kind::ActionAudited));
    }

    /// Who sent a request, where people log in.
    fn present(&self, headers: &HeaderMap) -> Option<Present> {
        self.sessions.as_ref()?.of(headers, self.tls.is_some())
    }
}

/// Who a request comes from.
pub(super) enum Admitted {
    /// Nobody in particular: it asks for what everybody may have.
    Public,
    /// Whoever may use the server.
    Visitor(Visitor),
    /// Somebody who has logged in.
    Session(Present),
}

/// Who a request comes from. What is wrong with it otherwise, before anybody looks at what it
/// wants.
pub(super) async fn admit(
    site: &Site,
    seat: &Arc<Seat>,
    request: &Request<Incoming>,
) -> Result<Admitted, Response> {
    if request.headers().contains_key(TRANSFER_ENCODING) {
        // Nobody sends chunks to us (C-279), and a proxy in front could be of another mind about
        // where they end: what follows them on this connection is not read.
        return Err(page::closing(page::plain_error(StatusCode::LENGTH_REQUIRED)));
    }
    if request.uri().path_and_query().is_none() {
        // `a:80` is for proxies, and nothing that warp's filters could look at.
        return Err(page::closing(page::plain_error(StatusCode::BAD_REQUEST)));
    }
    let (method, path) = (request.method(), request.uri().path());
    let present = site.present(request.headers());
    if site.sessions.is_some() && present.is_none() && routes::is_public(method, path) {
        return Ok(Admitted::Public);
    }
    let may_log_in = site.sessions.is_some() && login::is_here(path);
    if present.is_none() && !may_log_in {
        let headers = request.headers();
        match site.gate.judge(headers).await {
            Verdict::Welcome => {}
            Verdict::Anonymous => return Err(anonymous(site, headers)),
            Verdict::Malformed => {
                let status = StatusCode::BAD_REQUEST;
                return Err(page::error(status, "The authorization cannot be read"));
            }
            Verdict::Busy => return Err(page::busy()),
            Verdict::Wrong => return Err(wrong_password(site, seat).await),
        }
    }
    if let Some(names) = &site.names {
        browser::check(names, method, request.headers())
            .map_err(|why| page::error(StatusCode::FORBIDDEN, why))?;
    }
    let Some(present) = present else {
        let visitor = || site.gate.visitor(&site.section);
        return Ok(if may_log_in { Admitted::Public } else { Admitted::Visitor(visitor()) });
    };
    if let Some(why) = login::refusal(present.visitor.role, method, path) {
        tell_failure(site, seat, why);
        return Err(page::error(StatusCode::FORBIDDEN, why));
    }
    Ok(Admitted::Session(present))
}

/// Nobody gets in like that; a session that is over is told of, and its cookie taken away.
fn anonymous(site: &Site, headers: &HeaderMap) -> Response {
    let secure = site.tls.is_some();
    match &site.sessions {
        Some(sessions) if sessions.knows(headers, secure) => {
            page::session_over(&sessions.set_cookie("", secure))
        }
        _ => page::unauthorized(site.gate.access()),
    }
}

/// Notes who logged in or out. Who failed waits.
pub(super) async fn logged(site: &Site, seat: &Arc<Seat>, outcome: Outcome) -> Response {
    let (section, peer) = (&site.section, seat.peer());
    match outcome {
        Outcome::Shown(response) => response,
        Outcome::In(response, Grant { role, name }) => {
            let may = match role {
                Role::Read => "may look",
                Role::Act => "may act",
            };
            let text = format!("[{section}] {peer} logged in by a link of {name}, and {may}");
            site.audit(text);
            response
        }
        Outcome::Out(response, name) => {
            site.audit(format!("[{section}] {peer} logged out, who came by a link of {name}"));
            response
        }
        Outcome::Refused(response, what) => {
            tell_failure(site, seat, what);
            sleep(auth::WRONG_PASSWORD).await;
            response
        }
    }
}

/// A failed login takes its time, and is told without what was tried.
async fn wrong_password(site: &Site, seat: &Arc<Seat>) -> Response {
    tell_failure(site, seat, "a wrong user name or password");
    sleep(auth::WRONG_PASSWORD).await;
    page::unauthorized(site.gate.access())
}

/// Tells of somebody who was refused, once a second at most.
fn tell_failure(site: &Site, seat: &Arc<Seat>, what: &str) {
    if let Some(silent) = site.failures.count(Instant::now()) {
        let others = match silent {
            0 => String::new(),
            silent => format!(", after {silent} more"),
        };
        let (section, peer) = (&site.section, seat.peer());
        let text = format!("[{section}] refused {what} from {peer}{others}");
        (site.log)(Record::new(Level::Warn, text).of(Kind::AccessRefused));
    }
}
