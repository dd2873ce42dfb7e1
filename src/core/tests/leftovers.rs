//! What runs leave behind, in the three kill modes (C-212).

use std::time::Duration;

use crate::core::action::Sweep::{Kill, Terminate, Watch};
use crate::core::request::{Reply, Request};
use crate::core::testing::build::{listeners, program};
use crate::core::testing::{Program, World};
use crate::model::event::Event;
use crate::model::event_type::EventType;
use crate::model::exit::ExitStatus;
use crate::model::fault::FaultKind;
use crate::model::signal::Signal;
use crate::model::spec::{Autorestart, KillMode};
use crate::model::state::ProcessState::{
    Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping,
};

/// A running program that leaves two processes behind, in this mode.
fn leaving(killmode: KillMode, stopwaitsecs: i64, end_in: Option<u64>) -> World {
    let mut world = World::running(program("a", |spec| {
        spec.killmode = killmode;
        spec.stopwaitsecs = stopwaitsecs;
        spec.autorestart = Autorestart::Never;
    }));
    let left_end_in = end_in.map(Duration::from_millis);
    world.program("a", Program { left_end_in, ..Program::leaving(2) });
    world
}

#[test]
fn a_stop_is_over_when_what_was_left_behind_has_ended() {
    // C-181, C-303
    let mut world = leaving(KillMode::ControlGroup, 10, Some(700));
    let pid = world.pid("a");
    let stop = world.stop("a");
    world.run_ms(699);
    assert_eq!((world.state("a"), world.pid("a"), world.reply(stop)), (Stopping, 0, None));
    assert_eq!(world.sweeps, [Terminate]);
    world.run_ms(1);
    assert_eq!(world.state("a"), Stopped);
    assert_eq!(world.reply(stop), Some(Ok(Reply::Done)));
    assert_eq!(
        world.lines_above_debug(),
        [
            "INFO waiting for a to stop",
            "WARN stopped: a (terminated by SIGTERM)",
            "INFO a left 2 processes behind, sending SIGTERM: 7 (x)",
        ]
    );
    // The event tells the main process, which had ended before.
    let last = world.events().pop();
    assert!(
        matches!(last, Some(Event::ProcessState { to: Stopped, pid: told, .. }) if told == pid)
    );
    assert!(world.process("a").is_settled());
}

#[test]
fn what_ignores_sigterm_is_killed_when_its_time_is_over() {
    // As long as the main process gets, 5 seconds at the most.
    for (stopwaitsecs, grace) in [(2, 2), (60, 5), (0, 0), (-1, 0)] {
        let mut world = leaving(KillMode::ControlGroup, stopwaitsecs, None);
        let stop = world.stop("a");
        if grace > 0 {
            world.run_ms(grace * 1000 - 1);
            assert_eq!((world.state("a"), &world.sweeps[..]), (Stopping, &[Terminate][..]));
            world.run_ms(1);
            let killing = "WARN killing what 'a' left behind with SIGKILL";
            assert!(world.lines().contains(&killing.to_owned()));
        }
        assert_eq!(world.sweeps, [Terminate, Kill]);
        assert_eq!((world.state("a"), world.reply(stop)), (Stopped, Some(Ok(Reply::Done))));
    }
}

#[test]
fn mixed_kills_what_was_left_behind_at_once() {
    let mut world = leaving(KillMode::Mixed, 10, None);
    let stop = world.stop("a");
    assert_eq!((world.state("a"), world.reply(stop)), (Stopped, Some(Ok(Reply::Done))));
    assert_eq!(world.sweeps, [Kill]);
    let line = "WARN a left 2 processes behind, sending SIGKILL: 7 (x)";
    assert!(world.lines().contains(&line.to_owned()));
}

#[test]
fn process_leaves_everything_alone() {
    // C-212
    let mut world = leaving(KillMode::Process, 10, None);
    world.stop("a");
    assert_eq!(world.state("a"), Stopped);
    world.start_nowait("a").unwrap();
    world.run_ms(5000);
    world.exits("a", ExitStatus::Code(0));
    assert_eq!(world.state("a"), Exited);
    assert_eq!(world.sweeps, []);
    world.os(Signal::TERM);
    assert!(world.exit.is_some());
}

