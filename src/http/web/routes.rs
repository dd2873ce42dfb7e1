//! Which page is at which path.

use std::sync::Arc;

use askama::Template;
use futures_util::Stream;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Semaphore;
use warp::http::{HeaderMap, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Buf, Filter, Rejection};

use super::acts::{Wish, refreshed, unexpected};
use super::form::Form;
use super::pages::{Confirm, Shell, Status, Tail};
use super::{assets, body, respond};
use crate::api::{Api, Named};
use crate::http::asked::Asked;
use crate::http::page;
use crate::http::places::{Peer, Seat, Work};
use crate::http::visitor::Visitor;
use crate::http::wire::End;
use crate::http::xmlrpc::{Log, shown};
use crate::model::fault::{Fault, FaultKind};
use crate::model::record::{Level, Record};
use crate::model::snapshot::Channel;

/// How many wishes are granted at the same time.
const MAX_GRANTING: usize = 64;
/// What others serve, by how it begins (C-323): pages do not answer for them.
const OTHERS: [&str; 3] = ["/RPC2", "/logtail", "/mainlogtail"];
/// The longest message that a page shows, in characters.
const MAX_MESSAGE: usize = 2000;
/// The least and the most that `/tail.html` shows, in bytes.
const TAIL: (i64, i64) = (1024, 1024 * 1024);

/// The pages.
#[derive(Clone)]
pub struct Web {
    api: Api,
    log: Log,
    granting: Arc<Semaphore>,
}

/// A request, as far as pages look at it.
struct Request {
    path: String,
    query: String,
    headers: HeaderMap,
    visitor: Option<Visitor>,
}

impl Request {
    /// The path as pages know it: any number of slashes before it is the same, as upstream has it.
    fn page(&self) -> &str {
        match self.path.trim_start_matches('/') {
            "" => "index.html",
            page => page,
        }
    }
}

impl Web {
    /// Pages over these use cases.
    #[must_use]
    pub fn new(api: Api, log: Log) -> Self {
        Self { api, log, granting: Arc::new(Semaphore::new(MAX_GRANTING)) }
    }

