//! Python's reading of plain text, where a configuration depends on it.

/// Python's `str.isspace` for one character.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `str.strip`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Python's `str.rstrip`.
pub(crate) fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Python's `repr` of a string, as upstream's messages quote values (C-017, C-021).
pub(crate) fn repr(text: &str) -> String {
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
            c => out += &escape(c),
        }
    }
    out.push(quote);
    out
}

/// The shortest escape that Python has for a character.
fn escape(c: char) -> String {
    match c as u32 {
        n @ ..=0xff => format!("\\x{n:02x}"),
        n @ ..=0xffff => format!("\\u{n:04x}"),
        n => format!("\\U{n:08x}"),
    }
}

/// Python's `str.isprintable` for one character. Rust's own escaping follows the same Unicode
/// categories; the letter before keeps combining marks as they are.
fn is_printable(c: char) -> bool {
    match c {
        ' '..='~' => true,
        _ => format!("a{c}").escape_debug().eq(['a', c]),
    }
}

/// Python's `int(text, base)` for base 8 and 10: blanks around it, a sign, single underscores
/// between digits, and `0o` in base 8 (C-045, C-047). What does not fit is cut to the limits.
pub(crate) fn int(text: &str, base: u32) -> Option<i64> {
    let text = strip(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match digits.strip_prefix("0o").or_else(|| digits.strip_prefix("0O")) {
        Some(rest) if base == 8 => rest.strip_prefix('_').unwrap_or(rest),
        _ => digits,
    };
    let mut value: i64 = 0;
    let mut after_digit = false;
    for c in digits.chars() {
        match c.to_digit(base) {
            Some(digit) => {
                value = value.saturating_mul(base.into()).saturating_add(digit.into());
                after_digit = true;
            }
            None if c == '_' && after_digit => after_digit = false,
            None => return None,
        }
    }
    after_digit.then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_python_quotes_it() {
        for (text, quoted) in [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\tb\n\\", "'a\\tb\\n\\\\'"),
            ("\u{feff}[x]", "'\\ufeff[x]'"),
            ("\u{7f}\u{a0}\u{1b}", "'\\x7f\\xa0\\x1b'"),
            ("grün e\u{301}", "'grün e\u{301}'"),
        ] {
            assert_eq!(repr(text), quoted);
        }
    }

    #[test]
    fn integers_are_read_as_python_reads_them() {
        // C-045, C-047
        for (text, base, value) in [
            ("7", 10, Some(7)),
            (" +1_0 ", 10, Some(10)),
            ("-3", 10, Some(-3)),
            ("007", 10, Some(7)),
            ("99999999999999999999", 10, Some(i64::MAX)),
            ("", 10, None),
            ("_1", 10, None),
            ("1_", 10, None),
            ("1__0", 10, None),
            ("1.5", 10, None),
            ("0x1", 10, None),
            ("0o22", 10, None),
            ("022", 8, Some(18)),
            ("22", 8, Some(18)),
            ("0O_22", 8, Some(18)),
            ("9", 8, None),
        ] {
            assert_eq!(int(text, base), value, "{text}");
        }
    }
}
