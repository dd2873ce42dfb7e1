//! `environment=`: pairs read by upstream's lexer (C-056 to C-058, C-444).

use thiserror::Error;

/// Why a list of pairs cannot be read. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvironmentError {
    /// A quote is open at the end.
    #[error("No closing quotation")]
    OpenQuote,
    /// Key, equals sign and value do not follow each other.
    #[error("Unexpected end of key/value pairs in value '{0}'")]
    Incomplete(String),
}

/// The pairs of an `environment=`, and what was silently left out of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Keys and values in the order of their first appearance; the last value of a key counts.
    pub pairs: Vec<(String, String)>,
    /// Text between two pairs that is not a comma, with the key before it (C-444).
    pub dropped: Vec<(String, String)>,
}

/// Reads `KEY=VALUE` pairs with one token between them (C-056, C-057, C-058).
///
/// # Errors
/// An open quote, or something that is not a pair.
pub fn parse(text: &str) -> Result<Environment, EnvironmentError> {
    let tokens = Lexer { rest: text, pushed_back: None }.tokens()?;
    let mut environment = Environment::default();
    for group in tokens.chunks(4) {
        let [key, equals, value, separator @ ..] = group else {
            return Err(EnvironmentError::Incomplete(text.to_owned()));
        };
        if equals != "=" {
            return Err(EnvironmentError::Incomplete(text.to_owned()));
        }
        let value = value.trim_matches(['\'', '"']).to_owned();
        match environment.pairs.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => environment.pairs.push((key.clone(), value)),
        }
        if let Some(separator) =
            separator.first().filter(|token| !matches!(token.as_str(), "," | ";"))
        {
            environment.dropped.push((key.clone(), separator.clone()));
        }
    }
    Ok(environment)
}

/// The lexer of Python's `shlex` without POSIX rules, with `/.+-():` as word characters too.
struct Lexer<'a> {
    rest: &'a str,
    /// A character that ended a word and is a token of its own.
    pushed_back: Option<char>,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<String>, EnvironmentError> {
        let mut tokens = Vec::new();
        while let Some(token) = self.token()? {
            tokens.push(token);
        }
        Ok(tokens)
    }

    fn token(&mut self) -> Result<Option<String>, EnvironmentError> {
        if let Some(c) = self.pushed_back.take() {
            return Ok(Some(c.to_string()));
        }
        while let Some(c) = self.next() {
            match c {
                ' ' | '\t' | '\r' | '\n' => {}
                '#' => self.skip_line(),
                '"' | '\'' => return self.quoted(c).map(Some),
                c if is_word(c) => return Ok(Some(self.word(c))),
                c => return Ok(Some(c.to_string())),
            }
        }
        Ok(None)
    }

    /// A string up to the same quote; nothing escapes inside.
    fn quoted(&mut self, quote: char) -> Result<String, EnvironmentError> {
        let end = self.rest.find(quote).ok_or(EnvironmentError::OpenQuote)?;
        let token = format!("{quote}{}", &self.rest[..=end]);
        self.rest = &self.rest[end + 1..];
        Ok(token)
    }

    /// A word; quotes may stand in it. A comment in it ends the line but not the word, which
    /// goes on in the next line, as upstream has it.
    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        while let Some(c) = self.next() {
            match c {
                ' ' | '\t' | '\r' | '\n' => break,
                '#' => self.skip_line(),
                c if is_word(c) || c == '"' || c == '\'' => word.push(c),
                c => {
                    self.pushed_back = Some(c);
                    break;
                }
            }
        }
        word
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at + 1..]);
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/.+-():".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().pairs
    }

    fn shown(text: &str) -> String {
        let shown: Vec<_> =
            pairs(text).iter().map(|(key, value)| format!("{key}={value}")).collect();
        shown.join("|")
    }

    #[test]
    fn pairs_are_read_by_upstreams_lexer() {
        // C-056, C-057, C-058
        for (text, expected) in [
            ("", ""),
            ("A=\"1\", B=2", "A=1|B=2"),
            ("A=1,", "A=1"),
            ("A=1,\nB=2", "A=1|B=2"),
            ("A=1;B=2", "A=1|B=2"),
            ("A=a b", "A=a"),
            ("A=$HOME", "A=$"),
            ("A=~/x", "A=~"),
            ("A=/usr/bin:/bin", "A=/usr/bin:/bin"),
            ("A='it, is',B=\"x'y\"", "A=it, is|B=x'y"),
            ("A=x\"y\"", "A=x\"y"),
            ("A=\"\"", "A="),
            ("A='\"x\"'", "A=x"),
            ("A=1,A=2", "A=2"),
            ("\"A\"=1", "\"A\"=1"),
            ("A=1#gone\nB,C=3", "A=1B|C=3"),
            ("A = 1 # gone", "A=1"),
            ("A=\"#1\"", "A=#1"),
            ("ä=1", "ä=1"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused() {
        // C-057, C-058
        for text in
            ["A=", "A", "A=a@b", "A=\"x\" B=\"y\"", "A=1\nB=2", "A=\"say \\\"hi\\\"\"", ",A=1"]
        {
            assert_eq!(
                parse(text).unwrap_err().to_string(),
                format!("Unexpected end of key/value pairs in value '{text}'")
            );
        }
        assert_eq!(parse("A=\"x").unwrap_err().to_string(), "No closing quotation");
    }

    #[test]
    fn what_is_left_out_is_told() {
        // C-444
        let dropped = |text| parse(text).unwrap().dropped;
        assert_eq!(dropped("A=a b"), [("A".to_owned(), "b".to_owned())]);
        assert_eq!(dropped("A=$HOME"), [("A".to_owned(), "HOME".to_owned())]);
        assert_eq!(dropped("A=1,B=2;C=3"), []);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "([A-Z=,;'\"# \n\u{e4}$]|.){0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn quoted_values_come_through(key in "[A-Z_]{1,8}", value in "[^'\"]{0,20}") {
            let read = pairs(&format!("{key}=\"{value}\""));
            proptest::prop_assert_eq!(read, vec![(key, value)]);
        }
    }
}
