//! The overview (C-329, C-332).

use askama::Template;
use warp::http::StatusCode;
use warp::reply::Response;

use super::{SIGNALS, Shell};
use crate::api::Api;
use crate::http::web::acts::{Wish, refreshed};
use crate::http::web::form::Form;
use crate::http::web::request::Request;
use crate::http::web::respond;
use crate::http::web::routes::Web;
use crate::http::web::view::View;

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

/// The processes of a group.
#[derive(Debug)]
struct Group {
    name: String,
    /// Whether it has a line of its own: one that is nothing but its process needs none.
    is_shown: bool,
    running: usize,
    problems: usize,
    rows: Vec<View>,
}

impl Group {
    /// The groups of these processes, which are sorted by group and name already: scripts read
    /// them in upstream's order.
    fn of(views: Vec<View>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for view in views {
            if groups.last().is_none_or(|group| group.name != view.group) {
                let name = view.group.clone();
                let (is_shown, rows) = (view.process != name, Vec::new());
                groups.push(Self { name, is_shown, running: 0, problems: 0, rows });
            }
            if let Some(group) = groups.last_mut() {
                group.running += usize::from(view.state == "running");
                group.problems += usize::from(view.problem);
                group.is_shown |= !group.rows.is_empty();
                group.rows.push(view);
            }
        }
        groups
    }
}

/// The overview.
#[derive(Debug, Template)]
#[template(path = "status.html", config = "src/http/web/askama.toml")]
pub struct Status {
    shell: Shell,
    message: String,
    groups: Vec<Group>,
    counts: Counts,
    signals: &'static [&'static str],
}

impl Status {
    /// The overview now, with a message.
    #[must_use]
    pub fn new(api: &Api, request: &Request, message: &str) -> Self {
        let (snapshot, now) = (api.snapshot(), api.now());
        let views: Vec<_> =
            snapshot.processes.values().map(|process| View::of(process, now)).collect();
        Self {
            shell: Shell::new(api, request, "overview"),
            message: message.to_owned(),
            counts: Counts::of(&views),
            groups: Group::of(views),
            signals: SIGNALS,
        }
    }
}

impl Web {
    /// The overview, or what stands before an action that was not asked for by one of our forms.
    pub(in crate::http::web) fn index(&self, request: &Request, form: &Form) -> Response {
        if form.get("action").is_some() {
            return match Wish::of(form) {
                // It changes nothing.
                Some(Wish::Refresh) => respond::told(&refreshed()),
                Some(wish) => self.confirm(StatusCode::OK, request, &wish, form),
                None => respond::unknown(),
            };
        }
        let message: String =
            form.get("message").unwrap_or_default().chars().take(respond::MAX_MESSAGE).collect();
        respond::show(StatusCode::OK, &Status::new(&self.api, request, &message), request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::process;
    use crate::model::snapshot::ProcessSnapshot;
    use crate::model::state::ProcessState::{Fatal, Running, Stopped};
    use crate::model::time::Now;

    #[test]
    fn a_process_that_is_all_of_its_group_has_no_line_of_a_group() {
        let view = |group, name, state| {
            View::of(&ProcessSnapshot { state, ..process(group, name) }, Now::default())
        };
        let groups = Group::of(vec![
            view("a", "a", Running),
            view("b", "x0", Running),
            view("b", "x1", Fatal),
            view("c", "other", Stopped),
        ]);
        let told = |group: &Group| {
            let rows: Vec<_> = group.rows.iter().map(|row| row.name.as_str()).collect();
            let Group { running, problems, is_shown, .. } = group;
            format!("{} {running} {problems} {is_shown}: {}", group.name, rows.join(" "))
        };
        assert_eq!(
            groups.iter().map(told).collect::<Vec<_>>(),
            ["a 1 0 false: a", "b 1 1 true: b:x0 b:x1", "c 0 0 true: c:other"]
        );
    }
}
