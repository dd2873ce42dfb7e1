//! The pages as HTML, and how each is made. Templates escape whatever they are given.

mod confirm;
mod daemon;
mod overview;
mod process;
mod tail;

use chrono::{DateTime, Local};

use crate::api::{Api, VERSION};
use crate::http::web::assets;
use crate::http::web::request::Request;

/// Signals that the pages offer.
const SIGNALS: &[&str] = &["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP"];

/// What is around every page.
#[derive(Debug)]
pub struct Shell {
    page: &'static str,
    identifier: String,
    state: &'static str,
    version: &'static str,
    pid: u32,
    who: String,
    in_session: bool,
    may_act: bool,
    token: String,
    theme: Option<&'static str>,
    style: &'static str,
}

impl Shell {
    /// Around this page, for whoever asks for it.
    #[must_use]
    pub fn new(api: &Api, request: &Request, page: &'static str) -> Self {
        let visitor = &request.visitor;
        Self {
            page,
            identifier: api.identity().identifier.clone(),
            state: api.state().name(),
            version: VERSION,
            pid: api.identity().pid,
            who: visitor.name.as_ref().to_owned(),
            in_session: visitor.in_session,
            may_act: visitor.may_act(),
            token: visitor.token(),
            theme: request.theme(),
            style: assets::STYLE,
        }
    }
}

/// Local time, of milliseconds since the epoch.
fn local(millis: u64) -> String {
    let time = DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    time.unwrap_or_default().with_timezone(&Local).format("%b %d %H:%M:%S").to_string()
}
