//! Holds the source to the layers and purity rules of the architecture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layer of each top-level module. A module uses its own layer and those below.
const LAYERS: [(&str, u8); 12] = [
    ("model", 0),
    ("config", 1),
    ("core", 1),
    ("sys", 1),
    ("runtime", 2),
    ("systemd", 2),
    ("api", 3),
    ("dbus", 3),
    ("http", 3),
    ("daemon", 4),
    ("ctl", 4),
    ("pidproxy", 4),
];

/// Modules that stay apart although their layers would allow it, and why.
const APART: [(&str, &str, &str); 4] = [
    ("config", "sys", "it is pure: no system calls"),
    ("core", "sys", "it is pure: no system calls"),
    ("ctl", "core", "the command line is a client"),
    ("ctl", "runtime", "the command line is a client"),
];

/// One source file: where it is, which module it belongs to, its lines without comments.
struct Source {
    path: PathBuf,
    module: String,
    lines: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut left = vec![root.clone()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).expect("a source directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inner = path.strip_prefix(&root).expect("below the root");
                let first = inner.components().next().expect("a name");
                let module = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
                if module == "lib" || module == "bin" {
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("a source file");
                let lines = text.lines().map(without_comment).collect();
                found.push(Source { path, module, lines });
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {}", root.display());
    found
}

/// The code of a line. Cutting at `//` may cut inside a string; for these checks that is no loss.
fn without_comment(line: &str) -> String {
    line.split("//").next().unwrap_or_default().to_owned()
}

/// The top-level modules that a text names after `crate::`, each with its line number.
fn uses(lines: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        for (at, _) in line.match_indices("crate::") {
            // `$crate::` in a macro names the same crate.
            let rest = &line[at + "crate::".len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let list = format!("{list}\n{}", lines[index + 1..].join("\n"));
                found.extend(heads_of(&list).into_iter().map(|name| (index + 1, name)));
            } else {
                found.push((index + 1, identifier(rest)));
            }
        }
    }
    found
}

/// The first identifiers of the items of `a::b, c::{d, e}, f}`.
fn heads_of(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut at_head) = (0, Vec::new(), true);
    for (at, char) in list.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ if at_head && !char.is_whitespace() => {
                heads.push(identifier(&list[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

#[test]
fn modules_use_their_own_layer_and_those_below() {
    let layers = BTreeMap::from(LAYERS);
    let mut complaints = Vec::new();
    for source in sources() {
        let Some(own) = layers.get(source.module.as_str()) else {
            complaints.push(format!("{}: module in no layer", source.path.display()));
            continue;
        };
        for (line, used) in uses(&source.lines) {
            let Some(other) = layers.get(used.as_str()) else {
                continue;
            };
            let place = format!("{}:{line}", source.path.display());
            if other > own {
                complaints
                    .push(format!("{place}: {} (L{own}) uses {used} (L{other})", source.module));
            }
            for (from, to, why) in APART {
                if source.module == from && used == to {
                    complaints.push(format!("{place}: {from} must not use {to}: {why}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_alone_and_says_why() {
    let mut complaints = Vec::new();
    for source in sources() {
        let text = std::fs::read_to_string(&source.path).expect("a source file");
        let raw: Vec<&str> = text.lines().collect();
        for (index, line) in source.lines.iter().enumerate() {
            let place = format!("{}:{}", source.path.display(), index + 1);
            if source.module != "sys" {
                if has_word(line, "unsafe") || line.contains("allow(unsafe_code)") {
                    complaints.push(format!("{place}: unsafe code outside src/sys"));
                }
            } else if line.contains("unsafe {") || line.contains("unsafe impl") {
                let from = index.saturating_sub(8);
                if !raw[from..=index].iter().any(|near| near.contains("SAFETY")) {
                    complaints.push(format!("{place}: no SAFETY comment"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn pure_modules_read_no_clock_and_do_no_io() {
    const FORBIDDEN: [&str; 8] = [
        "Instant::now",
        "SystemTime::now",
        "Utc::now",
        "Local::now",
        "std::fs",
        "std::net",
        "std::process",
        "tokio::",
    ];
    let mut complaints = Vec::new();
    for source in sources() {
        if !["model", "config", "core"].contains(&source.module.as_str()) {
            continue;
        }
        for (index, line) in source.lines.iter().enumerate() {
            for word in FORBIDDEN {
                if line.contains(word) {
                    complaints.push(format!("{}:{}: {word}", source.path.display(), index + 1));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn unfinished_code_is_not_left_behind() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (index, line) in source.lines.iter().enumerate() {
            for word in ["todo!(", "unimplemented!(", "dbg!("] {
                if line.contains(word) {
                    complaints.push(format!("{}:{}: {word}", source.path.display(), index + 1));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|char: char| !(char.is_alphanumeric() || char == '_')).any(|part| part == word)
}

#[test]
fn nested_uses_are_found() {
    let lines: Vec<String> = ["use crate::{", "    model::{name::Name, state},", "    core,", "};"]
        .map(ToOwned::to_owned)
        .to_vec();
    assert_eq!(uses(&lines), [(1, "model".to_owned()), (1, "core".to_owned())]);
    let lines = ["let x = crate::sys::spawn(crate::model::X);".to_owned()];
    assert_eq!(uses(&lines), [(1, "sys".to_owned()), (1, "model".to_owned())]);
}
