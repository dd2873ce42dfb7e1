//! Warnings about what has no effect: unknown sections and options, and values that a comment
//! character cut short (C-015, C-444).

use super::document::{Section, Value};
use super::options::SectionKind;
use super::py::repr;
use super::reader::Reader;
use super::{command, program};
use crate::model::record::Level;

/// Looks through the whole configuration, once it is read.
pub(crate) fn warn(reader: &Reader<'_>) {
    for (key, value) in reader.document.defaults.values() {
        let sections = SectionKind::ALL.into_iter();
        if !sections.flat_map(SectionKind::options).any(|option| option.key == key) {
            let all: Vec<&str> = SectionKind::ALL
                .into_iter()
                .flat_map(SectionKind::options)
                .map(|o| o.key)
                .collect();
            unknown_option(reader, "DEFAULT", key, value, &all);
        }
    }
    for section in reader.document.sections() {
        match SectionKind::of(&section.name) {
            None => unknown_section(reader, section),
            Some(kind) => {
                let known: Vec<&str> = kind.options().map(|option| option.key).collect();
                for (key, value) in section.values() {
                    if !known.contains(&key) && !kind.is_open() {
                        // A default that `%(here)s` made an option of every section (C-042).
                        let is_default = reader.document.defaults.values().any(|(k, _)| k == key);
                        if !is_default {
                            unknown_option(reader, &section.name, key, value, &known);
                        }
                    }
                    if program::KINDS.contains(&kind) && is_cut_inside_quotes(value) {
                        cut_short(reader, section, key, value);
                    }
                }
            }
        }
    }
}

fn unknown_option(reader: &Reader<'_>, section: &str, key: &str, value: &Value, known: &[&str]) {
    let advice = nearest(key, known).map(|found| format!(", did you mean {}?", repr(found)));
    reader.note(
        Level::Warn,
        format!(
            "Unknown option {} in section {} has no effect (file: {}, line {}){}",
            repr(key),
            repr(section),
            repr(&value.file),
            value.line,
            advice.unwrap_or_default()
        ),
    );
}

fn unknown_section(reader: &Reader<'_>, section: &Section) {
    let (head, tail) = match section.name.find(':') {
        Some(at) => section.name.split_at(at + 1),
        None => (section.name.as_str(), ""),
    };
    let known = SectionKind::ALL.map(SectionKind::prefix);
    let advice = nearest(head.trim(), &known);
    let advice = advice.map(|found| format!(", did you mean [{found}{}]?", tail.trim()));
    reader.note(
        Level::Warn,
        format!(
            "Unknown section {} has no effect (file: {}, line {}){}",
            repr(&section.name),
            repr(&section.file),
            section.line,
            advice.unwrap_or_default()
        ),
    );
}

/// Whether a quote is open where a comment cut the value, and closed by what was cut: then it
/// was no comment, but `bash -c 'foo ; bar'`.
fn is_cut_inside_quotes(value: &Value) -> bool {
    let is_open = |text: &str| command::split(text).is_err();
    value
        .cut
        .as_ref()
        .is_some_and(|cut| is_open(&value.text) && !is_open(&format!("{} {cut}", value.text)))
}

fn cut_short(reader: &Reader<'_>, section: &Section, key: &str, value: &Value) {
    reader.note(
        Level::Warn,
        format!(
            "For [{}], {key} is cut at {}: a blank before ; or # starts a comment, even inside \
             quotes (file: {}, line {})",
            section.name,
            repr(value.cut.as_deref().unwrap_or_default()),
            repr(&value.file),
            value.line
        ),
    );
}

/// The known word that is most like this one, when it is like it at all.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let most = (word.chars().count() / 3).clamp(1, 3);
    let measured = known.iter().map(|candidate| (distance(word, candidate), *candidate));
    measured.filter(|(distance, _)| *distance <= most).min().map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added, removed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::testing::load_text;
    use super::*;

    #[test]
    fn words_are_near_when_a_few_letters_differ() {
        assert_eq!(distance("autostart", "autostrat"), 1);
        assert_eq!(distance("", "abc"), 3);
        let known = ["command", "autostart", "autorestart", "user"];
        assert_eq!(nearest("autostrat", &known), Some("autostart"));
        assert_eq!(nearest("comand", &known), Some("command"));
        assert_eq!(nearest("usr", &known), Some("user"));
        assert_eq!(nearest("depends_on", &known), None);
    }

    fn notes(text: &str) -> Vec<String> {
        load_text(text).unwrap().notes.into_iter().map(|note| note.text).collect()
    }

    #[test]
    fn what_has_no_effect_is_told() {
        // C-015
        assert_eq!(
            notes(
                "[program:a]\ncommand=x\nautostrat=%(nobody)s\n[progam:b]\nx=1\n[my-tool]\n\
                 [DEFAULT]\nstartsec=1\ncommand=y\n"
            ),
            [
                "Unknown option 'startsec' in section 'DEFAULT' has no effect (file: \
                 '/etc/s.conf', line 9), did you mean 'startsecs'?",
                "Unknown option 'autostrat' in section 'program:a' has no effect (file: \
                 '/etc/s.conf', line 4), did you mean 'autostart'?",
                "Unknown section 'progam:b' has no effect (file: '/etc/s.conf', line 5), did you \
                 mean [program:b]?",
                "Unknown section 'my-tool' has no effect (file: '/etc/s.conf', line 7)",
            ]
        );
    }

    #[test]
    fn commands_that_a_comment_cuts_are_told() {
        // C-011, C-444
        assert_eq!(
            notes("[program:a]\ncommand=sh -c 'foo ; bar' ; why\n"),
            [
                "For [program:a], command is cut at \"; bar' ; why\": a blank before ; or # starts a \
             comment, even inside quotes (file: '/etc/s.conf', line 3)"
            ]
        );
        assert_eq!(notes("[program:a]\ncommand=x ; it's a comment\n"), [""; 0]);
    }
}
