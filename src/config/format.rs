//! One printf conversion, as Python carries it out (C-026, C-028).

use super::expand::Arg;
use super::py;

/// Flags, width and precision of a conversion.
#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    left: bool,
    sign: bool,
    blank: bool,
    alternate: bool,
    zero: bool,
    width: usize,
    pub(super) precision: Option<usize>,
}

impl Spec {
    pub(super) fn set_flag(&mut self, flag: char) {
        match flag {
            '-' => self.left = true,
            '+' => self.sign = true,
            ' ' => self.blank = true,
            '#' => self.alternate = true,
            _ => self.zero = true,
        }
    }

    /// A negative width, which only a value can give, aligns left.
    pub(super) fn set_width(&mut self, width: i64) {
        self.left |= width < 0;
        self.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX).min(65_535);
    }

    /// Fills text up to the width.
    fn pad(&self, text: &str) -> String {
        let width = self.width;
        if self.left { format!("{text:<width$}") } else { format!("{text:>width$}") }
    }

    /// Puts sign, prefix and digits together; zeros go between prefix and digits.
    fn pad_number(&self, negative: bool, prefix: &str, digits: &str) -> String {
        let sign = match (negative, self.sign, self.blank) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if self.zero && !self.left {
            let width = self.width.saturating_sub(sign.len() + prefix.len());
            format!("{sign}{prefix}{digits:0>width$}")
        } else {
            self.pad(&format!("{sign}{prefix}{digits}"))
        }
    }
}

/// Carries out a conversion; `None` is a conversion that names nothing, where Python takes the
/// dictionary of all names. `index` is where its last character stands in the template.
///
/// # Errors
/// Python's words.
pub(super) fn convert(
    spec: &Spec,
    kind: char,
    index: usize,
    value: Option<Arg<'_>>,
) -> Result<String, String> {
    match kind {
        's' | 'r' | 'a' => {
            let text = match value {
                None => return Err("not enough arguments for format string".to_owned()),
                Some(Arg::Int(number)) => number.to_string(),
                Some(Arg::Text(text)) if kind == 's' => text.into_owned(),
                Some(Arg::Text(text)) => py::repr(&text),
            };
            let end = spec.precision.and_then(|len| text.char_indices().nth(len));
            Ok(spec.pad(&text[..end.map_or(text.len(), |(at, _)| at)]))
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => match value {
            Some(Arg::Int(number)) => Ok(integer(spec, kind, number)),
            other => {
                let wanted = if "oxX".contains(kind) { "an integer" } else { "a real number" };
                Err(format!(
                    "%{kind} format: {wanted} is required, not {}",
                    type_name(other.as_ref())
                ))
            }
        },
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match value {
            Some(Arg::Int(number)) => Ok(float(spec, kind, number)),
            other => Err(format!("must be real number, not {}", type_name(other.as_ref()))),
        },
        'c' => match value {
            Some(Arg::Int(number)) => match u32::try_from(number).ok().and_then(char::from_u32) {
                Some(c) => Ok(spec.pad(&c.to_string())),
                None => Err("%c arg not in range(0x110000)".to_owned()),
            },
            Some(Arg::Text(text)) if text.chars().count() == 1 => Ok(spec.pad(&text)),
            _ => Err("%c requires int or char".to_owned()),
        },
        _ => {
            let shown = if matches!(kind, '\u{1f}'..='~') { kind } else { '?' };
            let code = kind as u32;
            Err(format!("unsupported format character '{shown}' (0x{code:x}) at index {index}"))
        }
    }
}

/// Python's name for the type of a value.
fn type_name(value: Option<&Arg<'_>>) -> &'static str {
    match value {
        None => "dict",
        Some(Arg::Text(_)) => "str",
        Some(Arg::Int(_)) => "int",
    }
}

fn integer(spec: &Spec, kind: char, number: i64) -> String {
    let size = number.unsigned_abs();
    let (prefix, digits) = match kind {
        'o' => ("0o", format!("{size:o}")),
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        _ => ("", size.to_string()),
    };
    let precision = spec.precision.unwrap_or(0);
    let digits = format!("{digits:0>precision$}");
    spec.pad_number(number < 0, if spec.alternate { prefix } else { "" }, &digits)
}

/// Floats are made of whole numbers only: there are no others.
fn float(spec: &Spec, kind: char, number: i64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "as Python converts an int to a float")]
    let size = number.unsigned_abs() as f64;
    let precision = spec.precision.unwrap_or(6);
    let digits = match kind {
        'f' | 'F' => format!("{size:.precision$}"),
        'e' | 'E' => scientific(size, precision),
        _ => general(size, precision.max(1)),
    };
    let digits = if kind.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
    spec.pad_number(number < 0, "", &digits)
}

/// `7.000000e+00`: C writes a sign and two digits in the exponent.
fn scientific(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}e+{exponent:0>2}"),
        None => text,
    }
}

/// The shorter of both forms, without trailing zeros.
fn general(size: f64, precision: usize) -> String {
    let rounded = scientific(size, precision - 1);
    let (mantissa, exponent) = rounded.split_once("e+").unwrap_or((&rounded, "0"));
    if exponent.parse::<usize>().is_ok_and(|exponent| exponent < precision) {
        return format!("{size:.0}");
    }
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    format!("{mantissa}e+{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(flags: &str, width: i64, precision: Option<usize>, kind: char, n: i64) -> String {
        let mut spec = Spec { precision, ..Spec::default() };
        flags.chars().for_each(|flag| spec.set_flag(flag));
        spec.set_width(width);
        convert(&spec, kind, 0, Some(Arg::Int(n))).unwrap()
    }

    #[test]
    fn numbers_look_as_python_writes_them() {
        // C-026; the right side is what Python 3.11 prints
        assert_eq!(number("0", 3, None, 'd', 7), "007");
        assert_eq!(number("0", 4, None, 'd', -7), "-007");
        assert_eq!(number("-0", 4, None, 'd', 7), "7   ");
        assert_eq!(number("+", 0, None, 'i', 7), "+7");
        assert_eq!(number(" ", 4, None, 'u', 7), "   7");
        assert_eq!(number("#0", 8, None, 'x', 255), "0x0000ff");
        assert_eq!(number("#", 6, None, 'o', 8), "  0o10");
        assert_eq!(number("", 5, Some(3), 'd', 7), "  007");
        assert_eq!(number("", 0, Some(1), 's', 77), "7");
        assert_eq!(number("", 0, None, 'f', 7), "7.000000");
        assert_eq!(number("", 0, Some(1), 'e', 70), "7.0e+01");
        assert_eq!(number("", 0, None, 'g', 1_000_000), "1e+06");
        assert_eq!(number("", 0, None, 'G', 100_000), "100000");
        assert_eq!(number("", 2, None, 'c', 65), " A");
    }
}
