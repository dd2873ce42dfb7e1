//! The pages as HTML. Templates escape whatever they are given.

use askama::Template;

use super::acts::Wish;
use super::form::Form;
use super::view::View;
use crate::api::{Api, VERSION};
use crate::http::visitor::Visitor;

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
        const FIELDS: [&str; 3] = ["action", "processname", "signal"];
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
