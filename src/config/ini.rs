//! The syntax of a configuration file (C-007 to C-012, C-017).
//!
//! A thin layer makes logical lines of the text by upstream's rules: comments go, continuation
//! lines join, line numbers stay. `rust-ini` reads the logical lines: headers, keys and values.

use ini::{Ini, ParseOption};
use thiserror::Error;

use super::py;

/// Why a text is not a configuration. The texts are upstream's (C-017).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyntaxError {
    /// The bytes are not UTF-8.
    #[error("{0}")]
    Encoding(String),
    /// There is something before the first section.
    #[error(
        "File contains no section headers.\nfile: {}, line: {line}\n{}",
        py::repr(file),
        py::repr(text)
    )]
    NoHeader {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The line's text, with its newline.
        text: String,
    },
    /// Lines that are neither header nor option.
    #[error("Source contains parsing errors: {}{}", py::repr(file), listed(lines))]
    BadLines {
        /// The file.
        file: String,
        /// Line numbers and texts with their newlines.
        lines: Vec<(usize, String)>,
    },
    /// The syntax reader refuses a line that the layer before it let through.
    #[error("Source contains parsing errors: {}\n\t{reason}", py::repr(file))]
    Unreadable {
        /// The file.
        file: String,
        /// What it says.
        reason: String,
    },
}

fn listed(lines: &[(usize, String)]) -> String {
    let shown = lines.iter().map(|(line, text)| format!("[line {line:2}]: {}", py::repr(text)));
    shown.fold(String::new(), |all, line| all + "\n\t" + &line)
}

/// One section header and what follows it, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSection {
    /// What is between the brackets, untrimmed.
    pub name: String,
    /// The header's line, from 1.
    pub line: usize,
    /// The options, in file order.
    pub options: Vec<RawOption>,
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawOption {
    /// The key in lower case.
    pub key: String,
    /// The value; continuation lines are joined by newlines.
    pub value: String,
    /// The key's line, from 1.
    pub line: usize,
    /// What an inline comment cut off the value.
    pub cut: Option<String>,
}

/// Text from bytes: UTF-8, every kind of line end made a newline (C-007).
///
/// # Errors
/// Python's words for the first byte that is not UTF-8.
pub fn decode(bytes: Vec<u8>) -> Result<String, SyntaxError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let rest = &error.as_bytes()[at..];
        let reason = match (error.utf8_error().error_len(), rest[0]) {
            (None, _) => "unexpected end of data",
            (Some(_), 0x80..=0xc1 | 0xf5..) => "invalid start byte",
            (Some(_), _) => "invalid continuation byte",
        };
        let what = match error.utf8_error().error_len().unwrap_or(rest.len()) {
            1 => format!("byte 0x{:02x} in position {at}", rest[0]),
            len => format!("bytes in position {at}-{}", at + len - 1),
        };
        SyntaxError::Encoding(format!("'utf-8' codec can't decode {what}: {reason}"))
    })?;
    Ok(if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text })
}

/// Reads the sections and options of a file.
///
/// # Errors
/// All lines that cannot be read, or the first one before any header.
pub fn parse(text: &str, file: &str) -> Result<Vec<RawSection>, SyntaxError> {
    let logical = logical_lines(text, file)?;
    let options = ParseOption { enabled_quote: false, enabled_escape: true, ..Default::default() };
    let encoded: String = logical.iter().map(Logical::encode).collect();
    let read = Ini::load_from_str_opt(&encoded, options).map_err(|error| {
        SyntaxError::Unreadable { file: file.to_owned(), reason: error.to_string() }
    })?;
    Ok(with_positions(&read, &logical))
}

/// Stands for a newline inside a value, and shields blanks at the ends of a section name: the
/// syntax reader trims and ends lines. It is a noncharacter, which no text contains.
const SHIELD: char = '\u{fdd0}';

/// A header or an option with its continuation lines.
enum Logical {
    Section { name: String, line: usize },
    Option { text: String, line: usize, cut: Option<String> },
}

impl Logical {
    /// The one line that the syntax reader reads as this.
    fn encode(&self) -> String {
        match self {
            Self::Section { name, .. } => {
                let name = name.replace('\\', "\\\\").replace(']', "\\x005d");
                format!("[{SHIELD}{name}{SHIELD}]\n")
            }
            Self::Option { text, .. } => {
                let text = text.replace('\\', "\\\\").replace('\n', &SHIELD.to_string());
                match text.strip_prefix('[') {
                    Some(rest) => format!("\\x005b{rest}\n"),
                    None => format!("{text}\n"),
                }
            }
        }
    }
}

