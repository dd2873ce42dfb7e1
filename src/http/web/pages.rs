//! The pages as HTML. Templates escape whatever they are given.

use askama::Template;
use chrono::{DateTime, Local};

use super::acts::Wish;
use super::data::history::Change;
use super::data::tree::Tree;
use super::form::Form;
use super::view::{View, class_of};
use crate::api::{Api, VERSION};
use crate::config::shown;
use crate::http::visitor::Visitor;
use crate::model::snapshot::ProcessSnapshot;

/// Signals that the page offers.
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
}

impl Shell {
    /// Around this page, for this visitor.
    #[must_use]
    pub fn new(api: &Api, visitor: &Visitor, page: &'static str) -> Self {
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
        }
    }
}

/// How many processes are how.
#[derive(Debug, Default)]
struct Counts {
    all: usize,
    problem: usize,
    running: usize,
    changing: usize,
    down: usize,
}

impl Counts {
    fn of(rows: &[View]) -> Self {
        let mut counts = Self { all: rows.len(), ..Self::default() };
        for row in rows {
            counts.problem += usize::from(row.problem);
            match row.state.as_str() {
                "running" => counts.running += 1,
                "starting" | "stopping" | "backoff" => counts.changing += 1,
                _ => counts.down += 1,
            }
        }
        counts
    }
}

/// The overview (C-329, C-332).
#[derive(Debug, Template)]
#[template(path = "status.html", config = "src/http/web/askama.toml")]
pub struct Status {
    shell: Shell,
    message: String,
    rows: Vec<View>,
    counts: Counts,
    signals: &'static [&'static str],
}

impl Status {
    /// The overview now, with a message.
    #[must_use]
    pub fn new(api: &Api, visitor: &Visitor, message: &str) -> Self {
        let (snapshot, now) = (api.snapshot(), api.now());
        // They are sorted by group and name already.
        let rows: Vec<_> =
            snapshot.processes.values().map(|process| View::of(process, now)).collect();
        Self {
            shell: Shell::new(api, visitor, "overview"),
            message: message.to_owned(),
            counts: Counts::of(&rows),
            rows,
            signals: SIGNALS,
        }
    }
}

/// Asks whether something is really wanted (C-439).
#[derive(Debug, Template)]
#[template(path = "confirm.html", config = "src/http/web/askama.toml")]
pub struct Confirm {
    shell: Shell,
    wish: String,
    grave: bool,
    fields: Vec<(&'static str, String)>,
}

impl Confirm {
    /// Asks for what this form wants.
    #[must_use]
    pub fn new(api: &Api, visitor: &Visitor, wish: &Wish, form: &Form) -> Self {
        const FIELDS: [&str; 4] = ["action", "processname", "signal", "text"];
        let one = FIELDS.into_iter().filter_map(|name| Some((name, form.get(name)?.to_owned())));
        let several = form.all("selected").map(|value| ("selected", value.to_owned()));
        Self {
            shell: Shell::new(api, visitor, "confirm"),
            wish: wish.to_string(),
            grave: wish.is_grave(),
            fields: one.chain(several).collect(),
        }
    }
}

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

/// Local time, of milliseconds since the epoch.
fn local(millis: u64) -> String {
    let time = DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    time.unwrap_or_default().with_timezone(&Local).format("%b %d %H:%M:%S").to_string()
}

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
        visitor: &Visitor,
        process: &ProcessSnapshot,
        tail: &[u8],
        tree: Tree,
        past: Vec<Change>,
    ) -> Self {
        use crate::model::snapshot::Channel;
        let log = |channel: Channel| {
            let file = process.logs.of(channel);
            (channel.name(), file.map_or("no file".to_owned(), |file| file.display().to_string()))
        };
        let spec = &process.spec;
        let mut settings = shown::process(spec);
        settings.retain(|(name, value)| name != "environment" && !value.is_empty());
        Self {
            shell: Shell::new(api, visitor, "process"),
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
    pub fn new(api: &Api, visitor: &Visitor, tail: &[u8], preview: Option<String>) -> Self {
        Self {
            shell: Shell::new(api, visitor, "daemon"),
            since: local(super::view::millis(api.started())),
            config_file: api.identity().config_file.display().to_string(),
            log_file: api
                .log_file()
                .map_or("no file".to_owned(), |file| file.display().to_string()),
            tail: String::from_utf8_lossy(tail).into_owned(),
            preview,
        }
    }
}
