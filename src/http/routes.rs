//! What is at which path. Whoever gets here was let in.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::http::{Method, StatusCode};
use warp::reject::{LengthRequired, PayloadTooLarge};
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::events::Events;
use super::page;
use super::server::Options;
use super::tail::Tails;
use super::web::Web;
use super::xmlrpc::{Endpoint, Rpc};

/// Whether this path is for everybody on a server with a login.
pub fn is_public(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
        && matches!(path, "/" | "/index.html" | "/ok.html")
}

/// Every route, in upstream's order (C-323), and our own before the pages.
pub fn all(options: &Options, stopped: &watch::Receiver<bool>) -> BoxedFilter<(Response,)> {
    let rpc = Rpc::new(options.api.clone(), options.namespaces.clone(), Arc::clone(&options.log));
    let rpc = Endpoint::new(rpc, Arc::clone(&options.log)).route();
    let tails = Tails::new(options.api.clone(), stopped.clone()).route();
    let events = Events::new(options.api.clone(), stopped.clone()).route();
    let pages = Web::new(options.api.clone(), Arc::clone(&options.log), stopped.clone()).route();
    rpc.or(tails).unify().or(events).unify().or(pages).unify().recover(refused).unify().boxed()
}

/// What nobody serves: C-335 has 404 for unknown paths, and 400 for other verbs.
async fn refused(rejection: Rejection) -> Result<Response, Infallible> {
    let status = if rejection.is_not_found() {
        StatusCode::NOT_FOUND
    } else if rejection.find::<LengthRequired>().is_some() {
        StatusCode::LENGTH_REQUIRED
    } else if rejection.find::<PayloadTooLarge>().is_some() {
        StatusCode::PAYLOAD_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    };
    Ok(page::plain_error(status))
}