/// Puts what was read and where it stands together again: both are in file order.
fn with_positions(read: &Ini, logical: &[Logical]) -> Vec<RawSection> {
    let mut headers = logical.iter().filter_map(|item| match item {
        Logical::Section { line, .. } => Some(*line),
        Logical::Option { .. } => None,
    });
    let mut places = logical.iter().filter_map(|item| match item {
        Logical::Option { line, cut, .. } => Some((*line, cut.clone())),
        Logical::Section { .. } => None,
    });
    let named = read.iter().filter_map(|(name, options)| Some((name?, options)));
    named
        .map(|(name, options)| RawSection {
            name: name.trim_matches(SHIELD).to_owned(),
            line: headers.next().unwrap_or_default(),
            options: options
                .iter()
                .map(|(key, value)| {
                    let (line, cut) = places.next().unwrap_or_default();
                    let value = value.replace(SHIELD, "\n");
                    RawOption {
                        key: py::strip(key).to_lowercase(),
                        value: py::strip_end(value.trim_start_matches(is_blank)).to_owned(),
                        line,
                        cut,
                    }
                })
                .collect(),
        })
        .collect()
}

/// A blank within a line.
fn is_blank(c: char) -> bool {
    c != '\n' && py::is_space(c)
}

/// Drops comments, joins continuation lines, and finds the lines that mean nothing.
fn logical_lines(text: &str, file: &str) -> Result<Vec<Logical>, SyntaxError> {
    let mut logical: Vec<Logical> = Vec::new();
    let mut bad = Vec::new();
    let mut indent = 0;
    // Whether deeper lines continue the last option: not after a line without a key.
    let mut continues = true;
    for (number, whole) in text.split_inclusive('\n').enumerate() {
        let number = number + 1;
        let comment = comment_start(whole);
        let content = py::strip(&whole[..comment.unwrap_or(whole.len())]);
        if content.is_empty() {
            if let (None, true, Some(Logical::Option { text, .. })) =
                (comment, continues, logical.last_mut())
            {
                text.push('\n');
            }
            continue;
        }
        let removed = comment.map(|at| py::strip(&whole[at..]).to_owned());
        let depth = whole.chars().take_while(|c| py::is_space(*c)).count();
        if let Some(Logical::Option { text, cut, .. }) = logical.last_mut()
            && continues
            && depth > indent
        {
            text.push('\n');
            text.push_str(content);
            *cut = cut.take().or(removed);
            continue;
        }
        indent = depth;
        if let Some(name) = header(content) {
            continues = true;
            logical.push(Logical::Section { name: name.to_owned(), line: number });
        } else if logical.is_empty() {
            let (file, text) = (file.to_owned(), whole.to_owned());
            return Err(SyntaxError::NoHeader { file, line: number, text });
        } else if !has_key(content) {
            continues &= !content.starts_with(['=', ':']);
            bad.push((number, whole.to_owned()));
        } else {
            continues = true;
            let text = content.to_owned();
            logical.push(Logical::Option { text, line: number, cut: removed });
        }
    }
    if bad.is_empty() {
        Ok(logical)
    } else {
        Err(SyntaxError::BadLines { file: file.to_owned(), lines: bad })
    }
}

/// The name between the first bracket and the last one (C-008).
fn header(content: &str) -> Option<&str> {
    let name = &content.strip_prefix('[')?;
    let end = name.rfind(']')?;
    (end > 0).then(|| &name[..end])
}

/// Whether there is a delimiter with a key before it (C-009).
fn has_key(content: &str) -> bool {
    content.find(['=', ':']).is_some_and(|at| !py::strip(&content[..at]).is_empty())
}

