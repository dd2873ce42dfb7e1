//! What a form or a query string says.

use form_urlencoded::parse;

/// Names and values of a request: from its query, and from its body when it is a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    query: Vec<(String, String)>,
    body: Vec<(String, String)>,
}

impl Form {
    /// Reads both. What is empty was not said, as upstream has it.
    #[must_use]
    pub fn new(query: &str, body: &[u8]) -> Self {
        let read = |text: &[u8]| {
            let pairs = parse(text).into_owned();
            pairs.filter(|(_, value)| !value.is_empty()).collect()
        };
        Self { query: read(query.as_bytes()), body: read(body) }
    }

    /// The value of a name: the last one in the body, else the first one in the query (C-329).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let is_it = |pair: &&(String, String)| pair.0 == name;
        let found = self.body.iter().rev().find(is_it).or_else(|| self.query.iter().find(is_it));
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a name, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let both = self.query.iter().chain(&self.body);
        both.filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_wins_and_empty_values_are_none() {
        // C-329
        let form =
            Form::new("action=start&processname=a%3Ab&action=x&empty=", b"action=y&action=st+op");
        assert_eq!(form.get("action"), Some("st op"));
        assert_eq!(form.get("processname"), Some("a:b"));
        assert_eq!(form.get("empty"), None);
        assert_eq!(form.get("nothing"), None);
        assert_eq!(Form::new("action=start&action=x", b"").get("action"), Some("start"));
        let all: Vec<_> = form.all("action").collect();
        assert_eq!(all, ["start", "x", "y", "st op"]);
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let form = Form::new("a=%FF%00&%", b"\xff\xfe=1&=2&&");
        assert_eq!(form.get("a"), Some("\u{fffd}\0"));
    }
}
