//! News that concerns nobody any more.

use crate::core::action::{Action, Input, Leftovers};
use crate::core::key::ProcKey;
use crate::core::request::{Request, Token};
use crate::core::testing::build::plain;
use crate::core::testing::{World, scope};
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::state::ProcessState::{Running, Starting};
use crate::model::time::Now;

#[test]
fn unknown_pids_are_reaped_with_a_word() {
    // C-138, upstream issue 936
    let mut world = World::running(plain("a"));
    world.give(Input::Exited { pid: 4711, status: ExitStatus::Code(0) });
    let status = ExitStatus::Signal { signal: Signal::KILL, core_dumped: false };
    world.give(Input::Exited { pid: 4712, status });
    assert_eq!(
        world.lines(),
        [
            "DEBG reaped unknown pid 4711 (exit status 0)",
            "DEBG reaped unknown pid 4712 (terminated by SIGKILL)",
        ]
    );
    assert_eq!(world.state("a"), Running);
}

#[test]
fn news_of_an_older_generation_is_dropped() {
    // C-192, DESIGN: every spawn carries a generation.
    let mut world = World::running(plain("a"));
    world.exits("a", ExitStatus::Code(1));
    let (key, pid) = (world.process("a").key(), world.pid("a"));
    world.forget_notes();
    let late = [
        Input::Spawned { key, generation: 1, pid: 9999 },
        Input::SpawnFailed { key, generation: 1, error: "late".to_owned() },
        Input::Signalled { key, generation: 1, token: None, outcome: Err("late".to_owned()) },
    ];
    for input in late {
        world.give(input);
        assert_eq!((world.state("a"), world.pid("a")), (Starting, pid));
    }
    assert_eq!(world.events(), []);
    assert_eq!(world.lines(), Vec::<String>::new());
}

#[test]
fn news_of_a_removed_process_is_dropped() {
    let mut world = World::running(plain("a"));
    let key = world.process("a").key();
    world.stop_nowait("a").unwrap();
    world.answer(Request::RemoveGroup("a".into())).unwrap();
    world.forget_notes();
    world.give(Input::SpawnFailed { key, generation: 1, error: "late".to_owned() });
    let outcome = Err("late".to_owned());
    world.give(Input::Signalled { key, generation: 1, token: None, outcome });
    world.give(Input::Spawned { key: ProcKey(77), generation: 1, pid: 9999 });
    assert_eq!(world.events(), []);
}

#[test]
fn a_signal_report_about_the_dead_changes_nothing() {
    // C-189
    let mut world = World::running(plain("a"));
    let key = world.process("a").key();
    world.stop_nowait("a").unwrap();
    world.forget_notes();
    let outcome = Err("EPERM".to_owned());
    world.give(Input::Signalled { key, generation: 1, token: None, outcome });
    assert_eq!(world.events(), []);
}

#[test]
fn the_leaving_of_a_client_that_does_not_wait_is_nothing() {
    let mut world = World::running(plain("a"));
    world.give(Input::Abandoned(Token(12345)));
    assert_eq!(world.core.waiting(), 0);
}

#[test]
fn a_restart_that_nobody_asked_for_any_more_is_dropped() {
    // C-142
    let mut world = World::running(plain("a"));
    world.program("a", crate::core::testing::Program::slow_to_stop(100));
    world.os(Signal::TERM);
    world.forget_notes();
    world.give(Input::RestartLoaded(Err("bad".to_owned())));
    world.give(Input::RestartLoaded(Ok(())));
    assert_eq!(world.lines(), Vec::<String>::new());
    world.run_ms(100);
    assert_eq!(world.exit, Some(crate::core::action::ExitKind::Shutdown));
}

#[test]
fn a_client_whose_signal_was_not_reported_yet_is_answered_when_the_group_goes() {
    // Every token is answered exactly once.
    let mut core = World::running(plain("a")).core;
    let now = Now::default();
    let ask = |token, request| Input::Request { token: Token(token), request };
    let (scope, signal) = (scope("a"), Signal::KILL);
    core.handle(ask(1, Request::Stop { scope: scope.clone(), wait: false }), now);
    core.handle(ask(2, Request::Signal { scope, signal }), now);
    let process = core.processes().next().unwrap();
    let (key, pid) = (process.key(), process.pid());
    core.handle(Input::Exited { pid, status: ExitStatus::Code(0) }, now);
    core.handle(Input::Swept { key, generation: 1, left: Leftovers::default() }, now);
    let answered = |actions: Vec<Action>| {
        let tokens = actions.into_iter().filter_map(|action| match action {
            Action::Reply { token, .. } => Some(token.0),
            _ => None,
        });
        tokens.collect::<Vec<u64>>()
    };
    assert_eq!(answered(core.handle(ask(3, Request::RemoveGroup("a".into())), now)), [2, 3]);
    let token = Some(Token(2));
    let report = Input::Signalled { key, generation: 1, token, outcome: Ok(()) };
    assert!(answered(core.handle(report, now)).is_empty());
}