/// Where the comment of a line starts (C-010, C-011). Both comment characters are looked for in
/// step, one occurrence of each at a time, and the first step that finds a comment ends the
/// search: `a;b ;c #d` keeps ` ;c`, as upstream does.
fn comment_start(line: &str) -> Option<usize> {
    if py::strip(line).starts_with(['#', ';']) {
        return Some(0);
    }
    let starts_comment = |at: usize| line[..at].chars().next_back().is_none_or(py::is_space);
    let mut semicolons = line.match_indices(';').map(|(at, _)| at);
    let mut hashes = line.match_indices('#').map(|(at, _)| at);
    loop {
        let step = [semicolons.next(), hashes.next()];
        if step == [None, None] {
            return None;
        }
        if let Some(at) = step.into_iter().flatten().filter(|at| starts_comment(*at)).min() {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        let sections = parse(text, "f").unwrap();
        let pairs = |options: Vec<RawOption>| options.into_iter().map(|o| (o.key, o.value));
        sections.into_iter().map(|s| (s.name, pairs(s.options).collect())).collect()
    }

    fn value(line: &str) -> String {
        read(&format!("[s]\n{line}\n"))[0].1[0].1.clone()
    }

    #[test]
    fn bytes_are_utf8_with_any_line_end() {
        // C-007
        assert_eq!(decode(b"a\r\nb\rc\n".to_vec()).unwrap(), "a\nb\nc\n");
        assert_eq!(
            decode(b"ab\xff".to_vec()).unwrap_err().to_string(),
            "'utf-8' codec can't decode byte 0xff in position 2: invalid start byte"
        );
        let error = parse("\u{feff}[s]\n", "/f").unwrap_err().to_string();
        assert_eq!(
            error,
            "File contains no section headers.\nfile: '/f', line: 1\n'\\ufeff[s]\\n'"
        );
    }

    #[test]
    fn headers_run_to_the_last_bracket_and_are_not_trimmed() {
        // C-008
        for (line, name) in [
            ("[a]", "a"),
            ("  [a] rest", "a"),
            ("[ a ]", " a "),
            ("[a]b]", "a]b"),
            ("[a\\n]", "a\\n"),
            ("[A]=x", "A"),
        ] {
            assert_eq!(read(&format!("{line}\n"))[0].0, name, "{line}");
        }
    }

    #[test]
    fn keys_end_at_the_first_delimiter() {
        // C-009
        let sections = read("[s]\n Key : a=b\n[=1\nk\\=\\x\ne=\n");
        let expected = [("key", "a=b"), ("[", "1"), ("k\\", "\\x"), ("e", "")];
        assert_eq!(
            sections[0].1,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned())),
            "an indented first key is a key: nothing is there to continue"
        );
    }

    #[test]
    fn comments_are_cut_as_upstream_cuts_them() {
        // C-010, C-011
        for (line, kept) in [
            ("k=a;b", "a;b"),
            ("k=a ;b", "a"),
            ("k=a\t#b", "a"),
            ("k=;z", ";z"),
            ("k=bash -c 'foo ; bar'", "bash -c 'foo"),
            ("k=a;b ;c #d", "a;b ;c"),
            ("k=1\n  ; gone\n  2", "1\n2"),
            ("k=1\n# gone\n  2", "1\n2"),
        ] {
            assert_eq!(value(line), kept, "{line}");
        }
        let sections = parse("[s]\nk=bash -c 'foo ; bar'\n", "f").unwrap();
        assert_eq!(sections[0].options[0].cut.as_deref(), Some("; bar'"));
    }

    #[test]
    fn deeper_lines_continue_a_value() {
        // C-012
        for (text, joined) in [
            ("k=1\n  2\n\t3", "1\n2\n3"),
            ("k=1\n\n  2\n\n", "1\n\n2"),
            ("k=\n  1\n  x=y", "\n1\nx=y"),
        ] {
            assert_eq!(value(text), joined, "{text}");
        }
        assert_eq!(read("[s]\n  a=1\n  b=2\n")[0].1.len(), 2, "not deeper than the key");
    }

    #[test]
    fn bad_lines_are_all_named() {
        // C-017
        assert_eq!(
            parse("[s]\nfoo\na=1\n=x\n[]\nbar", "/f").unwrap_err().to_string(),
            "Source contains parsing errors: '/f'\n\t[line  2]: 'foo\\n'\n\t[line  4]: '=x\\n'\
             \n\t[line  5]: '[]\\n'\n\t[line  6]: 'bar'"
        );
        let error = parse("[s]\na=1\nfoo\n  2\n=x\n  bar\n", "/f").unwrap_err().to_string();
        assert_eq!(
            error.lines().count(),
            4,
            "only after a line without a key is bar a line itself"
        );
        assert_eq!(
            parse("\n; c\na=1\n", "/f").unwrap_err().to_string(),
            "File contains no section headers.\nfile: '/f', line: 3\n'a=1\\n'"
        );
    }

    #[test]
    fn lines_are_counted_through_duplicates_and_continuations() {
        // C-013
        let sections = parse("[a]\nk=1\n  2\n[b]\nk=3\n[a]\nk=4\nk=5\n", "f").unwrap();
        let lines: Vec<_> = sections
            .iter()
            .map(|s| {
                (s.name.as_str(), s.line, s.options.iter().map(|o| o.line).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(lines, [("a", 1, vec![2]), ("b", 4, vec![5]), ("a", 6, vec![7, 8])]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(bytes: Vec<u8>) {
            if let Ok(text) = decode(bytes) {
                let _ = parse(&text, "f");
            }
        }

        #[test]
        fn no_likely_text_makes_the_parser_fail_otherwise(
            text in "([\\[\\]=:;# \t\\\\a\n\u{e9}%x\u{1c}]{0,12}\n){0,8}"
        ) {
            if let Err(error) = parse(&format!("[s]\n{text}"), "f") {
                let is_expected = matches!(error, SyntaxError::BadLines { .. });
                proptest::prop_assert!(is_expected, "{}", error);
            }
        }
    }
}
