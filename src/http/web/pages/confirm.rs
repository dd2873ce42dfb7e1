//! The question that stands before what was not asked for by one of our forms (C-439).

use askama::Template;
use warp::http::StatusCode;
use warp::reply::Response;

use super::Shell;
use crate::api::Api;
use crate::http::web::acts::Wish;
use crate::http::web::form::Form;
use crate::http::web::request::Request;
use crate::http::web::respond;
use crate::http::web::routes::Web;

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
    pub fn new(api: &Api, request: &Request, wish: &Wish, form: &Form) -> Self {
        const FIELDS: [&str; 4] = ["action", "processname", "signal", "text"];
        let one = FIELDS.into_iter().filter_map(|name| Some((name, form.get(name)?.to_owned())));
        let several = form.all("selected").map(|value| ("selected", value.to_owned()));
        Self {
            shell: Shell::new(api, request, "confirm"),
            wish: wish.to_string(),
            grave: wish.is_grave(),
            fields: one.chain(several).collect(),
        }
    }
}

impl Web {
    /// Asks whether this is really wanted.
    pub(in crate::http::web) fn confirm(
        &self,
        status: StatusCode,
        request: &Request,
        wish: &Wish,
        form: &Form,
    ) -> Response {
        respond::show(status, &Confirm::new(&self.api, request, wish, form), request)
    }
}
