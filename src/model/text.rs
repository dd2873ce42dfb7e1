//! Texts the way upstream shows them.

use std::borrow::Cow;

/// `text` in quotes as upstream's messages quote values: Python's `repr` of a string (C-198).
#[must_use]
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&escaped(c.into())),
        }
    }
    out.push(quote);
    out
}

/// `data` as Python shows bytes (C-365).
#[must_use]
pub fn repr_bytes(data: &[u8]) -> String {
    let quote = if data.contains(&b'\'') && !data.contains(&b'"') { '"' } else { '\'' };
    let mut out = String::with_capacity(data.len() + 3);
    out.extend(['b', quote]);
    for &byte in data {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if char::from(byte) == quote => out.extend(['\\', quote]),
            b' '..=b'~' => out.push(byte.into()),
            byte => out.push_str(&escaped(byte.into())),
        }
    }
    out.push(quote);
    out
}

/// `data` as text, when it is text.
#[must_use]
pub fn utf8(data: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(data).ok().map(Cow::Borrowed)
}

fn escaped(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
}

/// Python's `str.isprintable` for one character. Rust's own escaping follows the same Unicode
/// categories; the letter before keeps combining marks as they are.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~') || format!("a{c}").escape_debug().eq(['a', c])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_like_upstream() {
        // C-194, C-198
        assert_eq!(repr("/bin/x"), "'/bin/x'");
        assert_eq!(repr("it's"), "\"it's\"");
        assert_eq!(repr("'\""), "'\\'\"'");
        assert_eq!(repr("a\nb\\\x1b\u{e9}\u{200b}"), "'a\\nb\\\\\\x1b\u{e9}\\u200b'");
    }
}
