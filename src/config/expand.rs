//! `%(name)s`: Python's printf style on named values (C-026 to C-029, C-442).

use std::borrow::Cow;

use super::format::{self, Spec};
use super::py;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg<'a> {
    /// Text, inserted literally.
    Text(Cow<'a, str>),
    /// A number.
    Int(i64),
}

/// The names that may be used in one place.
pub trait Names {
    /// What this name stands for.
    fn get(&self, name: &str) -> Option<Arg<'_>>;

    /// All names, sorted.
    fn available(&self) -> Vec<String>;
}

/// Why a template cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandError {
    /// It uses a name that is not there.
    Unknown(String),
    /// It is not a template; the text says why in Python's words.
    Malformed(String),
}

impl ExpandError {
    /// The message upstream gives for a template that was found at `label` (C-027, C-028).
    #[must_use]
    pub fn message(&self, template: &str, label: &str, names: &dyn Names) -> String {
        let (template, label) = (py::repr(template), py::repr(label));
        match self {
            Self::Unknown(name) => format!(
                "Format string {template} for {label} contains names ({}) which cannot be \
                 expanded. Available names: {}",
                py::repr(name),
                names.available().join(", ")
            ),
            Self::Malformed(detail) => {
                format!("Format string {template} for {label} is badly formatted: {detail}")
            }
        }
    }
}

/// Expands a template.
///
/// # Errors
/// The first name that is unknown, or the first mistake in its form.
pub fn expand(template: &str, names: &dyn Names) -> Result<String, ExpandError> {
    Expansion { rest: template, template, names, protect: false }.run()
}

/// Expands an option that upstream expands twice, so that configurations for upstream say
/// `%%%%` where one percent sign is meant. Once is enough here: the second pass runs only
/// when the text left by the first is a template too, and never over inserted values (C-442).
///
/// # Errors
/// As [`expand`], for the first pass.
pub fn expand_doubled(
    template: &str,
    first: &dyn Names,
    second: &dyn Names,
) -> Result<String, ExpandError> {
    let once = expand(template, first)?;
    let protected = Expansion { rest: template, template, names: first, protect: true }.run()?;
    Ok(expand(&protected, second).unwrap_or(once))
}

/// A template on its way.
struct Expansion<'a> {
    template: &'a str,
    rest: &'a str,
    names: &'a dyn Names,
    /// Double the percent signs of inserted values, for a second pass.
    protect: bool,
}

impl Expansion<'_> {
    fn run(mut self) -> Result<String, ExpandError> {
        let mut out = String::with_capacity(self.template.len());
        while let Some(at) = self.rest.find('%') {
            out.push_str(&self.rest[..at]);
            self.rest = &self.rest[at + 1..];
            out.push_str(&self.conversion()?);
        }
        out.push_str(self.rest);
        Ok(out)
    }

    /// Reads one conversion after its percent sign, and carries it out.
    fn conversion(&mut self) -> Result<String, ExpandError> {
        let from = self.rest;
        if self.take(|c| c == '%').is_some() {
            return Ok("%".to_owned());
        }
        let value = match self.rest.strip_prefix('(') {
            Some(inner) => {
                let name = self.key(inner)?;
                let known = self.names.get(name);
                Some(known.ok_or_else(|| ExpandError::Unknown(name.to_owned()))?)
            }
            None => None,
        };
        let mut spec = Spec::default();
        while let Some(flag) = self.take(|c| "-+ #0".contains(c)) {
            spec.set_flag(flag);
        }
        let mut starred = false;
        if self.take(|c| c == '*').is_some() {
            spec.set_width(Self::star(value.as_ref())?);
            starred = true;
        } else if let Some(width) = self.number("width too big")? {
            spec.set_width(width.into());
        }
        if self.take(|c| c == '.').is_some() {
            if self.take(|c| c == '*').is_some() {
                if starred {
                    return Err(not_enough());
                }
                let precision = Self::star(value.as_ref())?.max(0);
                spec.precision = usize::try_from(precision).ok();
                starred = true;
            } else {
                let precision = self.number("precision too big")?.unwrap_or(0);
                spec.precision = Some(precision.into());
            }
        }
        self.take(|c| "hlL".contains(c));
        let Some(kind) = self.take(|_| true) else { return Err(malformed("incomplete format")) };
        if starred {
            return Err(not_enough());
        }
        if value.is_none() && "sra".contains(kind) {
            // Python would insert all names with their values here. Nobody wants that: what is
            // wanted, in `date +%s` for example, is the text.
            return Ok(format!("%{}", &from[..from.len() - self.rest.len()]));
        }
        let index = self.template.chars().count() - self.rest.chars().count() - 1;
        let text = format::convert(&spec, kind, index, value).map_err(ExpandError::Malformed)?;
        Ok(if self.protect { text.replace('%', "%%") } else { text })
    }

    /// The name up to the parenthesis that closes it; parentheses nest.
    fn key<'t>(&mut self, inner: &'t str) -> Result<&'t str, ExpandError>
    where
        Self: 't,
    {
        let mut depth = 1;
        for (at, c) in inner.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let skipped = self.rest.len() - inner.len();
                self.rest = &self.rest[skipped + at + 1..];
                return Ok(&inner[..at]);
            }
        }
        Err(malformed("incomplete format key"))
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| wanted(*c))?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn number(&mut self, too_big: &str) -> Result<Option<u16>, ExpandError> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        // A limit far above every use keeps a mistyped width from filling the memory.
        digits.parse().map(Some).map_err(|_| malformed(too_big))
    }

    /// A width or precision from the value itself, which then is not there any more.
    fn star(value: Option<&Arg<'_>>) -> Result<i64, ExpandError> {
        match value {
            Some(Arg::Int(number)) => Ok(*number),
            _ => Err(malformed("* wants int")),
        }
    }
}

