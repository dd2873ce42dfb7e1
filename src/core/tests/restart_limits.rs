//! How often a process is started again (C-428, upstream issue 1285).

use crate::core::action::Input;
use crate::core::testing::build::program;
use crate::core::testing::{Program, World};
use crate::model::spec::{Autorestart, ProcessSpec};
use crate::model::state::ProcessState::{Backoff, Exited, Fatal, Running, Starting, Stopped};

/// A program without startsecs whose runs are that long and end with that code.
fn looping(millis: u64, code: i32, edit: impl FnOnce(&mut ProcessSpec)) -> World {
    let mut world = World::new(vec![program("a", |spec| {
        spec.startsecs = 0;
        spec.autorestart = Autorestart::Always;
        edit(spec);
    })]);
    world.program("a", Program::exiting(millis, code));
    world.give(Input::Boot);
    world
}

#[test]
fn quick_failures_without_startsecs_are_given_up() {
    // upstream issue 1285: upstream never gives up.
    for autorestart in [Autorestart::Always, Autorestart::Unexpected] {
        let mut world = looping(10, 1, |spec| spec.autorestart = autorestart);
        world.run_ms(60_000);
        assert_eq!(world.state("a"), Fatal);
        assert_eq!(world.spawned().len(), 4, "startretries + 1");
        assert_eq!(world.path()[..4], [Starting, Running, Exited, Backoff]);
        assert_eq!(&*world.process("a").snapshot().spawn_error, "Bad exit code 1");
    }
}

#[test]
fn starts_of_its_own_are_counted_until_somebody_starts_it() {
    let restarts = |world: &World| world.process("a").snapshot().restarts;
    let mut world = looping(0, 0, |_| {});
    assert_eq!((world.spawned().len(), restarts(&world)), (6, 5));
    world.run_ms(3000);
    assert!(restarts(&world) > 5);
    let stop = world.stop("a");
    assert!(world.reply(stop).unwrap().is_ok());
    assert!(restarts(&world) > 5, "a stop is no start");
    world.program("a", Program::default());
    world.start_nowait("a").unwrap();
    assert_eq!(restarts(&world), 0);

    let mut world = looping(10, 1, |_| {});
    world.run_ms(60_000);
    assert_eq!((world.state("a"), restarts(&world)), (Fatal, 3), "attempts count, too");
}

#[test]
fn quick_successes_are_repeated_once_a_second_after_a_burst() {
    // C-428: upstream is limited by its tick.
    let mut world = looping(0, 0, |_| {});
    assert_eq!(world.spawned().len(), 6, "a burst");
    assert_eq!(world.state("a"), Exited);
    world.run_ms(10_000);
    assert_eq!(world.spawned().len(), 10, "then once a second");
}

#[test]
fn a_restart_that_was_put_off_can_be_stopped_and_started() {
    // C-428, C-303
    let mut world = looping(0, 0, |_| {});
    assert_eq!(world.state("a"), Exited);
    let stop = world.stop("a");
    assert!(world.reply(stop).unwrap().is_ok());
    assert_eq!(world.state("a"), Stopped);
    world.forget_notes();
    world.run_ms(5000);
    assert_eq!(world.spawned(), Vec::<String>::new());

    world.program("a", Program::default());
    world.start_nowait("a").unwrap();
    assert_eq!(world.state("a"), Running);
    world.run_ms(60_000);
    assert_eq!(world.spawned(), ["a"]);
}

#[test]
fn a_start_while_a_restart_is_put_off_does_not_start_twice() {
    // C-428
    let mut world = looping(0, 0, |_| {});
    world.program("a", Program::default());
    world.forget_notes();
    world.start_nowait("a").unwrap();
    world.run_ms(60_000);
    assert_eq!(world.spawned(), ["a"]);
}

#[test]
fn long_runs_are_restarted_at_once_for_ever() {
    // C-183
    for code in [0, 1] {
        let mut world = looping(1000, code, |_| {});
        world.run_ms(20_000);
        assert_eq!(world.spawned().len(), 21);
    }
}

#[test]
fn a_long_run_gives_all_attempts_back() {
    // C-428
    let mut world = looping(10, 1, |_| {});
    world.run_ms(2000); // two failures
    world.program("a", Program::exiting(5000, 1));
    world.run_ms(10_000);
    world.program("a", Program::exiting(10, 1));
    world.run_ms(3000);
    world.forget_notes();
    world.run_ms(60_000);
    assert_eq!(world.state("a"), Fatal);
    assert!(world.spawned().len() >= 2);
}

#[test]
fn with_startsecs_every_run_that_counted_is_followed_by_the_next_at_once() {
    // C-183: its rate is limited by startsecs.
    let mut world = looping(1000, 1, |spec| spec.startsecs = 1);
    world.run_ms(20_000);
    assert_eq!(world.spawned().len(), 21);
}