#[test]
fn a_stop_is_not_said_to_be_done_when_something_cannot_be_ended() {
    let mut world = leaving(KillMode::Mixed, 10, None);
    world.program("a", Program { left_killable: false, ..Program::leaving(1) });
    let stop = world.stop("a");
    world.run_ms(9_999);
    assert_eq!((world.state("a"), world.reply(stop)), (Stopping, None));
    world.run_ms(1);
    assert_eq!(world.state("a"), Stopped);
    let fault = world.reply(stop).unwrap().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Failed);
    assert!(fault.to_string().contains("a: it left 1 process behind that could not be ended"));
    let error = "ERRO a: what an earlier run left behind could not be ended: 7 (x)";
    assert!(world.lines().contains(&error.to_owned()));
    assert_eq!(world.sweeps, [Kill, Watch]);
    // It is tried again, and known to be gone when it is.
    assert!(world.process("a").can_stop() && !world.process("a").is_settled());
    let again = world.stop("a");
    world.leftovers_end("a");
    assert_eq!((world.state("a"), world.reply(again)), (Stopped, Some(Ok(Reply::Done))));
    assert!(world.process("a").is_settled());
}

#[test]
fn a_program_that_crashed_is_restarted_when_its_workers_are_gone() {
    let mut world = World::running(program("a", |spec| spec.autorestart = Autorestart::Always));
    let left_end_in = Some(Duration::from_millis(300));
    world.program("a", Program { left_end_in, ..Program::leaving(3) });
    world.exits("a", ExitStatus::Code(1));
    assert_eq!((world.state("a"), world.pid("a")), (Starting, 0));
    world.run_ms(299);
    assert_eq!((world.pid("a"), &world.sweeps[..]), (0, &[Terminate][..]));
    world.run_ms(1);
    assert_ne!(world.pid("a"), 0);
    world.run_ms(1000);
    assert_eq!(world.state("a"), Running);
    assert_eq!(world.process("a").snapshot().left, 0);
    assert_eq!(world.path(), [Exited, Starting, Running]);
}

#[test]
fn a_program_is_not_started_beside_what_cannot_be_ended() {
    let mut world = World::running(program("a", |spec| {
        spec.autorestart = Autorestart::Always;
        spec.startretries = 0;
        spec.killmode = KillMode::Mixed;
    }));
    world.program("a", Program { left_killable: false, ..Program::leaving(3) });
    world.exits("a", ExitStatus::Code(1));
    world.run_ms(60_000);
    assert_eq!(world.path(), [Exited, Starting, Backoff, Fatal]);
    let error = world.process("a").snapshot().spawn_error.to_string();
    assert_eq!(error, "what an earlier run left behind could not be ended: 7 (x)");
}

#[test]
fn a_stop_while_workers_of_a_crash_are_ended_waits_for_them() {
    let mut world = World::running(program("a", |spec| spec.autorestart = Autorestart::Always));
    let left_end_in = Some(Duration::from_millis(300));
    world.program("a", Program { left_end_in, ..Program::leaving(3) });
    world.exits("a", ExitStatus::Code(1));
    let stop = world.stop("a");
    world.run_ms(299);
    assert_eq!((world.state("a"), world.reply(stop)), (Stopping, None));
    world.run_ms(1);
    assert_eq!((world.state("a"), world.reply(stop)), (Stopped, Some(Ok(Reply::Done))));
    assert_eq!(world.spawned(), ["a"], "the one that found it occupied");
}

#[test]
fn what_a_program_that_ended_by_itself_leaves_is_reported_and_left_alone() {
    let mut world = leaving(KillMode::ControlGroup, 10, Some(0));
    world.exits("a", ExitStatus::Code(0));
    world.run_ms(60_000);
    assert_eq!((world.state("a"), world.process("a").snapshot().left), (Exited, 2));
    assert_eq!(world.sweeps, [Watch]);
    let lines = world.lines_above_debug();
    assert_eq!(lines[1..], ["WARN a left 2 processes behind: 7 (x)"]);
    // It is seen to go.
    world.leftovers_end("a");
    assert_eq!(world.process("a").snapshot().left, 0);
    assert_eq!(world.stop_nowait("a").unwrap_err().to_string(), "NOT_RUNNING: a");
}

