//! Reads the options of sections: looks them up, expands them, converts them, and collects what
//! is wrong and what is worth a line in the log.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Section, Value};
use super::error::{ConfigError, ConfigErrors, Place};
use super::expand::{self, Arg, Names};
use super::host::Host;
use super::options::{Default, Kind, NameSet, OptionDef, SectionKind};
use super::py::{self, repr};
use super::values;
use crate::model::record::{Level, Record};

/// Everything that is read while a configuration is read.
pub(crate) struct Reader<'a> {
    pub(crate) document: &'a Document,
    pub(crate) host: &'a dyn Host,
    /// The directory of the main file.
    pub(crate) here: String,
    /// What relative paths of the daemon start at.
    pub(crate) base: String,
    /// What `ENV_*` stands for, without that prefix.
    pub(crate) environ: BTreeMap<String, String>,
    pub(crate) host_node_name: String,
    errors: RefCell<Vec<ConfigError>>,
    notes: RefCell<Vec<Record>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(document: &'a Document, host: &'a dyn Host, here: &str, base: &str) -> Self {
        Self {
            document,
            host,
            here: here.to_owned(),
            base: base.to_owned(),
            environ: host.variables().into_iter().collect(),
            host_node_name: host.hostname(),
            errors: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// The same reader with nothing collected yet, to try something.
    pub(crate) fn trial(&self) -> Self {
        Self {
            here: self.here.clone(),
            base: self.base.clone(),
            environ: self.environ.clone(),
            host_node_name: self.host_node_name.clone(),
            errors: RefCell::default(),
            notes: RefCell::default(),
            ..*self
        }
    }

    /// A section to read from.
    pub(crate) fn scope<'r>(&'r self, kind: SectionKind, section: &'r Section) -> Scope<'r> {
        Scope { reader: self, kind, section, context: Context::default(), in_program: false }
    }

    /// All sections of a kind, in file order.
    pub(crate) fn sections(&self, kind: SectionKind) -> impl Iterator<Item = &'a Section> {
        self.document.sections().filter(move |section| SectionKind::of(&section.name) == Some(kind))
    }

    /// Keeps an error, unless one about the same option is known already: an option that several
    /// processes read is wrong once.
    pub(crate) fn error(&self, error: ConfigError) {
        let mut errors = self.errors.borrow_mut();
        let is_known = errors.iter().any(|known| {
            known.place == error.place
                && (error.place.option.is_some() || known.message == error.message)
        });
        if !is_known {
            errors.push(error);
        }
    }

    /// Keeps a line for the log, once.
    pub(crate) fn note(&self, level: Level, text: impl Into<String>) {
        let record = Record::new(level, text);
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&record) {
            notes.push(record);
        }
    }

    /// The lines for the log, the most important ones first (C-118).
    ///
    /// # Errors
    /// Everything that was wrong.
    pub(crate) fn finish(self) -> Result<Vec<Record>, ConfigErrors> {
        if let Some(errors) = ConfigErrors::from_list(self.errors.into_inner()) {
            return Err(errors);
        }
        let mut notes = self.notes.into_inner();
        notes.sort_by_key(|note| note.level);
        Ok(notes)
    }
}

/// Names that depend on what is being read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    pub(crate) program: &'a str,
    pub(crate) group: &'a str,
    pub(crate) process_num: i64,
    pub(crate) numprocs: i64,
    /// The section's own environment.
    pub(crate) own: &'a [(String, String)],
}

/// One section, and how its options are to be read.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) kind: SectionKind,
    pub(crate) section: &'a Section,
    pub(crate) context: Context<'a>,
    /// Errors name section and file (C-019, C-020).
    pub(crate) in_program: bool,
}

impl<'a> Scope<'a> {
    /// The same section, with these names.
    pub(crate) fn with(self, context: Context<'a>) -> Self {
        Self { context, ..self }
    }

