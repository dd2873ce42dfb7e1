//! Signals to the daemon, and restarts (C-139 to C-146, C-415).

use crate::core::action::{Action, ExitKind};
use crate::core::request::Request;
use crate::core::testing::build::plain;
use crate::core::testing::{Program, World};
use crate::model::fault::FaultKind;
use crate::model::signal::Signal;
use crate::model::state::{DaemonState, ProcessState};

fn slow_to_stop() -> World {
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(5000));
    world
}

#[test]
fn three_signals_end_the_daemon_under_their_own_names() {
    // C-139
    for (signal, name) in
        [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT"), (Signal::QUIT, "SIGQUIT")]
    {
        let mut world = World::running(plain("a"));
        world.os(signal);
        assert_eq!(world.lines()[0], format!("WARN received {name} indicating exit request"));
        assert_eq!(world.exit, Some(ExitKind::Shutdown));
        assert_eq!(world.snapshot.state, DaemonState::Shutdown);
    }
}

#[test]
fn hangup_restarts_when_the_configuration_is_good() {
    // C-140, C-390
    let mut world = slow_to_stop();
    world.os(Signal::HUP);
    assert_eq!(world.lines(), ["WARN received SIGHUP indicating restart request"]);
    assert_eq!(world.core.state(), DaemonState::Running, "until the configuration was read");
    world.run_ms(10);
    assert_eq!(world.snapshot.state, DaemonState::Restarting);
    world.run_ms(5000);
    assert_eq!(world.exit, Some(ExitKind::Restart));
}

#[test]
fn hangup_with_a_bad_configuration_changes_nothing() {
    // C-415
    let mut world = slow_to_stop();
    world.config = Err("supervisord.conf:3: no such thing".to_owned());
    world.os(Signal::HUP);
    world.run_ms(60_000);
    assert_eq!(world.state("a"), ProcessState::Running);
    assert_eq!(
        world.lines().last().unwrap(),
        "CRIT not restarting, the configuration has errors: supervisord.conf:3: no such thing"
    );
    world.config = Ok(());
    world.answer(Request::Restart).unwrap();
    world.run_ms(60_000);
    assert_eq!(world.exit, Some(ExitKind::Restart));
}

#[test]
fn hangup_is_ignored_while_shutting_down() {
    // C-141
    let mut world = slow_to_stop();
    world.os(Signal::TERM);
    world.forget_notes();
    world.os(Signal::HUP);
    assert_eq!(
        world.lines(),
        ["WARN ignored SIGHUP indicating restart request (shutdown in progress)"]
    );
    world.run_ms(5000);
    assert_eq!(world.exit, Some(ExitKind::Shutdown));
}

#[test]
fn hangup_while_restarting_is_the_same_restart() {
    // C-140, C-141
    let mut world = slow_to_stop();
    world.os(Signal::HUP);
    world.run_ms(1000);
    world.forget_notes();
    world.os(Signal::HUP);
    assert_eq!(world.lines(), ["WARN received SIGHUP indicating restart request"]);
    world.run_ms(5000);
    assert_eq!(world.exit, Some(ExitKind::Restart));
}

#[test]
fn a_second_hangup_before_the_configuration_was_read_is_one_restart() {
    let mut world = slow_to_stop();
    world.os(Signal::HUP);
    world.os(Signal::HUP);
    world.run_ms(60_000);
    assert_eq!(world.exit, Some(ExitKind::Restart));
}

#[test]
fn term_turns_a_restart_into_a_shutdown() {
    // C-142: while the configuration is read, and while things stop.
    for millis in [5, 1000] {
        let mut world = slow_to_stop();
        world.os(Signal::HUP);
        world.run_ms(millis);
        world.os(Signal::TERM);
        assert_eq!(world.snapshot.state, DaemonState::Shutdown);
        world.run_ms(60_000);
        assert_eq!(world.exit, Some(ExitKind::Shutdown), "after {millis} ms");
    }
}

#[test]
fn the_logs_are_reopened() {
    // C-143: at any time.
    let mut world = slow_to_stop();
    world.os(Signal::USR2);
    assert_eq!(world.lines(), ["INFO received SIGUSR2 indicating log reopen request"]);
    assert_eq!(world.others, [Action::ReopenLogs]);
    world.os(Signal::TERM);
    world.os(Signal::USR2);
    assert_eq!(world.others.len(), 2);
}

#[test]
fn an_upgrade_begins_while_the_daemon_is_at_work_and_at_no_other_time() {
    let mut world = slow_to_stop();
    world.os(Signal::USR1);
    assert_eq!(world.lines(), ["INFO received SIGUSR1 indicating upgrade request"]);
    assert_eq!(world.others, [Action::HandOver { token: None }]);
    world.os(Signal::TERM);
    world.os(Signal::USR1);
    assert_eq!(world.others.len(), 1);
    let refused = world.answer(Request::Upgrade).unwrap_err();
    assert_eq!(refused.kind, FaultKind::ShutdownState);
}

#[test]
fn other_signals_are_noted_at_most() {
    // C-144, C-145
    let mut world = World::running(plain("a"));
    world.os(Signal::CHLD);
    world.os(Signal(28));
    assert_eq!(
        world.lines(),
        [
            "DEBG received SIGCHLD indicating a child quit",
            "BLAT received SIGWINCH indicating nothing",
        ]
    );
}
