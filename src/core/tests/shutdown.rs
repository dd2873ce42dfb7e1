//! Stopping everything (C-147 to C-153).

use std::time::Duration;

use crate::core::action::{ExitKind, Input};
use crate::core::request::Request;
use crate::core::testing::build::{group, plain, process, program};
use crate::core::testing::{Program, World};
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::spec::Autorestart;
use crate::model::state::DaemonState;
use crate::model::state::ProcessState::{
    Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unknown,
};

/// Two running programs; `late` is stopped after `early`.
fn two() -> World {
    let mut world = World::booted(vec![
        program("late", |spec| spec.priority = 1),
        program("early", |spec| spec.priority = 2),
    ]);
    world.run_ms(2000);
    world.forget_notes();
    world
}

#[test]
fn groups_stop_one_after_the_other() {
    // C-147
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.os(Signal::TERM);
    assert_eq!((world.state("early"), world.state("late")), (Stopping, Running));
    world.run_ms(3000);
    assert_eq!((world.state("early"), world.state("late")), (Stopped, Stopped));
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn the_processes_of_a_group_stop_together() {
    // C-148
    let members = ["g:a", "g:b", "g:c"].map(|name| process(name, |_| {})).to_vec();
    let mut world = World::booted(vec![group("g", 1, members)]);
    world.program("g:c", Program::slow_to_stop(5000));
    world.run_ms(2000);
    world.forget_notes();
    world.os(Signal::TERM);
    assert_eq!(world.signalled(), ["g:c", "g:b", "g:a"]);
    assert_eq!(world.exit, None);
    world.run_ms(5000);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn stopped_groups_take_no_time() {
    // C-441
    let groups = (0..50).map(|n| program(&format!("p{n}"), |s| s.autostart = false)).collect();
    let mut world = World::booted(groups);
    world.os(Signal::TERM);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn what_backs_off_becomes_fatal_when_its_group_is_to_stop() {
    // C-149
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.program("late", Program::failing("no"));
    world.exits("late", ExitStatus::Code(1));
    assert_eq!(world.state("late"), Backoff);
    world.os(Signal::TERM);
    assert_eq!(world.state("late"), Backoff);
    world.run_ms(2999);
    assert_eq!(world.state("late"), Backoff, "no new attempt (C-151)");
    world.run_ms(1);
    assert_eq!(world.state("late"), Fatal);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn the_log_says_what_is_waited_for() {
    // C-150, C-166, and the order of upstream's lines: signals first, then the report.
    let mut world = World::booted(vec![
        group("g", 1, vec![process("g:y", |_| {}), process("g:x", |_| {})]),
        plain("z"),
    ]);
    world.program("z", Program::slow_to_stop(7000));
    world.run_ms(2000);
    world.forget_notes();
    world.os(Signal::TERM);
    world.run_ms(20_000);
    assert_eq!(
        world.lines(),
        [
            "WARN received SIGTERM indicating exit request",
            "DEBG killing z (pid 102) with signal SIGTERM",
            "INFO waiting for y, x, z to die",
            "INFO waiting for y, x, z to die",
            "INFO waiting for y, x, z to die",
            "WARN stopped: z (terminated by SIGTERM)",
            "DEBG killing x (pid 101) with signal SIGTERM",
            "DEBG killing y (pid 100) with signal SIGTERM",
            "WARN stopped: x (terminated by SIGTERM)",
            "WARN stopped: y (terminated by SIGTERM)",
        ]
    );
}

#[test]
fn nothing_starts_any_more_but_what_starts_may_succeed() {
    // C-151
    let mut world = World::booted(vec![
        program("restarts", |spec| spec.autorestart = Autorestart::Always),
        program("slow", |spec| spec.startsecs = 5),
        program("zz", |spec| spec.priority = 1000),
    ]);
    world.program("zz", Program::slow_to_stop(8000));
    world.run_ms(2000);
    world.os(Signal::TERM);
    world.exits("restarts", ExitStatus::Code(0));
    assert_eq!(world.state("restarts"), Exited);
    world.run_ms(3000);
    assert_eq!(world.state("slow"), Running);
    world.run_ms(5000);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
    assert_eq!(world.state("restarts"), Exited);
}

#[test]
fn an_early_exit_during_a_shutdown_is_final() {
    // C-151, C-149
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.stop_nowait("late").unwrap();
    world.start_nowait("late").unwrap();
    world.os(Signal::TERM);
    world.exits("late", ExitStatus::Code(0));
    assert_eq!(world.state("late"), Fatal);
    world.run_ms(5000);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn requests_are_refused_while_stopping() {
    // C-152, C-288; before the names are looked at.
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.os(Signal::TERM);
    let requests = [
        Request::AddGroup("x".into()),
        Request::RemoveGroup("x".into()),
        Request::Reread { groups: std::sync::Arc::default() },
        Request::Shutdown,
        Request::Restart,
        Request::Stdin { name: crate::model::name::ProcessName::new("x", "x"), data: Vec::new() },
    ];
    for request in requests {
        assert_eq!(world.answer(request).unwrap_err().to_string(), "SHUTDOWN_STATE");
    }
    assert_eq!(world.start_nowait("x").unwrap_err().to_string(), "SHUTDOWN_STATE");
    assert_eq!(world.stop_nowait("late").unwrap_err().to_string(), "SHUTDOWN_STATE");
    let signal = world.signal("late", Signal::HUP);
    assert_eq!(world.reply(signal).unwrap().unwrap_err().to_string(), "SHUTDOWN_STATE");
}

#[test]
fn the_world_is_told_once_that_the_daemon_stops() {
    // C-153, C-142
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.os(Signal::HUP);
    world.run_ms(100);
    world.os(Signal::TERM);
    world.os(Signal::TERM);
    world.run_ms(5000);
    let told: Vec<Event> =
        world.events().into_iter().filter(|e| matches!(e, Event::DaemonState(_))).collect();
    assert_eq!(told, [Event::DaemonState(DaemonState::Restarting)]);
}

#[test]
fn a_client_shuts_down_and_is_answered_at_once() {
    // C-296
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.answer(Request::Shutdown).unwrap();
    assert_eq!(world.core.state(), DaemonState::Shutdown);
    world.run_ms(3000);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn a_spawn_under_way_is_waited_for_and_its_child_stopped() {
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::slow_to_spawn(4000));
    world.give(Input::Boot);
    world.os(Signal::TERM);
    assert_eq!((world.exit, world.state("a")), (None, Stopping));
    world.run_ms(4000);
    assert_eq!(world.path(), [Starting, Stopping, Stopped]);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn a_spawn_that_fails_during_a_shutdown_is_final() {
    let spawns_in = Duration::from_secs(4);
    let mut world = World::new(vec![
        program("first", |spec| spec.priority = 1),
        program("last", |spec| spec.priority = 2),
        program("zz", |spec| spec.priority = 3),
    ]);
    world.program("zz", Program::slow_to_stop(4500)); // so that `last` is not told to stop yet
    world.program("last", Program { spawns_in, ..Program::failing("no") });
    world.give(Input::Boot);
    world.os(Signal::TERM);
    world.run_ms(4000);
    assert_eq!(world.state("last"), Fatal);
    world.run_ms(500);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
    assert_eq!(world.spawned().len(), 3);
}

#[test]
fn clients_that_wait_are_answered_before_the_end() {
    let mut world = two();
    world.program("early", Program::slow_to_stop(3000));
    world.stop_nowait("late").unwrap();
    let start = world.start("late");
    let stop = world.stop("early");
    let queued = world.start("early");
    world.os(Signal::TERM);
    world.run_ms(10_000);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
    assert!(world.reply(stop).unwrap().is_ok());
    assert!(world.reply(start).is_some());
    assert_eq!(
        world.reply(queued).unwrap().unwrap_err().to_string(),
        "ABNORMAL_TERMINATION: early"
    );
    assert_eq!(world.unanswered(), 0);
}

#[test]
fn a_restart_that_was_asked_for_while_stopping_is_off() {
    // C-425, C-151
    let mut world = two();
    world.program("late", Program::slow_to_stop(3000));
    world.stop_nowait("late").unwrap();
    world.start_nowait("late").unwrap();
    world.os(Signal::TERM);
    world.run_ms(3000);
    assert_eq!(world.state("late"), Stopped);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn what_cannot_be_stopped_is_not_waited_for() {
    // C-188
    let mut world = two();
    world.program("early", Program { signal_error: Some("EPERM"), ..Program::default() });
    world.os(Signal::TERM);
    assert_eq!(world.state("early"), Unknown);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn what_ignores_its_stop_signal_is_killed() {
    // C-180
    let mut world = two();
    world.program("early", Program::stubborn());
    world.os(Signal::TERM);
    world.run_ms(9999);
    assert_eq!(world.exit, None);
    world.run_ms(1);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn an_end_before_the_beginning_starts_nothing() {
    // C-170: autostart only while the daemon is at work.
    let mut world = World::new(vec![]);
    world.os(Signal::TERM);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
    assert!(world.core.processes().all(|p| p.state() == Stopped));
}
