//! Several files merged into one configuration (C-013, C-014, C-042, C-113).

use std::collections::HashMap;
use std::rc::Rc;

use super::ini::RawSection;

/// The value of an option, and where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
    /// What an inline comment cut off.
    pub(crate) cut: Option<String>,
    /// What `%(here)s` means in it, wherever it is used (C-042).
    pub(crate) here: Option<Rc<str>>,
}

/// A section, merged from all places that have it.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    /// The file in which it appeared first (C-019).
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
    values: Vec<(String, Value)>,
}

impl Section {
    fn new(name: &str, file: Rc<str>, line: usize) -> Self {
        Self { name: name.to_owned(), file, line, values: Vec::new() }
    }

    fn own(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn set(&mut self, key: String, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.values.push((key, value)),
        }
    }

    /// The options that stand in the section itself.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }
}

/// The name of the section that holds defaults for all others (C-014).
const DEFAULT: &str = "DEFAULT";

/// All sections of a configuration, in the order in which they first appeared.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) defaults: Section,
    sections: Vec<Section>,
    index: HashMap<String, usize>,
}

impl Document {
    pub(crate) fn new() -> Self {
        let defaults = Section::new(DEFAULT, Rc::from(""), 0);
        Self { defaults, sections: Vec::new(), index: HashMap::new() }
    }

    /// Merges a file: sections join, the last assignment wins (C-013).
    pub(crate) fn merge(&mut self, raw: Vec<RawSection>, file: &Rc<str>) {
        for found in raw {
            let section = if found.name == DEFAULT {
                &mut self.defaults
            } else {
                let next = self.sections.len();
                let at = *self.index.entry(found.name.clone()).or_insert(next);
                if at == next {
                    self.sections.push(Section::new(&found.name, Rc::clone(file), found.line));
                }
                &mut self.sections[at]
            };
            for option in found.options {
                let (text, line, cut) = (option.value, option.line, option.cut);
                let value = Value { text, file: Rc::clone(file), line, cut, here: None };
                section.set(option.key, value);
            }
        }
    }

    /// Ties every `%(here)s` that is not tied yet to this directory. Upstream replaces the text;
    /// a tie does the same and keeps percent signs in the directory harmless (C-042, C-442).
    pub(crate) fn tie_here(&mut self, here: &str) {
        const HERE: &str = "%(here)s";
        let here: Rc<str> = Rc::from(here);
        for section in &mut self.sections {
            // A default becomes an option of the section that uses it, as upstream's does.
            for (key, value) in &self.defaults.values {
                if value.text.contains(HERE) && section.own(key).is_none() {
                    section.set(key.clone(), value.clone());
                }
            }
            for (_, value) in &mut section.values {
                if value.here.is_none() && value.text.contains(HERE) {
                    value.here = Some(Rc::clone(&here));
                }
            }
        }
    }

    pub(crate) fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.index.get(name).map(|&at| &self.sections[at])
    }

    /// The value of an option in a section, or its default for all sections (C-014).
    pub(crate) fn get<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a Value> {
        section.own(key).or_else(|| self.defaults.own(key))
    }

    /// The options of a section, defaults included.
    pub(crate) fn options<'a>(
        &'a self,
        section: &'a Section,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let inherited = self.defaults.values().filter(|(key, _)| section.own(key).is_none());
        section.values().chain(inherited)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ini;
    use super::*;

    fn document(files: &[(&str, &str)]) -> Document {
        let mut document = Document::new();
        for (name, text) in files {
            document.merge(ini::parse(text, name).unwrap(), &Rc::from(*name));
            document.tie_here(&format!("/{name}"));
        }
        document
    }

    #[test]
    fn the_last_assignment_wins_and_defaults_fill_in() {
        // C-013, C-014, C-113
        let document = document(&[
            ("m", "[a]\nx=1\ny=1\n[DEFAULT]\nx=9\nz=9\n[a]\ny=2\n"),
            ("i", "[b]\n[a]\ny=3\n"),
        ]);
        let names: Vec<_> = document.sections().map(|s| (s.name.as_str(), &*s.file)).collect();
        assert_eq!(names, [("a", "m"), ("b", "i")]);
        let get = |section, key| {
            let value = document.get(document.section(section).unwrap(), key)?;
            Some((value.text.as_str(), &*value.file, value.line))
        };
        assert_eq!(get("a", "x"), Some(("1", "m", 2)));
        assert_eq!(get("a", "y"), Some(("3", "i", 3)));
        assert_eq!(get("a", "z"), Some(("9", "m", 6)));
        assert_eq!(get("b", "x"), Some(("9", "m", 5)));
        assert_eq!(get("b", "y"), None);
    }

    #[test]
    fn here_is_the_directory_of_the_file_that_says_it() {
        // C-042
        let document = document(&[
            ("m", "[DEFAULT]\nd=%(here)s\n[a]\nx=%(here)s\n"),
            ("i", "[b]\nx=%(here)s\n[a]\ny=%(here)s\n"),
        ]);
        let here = |section, key| {
            let value = document.get(document.section(section).unwrap(), key).unwrap();
            value.here.as_deref().unwrap_or("none").to_owned()
        };
        assert_eq!(here("a", "x"), "/m");
        assert_eq!(here("a", "y"), "/i");
        assert_eq!(here("a", "d"), "/m");
        assert_eq!(here("b", "d"), "/i");
    }
}
