//! Stopping a process (C-169 to C-192, C-303, C-304).

use std::time::Duration;

use crate::core::action::Input;
use crate::core::action::SignalScope;
use crate::core::testing::build::{plain, program};
use crate::core::testing::{Program, World};
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::spec::Autorestart;
use crate::model::state::ProcessState::{Backoff, Exited, Running, Starting, Stopped, Stopping};

#[test]
fn a_stop_sends_the_stop_signal_and_waits() {
    // C-179, C-181, C-303
    let mut world = World::running(program("a", |spec| spec.stopsignal = Signal::INT));
    world.program("a", Program::slow_to_stop(700));
    let stop = world.stop("a");
    assert_eq!(world.state("a"), Stopping);
    let signals = world.signals();
    assert_eq!((signals[0].signal, signals[0].scope), (Signal::INT, SignalScope::Process));
    world.run_ms(699);
    assert_eq!(world.reply(stop), None);
    world.run_ms(1);
    assert_eq!(world.reply(stop), Some(Ok(crate::core::request::Reply::Done)));
    assert_eq!(world.state("a"), Stopped);
    assert_eq!(world.process("a").snapshot().exit_code, Some(-1));
}

#[test]
fn a_stopped_process_stays_stopped_whatever_its_exit_code() {
    // C-191
    for code in [0, 1] {
        let mut world = World::running(program("a", |s| s.autorestart = Autorestart::Always));
        let stops_with = Some(ExitStatus::Code(code));
        world.program("a", Program { stops_with, ..Program::default() });
        world.stop("a");
        world.run_ms(60_000);
        assert_eq!(world.path(), [Stopping, Stopped]);
        assert_eq!(world.process("a").snapshot().exit_code, Some(code));
    }
}

#[test]
fn what_does_not_stop_in_time_is_killed_again_and_again() {
    // C-180
    let mut world = World::running(program("a", |spec| spec.stopwaitsecs = 3));
    world.program("a", Program { killable: false, ..Program::stubborn() });
    let begin = world.now().mono;
    world.stop_nowait("a").unwrap();
    world.run_ms(9500);
    let sent: Vec<_> =
        world.signals().iter().map(|s| (s.signal, (s.at - begin).as_secs())).collect();
    assert_eq!(sent, [(Signal::TERM, 0), (Signal::KILL, 3), (Signal::KILL, 6), (Signal::KILL, 9)]);
    assert_eq!(world.state("a"), Stopping);
}

#[test]
fn without_stopwaitsecs_the_kill_follows_at_once_but_not_in_a_circle() {
    // C-180; negative counts as 0 (C-045)
    for stopwaitsecs in [0, -1] {
        let mut world = World::running(program("a", |spec| spec.stopwaitsecs = stopwaitsecs));
        world.program("a", Program { killable: false, ..Program::stubborn() });
        world.stop_nowait("a").unwrap();
        assert_eq!(world.signals().len(), 2);
        world.run_ms(10_000);
        assert_eq!(world.signals().len(), 10);
    }
}

#[test]
fn groups_of_processes_are_signalled_as_configured() {
    // C-212, C-427: the runtime falls back to the process when it left its group.
    for (stopasgroup, killasgroup) in [(false, false), (false, true), (true, true), (true, false)] {
        let mut world = World::running(program("a", |spec| {
            spec.stopasgroup = stopasgroup;
            spec.killasgroup = killasgroup;
            spec.stopwaitsecs = 1;
        }));
        world.program("a", Program::stubborn());
        world.stop_nowait("a").unwrap();
        world.run_ms(1000);
        let scopes: Vec<bool> =
            world.signals().iter().map(|sent| sent.scope == SignalScope::Group).collect();
        assert_eq!(scopes, [stopasgroup, killasgroup]);
    }
}

#[test]
fn a_stop_in_backoff_is_done_at_once_and_forgets_the_attempts() {
    // C-178, C-303; C-426: the counter is reset, and it has a stop time.
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::failing("no"));
    world.give(Input::Boot);
    world.run_ms(1500);
    assert_eq!(world.state("a"), Backoff);
    let stop = world.stop("a");
    assert!(world.reply(stop).unwrap().is_ok());
    assert_eq!(world.state("a"), Stopped);
    assert_eq!(world.process("a").snapshot().stopped, Some(world.now().wall));
    world.run_ms(60_000);
    assert_eq!(world.state("a"), Stopped);
    world.forget_notes();
    world.start_nowait("a").unwrap();
    world.run_ms(60_000);
    assert_eq!(world.spawned().len(), 4);
}

