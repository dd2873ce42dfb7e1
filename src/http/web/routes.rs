//! Which page is at which path.

use std::sync::Arc;

use futures_util::Stream;
use tokio::sync::{Semaphore, watch};
use warp::http::StatusCode;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Buf, Filter, Rejection};

use super::data::history::History;
use super::data::meter::Meter;
use super::form::Form;
use super::live::Live;
use super::request::Request;
use super::{assets, body};
use crate::api::Api;
use crate::http::page;
use crate::http::places::Seat;
use crate::http::visitor::Visitor;
use crate::http::wire::End;
use crate::http::xmlrpc::Log;

/// How many wishes are granted at the same time.
const MAX_GRANTING: usize = 64;
/// How many look at what the configuration would change at the same time.
const MAX_PREVIEWING: usize = 4;
/// What others serve, by how it begins (C-323): pages do not answer for them.
const OTHERS: [&str; 3] = ["/RPC2", "/logtail", "/mainlogtail"];

/// A request; or its path alone, of somebody who has not logged in.
type Asking = Result<Request, String>;

/// The pages.
#[derive(Clone)]
pub struct Web {
    pub(super) api: Api,
    pub(super) log: Log,
    pub(super) granting: Arc<Semaphore>,
    pub(super) previewing: Arc<Semaphore>,
    pub(super) history: History,
    pub(super) meter: Meter,
    live: Live,
}

impl Web {
    /// Pages over these use cases, until the server stops. To be called inside of a tokio runtime.
    #[must_use]
    pub fn new(api: Api, log: Log, stopped: watch::Receiver<bool>) -> Self {
        let meter = Meter::new(api.clone());
        Self {
            log,
            granting: Arc::new(Semaphore::new(MAX_GRANTING)),
            previewing: Arc::new(Semaphore::new(MAX_PREVIEWING)),
            history: History::new(api.clone()),
            live: Live::new(api.clone(), meter.clone(), stopped),
            meter,
            api,
        }
    }

    /// The routes.
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let request = warp::path::full()
            .and_then(|path: FullPath| async move {
                let asked = path.as_str();
                let others =
                    asked == "/events" || OTHERS.iter().any(|other| asked.starts_with(other));
                if others { Err(warp::reject::not_found()) } else { Ok(path) }
            })
            .and(warp::query::raw().or(warp::any().map(String::new)).unify())
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Visitor>())
            .map(|path: FullPath, query, headers, visitor: Option<Visitor>| {
                let path = path.as_str().to_owned();
                match visitor {
                    Some(visitor) => Ok(Request { path, query, headers, visitor }),
                    None => Err(path),
                }
            });
        let (looking, acting) = (self.clone(), self);
        let get = warp::get().or(warp::head()).unify().and(request).then(move |asked: Asking| {
            let web = looking.clone();
            async move {
                let found = match &asked {
                    Ok(request) => web.get(request).await,
                    Err(path) => public(path),
                };
                found.unwrap_or_else(|| page::plain_error(StatusCode::NOT_FOUND))
            }
        });
        let post = warp::post()
            .and(warp::body::content_length_limit(body::MOST))
            .and(request)
            .and(warp::ext::get::<Arc<Seat>>())
            .and(warp::ext::get::<End>())
            .and(warp::body::stream())
            .then(move |asked: Asking, seat: Arc<Seat>, end: End, body| {
                let web = acting.clone();
                async move {
                    let Ok(request) = &asked else { return refused() };
                    web.post(request, (&seat, &end), body).await.unwrap_or_else(|no| no)
                }
            });
        get.or(post).unify()
    }

    /// What is at a path; none when nothing is.
    async fn get(&self, request: &Request) -> Option<Response> {
        let form = Form::new(&request.query, b"");
        match request.page() {
            "ok.html" => Some(page::ok()),
            "live" => Some(self.live.answer()),
            "daemon" => Some(self.daemon(request, &form).await),
            "data/preview" => Some(self.preview(request).await),
            "data/use" => Some(self.samples(request, &form)),
            "data/process" => self.facts(request, &form).await,
            "download" => self.download(&form).await,
            "index.html" => Some(self.index(request, &form)),
            "tail.html" => Some(self.tail(request, &form).await),
            page => match page.strip_prefix("process/") {
                Some(rest) => self.process(request, rest).await,
                None => assets::find(&request.path, &request.headers),
            },
        }
    }

    /// What becomes of a form; the error is an answer, too.
    async fn post<B: Buf>(
        &self,
        request: &Request,
        (seat, end): (&Arc<Seat>, &End),
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        let page = request.page();
        if page == "act" {
            return self.act(request, (seat, end), body).await;
        }
        if !matches!(page, "index.html" | "tail.html" | "ok.html") {
            return Err(refused());
        }
        let bytes = body::read(body).await?;
        // It has come whole: from now on the connection keeps its place.
        let work = seat.work();
        let form = Form::new(&request.query, &bytes);
        Ok(match page {
            "index.html" if form.get("action").is_some() => {
                self.wish(request, &form, (work, end)).await
            }
            "index.html" => self.index(request, &form),
            "tail.html" => self.tail(request, &form).await,
            _ => page::ok(),
        })
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

fn refused() -> Response {
    page::plain_error(StatusCode::BAD_REQUEST)
}
