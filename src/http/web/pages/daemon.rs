//! The daemon: its page, and what reading its configuration again would change.

use std::fmt;

use askama::Template;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::{Shell, local};
use crate::api::Api;
use crate::http::page;
use crate::http::web::data::preview::{Line, Names, Preview};
use crate::http::web::form::Form;
use crate::http::web::request::Request;
use crate::http::web::respond;
use crate::http::web::routes::Web;
use crate::http::web::view::millis;
use crate::model::fault::FaultKind;

/// How much of its log stands in the page, in bytes.
const SHOWN: i64 = 8 * 1024;

/// The daemon.
#[derive(Debug, Template)]
#[template(path = "daemon.html", config = "src/http/web/askama.toml")]
pub struct Daemon {
    shell: Shell,
    since: String,
    config_file: String,
    log_file: String,
    tail: String,
    preview: Option<String>,
}

impl Daemon {
    /// The daemon now, with the end of its log, and with what reading the configuration again
    /// would change where that was asked for.
    #[must_use]
    pub fn new(api: &Api, request: &Request, tail: &[u8], preview: Option<String>) -> Self {
        Self {
            shell: Shell::new(api, request, "daemon"),
            since: local(millis(api.started())),
            config_file: api.identity().config_file.display().to_string(),
            log_file: api
                .log_file()
                .map_or("no file".to_owned(), |file| file.display().to_string()),
            tail: String::from_utf8_lossy(tail).into_owned(),
            preview,
        }
    }
}

/// What reading the configuration again comes to.
#[derive(Serialize)]
#[serde(untagged)]
enum Outlook {
    Changes(Preview),
    Wrong { error: String },
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preview = match self {
            Self::Changes(preview) if preview.is_empty() => {
                return f.write_str("Nothing would change.");
            }
            Self::Changes(preview) => preview,
            Self::Wrong { error } => {
                return write!(f, "The configuration has errors, nothing would change:\n{error}");
            }
        };
        for group in &preview.added {
            writeln!(f, "added {}: {}", group.group, listed(&group.processes))?;
        }
        for group in &preview.changed {
            writeln!(f, "changed {}:", group.group)?;
            options(f, &group.options)?;
            if !group.added.names.is_empty() {
                writeln!(f, "  + {}", listed(&group.added))?;
            }
            if !group.removed.names.is_empty() {
                writeln!(f, "  - {}", listed(&group.removed))?;
            }
            for edit in &group.changed {
                writeln!(f, "  {}:", listed(&edit.processes))?;
                options(f, &edit.options)?;
            }
        }
        for group in &preview.removed {
            writeln!(f, "removed {}: {}", group.group, listed(&group.processes))?;
        }
        if preview.more > 0 { write!(f, "and {} groups more", preview.more) } else { Ok(()) }
    }
}

fn options(f: &mut fmt::Formatter<'_>, lines: &[Line]) -> fmt::Result {
    for Line { option, old, new } in lines {
        if let Some(old) = old {
            writeln!(f, "    - {option} = {old}")?;
        }
        if let Some(new) = new {
            writeln!(f, "    + {option} = {new}")?;
        }
    }
    Ok(())
}

fn listed(names: &Names) -> String {
    let more = if names.more > 0 { format!(" and {} more", names.more) } else { String::new() };
    names.names.join(", ") + &more
}

impl Web {
    /// The page of the daemon, with a preview where one is asked for.
    pub(in crate::http::web) async fn daemon(&self, request: &Request, form: &Form) -> Response {
        let (tail, _, _) = self.api.tail_log(0, SHOWN).await.unwrap_or_default();
        let preview = match form.get("preview") {
            None => None,
            Some(_) => match self.outlook().await {
                Ok(data) => Some(data.to_string()),
                Err(no) => return no,
            },
        };
        respond::show(StatusCode::OK, &Daemon::new(&self.api, request, &tail, preview), request)
    }

    /// What reading the configuration again would change, for the script of that page.
    pub(in crate::http::web) async fn preview(&self, request: &Request) -> Response {
        self.outlook().await.map_or_else(|no| no, |outlook| respond::json(&outlook, request))
    }

    /// What reading the configuration again would change.
    async fn outlook(&self) -> Result<Outlook, Response> {
        let Ok(_permit) = self.previewing.try_acquire() else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(page::error(status, "Others look at it already, try again in a moment"));
        };
        Ok(match Preview::read(&self.api).await {
            Ok(preview) => Outlook::Changes(preview),
            Err(fault) if fault.kind == FaultKind::CantReread => {
                Outlook::Wrong { error: fault.detail }
            }
            Err(fault) => Outlook::Wrong { error: fault.to_string() },
        })
    }
}
