//! The states of a process and the ways between them (C-169 to C-192).

use std::time::Duration;

use crate::core::testing::Program;
use crate::core::testing::World;
use crate::core::testing::build::{manual, plain, program};
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::spec::Autorestart;
use crate::model::state::ProcessState::{
    Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unknown,
};

#[test]
fn only_what_is_configured_so_starts_with_the_daemon() {
    // C-170
    let world = World::booted(vec![plain("auto"), manual("manual")]);
    assert_eq!(world.state("auto"), Starting);
    assert_eq!(world.state("manual"), Stopped);
    assert_eq!(world.process("manual").snapshot().started, None);
}

#[test]
fn a_process_is_starting_before_anything_of_it_exists() {
    // C-171: STARTING, and its start time, come before the outcome of the spawn.
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::slow_to_spawn(500));
    world.give(crate::core::action::Input::Boot);
    assert_eq!(world.state("a"), Starting);
    assert_eq!(world.pid("a"), 0);
    assert!(world.process("a").snapshot().started.is_some());
}

#[test]
fn a_start_forgets_how_the_last_run_ended() {
    // C-171
    let mut world = World::running(program("a", |spec| spec.autorestart = Autorestart::Never));
    world.exits("a", ExitStatus::Code(3));
    assert_eq!(&*world.process("a").snapshot().spawn_error, "Bad exit code 3");
    world.start_nowait("a").unwrap();
    let now = world.process("a").snapshot();
    assert_eq!((now.exit_code, &*now.spawn_error), (None, ""));
}

#[test]
fn a_process_runs_when_it_was_up_for_startsecs() {
    // C-172
    let mut world = World::booted(vec![program("a", |spec| spec.startsecs = 4)]);
    world.run_ms(3999);
    assert_eq!(world.state("a"), Starting);
    world.run_ms(1);
    assert_eq!(world.state("a"), Running);
}

#[test]
fn startsecs_count_from_the_birth_of_the_child() {
    // C-172, C-173: a spawn that takes long is no time that the program was up.
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program { spawns_in: Duration::from_secs(5), ..Program::exiting(10, 0) });
    world.give(crate::core::action::Input::Boot);
    world.run_ms(5010);
    assert_eq!(world.path(), [Starting, Backoff]);
}

#[test]
fn without_startsecs_a_process_runs_as_soon_as_it_is_there() {
    // C-172, C-185; negative counts as 0 (C-045)
    for startsecs in [0, -3] {
        let mut world = World::booted(vec![program("a", |spec| spec.startsecs = startsecs)]);
        assert_eq!(world.path(), [Starting, Running], "startsecs={startsecs}");
    }
}

#[test]
fn without_startsecs_an_exit_at_once_passes_through_running() {
    // C-185
    let mut world = World::new(vec![program("a", |spec| spec.startsecs = 0)]);
    world.program("a", Program::exiting(0, 0));
    world.give(crate::core::action::Input::Boot);
    assert_eq!(world.path(), [Starting, Running, Exited]);
}

#[test]
fn an_early_exit_backs_off_whatever_the_code() {
    // C-173
    for code in [0, 1] {
        let mut world = World::booted(vec![plain("a")]);
        world.run_ms(999);
        world.exits("a", ExitStatus::Code(code));
        assert_eq!(world.state("a"), Backoff);
        let now = world.process("a").snapshot();
        assert_eq!(&*now.spawn_error, "Exited too quickly (process log may have details)");
        assert_eq!(now.exit_code, None);
        assert_eq!(now.stopped, Some(world.now().wall));
    }
}

#[test]
fn a_failed_spawn_backs_off() {
    // C-174
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::failing("can't find command '/nope'"));
    world.give(crate::core::action::Input::Boot);
    assert_eq!(world.state("a"), Backoff);
    let now = world.process("a").snapshot();
    assert_eq!(&*now.spawn_error, "can't find command '/nope'");
    assert_eq!(now.stopped, None);
}