    /// The routes.
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let request = warp::path::full()
            .and_then(|path: FullPath| async move {
                let others = OTHERS.iter().any(|other| path.as_str().starts_with(other));
                if others { Err(warp::reject::not_found()) } else { Ok(path) }
            })
            .and(warp::query::raw().or(warp::any().map(String::new)).unify())
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Visitor>())
            .map(|path: FullPath, query, headers, visitor| Request {
                path: path.as_str().to_owned(),
                query,
                headers,
                visitor,
            });
        let (looking, acting) = (self.clone(), self);
        let get =
            warp::get().or(warp::head()).unify().and(request).then(move |request: Request| {
                let web = looking.clone();
                async move {
                    let nothing = || page::plain_error(StatusCode::NOT_FOUND);
                    web.get(&request).await.unwrap_or_else(nothing)
                }
            });
        let post = warp::post()
            .and(warp::body::content_length_limit(body::MOST))
            .and(request)
            .and(warp::ext::get::<Arc<Seat>>())
            .and(warp::ext::get::<End>())
            .and(warp::body::stream())
            .then(move |request: Request, seat: Arc<Seat>, end: End, body| {
                let web = acting.clone();
                async move { web.post(&request, (&seat, &end), body).await.unwrap_or_else(|no| no) }
            });
        get.or(post).unify()
    }

    /// What is at a path; none when nothing is.
    async fn get(&self, request: &Request) -> Option<Response> {
        let Some(visitor) = &request.visitor else { return public(&request.path) };
        let form = Form::new(&request.query, b"");
        match request.page() {
            "ok.html" => Some(page::ok()),
            "index.html" => Some(self.index(request, visitor, &form)),
            "tail.html" => Some(self.tail(request, visitor, &form).await),
            _ => assets::find(&request.path, &request.headers),
        }
    }

    /// What becomes of a form; the error is an answer, too.
    async fn post<B: Buf>(
        &self,
        request: &Request,
        (seat, end): (&Arc<Seat>, &End),
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        let refused = || page::plain_error(StatusCode::BAD_REQUEST);
        let visitor = request.visitor.as_ref().ok_or_else(refused)?;
        let page = request.page();
        if !matches!(page, "index.html" | "tail.html" | "ok.html") {
            return Err(refused());
        }
        let bytes = body::read(body).await?;
        // It has come whole: from now on the connection keeps its place.
        let work = seat.work();
        let form = Form::new(&request.query, &bytes);
        Ok(match page {
            "index.html" if form.get("action").is_some() => {
                self.wish(request, visitor, &form, (work, end)).await
            }
            "index.html" => self.index(request, visitor, &form),
            "tail.html" => self.tail(request, visitor, &form).await,
            _ => page::ok(),
        })
    }

    /// The overview, or what stands before an action that was not asked for by one of our forms.
    fn index(&self, request: &Request, visitor: &Visitor, form: &Form) -> Response {
        if form.get("action").is_some() {
            return match Wish::of(form) {
                // It changes nothing.
                Some(Wish::Refresh) => told(&refreshed()),
                Some(wish) => self.confirm(StatusCode::OK, request, visitor, &wish, form),
                None => unknown(),
            };
        }
        let message: String =
            form.get("message").unwrap_or_default().chars().take(MAX_MESSAGE).collect();
        show(StatusCode::OK, &Status::new(&self.api, visitor, &message), request)
    }

    fn confirm(
        &self,
        status: StatusCode,
        request: &Request,
        visitor: &Visitor,
        wish: &Wish,
        form: &Form,
    ) -> Response {
        show(status, &Confirm::new(&self.api, visitor, wish, form), request)
    }

    /// Grants a wish that somebody has who may have it (C-330).
    async fn wish(
        &self,
        request: &Request,
        visitor: &Visitor,
        form: &Form,
        (work, end): (Work, &End),
    ) -> Response {
        let Some(wish) = Wish::of(form) else { return unknown() };
        if wish == Wish::Refresh {
            return told(&refreshed());
        }
        let is_ours = form.get("csrf").is_some_and(|token| visitor.owns(token));
        let is_sure = !wish.is_grave() || form.get("sure") == Some("yes");
        if !visitor.may_act() || !is_ours || !is_sure {
            return self.confirm(StatusCode::FORBIDDEN, request, visitor, &wish, form);
        }
        let Ok(permit) = Arc::clone(&self.granting).try_acquire_owned() else {
            return page::error(StatusCode::SERVICE_UNAVAILABLE, "Too much is under way");
        };
        let who = caller(visitor, work.peer());
        let (api, log) = (self.api.clone(), Arc::clone(&self.log));
        let granting = tokio::spawn(async move {
            let _permit = permit;
            let message = wish.grant(&api).await;
            let line = format!(
                "{who} used the web page to {}: {}",
                shown(&wish.to_string()),
                shown(&message)
            );
            log(Record::new(Level::Info, line));
            (message, work)
        });
        match Asked::new(granting).ended(end).await {
            Ok((message, work)) => {
                let mut response = told(&message);
                response.extensions_mut().insert(Arc::new(work));
                response
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => page::plain_error(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The end of a log (C-333).
    async fn tail(&self, request: &Request, visitor: &Visitor, form: &Form) -> Response {
        let asked = form.get("limit").filter(|limit| limit.bytes().all(|b| b.is_ascii_digit()));
        // A number that is too large is as good as the largest.
        let asked = asked.map_or(TAIL.0, |limit| limit.parse().unwrap_or(TAIL.1));
        let limit = asked.clamp(TAIL.0, TAIL.1);
        let name = form.get("processname").unwrap_or_default();
        let text = if name.is_empty() {
            "No process name found".to_owned()
        } else {
            match self.end_of_log(name, limit).await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(fault) if fault.kind == FaultKind::NoFile => format!("No file for {name}"),
                Err(fault) => format!("ERROR: {}", unexpected(&fault)),
            }
        };
        let shell = Shell::new(&self.api, visitor, "tail");
        let more = limit.saturating_mul(16).min(TAIL.1);
        let name = name.to_owned();
        show(StatusCode::OK, &Tail { shell, name, text, limit, more }, request)
    }

    async fn end_of_log(&self, name: &str, limit: i64) -> Result<Vec<u8>, Fault> {
        let name = Named::parse_process(name)?;
        self.api.read_process_log(&name, Channel::Stdout, -limit, 0).await
    }
}

/// What is there for those who have not logged in.
fn public(path: &str) -> Option<Response> {
    match path {
        "/" | "/index.html" => Some(page::front()),
        "/ok.html" => Some(page::ok()),
        _ => None,
    }
}

/// Who asks, for the log.
fn caller(visitor: &Visitor, peer: Peer) -> String {
    if visitor.name.is_empty() {
        peer.to_string()
    } else {
        format!("{peer} as '{}'", shown(&visitor.name))
    }
}

fn show(status: StatusCode, page: &impl Template, request: &Request) -> Response {
    match page.render() {
        Ok(text) => respond::html(status, text, &request.headers),
        Err(_) => page::plain_error(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Back to the overview, with a message.
fn told(message: &str) -> Response {
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    respond::see(&format!("/?message={}", utf8_percent_encode(&message, NON_ALPHANUMERIC)))
}

fn unknown() -> Response {
    page::error(StatusCode::BAD_REQUEST, "Nobody knows what to do with this form")
}
