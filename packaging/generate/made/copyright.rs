//! `debian/copyright`: `packaging/copyright.txt` with the crates that the programs contain.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Made;

/// The file.
pub fn file() -> Made {
    let crates = crates(&metadata());
    let text = include_str!("../../copyright.txt").replace("@crates@", &crates.join("\n"));
    Made { path: "debian/copyright".to_owned(), text }
}

/// What cargo knows of the crates in Cargo.lock, for the architecture that the package is made for
/// most.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform=x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// A line for each crate that is linked into the programs.
fn crates(metadata: &Value) -> Vec<String> {
    let by_id = |list: &'static str, of: &Value| -> BTreeMap<String, Value> {
        let nodes = of[list].as_array().expect("a list").iter();
        nodes.map(|node| (text(&node["id"]), node.clone())).collect()
    };
    let packages = by_id("packages", metadata);
    let nodes = by_id("nodes", &metadata["resolve"]);
    let root = text(&metadata["resolve"]["root"]);
    let mut seen = BTreeSet::new();
    let mut left = vec![root.clone()];
    while let Some(id) = left.pop() {
        for dep in nodes[&id]["deps"].as_array().expect("a list") {
            let kinds = dep["dep_kinds"].as_array().expect("a list");
            let (linked, id) = (kinds.iter().any(|kind| kind["kind"].is_null()), text(&dep["pkg"]));
            // What is compiled in; macros leave nothing of themselves.
            if linked && !is_macro(&packages[&id]) && seen.insert(id.clone()) {
                left.push(id);
            }
        }
    }
    let lines: BTreeSet<String> = seen.iter().map(|id| line(&packages[id])).collect();
    lines.into_iter().collect()
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().expect("a list");
    targets.iter().any(|target| target["kind"][0] == "proc-macro")
}

fn line(package: &Value) -> String {
    let name = text(&package["name"]);
    let licence = package["license"].as_str().unwrap_or("see its source").replace('/', " OR ");
    let manifest = text(&package["manifest_path"]);
    let dir = Path::new(&manifest).parent().expect("a file is in a directory");
    let mut holders = copyrights(dir);
    if holders.is_empty() {
        let authors = package["authors"].as_array().into_iter().flatten().map(text);
        // Without addresses: they are for bugs, not for notices.
        holders = authors.map(|author| author.split(" <").next().unwrap_or("").into()).collect();
    }
    if holders.is_empty() {
        holders.insert(format!("the authors of {name}"));
    }
    let holders: Vec<&str> = holders.iter().map(String::as_str).collect();
    format!(" {name} ({licence}): {}", holders.join("; "))
}

/// The copyright lines in the licences of a crate.
fn copyrights(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return found };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if !["LICENSE", "LICENCE", "COPYING", "COPYRIGHT"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            continue;
        }
        for line in std::fs::read_to_string(entry.path()).unwrap_or_default().lines() {
            let line = line.trim();
            let Some(rest) = line.strip_prefix("Copyright ") else { continue };
            // Not the sample in the Apache license, nor its prose.
            let year = rest.to_lowercase();
            let year = year.trim_start_matches("(c)").trim_start_matches('©').trim_start();
            if year.starts_with(|first: char| first.is_ascii_digit()) || rest.starts_with("The ") {
                let all_rights = line.trim_end_matches(" All rights reserved.");
                found.insert(all_rights.trim_end_matches('.').to_owned());
            }
        }
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
