//! What is wrong with a configuration: everything at once, each with its place.

use std::fmt;

use super::py::repr;

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, as it was named.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
    /// The section.
    pub section: Option<String>,
    /// The option.
    pub option: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Upstream's whole text, including the section and file it adds (C-019).
    pub message: String,
    /// Where it is.
    pub place: Place,
    /// Whether the message names section and file itself.
    pub(crate) names_section: bool,
}

impl ConfigError {
    /// An error with a message and no place.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: Place::default(), names_section: false }
    }
}

impl fmt::Display for ConfigError {
    /// Upstream's text, then what it does not tell of the place:
    /// `MSG in section 'S' (file: 'F') at line 3, option 'o'` or
    /// `MSG (section 'S', option 'o', file: 'F', line 3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let place = &self.place;
        let line = place.line.map(|line| format!("line {line}"));
        let option = place.option.as_ref().map(|option| format!("option {}", repr(option)));
        if self.names_section {
            let Some(line) = line else { return Ok(()) };
            write!(f, " at {line}")?;
            if let Some(file) = &place.file
                && !self.message.ends_with(&format!("(file: {})", repr(file)))
            {
                write!(f, " of {}", repr(file))?;
            }
            return option.map_or(Ok(()), |option| write!(f, ", {option}"));
        }
        let section = place.section.as_ref().map(|section| format!("section {}", repr(section)));
        let file = place.file.as_ref().map(|file| format!("file: {}", repr(file)));
        let parts: Vec<String> = [section, option, file, line].into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}

/// Everything that is wrong with a configuration; the first is the one upstream stops at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// What upstream would have told.
    #[must_use]
    pub fn first(&self) -> &ConfigError {
        // There is always one: an empty list is never made into this.
        &self.0[0]
    }

    /// All errors, in upstream's order.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// The errors of this list, if there is one.
    pub(crate) fn from_list(errors: Vec<ConfigError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    /// One error a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}
impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_text_stays_in_one_piece() {
        // C-018, C-019
        let place = Place {
            file: Some("/f".to_owned()),
            line: Some(3),
            section: Some("s".to_owned()),
            option: Some("o".to_owned()),
        };
        let plain =
            ConfigError { message: "M".to_owned(), place: place.clone(), names_section: false };
        assert_eq!(plain.to_string(), "M (section 's', option 'o', file: '/f', line 3)");
        let named = |message: &str| {
            let (message, place) = (message.to_owned(), place.clone());
            ConfigError { message, place, names_section: true }.to_string()
        };
        assert_eq!(
            named("M in section 's' (file: '/f')"),
            "M in section 's' (file: '/f') at line 3, option 'o'"
        );
        assert_eq!(
            named("M in section 's' (file: '/g')"),
            "M in section 's' (file: '/g') at line 3 of '/f', option 'o'"
        );
        assert_eq!(ConfigError::new("M").to_string(), "M");
        let all = ConfigErrors::from_list(vec![ConfigError::new("A"), ConfigError::new("B")]);
        assert_eq!(all.unwrap().to_string(), "A\nB");
    }
}
