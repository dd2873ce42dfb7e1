//! Runs a scenario on both sides at the same time and holds the observations against each other.

use std::any::type_name_of_val;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use regex_lite::Regex;

use crate::differences::{DIFFERENCES, Difference, RULES};
use crate::world::{Observation, Side, World};

/// Runs a scenario against upstream and ours and compares what they did.
///
/// # Panics
/// When an observation differs that `differences.rs` does not list, when a listed one does not
/// differ, or when a side did not get to the end of the scenario.
pub fn compare(scenario: impl Fn(&mut World) + Sync) {
    let name = name_of(type_name_of_val(&scenario));
    if std::env::var("ORACLE_SIDE").is_ok_and(|side| side == "upstream") {
        let mut world = World::new(Side::Upstream);
        scenario(&mut world);
        show(&name, "upstream", world.observations());
        return;
    }
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| observe(&scenario, Side::Upstream));
        let ours = observe(&scenario, Side::Ours);
        (theirs.join().expect("panics are caught within"), ours)
    });
    if std::env::var_os("ORACLE_SHOW").is_some() {
        show(&name, "upstream", &theirs.observations);
        show(&name, "ours", &ours.observations);
    }
    let listed: Vec<&Difference> = DIFFERENCES.iter().filter(|d| d.scenario == name).collect();
    let mut complaints = differences(&theirs, &ours, &listed);
    complaints.extend(rules_not_needed(&name, &theirs, &ours));
    for (side, seen) in [("upstream", &theirs), ("ours", &ours)] {
        if let Some(panic) = &seen.panic {
            complaints.push(format!("{side} did not get to the end: {panic}"));
        }
    }
    assert!(
        complaints.is_empty(),
        "{name}: {} differences\n\n{}\n\n--- log of ours\n{}",
        complaints.len(),
        complaints.join("\n\n"),
        ours.log
    );
}

/// What one side did.
struct Run {
    observations: Vec<Observation>,
    panic: Option<String>,
    log: String,
}

/// Runs one side, keeping what it observed even if it panics.
fn observe(scenario: &(impl Fn(&mut World) + Sync), side: Side) -> Run {
    let mut world = World::new(side);
    let panic = catch_unwind(AssertUnwindSafe(|| scenario(&mut world))).err().map(|panic| {
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default()
    });
    Run { observations: world.observations().to_vec(), panic, log: world.main_log() }
}

/// Everything that is not as it should be.
fn differences(theirs: &Run, ours: &Run, listed: &[&Difference]) -> Vec<String> {
    let labels: BTreeSet<&str> =
        theirs.observations.iter().chain(&ours.observations).map(|o| o.label.as_str()).collect();
    let mut complaints = Vec::new();
    for label in labels {
        let of = |run: &Run| {
            run.observations.iter().find(|seen| seen.label == label).map(|seen| seen.text.clone())
        };
        let (their_text, our_text) = (of(theirs), of(ours));
        let expected = listed.iter().find(|difference| difference.label == label);
        match (same(their_text.as_deref(), our_text.as_deref()), expected) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(difference)) => complaints.push(format!(
                "[{label}] is listed as a difference ({}), yet both say {our_text:?}",
                difference.row
            )),
            (false, None) => complaints.push(format!(
                "[{label}]\n  upstream: {}\n  ours:     {}",
                quoted(their_text.as_deref()),
                quoted(our_text.as_deref())
            )),
        }
    }
    for difference in listed {
        let seen = |run: &Run| run.observations.iter().any(|o| o.label == difference.label);
        if !seen(theirs) && !seen(ours) {
            complaints.push(format!("[{}] is listed but never observed", difference.label));
        }
    }
    complaints
}

/// Equal, or different only in what the rules say. A group in a pattern is what stays.
fn same(theirs: Option<&str>, ours: Option<&str>) -> bool {
    let (Some(theirs), Some(ours)) = (theirs, ours) else {
        return theirs == ours;
    };
    let without = |text: &str, upstream: bool| {
        RULES.iter().filter(|rule| rule.upstream == upstream).fold(text.to_owned(), |text, rule| {
            Regex::new(rule.pattern).expect("a pattern").replace_all(&text, "$1").into_owned()
        })
    };
    theirs == ours || without(theirs, true) == without(ours, false)
}

/// Rules that this scenario should show and does not.
fn rules_not_needed(name: &str, theirs: &Run, ours: &Run) -> Vec<String> {
    let shows = |pattern: &str, label: &str, run: &Run| {
        let pattern = Regex::new(pattern).expect("a pattern");
        run.observations.iter().any(|seen| seen.label == label && pattern.is_match(&seen.text))
    };
    RULES
        .iter()
        .filter(|rule| rule.scenario == name)
        .filter(|rule| {
            let (with, other) = if rule.upstream { (theirs, ours) } else { (ours, theirs) };
            !shows(rule.pattern, rule.label, with) || shows(rule.pattern, rule.label, other)
        })
        .map(|rule| format!("[{}] does not show the rule any more: {}", rule.label, rule.reason))
        .collect()
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(
        || "(nothing observed)".to_owned(),
        |text| format!("{text:?}").replace("\\n", "\\n\n            "),
    )
}

/// `commands::start_and_stop` of `oracle::scenarios::commands::start_and_stop::{{closure}}`.
fn name_of(path: &str) -> String {
    let path = path.trim_end_matches("::{{closure}}");
    path.rsplit("scenarios::").next().expect("rsplit gives at least one part").to_owned()
}

fn show(name: &str, side: &str, observations: &[Observation]) {
    for seen in observations {
        println!("{name} {side} [{}]\n{}", seen.label, seen.text);
    }
}

/// Every entry of the list names a scenario that exists, a row and a reason, and stands once;
/// every scenario names its rows.
#[test]
fn the_list_and_the_scenarios_are_in_order() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/scenarios");
    let mut scenarios = BTreeSet::new();
    for entry in std::fs::read_dir(dir).expect("the scenarios") {
        let path = entry.expect("an entry").path();
        let module = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).expect("a source file");
        let mut docs = String::new();
        let mut is_test = false;
        for line in source.lines() {
            if let Some(doc) = line.strip_prefix("///") {
                docs.push_str(doc);
            } else if line == "#[test]" {
                is_test = true;
            } else if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
                let name = rest.split('(').next().expect("a name");
                assert!(docs.contains("C-"), "{module}::{name} does not say which rows it covers");
                scenarios.insert(format!("{module}::{name}"));
                (docs, is_test) = (String::new(), false);
            } else {
                docs.clear();
            }
        }
    }
    assert!(scenarios.len() >= 60, "only {} scenarios", scenarios.len());
    for rule in RULES {
        assert!(scenarios.contains(rule.scenario), "no scenario {}", rule.scenario);
        assert!(rule.row.starts_with("C-") && rule.reason.len() > 20, "{rule:?}");
    }
    let mut known = BTreeSet::new();
    for difference in DIFFERENCES {
        assert!(scenarios.contains(difference.scenario), "no scenario {}", difference.scenario);
        assert!(difference.row.starts_with("C-"), "{difference:?}");
        assert!(difference.reason.len() > 20, "{difference:?}");
        assert!(known.insert((difference.scenario, difference.label)), "twice: {difference:?}");
    }
}