    /// What is given for an option, in the section or as default for all sections.
    pub(crate) fn given(&self, option: &OptionDef) -> Option<&'a Value> {
        debug_assert!(option.sections.contains(&self.kind), "{}: {:?}", option.key, self.kind);
        self.reader.document.get(self.section, option.key)
    }

    /// The text of an option as it stands, or its default.
    pub(crate) fn raw(&self, option: &OptionDef) -> Option<&'a str> {
        self.given(option).map(|value| value.text.as_str()).or(match option.default {
            Default::Value(text) => Some(text),
            Default::Required | Default::Unset(_) => None,
        })
    }

    /// The expanded text of an option, or its default; none when it is not set or not right.
    pub(crate) fn text(&self, option: &'static OptionDef) -> Option<String> {
        self.text_with(option, option.names)
    }

    /// The same with other names than the table has.
    pub(crate) fn text_with(&self, option: &'static OptionDef, names: NameSet) -> Option<String> {
        let template = self.raw(option)?;
        let given = self.given(option);
        let names = self.names(names, given);
        let expanded = match option.second_pass {
            Some(second) => expand::expand_doubled(template, &names, &self.names(second, given)),
            None => expand::expand(template, &names),
        };
        expanded
            .map_err(|error| {
                self.wrong(option, error.message(template, &self.label(option), &names));
            })
            .ok()
    }

    /// What upstream calls an option in messages about its expansion. Two options of a program
    /// are expanded apart from the others, and named without their section.
    fn label(&self, option: &OptionDef) -> String {
        match option.key {
            "environment" | "process_name" if self.kind != SectionKind::Supervisord => {
                option.key.to_owned()
            }
            key => format!("{}.{key}", self.section.name),
        }
    }

    /// The names that may be used in a value.
    pub(crate) fn names(&self, set: NameSet, value: Option<&'a Value>) -> Visible<'a> {
        let (reader, context) = (self.reader, self.context);
        Visible { reader, context, set, here: value.and_then(|value| value.here.as_deref()) }
    }

    /// Converts the text of an option; none when it is not set or not right.
    pub(crate) fn read<T>(
        &self,
        option: &'static OptionDef,
        convert: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(option)?;
        convert(&text).map_err(|message| self.wrong(option, message)).ok()
    }

    /// A number.
    pub(crate) fn int(&self, option: &'static OptionDef) -> i64 {
        debug_assert_eq!(option.kind, Kind::Int);
        self.read(option, values::integer).unwrap_or_default()
    }

    /// A number of bytes.
    pub(crate) fn bytes(&self, option: &'static OptionDef) -> i64 {
        debug_assert_eq!(option.kind, Kind::Bytes);
        self.read(option, values::byte_size).unwrap_or_default()
    }

    /// Yes or no.
    pub(crate) fn bool(&self, option: &'static OptionDef) -> bool {
        debug_assert_eq!(option.kind, Kind::Bool);
        self.read(option, values::boolean).unwrap_or_default()
    }

    /// A number in base 8.
    pub(crate) fn octal(&self, option: &'static OptionDef) -> Option<u32> {
        debug_assert_eq!(option.kind, Kind::Octal);
        self.read(option, values::octal)
    }

    /// Something is wrong with an option.
    pub(crate) fn wrong(&self, option: &OptionDef, message: impl Into<String>) {
        let given = self.given(option);
        self.fail(
            message.into(),
            Place {
                file: Some(given.map_or(&self.section.file, |value| &value.file).to_string()),
                line: Some(given.map_or(self.section.line, |value| value.line)),
                section: Some(self.section.name.clone()),
                option: Some(option.key.to_owned()),
            },
        );
    }

    /// Something is wrong with a key that the table does not have.
    pub(crate) fn wrong_value(&self, key: &str, value: &Value, message: String) {
        self.fail(
            message,
            Place {
                file: Some(value.file.to_string()),
                line: Some(value.line),
                section: Some(self.section.name.clone()),
                option: Some(key.to_owned()),
            },
        );
    }

    /// Something is wrong with the section.
    pub(crate) fn wrong_section(&self, message: impl Into<String>) {
        self.fail(
            message.into(),
            Place {
                file: Some(self.section.file.to_string()),
                line: Some(self.section.line),
                section: Some(self.section.name.clone()),
                option: None,
            },
        );
    }

    fn fail(&self, mut message: String, place: Place) {
        if self.in_program {
            let (section, file) = (repr(&self.section.name), repr(&self.section.file));
            message = format!("{message} in section {section} (file: {file})");
        }
        self.reader.error(ConfigError { message, place, names_section: self.in_program });
    }

    /// A warning for the log.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        self.reader.note(Level::Warn, text);
    }
}

/// The names that may be used in one value.
pub(crate) struct Visible<'a> {
    reader: &'a Reader<'a>,
    context: Context<'a>,
    set: NameSet,
    /// The directory that `here` is tied to, wherever it is used (C-042).
    here: Option<&'a str>,
}

impl Names for Visible<'_> {
    fn get(&self, name: &str) -> Option<Arg<'_>> {
        let text = |text| Some(Arg::Text(Cow::Borrowed(text)));
        match name {
            "here" if self.here.is_some() => self.here.and_then(text),
            "here" if self.set.has(NameSet::HERE) => text(&self.reader.here),
            "host_node_name" if self.set.has(NameSet::HOST) => text(&self.reader.host_node_name),
            "program_name" if self.set.has(NameSet::PROGRAM) => text(self.context.program),
            "group_name" if self.set.has(NameSet::GROUP) => text(self.context.group),
            "process_num" if self.set.has(NameSet::NUMBER) => {
                Some(Arg::Int(self.context.process_num))
            }
            "numprocs" if self.set.has(NameSet::NUMBER) => Some(Arg::Int(self.context.numprocs)),
            _ => {
                let key = name.strip_prefix("ENV_")?;
                let own = self.context.own.iter().find(|(known, _)| known == key);
                match own {
                    Some((_, value)) if self.set.has(NameSet::OWN) => text(value),
                    _ => self.reader.environ.get(key).map(|value| Arg::Text(value.into())),
                }
            }
        }
    }

    fn available(&self) -> Vec<String> {
        let fixed = self.set.list().filter(|name| *name != "ENV_*").map(str::to_owned);
        let mut names: BTreeSet<String> = fixed.collect();
        names.extend(self.reader.environ.keys().map(|key| format!("ENV_{key}")));
        if self.set.has(NameSet::OWN) {
            names.extend(self.context.own.iter().map(|(key, _)| format!("ENV_{key}")));
        }
        names.into_iter().collect()
    }
}

/// The words of a value between blanks.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(py::is_space).filter(|word| !word.is_empty())
}
