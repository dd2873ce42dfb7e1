//! A supervisor that was serialised in mid-flight goes on exactly as the original: `hand_over`
//! compares the actions of every further turn.

use crate::core::action::Input;
use crate::core::testing::build::{group, manual, plain, process, program};
use crate::core::testing::{Program, World};
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::spec::{Autorestart, LogFile};

/// One process in every state, and clients that wait.
pub(super) fn mid_flight() -> World {
    let mut world = World::new(vec![
        program("quick", |spec| {
            spec.startsecs = 0;
            spec.autorestart = Autorestart::Always;
        }),
        group(
            "g",
            7,
            vec![process("g:a", |s| s.stdout.file = LogFile::Auto), process("g:b", |_| {})],
        ),
        plain("backoff"),
        program("fatal", |spec| spec.startretries = 0),
        manual("never"),
        plain("stopping"),
        plain("unborn"),
        plain("unknown"),
        program("exited", |spec| spec.autorestart = Autorestart::Never),
    ]);
    world.program("quick", Program::exiting(0, 0));
    world.program("backoff", Program::failing("no"));
    world.program("fatal", Program::failing("no"));
    world.give(Input::Boot);
    world.run_ms(2000);
    world.program("stopping", Program::slow_to_stop(4000));
    world.stop("stopping");
    world.start("stopping");
    world.program("unknown", Program { signal_error: Some("EPERM"), ..Program::default() });
    world.stop("unknown");
    world.exits("exited", ExitStatus::Code(0));
    world.stop_nowait("unborn").unwrap();
    world.program("unborn", Program::slow_to_spawn(5000));
    world.start("unborn");
    world.stop("g:*");
    world.start("g:*");
    world
}

#[test]
fn a_handover_in_mid_flight_is_not_noticed() {
    let mut world = mid_flight();
    world.hand_over();
    world.run_ms(4500);
    world.program("unborn", Program::default());
    world.exits("unknown", ExitStatus::Code(0));
    world.stop("*");
    world.run_ms(30_000);
    world.start("*");
    world.run_ms(30_000);
    world.os(Signal::TERM);
    world.run_ms(60_000);
    assert!(world.exit.is_some());
    assert_eq!(world.unanswered(), 0);
}

#[test]
fn a_handover_during_a_shutdown_is_not_noticed() {
    let mut world = mid_flight();
    world.os(Signal::TERM);
    world.hand_over();
    world.run_ms(1000);
    world.hand_over();
    world.run_ms(60_000);
    assert!(world.exit.is_some());
    assert_eq!(world.unanswered(), 0);
}

#[test]
fn a_handover_before_the_beginning_is_not_noticed() {
    let mut world = World::new(vec![plain("a")]);
    world.hand_over();
    world.give(Input::Boot);
    world.run_ms(2000);
}
