//! Holds `docs/compatibility.md` to the tests: every row stands there once, every test it names
//! exists and mentions the row, and every difference has a reason. The faults of
//! `docs/architecture.md` have tests that exist, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex_lite::Regex;

/// The rows of what was observed.
const ROWS: [RangeInclusive<u16>; 1] = [1..=405];

/// The rows about improvements: a test that holds one holds a difference.
const IMPROVEMENTS: RangeInclusive<u16> = 406..=449;

/// What a cell says of a row that no test holds, or that is not as it was.
const REASONS: [&str; 2] = ["differs:", "not yet:"];

/// A line of one of the tables.
#[derive(Debug)]
struct Row {
    id: u16,
    tests: Vec<String>,
    reason: Option<String>,
}

#[test]
fn every_row_stands_once_with_a_test_or_a_reason() {
    let mut left: BTreeSet<u16> = ROWS.into_iter().flatten().chain(IMPROVEMENTS).collect();
    for row in page() {
        assert!(left.remove(&row.id), "C-{:03} stands twice, or belongs elsewhere", row.id);
        let reason = row.reason.as_deref();
        assert!(reason.is_none_or(|text| text.len() > 20), "the reason is no reason: {row:?}");
        assert!(!row.tests.is_empty() || reason.is_some(), "neither test nor reason: {row:?}");
    }
    assert!(left.is_empty(), "not on the page: {left:?}");
}

#[test]
fn every_test_exists_and_mentions_its_row() {
    let tests = tests();
    let mut complaints = Vec::new();
    for row in page() {
        for name in &row.tests {
            match tests.get(name) {
                None => complaints.push(format!("C-{:03}: there is no test {name}", row.id)),
                Some(rows) if !rows.contains(&row.id) => {
                    complaints.push(format!("C-{:03}: {name} does not mention it", row.id));
                }
                Some(_) => {}
            }
        }
    }
    assert!(complaints.is_empty(), "docs/compatibility.md:\n{}", complaints.join("\n"));
}

#[test]
fn every_fault_has_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("the page");
    let (_, section) = page.split_once("\n## Faults\n").expect("the section");
    let section = section.split("\n## ").next().expect("its text");
    let tests = tests();
    let rows = || section.lines().filter(|line| line.starts_with("| ")).skip(1);
    assert!(rows().count() > 15, "few faults");
    for row in rows() {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let [_, _, held] = cells[..] else { panic!("not three cells: {row}") };
        for name in held.split("<br>") {
            assert!(tests.contains_key(name.trim_matches('`')), "there is no test {name}");
        }
    }
}

