//! The lines of the daemon's log, word for word (C-154 to C-168).

use crate::core::action::Input;
use crate::core::testing::build::{group, manual, plain, process, program};
use crate::core::testing::{Program, World};
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::spec::Autorestart;

#[test]
fn a_start_and_a_success() {
    // C-155, C-156
    let mut world = World::booted(vec![program("a", |spec| spec.startsecs = 3)]);
    world.run_ms(3000);
    assert_eq!(
        world.lines(),
        [
            "INFO spawned: 'a' with pid 100",
            "INFO success: a entered RUNNING state, process has stayed up for > than 3 seconds \
             (startsecs)",
        ]
    );
}

#[test]
fn an_exit() {
    // C-157, C-158
    for (status, line) in [
        (ExitStatus::Code(0), "INFO exited: a (exit status 0; expected)"),
        (ExitStatus::Code(2), "WARN exited: a (exit status 2; not expected)"),
        (
            ExitStatus::Signal { signal: Signal(11), core_dumped: false },
            "WARN exited: a (terminated by SIGSEGV; not expected)",
        ),
        (
            ExitStatus::Signal { signal: Signal(6), core_dumped: true },
            "WARN exited: a (terminated by SIGABRT (core dumped); not expected)",
        ),
        (
            ExitStatus::Signal { signal: Signal(35), core_dumped: false },
            "WARN exited: a (terminated by signal 35; not expected)", // C-166
        ),
    ] {
        let mut world = World::running(program("a", |s| s.autorestart = Autorestart::Never));
        world.exits("a", status);
        assert_eq!(world.lines(), [line]);
    }
}

#[test]
fn a_crash_loop() {
    // C-157 (not expected, even with code 0), C-160
    let mut world = World::new(vec![program("a", |spec| spec.startretries = 1)]);
    world.program("a", Program::exiting(10, 0));
    world.give(Input::Boot);
    world.run_ms(10_000);
    assert_eq!(
        world.lines(),
        [
            "INFO spawned: 'a' with pid 100",
            "WARN exited: a (exit status 0; not expected)",
            "INFO spawned: 'a' with pid 101",
            "WARN exited: a (exit status 0; not expected)",
            "INFO gave up: a entered FATAL state, too many start retries too quickly",
        ]
    );
}

#[test]
fn a_failed_spawn() {
    // C-161
    let mut world = World::new(vec![program("a", |spec| spec.startretries = 0)]);
    world.program("a", Program::failing("can't find command 'x'"));
    world.give(Input::Boot);
    assert_eq!(
        world.lines(),
        [
            "INFO spawnerr: can't find command 'x'",
            "INFO gave up: a entered FATAL state, too many start retries too quickly",
        ]
    );
}

#[test]
fn a_stop_that_a_client_waits_for() {
    // C-159, C-163, C-165
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(4500));
    world.stop("a");
    world.run_ms(5000);
    assert_eq!(
        world.lines(),
        [
            "DEBG killing a (pid 100) with signal SIGTERM",
            "INFO waiting for a to stop",
            "INFO waiting for a to stop",
            "INFO waiting for a to stop",
            "WARN stopped: a (terminated by SIGTERM)",
        ]
    );
}

#[test]
fn a_stop_that_nobody_waits_for() {
    // C-159: INFO when the code is listed; C-165: nothing about waiting.
    for (code, level) in [(0, "INFO"), (3, "WARN")] {
        let mut world = World::running(plain("a"));
        let stops_with = Some(ExitStatus::Code(code));
        world.program("a", Program { stops_with, ..Program::slow_to_stop(5000) });
        world.stop_nowait("a").unwrap();
        world.run_ms(6000);
        let stopped = format!("{level} stopped: a (exit status {code})");
        assert_eq!(world.lines_above_debug(), [stopped]);
    }
}

#[test]
fn nothing_is_logged_for_a_client_that_went_away() {
    // C-165
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(9000));
    let stop = world.stop("a");
    world.give(Input::Abandoned(stop));
    world.forget_notes();
    world.run_ms(8000);
    assert_eq!(world.lines(), Vec::<String>::new());
}

#[test]
fn an_escalation_to_sigkill() {
    // C-162, C-163
    let mut world = World::running(program("a", |spec| {
        spec.stopasgroup = true;
        spec.killasgroup = true;
        spec.stopwaitsecs = 1;
    }));
    world.program("a", Program::stubborn());
    world.stop_nowait("a").unwrap();
    world.run_ms(1000);
    assert_eq!(
        world.lines(),
        [
            "DEBG killing a (pid 100) process group with signal SIGTERM",
            "WARN killing 'a' (100) with SIGKILL",
            "DEBG killing a (pid 100) process group with signal SIGKILL",
            "WARN stopped: a (terminated by SIGKILL)",
        ]
    );
}

#[test]
fn a_stop_in_backoff() {
    // C-163
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::failing("no"));
    world.give(Input::Boot);
    world.forget_notes();
    world.stop_nowait("a").unwrap();
    assert_eq!(world.lines(), ["DEBG Attempted to kill a, which is in BACKOFF state."]);
}

#[test]
fn a_signal_on_request() {
    // C-163
    let mut world = World::running(plain("a"));
    world.signal("a", Signal::HUP);
    assert_eq!(world.lines(), ["DEBG sending a (pid 100) sig SIGHUP"]);
}

#[test]
fn signals_that_cannot_be_sent() {
    // C-188
    for stop in [true, false] {
        let mut world = World::running(plain("a"));
        world.program("a", Program { signal_error: Some("EPERM"), ..Program::default() });
        let expected = if stop {
            world.stop_nowait("a").unwrap();
            "CRIT unknown problem killing a (100):EPERM"
        } else {
            world.signal("a", Signal::HUP);
            "CRIT unknown problem sending sig a (100):EPERM"
        };
        assert_eq!(world.lines().last().unwrap(), expected);
    }
}

#[test]
fn lines_name_the_process_without_its_group() {
    // C-166
    let groups = vec![group("g", 1, vec![process("g:p", |spec| spec.stopwaitsecs = 1)])];
    let mut world = World::booted(groups);
    world.program("g:p", Program::stubborn());
    world.run_ms(1500);
    world.exits("g:p", ExitStatus::Code(1));
    world.run_ms(1500);
    world.signal("g:p", Signal::HUP);
    world.stop("g:p");
    world.run_ms(2000);
    let lines = world.lines();
    assert!(lines.len() > 8, "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("g:p")), "{lines:#?}");
}

#[test]
fn a_start_of_what_runs_is_not_logged_as_a_second_start() {
    // C-164: a fault instead, and one child.
    let mut world = World::running(manual("a"));
    world.start("a");
    world.run_ms(1000);
    world.forget_notes();
    assert_eq!(world.start_nowait("a").unwrap_err().to_string(), "ALREADY_STARTED: a");
    assert_eq!(world.lines(), Vec::<String>::new());
}
