//! `/RPC2` (C-278 to C-282).

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::reply::Response;
use warp::{Buf, Filter, Rejection};

use super::audit::{Log, shown};
use super::budget::weight;
use super::dispatch::{Rpc, Session};
use super::{decode, encode};
use crate::http::asked::Asked;
use crate::http::browser;
use crate::http::page;
use crate::http::places::{Seat, Work};
use crate::http::wire::End;
use crate::model::record::{Level, Record};

/// How many bytes a call may have.
pub const MAX_BODY: u64 = 8 * 1024 * 1024;
/// How many bytes of calls may be on their way at the same time, besides the small ones.
const ALL_BODIES: usize = 64 * 1024 * 1024;
/// A call of so many bytes is a small one.
const SMALL: usize = 64 * 1024;
/// How long a client may take for the next part of a call.
const NEXT_PART: Duration = Duration::from_secs(20);
/// How long a client may take for a whole call.
const WHOLE: Duration = Duration::from_secs(120);

/// What an answer holds until it is sent.
#[derive(Debug)]
pub struct Held {
    _work: Work,
    _session: Session,
}

/// What the route stands on.
#[derive(Clone)]
pub struct Endpoint {
    /// The methods.
    pub rpc: Rpc,
    /// Where lines for the daemon's log go.
    pub log: Log,
    bodies: Arc<Semaphore>,
}

impl Endpoint {
    /// Serves these methods.
    pub fn new(rpc: Rpc, log: Log) -> Self {
        Self { rpc, log, bodies: Arc::new(Semaphore::new(ALL_BODIES)) }
    }

    fn log(&self, level: Level, text: String) {
        (self.log)(Record::new(level, text));
    }

    /// The route: any path that begins so (C-278), by POST, with a length (C-279).
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let here = warp::path::full().and_then(|path: warp::path::FullPath| async move {
            if path.as_str().starts_with("/RPC2") { Ok(()) } else { Err(warp::reject::not_found()) }
        });
        here.untuple_one()
            .and(warp::post())
            .and(warp::body::content_length_limit(MAX_BODY))
            .and(warp::header::headers_cloned())
            .and(warp::header::<usize>("content-length"))
            .and(warp::ext::get::<Arc<Seat>>())
            .and(warp::ext::get::<End>())
            .and(warp::body::stream())
            .then(move |headers: HeaderMap, length, seat: Arc<Seat>, end: End, body| {
                let endpoint = self.clone();
                async move {
                    let answered = endpoint.answer(&headers, length, &seat, &end, body).await;
                    answered.unwrap_or_else(|refusal| refusal)
                }
            })
    }

    async fn answer<B: Buf>(
        &self,
        headers: &HeaderMap,
        length: usize,
        seat: &Arc<Seat>,
        end: &End,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        if browser::is_browser(headers) && !is_xml(headers) {
            // A form of another site's page can send anything else without asking.
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(page::error(status, "A browser has to send this as text/xml"));
        }
        let body = self.read(length, body).await?;
        // It has come whole: from now on the connection keeps its place.
        let work = seat.work();
        let peer = seat.peer();
        let invalid = |why: &str| {
            self.log(
                Level::Error,
                format!("XML-RPC request from {peer} is invalid: {}", shown(why)),
            );
            page::plain_error(StatusCode::BAD_REQUEST)
        };
        let document = if body.0.len() > SMALL {
            spawn_blocking(move || read_call(&body.0)).await.unwrap_or_else(|e| Err(e.to_string()))
        } else {
            read_call(&body.0)
        };
        let document = document.map_err(|why| invalid(&why))?;
        let Some(method) = document.method.filter(|method| !method.is_empty()) else {
            return Err(invalid("no method name"));
        };
        let called = shown(&method);
        self.log(Level::Trace, format!("XML-RPC method called: {called}()"));
        let mut session = self.rpc.session(peer.to_string());
        let arguments = document.params.unwrap_or_default();
        let rpc = self.rpc.clone();
        let call = tokio::spawn(async move {
            let outcome = rpc.call(&method, arguments, &mut session).await;
            (outcome, session, work)
        });
        // A panic goes on to where it is told.
        let (outcome, session, work) = match Asked::new(call).ended(end).await {
            Ok(ended) => ended,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Err(page::plain_error(StatusCode::SERVICE_UNAVAILABLE)),
        };
        let ended = match &outcome {
            Ok(_) => "successfully".to_owned(),
            Err(fault) => format!("fault: [{}] {}", fault.kind.code(), shown(&fault.to_string())),
        };
        self.log(Level::Trace, format!("XML-RPC method {called}() returned {ended}"));
        let xml = if outcome.as_ref().is_ok_and(|value| weight(value) > SMALL * 4) {
            let written = spawn_blocking(move || encode::answer(&outcome)).await;
            written.map_err(|_| page::plain_error(StatusCode::INTERNAL_SERVER_ERROR))?
        } else {
            encode::answer(&outcome)
        };
        let mut response = Response::new(xml.into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
        response.extensions_mut().insert(Arc::new(Held { _work: work, _session: session }));
        Ok(response)
    }

    /// Reads the body, bounded in size and time.
    async fn read<B: Buf>(
        &self,
        length: usize,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Response> {
        let room = match u32::try_from(length) {
            Ok(large) if length > SMALL => {
                let room = Arc::clone(&self.bodies).try_acquire_many_owned(large);
                Some(room.map_err(|_| page::plain_error(StatusCode::SERVICE_UNAVAILABLE))?)
            }
            _ => None,
        };
        let reading = async {
            let mut bytes = Vec::new();
            let mut body = std::pin::pin!(body);
            while let Some(part) = timeout(NEXT_PART, body.next()).await.map_err(|_| late())? {
                let mut part = part.map_err(|_| page::plain_error(StatusCode::BAD_REQUEST))?;
                if bytes.len() + part.remaining() > length {
                    return Err(page::plain_error(StatusCode::PAYLOAD_TOO_LARGE));
                }
                while part.has_remaining() {
                    let chunk = part.chunk();
                    bytes.extend_from_slice(chunk);
                    let read = chunk.len();
                    part.advance(read);
                }
            }
            Ok(bytes)
        };
        let bytes = timeout(WHOLE, reading).await.map_err(|_| late())??;
        Ok((bytes, room))
    }
}

fn late() -> Response {
    page::plain_error(StatusCode::REQUEST_TIMEOUT)
}

fn is_xml(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let kind = given.and_then(|given| given.split(';').next()).unwrap_or_default();
    matches!(kind.trim().to_ascii_lowercase().as_str(), "text/xml" | "application/xml")
}

fn read_call(body: &[u8]) -> Result<decode::Document, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    decode::decode(text).map_err(|error| error.to_string())
}
