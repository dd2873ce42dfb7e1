//! A request of somebody who was let in, as far as pages look at it.

use warp::http::HeaderMap;
use warp::http::header::COOKIE;

use crate::http::visitor::Visitor;

/// The cookie that says which colours somebody chose.
const THEME: &str = "supervisor_theme";

/// A request.
pub struct Request {
    /// Its path, as it was sent.
    pub path: String,
    /// What stands behind the `?`.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Who asks.
    pub visitor: Visitor,
}

impl Request {
    /// The path as pages know it: any number of slashes before it is the same, as upstream has it.
    #[must_use]
    pub fn page(&self) -> &str {
        match self.path.trim_start_matches('/') {
            "" => "index.html",
            page => page,
        }
    }

    /// The colours that somebody chose on this page; none for those of their system.
    #[must_use]
    pub fn theme(&self) -> Option<&'static str> {
        theme(&self.headers)
    }
}

fn theme(headers: &HeaderMap) -> Option<&'static str> {
    let lists = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = lists.flat_map(|list| list.split(';')).map(str::trim);
    let value = cookies.find_map(|cookie| cookie.strip_prefix(THEME)?.strip_prefix('='))?;
    ["light", "dark"].into_iter().find(|theme| *theme == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_chosen_by_a_cookie_that_has_one_of_two_values() {
        let chosen = |cookies: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, cookies.parse().unwrap());
            theme(&headers)
        };
        assert_eq!(chosen("a=b; supervisor_theme=dark; c=d"), Some("dark"));
        assert_eq!(chosen("supervisor_theme=light"), Some("light"));
        for nothing in ["", "supervisor_theme", "supervisor_theme=\"><script>", "x=dark"] {
            assert_eq!(chosen(nothing), None, "{nothing}");
        }
        assert_eq!(theme(&HeaderMap::new()), None);
    }
}