#[test]
fn the_pauses_between_attempts_grow_by_a_second() {
    // C-175, C-176
    let mut world = World::new(vec![program("a", |spec| spec.startretries = 4)]);
    world.program("a", Program::failing("no"));
    world.give(crate::core::action::Input::Boot);
    world.forget_notes();
    for pause in [1000, 2000, 3000, 4000] {
        world.run_ms(pause - 1);
        assert_eq!(world.spawned(), Vec::<String>::new(), "before {pause}");
        world.run_ms(1);
        assert_eq!(world.spawned(), ["a"], "after {pause}");
    }
    assert_eq!(world.state("a"), Fatal);
}

#[test]
fn it_is_given_up_after_startretries_further_attempts() {
    // C-177; negative retries are none at all (C-045)
    for (retries, attempts) in [(3, 4), (0, 1), (-1, 1)] {
        let mut world = World::new(vec![program("a", |spec| spec.startretries = retries)]);
        world.program("a", Program::exiting(10, 0));
        world.give(crate::core::action::Input::Boot);
        world.run_ms(60_000);
        assert_eq!(world.spawned().len(), attempts, "startretries={retries}");
        assert_eq!(world.state("a"), Fatal);
    }
}

#[test]
fn what_is_given_up_starts_only_when_asked_and_with_all_attempts() {
    // C-184, C-177
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::failing("no"));
    world.give(crate::core::action::Input::Boot);
    world.run_ms(3_600_000);
    assert_eq!(world.state("a"), Fatal);
    assert_eq!(world.core.next_deadline(), None);
    world.forget_notes();
    world.start_nowait("a").unwrap();
    world.run_ms(60_000);
    assert_eq!(world.spawned().len(), 4);
}

#[test]
fn a_run_that_succeeds_gives_all_attempts_back() {
    // C-172: RUNNING clears the counter.
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::exiting(10, 1));
    world.give(crate::core::action::Input::Boot);
    world.run_ms(1100);
    world.program("a", Program::exiting(1500, 1));
    world.run_ms(5000);
    world.program("a", Program::exiting(10, 1));
    world.run_ms(2000);
    world.forget_notes();
    world.run_ms(60_000);
    assert_eq!(world.state("a"), Fatal);
    let backoffs = world.path().iter().filter(|&&state| state == Backoff).count();
    assert!(backoffs >= 2, "{backoffs}");
}

#[test]
fn an_exit_is_expected_when_its_code_is_listed() {
    // C-182
    for (status, error, code) in [
        (ExitStatus::Code(2), "", 2),
        (ExitStatus::Code(0), "Bad exit code 0", 0),
        (ExitStatus::Signal { signal: Signal(11), core_dumped: true }, "Bad exit code -1", -1),
    ] {
        let mut world = World::running(program("a", |spec| {
            spec.exitcodes = vec![1, 2];
            spec.autorestart = Autorestart::Never;
        }));
        world.exits("a", status);
        assert_eq!(world.state("a"), Exited);
        let now = world.process("a").snapshot();
        assert_eq!((&*now.spawn_error, now.exit_code), (error, Some(code)));
        assert_eq!((now.pid, now.stopped), (0, Some(world.now().wall)));
        assert_eq!(now.exit_signal, status.signal());
    }
}

#[test]
fn an_exit_is_followed_by_a_start_as_configured() {
    // C-183
    for (autorestart, code, again) in [
        (Autorestart::Always, 0, true),
        (Autorestart::Always, 1, true),
        (Autorestart::Unexpected, 0, false),
        (Autorestart::Unexpected, 1, true),
        (Autorestart::Never, 1, false),
    ] {
        let mut world = World::running(program("a", |spec| spec.autorestart = autorestart));
        world.exits("a", ExitStatus::Code(code));
        let expected = if again { vec![Exited, Starting] } else { vec![Exited] };
        assert_eq!(world.path(), expected, "{autorestart:?} {code}");
    }
}

