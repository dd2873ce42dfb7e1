//! What readers see. That the picture equals the state is checked in every turn of every test.

use std::sync::Arc;

use crate::core::action::Input;
use crate::core::testing::build::plain;
use crate::core::testing::{Program, World};
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::state::{DaemonState, ProcessState};

#[test]
fn a_picture_shares_what_did_not_change() {
    let mut world = World::booted(vec![plain("a"), plain("b")]);
    world.run_ms(2000);
    let before = world.snapshot.clone();
    world.stop_nowait("a").unwrap();
    let after = world.snapshot.clone();
    let [a, b] = ["a", "b"].map(|name| ProcessName::new(name, name));
    assert!(!Arc::ptr_eq(&before.processes[&a], &after.processes[&a]));
    assert!(Arc::ptr_eq(&before.processes[&b], &after.processes[&b]));
    assert!(Arc::ptr_eq(&before.groups["a"], &after.groups["a"]));
    assert_eq!(before.processes[&a].state, ProcessState::Running, "it never changes afterwards");
}

#[test]
fn there_is_no_new_picture_when_nothing_changed() {
    let mut world = World::running(plain("a"));
    let now = world.now();
    world.core.handle(Input::Tick, now);
    world.core.handle(Input::Os(Signal::CHLD), now);
    world.core.handle(Input::Os(Signal::USR2), now);
    assert!(world.core.take_snapshot().is_none());
    world.program("a", Program::slow_to_stop(100));
    world.os(Signal::TERM);
    assert_eq!(world.snapshot.state, DaemonState::Shutdown);
}

#[test]
fn a_picture_holds_times_on_both_clocks() {
    let mut world = World::booted(vec![plain("a")]);
    let born = world.now();
    world.run_ms(2000);
    world.stop_nowait("a").unwrap();
    let seen = &world.snapshot.processes[&ProcessName::new("a", "a")];
    assert_eq!(seen.started, Some((born.mono, born.wall)));
    assert_eq!(seen.stopped, Some(world.now().wall));
}
