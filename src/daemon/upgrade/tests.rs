//! What a state looks like, and which are taken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

fn kept(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/handover");
    fs::read(dir.join(name)).unwrap()
}

#[test]
fn a_state_that_does_not_fit_together_is_refused_with_the_reason() {
    let fit = [
        "everything",
        "one",
        "pool",
        "stopping",
        "no-processes",
        "clock-at-its-end",
        "many-strikes",
    ];
    for name in fit {
        let outcome = parse(&kept(name)).map(drop);
        assert_eq!(outcome, Ok(()), "{name}");
    }
    for (name, why) in [
        ("empty", "no state: EOF while parsing"),
        ("no-state", "no state: missing field `format`"),
        ("other-format", "has format 3, this is 5.0.0 with format 2"),
        ("no-group", "does not fit together: process talk: its group is not there"),
        ("no-child", "process talk: its child is not there"),
        ("key-to-come", "is still to be given"),
        ("pid-negative", "it is RUNNING with pid -1"),
        ("deadline-of-nobody", "the deadlines are not those of the processes, as for #77"),
        ("slot-twice", "descriptor 0 is used twice"),
        ("counter-at-its-end", "the counter of the event serial is at its end"),
        ("lines-of-nothing", "stdout of talk: what was begun does not fit"),
        ("bytes-of-nothing", "pool l: the bytes of its queue are counted wrong"),
        ("listener-without-event", "it has an event and owes no answer, or owes one"),
    ] {
        let error = parse(&kept(name)).map(drop).expect_err(name);
        assert!(error.contains(why), "{name}: {error}");
    }
    let fewer = String::from_utf8(kept("one")).unwrap();
    let fewer = fewer.replacen("\"descriptors\":[", "\"descriptors\":[],\"x\":[", 1);
    let error = parse(fewer.as_bytes()).map(drop).unwrap_err();
    assert!(error.contains("is missing"), "{error}");
}

#[test]
fn a_child_that_is_made_later_is_awaited_by_its_process_and_no_other_is() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let text = kept("everything");
        let at = text.iter().position(|byte| *byte == b'\n').unwrap();
        let mut state: Value = serde_json::from_slice(&text[at..]).unwrap();
        change(&mut state["engine"]["unfinished"]);
        let written = [&text[..=at], &serde_json::to_vec(&state).unwrap()].concat();
        parse(&written).map(drop).unwrap_err()
    };
    let error = changed(&|left| drop(left["held"].as_array_mut().unwrap().remove(0)));
    assert!(error.contains("process back: it is never started"), "{error}");
    let error = changed(&|left| {
        let again = left["held"][0].clone();
        left["held"].as_array_mut().unwrap().push(again);
    });
    assert!(error.contains("process back: nobody waits for its start"), "{error}");
    let error = changed(&|left| left["effects"]["children"][0]["pid"] = 77.into());
    assert!(error.contains("(pid 77): it is of no process"), "{error}");
    let error = changed(&|left| drop(left["pipes"].as_array_mut().unwrap().pop()));
    assert!(error.contains("pipes for"), "{error}");
}

/// The fields of a value and what they hold, one a line. Names that are no fields are a star.
fn shape(value: &Value, path: &str, lines: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(all) => {
            for one in all {
                shape(one, &format!("{path}[]"), lines);
            }
            "list"
        }
        Value::Object(fields) => {
            let named = path.ends_with(".supervisor.groups") || path.ends_with(".supervisor.pools");
            for (name, field) in fields {
                let number = name.parse::<i64>().is_ok();
                let name = if named || number { "*" } else { name };
                shape(field, &format!("{path}.{name}"), lines);
            }
            return;
        }
    };
    lines.insert(format!("{path}: {kind}\n"));
}

#[test]
fn a_state_that_is_written_differently_has_another_format() {
    let mut lines = BTreeSet::new();
    // Between them they have everything.
    for name in ["everything", "stopping"] {
        let read = parse(&kept(name));
        let (head, state) = read.expect(
            "the state of an earlier program cannot be read any more: \
             is FORMAT counted on, and fuzz/corpus/handover made anew?",
        );
        shape(&serde_json::to_value(&head).unwrap(), "head", &mut lines);
        shape(&serde_json::to_value(&state).unwrap(), "state", &mut lines);
    }
    let now: String = lines.into_iter().collect();
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "src/daemon/upgrade/formats"].iter().collect();
    let file = file.join(FORMAT.to_string());
    let known = fs::read_to_string(&file).unwrap_or_default();
    if known != now {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let new = target.join(format!("state-of-format-{FORMAT}"));
        fs::create_dir_all(target).unwrap();
        fs::write(&new, &now).unwrap();
        let differ = |sign: &str, these: &str, others: &str| -> String {
            let alone = these.lines().filter(|line| !others.lines().any(|other| other == *line));
            alone.flat_map(|line| [sign, line, "\n"]).collect()
        };
        panic!(
            "The state is not written as format {FORMAT} says. A program that is upgraded could \
             not be read, or be misread: count FORMAT on in src/daemon/upgrade.rs, and then make \
             {} what {} is.\n{}",
            file.display(),
            new.display(),
            differ("- ", &known, &now) + &differ("+ ", &now, &known)
        );
    }
}
