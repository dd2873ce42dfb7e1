//! What forms and scripts of our pages ask for is done, and written into the log.

use std::sync::Arc;

use futures_util::Stream;
use tokio::task::JoinHandle;
use warp::Buf;
use warp::http::StatusCode;
use warp::reply::Response;

use super::acts::{Wish, refreshed};
use super::calls::{self, Call};
use super::form::Form;
use super::request::Request;
use super::routes::Web;
use super::{body, respond};
use crate::http::asked::Asked;
use crate::http::page;
use crate::http::places::{Peer, Seat, Work};
use crate::http::visitor::Visitor;
use crate::http::wire::End;
use crate::http::xmlrpc::shown;
use crate::model::record::{Level, Record};

impl Web {
    /// Grants a wish that somebody has who may have it (C-330).
    pub(super) async fn wish(
        &self,
        request: &Request,
        form: &Form,
        (work, end): (Work, &End),
    ) -> Response {
        let Some(wish) = Wish::of(form) else { return respond::unknown() };
        if wish == Wish::Refresh {
            return respond::told(&refreshed());
        }
        let visitor = &request.visitor;
        let is_ours = form.get("csrf").is_some_and(|token| visitor.owns(token));
        let is_sure = !wish.is_grave() || form.get("sure") == Some("yes");
        if !visitor.may_act() || !is_ours || !is_sure {
            return self.confirm(StatusCode::FORBIDDEN, request, &wish, form);
        }
        let Ok(permit) = Arc::clone(&self.granting).try_acquire_owned() else {
            return page::error(StatusCode::SERVICE_UNAVAILABLE, "Too much is under way");
        };
        let who = caller(&request.visitor, work.peer());
        let (api, log) = (self.api.on_behalf_of(&who), Arc::clone(&self.log));
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
        let Some((message, work)) = ended(granting, end).await else {
            return page::plain_error(StatusCode::SERVICE_UNAVAILABLE);
        };
        keeping(respond::told(&message), work)
    }

    /// Does what a script of ours asks for.
    pub(super) async fn act<B: Buf>(
        &self,
        request: &Request,
        (seat, end): (&Arc<Seat>, &End),
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        if !calls::is_ours(&request.headers, &request.visitor) {
            return Err(page::error(StatusCode::FORBIDDEN, "This is for our own pages"));
        }
        let bytes = body::read(body).await?;
        let work = seat.work();
        let call: Call = serde_json::from_slice(&bytes).map_err(|error| {
            page::error(StatusCode::BAD_REQUEST, &format!("The call cannot be read: {error}"))
        })?;
        let permit = Arc::clone(&self.granting).try_acquire_owned();
        let permit = permit
            .map_err(|_| page::error(StatusCode::SERVICE_UNAVAILABLE, "Too much is under way"))?;
        let who = caller(&request.visitor, work.peer());
        let (api, log) = (self.api.on_behalf_of(&who), Arc::clone(&self.log));
        let acting = tokio::spawn(async move {
            let _permit = permit;
            let report = call.carry_out(&api).await;
            let told = report.as_ref().map_or_else(
                || "nobody knows how".to_owned(),
                |report| match report.failed.first() {
                    None => "done".to_owned(),
                    Some((_, why)) => format!("{} failed: {why}", report.failed.len()),
                },
            );
            let line =
                format!("{who} used the web page to {}: {}", shown(&call.line()), shown(&told));
            log(Record::new(Level::Info, line));
            (report, work)
        });
        match ended(acting, end).await {
            Some((Some(report), work)) => Ok(keeping(respond::json(&report, request), work)),
            Some((None, _)) => Err(respond::unknown()),
            None => Err(page::plain_error(StatusCode::SERVICE_UNAVAILABLE)),
        }
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

/// What came of it; none when it was given up, because whoever asked has left.
async fn ended<T: Send + 'static>(task: JoinHandle<T>, end: &End) -> Option<T> {
    match Asked::new(task).ended(end).await {
        Ok(outcome) => Some(outcome),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

/// The answer, with which the place of its connection is kept until it is sent.
fn keeping(mut response: Response, work: Work) -> Response {
    response.extensions_mut().insert(Arc::new(work));
    response
}
