//! In which order processes are started and stopped (C-215 to C-218, C-147 to C-153).

use std::sync::Arc;

use crate::core::testing::World;
use crate::core::testing::build::{group, process};
use crate::model::signal::Signal;
use crate::model::spec::GroupSpec;

/// Three groups, sorted as a configuration is; the middle one has members whose order in the list
/// is not that of their priorities.
fn groups(autostart: bool) -> Vec<Arc<GroupSpec>> {
    let member = |name: &str, priority: i64| {
        process(name, |spec| {
            spec.priority = priority;
            spec.autostart = autostart;
        })
    };
    vec![
        group("z", -5, vec![member("z:1", 999)]),
        group(
            "m",
            10,
            vec![member("m:2", 20), member("m:3", 30), member("m:1", 10), member("m:b", 20)],
        ),
        group("b", 999, vec![member("b:1", 1)]),
        group("c", 999, vec![member("c:1", 1)]),
    ]
}

const BY_PRIORITY: [&str; 7] = ["z:1", "m:1", "m:2", "m:b", "m:3", "b:1", "c:1"];

#[test]
fn the_daemon_starts_groups_by_priority_and_members_as_listed() {
    // C-215: all in one pass, the priority of a process does not count.
    let mut world = World::booted(groups(true));
    assert_eq!(world.spawned(), ["z:1", "m:2", "m:3", "m:1", "m:b", "b:1", "c:1"]);
}

#[test]
fn clients_start_and_stop_by_ascending_priority() {
    // C-216, C-217, C-449
    let mut world = World::booted(groups(false));
    world.start("*");
    assert_eq!(world.spawned(), BY_PRIORITY);
    world.run_ms(2000);
    world.stop("*");
    assert_eq!(world.signalled(), BY_PRIORITY);
    world.start("m:*");
    assert_eq!(world.spawned(), BY_PRIORITY[1..5]);
    world.stop("m:*");
    assert_eq!(world.signalled(), BY_PRIORITY[1..5]);
}

#[test]
fn signals_go_out_by_ascending_priority() {
    // C-306
    let mut world = World::booted(groups(true));
    world.run_ms(2000);
    world.signal("*", Signal::HUP);
    assert_eq!(world.signalled(), BY_PRIORITY);
}

#[test]
fn a_shutdown_goes_the_other_way_ties_reversed() {
    // C-147, C-148
    let mut world = World::booted(groups(true));
    world.run_ms(2000);
    world.os(Signal::TERM);
    let mut reversed = BY_PRIORITY;
    reversed.reverse();
    assert_eq!(world.signalled(), reversed);
}

#[test]
fn a_group_that_was_added_later_stops_before_others_of_its_priority() {
    // C-147: later-added last, and the order is reversed.
    let mut world = World::booted(vec![]);
    let added: Vec<_> = ["c", "a", "b"]
        .map(|name| group(name, 5, vec![process(&format!("{name}:1"), |_| {})]))
        .to_vec();
    let reread = crate::core::request::Request::Reread { groups: Arc::new(added) };
    world.answer(reread).unwrap();
    for name in ["b", "c", "a"] {
        world.answer(crate::core::request::Request::AddGroup(name.into())).unwrap();
    }
    world.run_ms(2000);
    world.os(Signal::TERM);
    assert_eq!(world.signalled(), ["a:1", "c:1", "b:1"]);
}

#[test]
fn the_picture_is_sorted_by_group_and_name() {
    // C-218
    let world = World::booted(groups(true));
    let names: Vec<String> = world.snapshot.processes.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["b:1", "c:1", "m:1", "m:2", "m:3", "m:b", "z:1"]);
    let members: Vec<_> =
        world.snapshot.members("m").map(|p| p.spec.name.process.to_string()).collect();
    assert_eq!(members, ["1", "2", "3", "b"]);
}