#[test]
fn every_difference_of_the_comparison_is_on_the_page() {
    static ROW: LazyLock<Regex> = LazyLock::new(|| pattern(r#"row: "([^"]+)""#));
    let listed = fs::read_to_string(root().join("tests/oracle/differences.rs")).expect("the list");
    let page = page();
    for row in ROW.captures_iter(&listed).flat_map(|found| rows_in(&found[1])) {
        let told = page.iter().find(|told| told.id == row).and_then(|told| told.reason.as_deref());
        let covered = ROWS.iter().any(|range| range.contains(&row));
        assert!(told.is_some() || !covered, "C-{row:03} differs, and the page does not say so");
    }
}

#[test]
fn rows_are_found_alone_and_in_ranges() {
    assert_eq!(rows_in("// C-001, C-003: x").into_iter().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(rows_in("(C-142 to C-144)").into_iter().collect::<Vec<_>>(), [142, 143, 144]);
    assert!(rows_in("ABC-1234, C-12").is_empty());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// The rows of all tables.
fn page() -> Vec<Row> {
    let text = fs::read_to_string(root().join("docs/compatibility.md")).expect("the page");
    text.lines().filter_map(row).collect()
}

/// Reads `| C-001 | promise | held by |`, where the last cell has names of tests and at most one
/// reason, each on its own line.
fn row(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix("| C-")?.split(" | ").collect();
    let [id, promise, held] = cells[..] else { panic!("not three cells: {line}") };
    assert!(!promise.trim().is_empty(), "nothing is promised: {line}");
    let mut row = Row { id: id.parse().expect("a number"), tests: Vec::new(), reason: None };
    for part in held.trim_end_matches(" |").split("<br>") {
        let reason = REASONS.iter().find_map(|kind| part.strip_prefix(kind));
        match (part.strip_prefix('`').and_then(|part| part.strip_suffix('`')), reason) {
            (Some(name), _) => row.tests.push(name.to_owned()),
            (None, Some(reason)) if row.reason.is_none() => {
                row.reason = Some(reason.trim().to_owned());
            }
            _ => panic!("neither a test nor the only reason: {part} in {line}"),
        }
    }
    Some(row)
}

/// The rows that a text mentions.
fn rows_in(text: &str) -> BTreeSet<u16> {
    static ROWS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bC-(\d{3})\b(?: to C-(\d{3})\b)?"));
    let number = |text: &str| text.parse::<u16>().expect("three digits");
    ROWS.captures_iter(text)
        .flat_map(|found| {
            let first = number(&found[1]);
            first..=found.get(2).map_or(first, |last| number(last.as_str()))
        })
        .collect()
}

/// All tests under the names that a test runner shows, each with the rows it mentions.
fn tests() -> BTreeMap<String, BTreeSet<u16>> {
    let mut found = BTreeMap::new();
    for folder in ["src", "tests"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).expect("a source file");
            let name = path.strip_prefix(root()).expect("it is below").with_extension("");
            let module = module(&name);
            for (test, rows) in tests_in(&text) {
                found.insert(format!("{module}{test}"), rows);
            }
        }
    }
    assert!(found.len() > 300, "only {} tests", found.len());
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// What stands before the names of a file's tests: `config::ini::` of `src/config/ini`, and
/// `oracle scenarios::flags::` of `tests/oracle/scenarios/flags`.
fn module(path: &Path) -> String {
    let mut parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    if parts.last().is_some_and(|last| ["lib", "main", "mod"].contains(last)) {
        parts.pop();
    }
    match parts[..] {
        ["tests", binary, ref rest @ ..] => format!("{binary} {}", path_of(rest.iter().copied())),
        ref parts => path_of(parts[1..].iter().copied()),
    }
}

/// `a::b::` of `a` and `b`.
fn path_of<'a>(modules: impl Iterator<Item = &'a str>) -> String {
    modules.flat_map(|module| [module, "::"]).collect()
}

/// The tests of a file, with their inner modules, and the rows in their comments and code.
fn tests_in(text: &str) -> Vec<(String, BTreeSet<u16>)> {
    static MODULE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:pub(?:\(\w+\))? )?mod (\w+) \{$"));
    static FUNCTION: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:pub(?:\(\w+\))? )?(?:async )?fn (\w+)"));
    static TEST: LazyLock<Regex> = LazyLock::new(|| pattern(r"^#\[(?:\w+::)*test\b"));

    let lines: Vec<&str> = text.lines().collect();
    // What `on_each_suite!` makes tests of.
    let suites = text.split_once("on_each_suite!(").and_then(|(_, rest)| rest.split_once(");"));
    let suites: Vec<&str> =
        suites.map_or_else(Vec::new, |(names, _)| names.split(',').map(str::trim).collect());
    let mut found = Vec::new();
    // The indentation and name of each module that is open.
    let mut modules: Vec<(&str, &str)> = Vec::new();
    // Where the comments and attributes before the next item begin.
    let mut head = 0;
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if code.starts_with("//") || code.starts_with("#[") {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let ends = |line: &&str| line.strip_prefix(indent) == Some("}");
        if modules.last().is_some_and(|(outer, _)| *outer == indent) && code == "}" {
            modules.pop();
        }
        if let Some(module) = MODULE.captures(code) {
            modules.push((indent, module.get(1).expect("it has a name").as_str()));
        }
        let is_test = lines[head..at].iter().any(|line| TEST.is_match(line.trim_start()));
        let function = FUNCTION
            .captures(code)
            .filter(|function| is_test || suites.iter().any(|name| *name == &function[1]));
        if let Some(function) = function {
            let length = if line.ends_with('}') {
                0
            } else {
                lines[at..].iter().position(ends).unwrap_or(0)
            };
            let path = path_of(modules.iter().map(|(_, name)| *name));
            let rows = rows_in(&lines[head..=at + length].join("\n"));
            found.push((format!("{path}{}", &function[1]), rows));
        }
        head = at + 1;
    }
    found
}
