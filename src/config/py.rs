//! Python's reading of plain text, where a configuration depends on it.

pub(crate) use crate::model::text::repr;

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