#[test]
fn it_can_be_stopped_then_and_does_not_outlive_a_start_or_the_daemon() {
    // C-147
    for how in ["stop", "start", "restart", "shutdown", "remove"] {
        let mut world = leaving(KillMode::ControlGroup, 10, Some(50));
        world.exits("a", ExitStatus::Code(0));
        world.forget_notes();
        match how {
            "stop" => {
                let stop = world.stop("a");
                assert_eq!((world.state("a"), world.reply(stop)), (Exited, None));
                world.run_ms(50);
                assert_eq!(world.reply(stop), Some(Ok(Reply::Done)));
                assert_eq!(world.path(), [Stopped]);
            }
            "start" => {
                world.start_nowait("a").unwrap();
                world.run_ms(2000);
                assert_eq!(world.path(), [Starting, Running]);
            }
            "restart" => {
                world.stop("a");
                let start = world.start("a");
                world.run_ms(2000);
                assert_eq!(world.reply(start), Some(Ok(Reply::Done)));
                assert_eq!(world.path(), [Stopped, Starting, Running]);
            }
            "shutdown" => {
                world.os(Signal::TERM);
                assert_eq!(world.exit, None);
                world.run_ms(50);
                assert!(world.exit.is_some());
                assert_eq!(world.path(), []);
            }
            _ => {
                let remove = || Request::RemoveGroup("a".into());
                let fault = world.answer(remove()).unwrap_err();
                assert_eq!(fault.kind, FaultKind::StillRunning);
                world.stop("a");
                world.run_ms(50);
                world.answer(remove()).unwrap();
            }
        }
        assert!(world.left.is_empty(), "{how}");
    }
}

#[test]
fn a_stop_in_backoff_ends_what_the_attempts_left() {
    // C-178
    let mut world = World::new(vec![program("a", |spec| spec.startretries = 9)]);
    let leaves = Program { left_end_in: Some(Duration::from_millis(70)), ..Program::exiting(1, 1) };
    world.program("a", Program { leaves: 1, ..leaves });
    world.give(crate::core::action::Input::Boot);
    world.run_ms(10);
    let stop = world.stop("a");
    assert_eq!((world.state("a"), world.reply(stop)), (Backoff, None));
    world.start_nowait("a").unwrap();
    world.run_ms(70);
    assert_eq!(world.reply(stop), Some(Ok(Reply::Done)));
    assert_eq!(world.path()[..4], [Starting, Backoff, Stopped, Starting]);
}

#[test]
fn the_service_manager_is_told_of_the_time_that_it_may_take() {
    let mut world = leaving(KillMode::ControlGroup, 60, None);
    let now = world.now().mono;
    world.program("a", Program { stops_in: Some(Duration::from_secs(1)), ..Program::leaving(1) });
    world.stop("a");
    let until = |world: &World| world.core.stops().iter().map(|&(_, at)| at - now).max();
    assert_eq!(until(&world), Some(Duration::from_secs(65)));
    let mut plain = leaving(KillMode::Process, 60, None);
    plain.program("a", Program::stubborn());
    plain.stop("a");
    assert_eq!(until(&plain), Some(Duration::from_secs(60)));
}

#[test]
fn a_listener_that_breaks_the_protocol_starts_again_without_its_old_workers() {
    // C-348
    let mut world =
        World::booted(vec![listeners("p", 1, &[EventType::RemoteCommunication], |_| {})]);
    world.run_ms(5000);
    let left_end_in = Some(Duration::from_millis(700));
    world.program("p:p_0", Program { left_end_in, ..Program::leaving(2) });
    world.says("p:p_0", "nonsense\n");
    world.run_ms(1699);
    assert_eq!((world.state("p:p_0"), world.pid("p:p_0")), (Stopping, 0));
    assert_eq!(world.sweeps, [Terminate]);
    world.run_ms(1);
    assert_eq!(world.state("p:p_0"), Starting);
    assert!(world.pid("p:p_0") > 0 && world.left.is_empty());
}

#[test]
fn listeners_hear_the_end_of_a_stop_after_all_that_was_written() {
    // C-362
    let heard = program("a", |spec| spec.stdout.events_enabled = true);
    let pool = listeners("p", 1, &[EventType::ProcessStateStopped], |_| {});
    let mut world = World::booted(vec![pool, heard]);
    world.run_ms(5000);
    world.says("p:p_0", "READY\n");
    world.program("a", Program { heard_in: Duration::from_millis(300), ..Program::leaving(1) });
    world.stop("a");
    world.run_ms(299);
    assert_eq!(world.state("a"), Stopped);
    assert!(world.deliveries().is_empty(), "its last words are not heard yet");
    world.run_ms(1);
    assert_eq!(world.deliveries().len(), 1);
}
