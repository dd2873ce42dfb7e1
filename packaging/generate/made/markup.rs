//! The small markup of `packaging/man/*.txt`, and what it is in roff.
//!
//! ```text
//! # SECTION             a heading; ## for one below it
//! words words           a paragraph, up to an empty line
//! : term                a term, and what it means in the lines below it, up to an empty line
//!     code              an example, indented by four blanks
//! @name@                something that is made
//! ```
//!
//! Among words, backticks make bold what is typed as it stands, and braces make a placeholder.

/// The page of a text; `made` gives the roff of what it has for a name.
pub fn page(text: &str, made: impl Fn(&str) -> String) -> String {
    let mut roff = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix('@').and_then(|rest| rest.strip_suffix('@')) {
            roff += &made(name);
        } else if let Some(title) = line.strip_prefix("## ") {
            roff += &subsection(title);
        } else if let Some(title) = line.strip_prefix("# ") {
            roff += &section(title);
        } else if let Some(term) = line.strip_prefix(": ") {
            roff += &item(&inline(term), "");
        } else if let Some(first) = line.strip_prefix("    ") {
            roff += ".PP\n.RS 4\n.nf\n";
            roff += &example_line(first);
            while let Some(next) = lines.next_if(|line| line.starts_with("    ")) {
                roff += &example_line(&next[4..]);
            }
            roff += ".fi\n.RE\n";
        } else if line.is_empty() {
            let next = lines.peek().copied().unwrap_or_default();
            if next.starts_with(|first: char| first.is_alphanumeric() || "`{[%".contains(first)) {
                roff += ".PP\n";
            }
        } else {
            roff += &text_line(&inline(line));
        }
    }
    // A paragraph needs no macro right after a heading.
    let mut tidy = String::new();
    for line in roff.lines() {
        let after_heading = tidy.lines().last().is_some_and(|last: &str| last.starts_with(".S"));
        if !(line == ".PP" && after_heading) {
            tidy += line;
            tidy.push('\n');
        }
    }
    tidy
}

fn section(title: &str) -> String {
    format!(".SH {}\n", quoted(title))
}

/// A heading below a section's.
pub fn subsection(title: &str) -> String {
    format!(".SS {}\n", quoted(title))
}

/// A term (in roff) and what it means (in roff, without a line's end).
pub fn item(term: &str, meaning: &str) -> String {
    let meaning = if meaning.is_empty() { String::new() } else { text_line(meaning) };
    format!(".TP\n{}{meaning}", text_line(term))
}

/// A line of words that roff may not take for a command.
pub fn text_line(roff: &str) -> String {
    let guard = if roff.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{guard}{roff}\n")
}

/// What is typed as it stands.
pub fn bold(words: &str) -> String {
    format!("\\fB{}\\fR", literal(words))
}

/// A placeholder.
pub fn italic(words: &str) -> String {
    format!("\\fI{}\\fR", literal(words))
}

/// Words of prose.
pub fn prose(words: &str) -> String {
    words.replace('\\', "\\e")
}

/// Characters that have to come out as the ones on a keyboard.
pub fn literal(words: &str) -> String {
    let mut roff = String::new();
    for char in words.chars() {
        match char {
            '\\' => roff += "\\e",
            '-' => roff += "\\-",
            '\'' => roff += "\\(aq",
            '`' => roff += "\\(ga",
            '^' => roff += "\\(ha",
            '~' => roff += "\\(ti",
            char => roff.push(char),
        }
    }
    roff
}

fn example_line(line: &str) -> String {
    text_line(&literal(line))
}

fn quoted(title: &str) -> String {
    format!("\"{}\"", literal(title).replace('"', "\\(dq"))
}

/// Bold and placeholders among prose.
fn inline(line: &str) -> String {
    let mut roff = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '{']) {
        roff += &prose(&rest[..at]);
        let (close, font): (char, fn(&str) -> String) =
            if rest[at..].starts_with('`') { ('`', bold) } else { ('}', italic) };
        let inner = &rest[at + 1..];
        let end = inner.find(close).unwrap_or_else(|| panic!("no closing {close}: {line}"));
        roff += &font(&inner[..end]);
        rest = &inner[end + 1..];
    }
    roff + &prose(rest)
}
