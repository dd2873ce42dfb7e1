//! One process: its page, and what the script of that page asks for besides.

use askama::Template;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::{Shell, local};
use crate::api::{Api, Named};
use crate::config::shown;
use crate::http::web::data::history::Change;
use crate::http::web::data::meter::Sample;
use crate::http::web::data::tree::Tree;
use crate::http::web::form::Form;
use crate::http::web::request::Request;
use crate::http::web::respond;
use crate::http::web::routes::Web;
use crate::http::web::view::{View, class_of};
use crate::model::name::ProcessName;
use crate::model::snapshot::{Channel, ProcessSnapshot};

/// How much of its log stands in the page, in bytes.
const SHOWN: i64 = 8 * 1024;

/// One process.
#[derive(Debug, Template)]
#[template(path = "process.html", config = "src/http/web/askama.toml")]
pub struct Process {
    shell: Shell,
    row: View,
    logs: Vec<(&'static str, String)>,
    tail: String,
    history: Vec<Past>,
    tree: Tree,
    settings: Vec<shown::Shown>,
    environment: Vec<String>,
}

impl Process {
    /// A process now: with the end of its log, the processes that make it, and its past, oldest
    /// first.
    #[must_use]
    pub fn new(
        api: &Api,
        request: &Request,
        process: &ProcessSnapshot,
        tail: &[u8],
        tree: Tree,
        past: Vec<Change>,
    ) -> Self {
        let log = |channel: Channel| {
            let file = process.logs.of(channel);
            (channel.name(), file.map_or("no file".to_owned(), |file| file.display().to_string()))
        };
        let spec = &process.spec;
        let mut settings = shown::process(spec);
        settings.retain(|(name, value)| name != "environment" && !value.is_empty());
        Self {
            shell: Shell::new(api, request, "process"),
            row: View::of(process, api.now()),
            logs: vec![log(Channel::Stdout), log(Channel::Stderr)],
            tail: String::from_utf8_lossy(tail).into_owned(),
            history: past.into_iter().rev().map(Past::from).collect(),
            tree,
            settings,
            environment: spec.environment.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// A change of state, as the page of a process lists it.
#[derive(Debug)]
struct Past {
    at: String,
    state: String,
    class: &'static str,
    text: String,
}

impl From<Change> for Past {
    fn from(change: Change) -> Self {
        let ended = change.ended.map(|ended| ended.to_string());
        let by = change.by.map(|by| format!("asked by {by}"));
        let pid = (change.pid > 0).then(|| format!("pid {}", change.pid));
        let why = Some(change.why.as_ref().to_owned()).filter(|why| !why.is_empty());
        let state = change.to.name().to_lowercase();
        Self {
            at: local(change.at),
            class: class_of(&state),
            state,
            text: [pid, ended, why, by].into_iter().flatten().collect::<Vec<_>>().join(" · "),
        }
    }
}

/// What the page of a process asks for.
#[derive(Serialize)]
struct Facts {
    history: Vec<Change>,
    samples: Vec<Sample>,
    tree: Tree,
}

impl Web {
    /// The page of a process, by the path behind `process/`.
    pub(in crate::http::web) async fn process(
        &self,
        request: &Request,
        rest: &str,
    ) -> Option<Response> {
        let (group, name) = rest.split_once('/')?;
        let decoded = |part| percent_decode_str(part).decode_utf8().ok();
        let name = ProcessName::new(&*decoded(group)?, &*decoded(name)?);
        let process = self.api.snapshot().processes.get(&name).cloned()?;
        let named = Named::from(name.clone());
        let tail = self.api.tail_process_log(&named, Channel::Stdout, 0, SHOWN).await;
        let (tail, _, _) = tail.unwrap_or_default();
        let tree = Tree::of(&self.api, &process).await;
        let past = self.history.of(&name, 0);
        let page = Process::new(&self.api, request, &process, &tail, tree, past);
        Some(respond::show(StatusCode::OK, &page, request))
    }

    /// What the script of that page asks for besides.
    pub(in crate::http::web) async fn facts(
        &self,
        request: &Request,
        form: &Form,
    ) -> Option<Response> {
        let process = self.api.process(form.get("name")?).ok()?;
        let after = form.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
        let facts = Facts {
            history: self.history.of(&process.spec.name, after),
            // They go on with what is told live.
            samples: if after == 0 { self.meter.history(process.key) } else { Vec::new() },
            tree: Tree::of(&self.api, &process).await,
        };
        Some(respond::json(&facts, request))
    }
}
