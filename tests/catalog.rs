//! The message catalog and the page about the journal say what the program does.

use std::collections::BTreeMap;
use std::path::Path;

use supervisor::model::message::{Field, Kind};

/// An entry of a catalog: the headers, in order, and the text.
struct Entry {
    headers: Vec<(String, String)>,
    text: Vec<String>,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a catalog as `journalctl --update-catalog` does, and complains where that would.
fn catalog() -> BTreeMap<String, Entry> {
    let text = read("systemd/supervisor.catalog");
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut in_headers = false;
    let mut after_blank = true;
    for line in text.lines() {
        assert!(line.len() < 2048 && !line.contains('\t') && line == line.trim_end(), "{line:?}");
        if line.starts_with('#') {
            assert!(current.is_none(), "comments only at the top: {line}");
            continue;
        }
        if let Some(id) = line.strip_prefix("-- ") {
            assert!(after_blank, "a blank line before {line}");
            let hexadecimal = id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
            assert!(id.len() == 32 && hexadecimal, "no identifier: {id}");
            let entry = Entry { headers: Vec::new(), text: Vec::new() };
            assert!(entries.insert(id.to_owned(), entry).is_none(), "{id} comes twice");
            current = Some(id.to_owned());
            in_headers = true;
        } else if let Some(entry) = current.as_ref().and_then(|id| entries.get_mut(id)) {
            if in_headers && line.is_empty() {
                in_headers = false;
            } else if in_headers {
                let (name, value) = line.split_once(": ").expect("a header");
                entry.headers.push((name.to_owned(), value.to_owned()));
            } else {
                entry.text.push(line.to_owned());
            }
        } else {
            assert!(line.is_empty(), "a line outside of an entry: {line}");
        }
        after_blank = line.is_empty();
    }
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "one newline at the end");
    entries
}

#[test]
fn every_kind_is_explained_and_nothing_else() {
    let entries = catalog();
    for kind in Kind::ALL {
        assert!(entries.contains_key(kind.id()), "no entry for {kind:?} ({})", kind.id());
    }
    assert_eq!(entries.len(), Kind::ALL.len(), "an entry for what is never logged");
    for (id, entry) in &entries {
        let names: Vec<_> = entry.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Subject", "Defined-By", "Support", "Documentation"], "{id}");
        let values: Vec<_> = entry.headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values[1], "Supervisor");
        assert_eq!(values[2], "man:supervisorctl(1)");
        assert!(["man:supervisord(1)", "man:supervisord.conf(5)"].contains(&values[3]), "{id}");
        assert!(entry.text.concat().len() > 60, "{id} explains nothing");
        assert!(entry.text.iter().all(|line| line.len() <= 80), "{id}");
    }
}

#[test]
fn what_is_put_into_explanations_is_a_field() {
    let known: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
    for (id, entry) in catalog() {
        let subject = entry.headers[0].1.clone();
        for line in entry.text.iter().chain([&subject]) {
            let parts: Vec<_> = line.split('@').collect();
            assert!(parts.len() % 2 == 1, "{id}: an open @ in {line:?}");
            for name in parts.iter().skip(1).step_by(2) {
                assert!(known.contains(name), "{id}: {name} is no field");
            }
        }
    }
}

#[test]
fn the_page_about_the_journal_names_every_field_and_kind() {
    let page = read("docs/journal.md");
    for field in Field::ALL {
        assert!(page.contains(&format!("`{}`", field.name())), "{}", field.name());
    }
    for kind in Kind::ALL {
        assert!(page.contains(&format!("| `{}` |", kind.id())), "{kind:?}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.len() > 34);
    let ids = rows.filter(|line| line.as_bytes()[3..35].iter().all(u8::is_ascii_hexdigit)).count();
    assert_eq!(ids, Kind::ALL.len(), "a kind that is none");
}