#[test]
fn a_restart_needs_no_tick() {
    // upstream issues 257, 1700, C-441: the new child is asked for in the turn of the exit.
    let mut world = World::running(program("a", |spec| spec.autorestart = Autorestart::Always));
    world.exits("a", ExitStatus::Code(0));
    assert_eq!(world.spawned(), ["a"]);
    assert_ne!(world.pid("a"), 0);
}

#[test]
fn an_exit_in_the_very_moment_of_success_is_no_early_exit() {
    // upstream issues 458, 1387: upstream asserts that a process that ends is RUNNING.
    let mut world = World::new(vec![program("a", |s| s.autorestart = Autorestart::Never)]);
    world.program("a", Program::exiting(1000, 0));
    world.give(crate::core::action::Input::Boot);
    world.run_ms(1000);
    assert_eq!(world.path(), [Starting, Running, Exited]);
}

#[test]
fn a_process_that_crashes_all_the_time_can_be_restarted_at_any_moment() {
    // upstream issues 458, 1387
    let mut world = World::new(vec![program("a", |spec| spec.startretries = 1000)]);
    world.program("a", Program::exiting(300, 1));
    world.give(crate::core::action::Input::Boot);
    for moment in 0..40 {
        world.run_ms(137);
        world.stop_nowait("a").unwrap_or_else(|fault| panic!("stop {moment}: {fault}"));
        world.run_ms(0);
        assert_eq!(world.state("a"), Stopped);
        world.start_nowait("a").unwrap_or_else(|fault| panic!("start {moment}: {fault}"));
    }
}

#[test]
fn setting_the_clock_changes_nothing_but_what_is_shown() {
    // C-190, C-168, upstream issues 1043, 802
    let mut world = World::booted(vec![plain("a"), program("b", |spec| spec.stopwaitsecs = 2)]);
    world.program("b", Program::stubborn());
    world.run_ms(500);
    world.set_wall(1);
    world.run_ms(500);
    assert_eq!(world.state("a"), Running);
    world.stop_nowait("b").unwrap();
    world.set_wall(4_000_000_000);
    world.run_ms(1999);
    assert_eq!(world.state("b"), Stopping);
    world.run_ms(1);
    assert_eq!(world.state("b"), Stopped);
    assert!(!world.lines().iter().any(|line| line.contains("in the future")));
}

#[test]
fn what_cannot_be_signalled_is_in_an_unknown_state_until_it_ends() {
    // C-188
    let mut world = World::running(plain("a"));
    world.program("a", Program { signal_error: Some("EPERM"), ..Program::default() });
    let stop = world.stop("a");
    assert_eq!(world.state("a"), Unknown);
    assert_eq!(world.reply(stop).unwrap().unwrap_err().kind.name(), "FAILED");
    let start = world.start_nowait("a").unwrap_err();
    assert_eq!(start.to_string(), "FAILED: a is in an unknown process state");
    assert_eq!(world.stop_nowait("a").unwrap_err().to_string(), "NOT_RUNNING: a");
    world.run_ms(60_000);
    assert_eq!(world.signals().len(), 1, "nobody tries again");

    world.exits("a", ExitStatus::Code(0));
    assert_eq!(world.state("a"), Stopped);
    world.program("a", Program::default());
    world.start_nowait("a").unwrap();
}

#[test]
fn an_unknown_process_is_named_as_people_name_it() {
    // C-188
    let spec = crate::core::testing::build::process("g:a", |_| {});
    let mut world = World::running(crate::core::testing::build::group("g", 1, vec![spec]));
    world.program("g:a", Program { signal_error: Some("EPERM"), ..Program::default() });
    world.stop_nowait("g:a").unwrap();
    let fault = world.start_nowait("g:a").unwrap_err();
    assert_eq!(fault.to_string(), "FAILED: g:a is in an unknown process state");
}

#[test]
fn a_supervisor_with_nothing_to_do_wants_no_wake_up() {
    // upstream issues 807, 1348, C-146
    let world = World::running(plain("a"));
    assert_eq!(world.core.next_deadline(), None);
}