#[test]
fn only_what_is_up_can_be_stopped() {
    // C-187, C-303
    let mut world = World::running(program("a", |s| s.autorestart = Autorestart::Never));
    world.program("a", Program::slow_to_stop(500));
    world.stop_nowait("a").unwrap();
    assert_eq!(world.stop_nowait("a").unwrap_err().to_string(), "NOT_RUNNING: a"); // STOPPING
    world.run_ms(500);
    assert_eq!(world.stop_nowait("a").unwrap_err().to_string(), "NOT_RUNNING: a"); // STOPPED
    world.start_nowait("a").unwrap();
    world.run_ms(2000);
    world.exits("a", ExitStatus::Code(0));
    assert_eq!(world.state("a"), Exited);
    assert_eq!(world.stop_nowait("a").unwrap_err().to_string(), "NOT_RUNNING: a");
    assert_eq!(world.stop_nowait("b").unwrap_err().to_string(), "BAD_NAME: b");
    assert_eq!(world.stop_nowait("b:*").unwrap_err().to_string(), "BAD_NAME: b");
}

#[test]
fn a_start_while_stopping_is_carried_out_when_it_has_stopped() {
    // C-425 (upstream C-186: it does nothing)
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(700));
    let stop = world.stop("a");
    let start = world.start("a");
    assert_eq!(world.spawned(), Vec::<String>::new());
    world.run_ms(700);
    assert_eq!(world.path(), [Stopping, Stopped, Starting]);
    assert!(world.reply(stop).unwrap().is_ok());
    assert_eq!(world.reply(start), None);
    world.run_ms(1000);
    assert!(world.reply(start).unwrap().is_ok());
    assert_eq!(world.state("a"), Running);
}

#[test]
fn a_stop_takes_back_a_start_that_waits_for_the_last_stop() {
    // C-425
    for name in ["a", "a:*", "*"] {
        let mut world = World::running(plain("a"));
        world.program("a", Program::slow_to_stop(700));
        world.stop_nowait("a").unwrap();
        let start = world.start("a");
        world.stop_nowait(name).unwrap();
        world.run_ms(60_000);
        assert_eq!(world.state("a"), Stopped, "stop {name}");
        assert_eq!(world.reply(start).unwrap().unwrap_err().to_string(), "ABNORMAL_TERMINATION: a");
    }
}

#[test]
fn a_stop_during_a_pending_spawn_signals_the_child_as_soon_as_it_is_there() {
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::slow_to_spawn(500));
    world.give(Input::Boot);
    let stop = world.stop("a");
    assert_eq!(world.state("a"), Stopping);
    assert!(world.signals().is_empty());
    world.run_ms(500);
    assert_eq!(world.signalled(), ["a"]);
    assert!(world.reply(stop).unwrap().is_ok());
    assert_eq!(world.path(), [Starting, Stopping, Stopped]);
    assert!(world.children.is_empty());
}

#[test]
fn a_stop_during_a_spawn_that_fails_is_done_and_has_a_stop_time() {
    let mut world = World::new(vec![plain("a")]);
    let spawns_in = Duration::from_millis(500);
    world.program("a", Program { spawns_in, ..Program::failing("no") });
    world.give(Input::Boot);
    let stop = world.stop("a");
    world.run_ms(60_000);
    assert!(world.reply(stop).unwrap().is_ok());
    assert_eq!(world.path(), [Starting, Stopping, Stopped]);
    assert!(world.process("a").snapshot().stopped.is_some()); // C-426: not 1970
}

#[test]
fn a_crash_during_a_stop_is_a_stop() {
    // C-181, C-191
    let mut world = World::running(plain("a"));
    world.program("a", Program::stubborn());
    let stop = world.stop("a");
    world.exits("a", ExitStatus::Signal { signal: Signal(11), core_dumped: true });
    assert_eq!(world.path(), [Stopping, Stopped]);
    assert!(world.reply(stop).unwrap().is_ok());
    world.run_ms(60_000);
    assert_eq!(world.signals().len(), 1, "no SIGKILL for the dead");
}

#[test]
fn a_stop_is_answered_in_the_turn_of_the_exit() {
    // C-441, upstream issues 257, 1700
    let mut world = World::running(plain("a"));
    let stop = world.stop("a");
    assert!(world.reply(stop).unwrap().is_ok());
}
