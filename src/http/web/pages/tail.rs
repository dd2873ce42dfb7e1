//! The end of a log as a page, as upstream has it (C-333).

use askama::Template;
use warp::http::StatusCode;
use warp::reply::Response;

use super::Shell;
use crate::api::Named;
use crate::http::web::acts::unexpected;
use crate::http::web::form::Form;
use crate::http::web::request::Request;
use crate::http::web::respond;
use crate::http::web::routes::Web;
use crate::model::fault::{Fault, FaultKind};
use crate::model::snapshot::Channel;

/// The least and the most that is shown, in bytes.
const TAIL: (i64, i64) = (1024, 1024 * 1024);

/// The end of a log (C-333).
#[derive(Debug, Template)]
#[template(path = "tail.html", config = "src/http/web/askama.toml")]
pub struct Tail {
    /// What is around it.
    pub shell: Shell,
    /// Whose log; empty for nobody's.
    pub name: String,
    /// What is in it, or why nothing is.
    pub text: String,
    /// How many bytes were asked for.
    pub limit: i64,
    /// How many are offered instead.
    pub more: i64,
}

impl Web {
    /// The end of a log (C-333).
    pub(in crate::http::web) async fn tail(&self, request: &Request, form: &Form) -> Response {
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
        let shell = Shell::new(&self.api, request, "tail");
        let more = limit.saturating_mul(16).min(TAIL.1);
        let name = name.to_owned();
        respond::show(StatusCode::OK, &Tail { shell, name, text, limit, more }, request)
    }

    async fn end_of_log(&self, name: &str, limit: i64) -> Result<Vec<u8>, Fault> {
        let name = Named::parse_process(name)?;
        self.api.read_process_log(&name, Channel::Stdout, -limit, 0).await
    }
}
