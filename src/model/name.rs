//! Names of groups and processes, and how a person writes them (C-226, C-227).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A process: the group it is in, and its name there. Ordered by group, then by name (C-218).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessName {
    /// The group.
    pub group: Arc<str>,
    /// The name inside the group.
    pub process: Arc<str>,
}

impl ProcessName {
    /// A name from its two parts.
    #[must_use]
    pub fn new(group: impl Into<Arc<str>>, process: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), process: process.into() }
    }
}

impl fmt::Display for ProcessName {
    /// `process` when the group has the same name, else `group:process` (C-227).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group == self.process {
            f.pad(&self.process)
        } else {
            f.pad(&format!("{}:{}", self.group, self.process))
        }
    }
}

/// What a person named: one process, or a whole group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// `name` or `group:name`.
    Process(ProcessName),
    /// `group:*` or `group:`.
    Group(Arc<str>),
}

impl Target {
    /// Reads `name`, `group:name`, `group:*` and `group:`, split at the first colon (C-226).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            None => Self::Process(ProcessName::new(text, text)),
            Some((group, "" | "*")) => Self::Group(group.into()),
            Some((group, process)) => Self::Process(ProcessName::new(group, process)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_shown_as_people_write_them() {
        // C-226, C-227
        assert_eq!(Target::parse("web"), Target::Process(ProcessName::new("web", "web")));
        assert_eq!(Target::parse("g:a:b"), Target::Process(ProcessName::new("g", "a:b")));
        assert_eq!(Target::parse("g:*"), Target::Group("g".into()));
        assert_eq!(Target::parse("g:"), Target::Group("g".into()));
        assert_eq!(ProcessName::new("web", "web").to_string(), "web");
        assert_eq!(ProcessName::new("g", "web").to_string(), "g:web");
        assert_eq!(format!("{:<8}|", ProcessName::new("g", "web")), "g:web   |");
    }
}