fn malformed(detail: &str) -> ExpandError {
    ExpandError::Malformed(detail.to_owned())
}

fn not_enough() -> ExpandError {
    malformed("not enough arguments for format string")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Names for Fixed {
        fn get(&self, name: &str) -> Option<Arg<'_>> {
            Some(match name {
                "here" => Arg::Text("/etc".into()),
                "n" => Arg::Int(7),
                "ENV_P" => Arg::Text("50%(here)s%".into()),
                "a(b)" => Arg::Text("nested".into()),
                _ => return None,
            })
        }

        fn available(&self) -> Vec<String> {
            ["ENV_P", "a(b)", "here", "n"].map(str::to_owned).to_vec()
        }
    }

    fn error(template: &str) -> String {
        expand(template, &Fixed).unwrap_err().message(template, "s.o", &Fixed)
    }

    #[test]
    fn names_are_replaced_as_printf_does() {
        // C-026, C-029
        for (template, text) in [
            ("%(here)s/x", "/etc/x"),
            ("%(n)02d", "07"),
            ("%(n)x %(n)s", "7 7"),
            ("%(here)-6s|", "/etc  |"),
            ("%(here).2s", "/e"),
            ("100%%", "100%"),
            ("%(ENV_P)s", "50%(here)s%"),
            ("%(a(b))s", "nested"),
            ("%(n)ld", "7"),
            ("date +%s", "date +%s"),
            ("a", "a"),
        ] {
            assert_eq!(expand(template, &Fixed).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn unknown_names_are_told_with_those_that_are_known() {
        // C-027
        assert_eq!(
            error("%(x)s"),
            "Format string '%(x)s' for 's.o' contains names ('x') which cannot be expanded. \
             Available names: ENV_P, a(b), here, n"
        );
    }

    #[test]
    fn malformed_templates_are_told_in_pythons_words() {
        // C-028
        for (template, detail) in [
            ("50%", "incomplete format"),
            ("%(n)", "incomplete format"),
            ("%(n", "incomplete format key"),
            ("%(n)y", "unsupported format character 'y' (0x79) at index 4"),
            ("é%Y", "unsupported format character 'Y' (0x59) at index 2"),
            ("%(here)d", "%d format: a real number is required, not str"),
            ("%(here)x", "%x format: an integer is required, not str"),
            ("%d", "%d format: a real number is required, not dict"),
            ("%(n)*d", "not enough arguments for format string"),
            ("%(here)*s", "* wants int"),
            ("%5%", "unsupported format character '%' (0x25) at index 2"),
            ("%(n)99999999999999999999d", "width too big"),
        ] {
            let expected = format!(
                "Format string {} for 's.o' is badly formatted: {detail}",
                py::repr(template)
            );
            assert_eq!(error(template), expected);
        }
    }

    #[test]
    fn doubled_percent_signs_mean_the_same_as_single_ones() {
        // C-032, C-038, C-442
        for (template, text) in [
            ("100%%", "100%"),
            ("100%%%%", "100%"),
            ("%%(here)s", "/etc"),
            ("%(ENV_P)s", "50%(here)s%"),
            ("%%(nobody)s", "%(nobody)s"),
        ] {
            assert_eq!(expand_doubled(template, &Fixed, &Fixed).as_deref(), Ok(text), "{template}");
        }
        assert!(expand_doubled("100%", &Fixed, &Fixed).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_template_panics(template in "(%|\\(|\\)|n|here|[-+ #0*.0-9hlLsrdxoXcfeg%]|.){0,20}") {
            let _ = expand_doubled(&template, &Fixed, &Fixed);
        }

        #[test]
        fn text_without_percent_signs_stays(text in "[^%]*") {
            proptest::prop_assert_eq!(expand(&text, &Fixed), Ok(text));
        }
    }
}
