//! Signals and input on request (C-305, C-306, C-317).

use std::time::Duration;

use crate::core::action::{Input, SignalScope};
use crate::core::request::{Reply, Request, Token};
use crate::core::testing::build::{group, manual, plain, process, program};
use crate::core::testing::{Program, World};
use crate::model::exit::ExitStatus;
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::Autorestart;
use crate::model::state::ProcessState;

#[test]
fn a_signal_goes_to_the_process_alone() {
    // C-305, C-212
    let mut world = World::running(program("a", |spec| {
        spec.stopasgroup = true;
        spec.killasgroup = true;
    }));
    let token = world.signal("a", Signal::HUP);
    assert_eq!(world.reply(token), Some(Ok(Reply::Done)));
    let sent = world.signals();
    assert_eq!((sent[0].signal, sent[0].scope), (Signal::HUP, SignalScope::Process));
    assert_eq!(world.state("a"), ProcessState::Running);
}

#[test]
fn what_is_stopping_can_be_signalled_and_what_is_down_cannot() {
    // C-305, C-169
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(500));
    world.stop_nowait("a").unwrap();
    let token = world.signal("a", Signal(10));
    assert_eq!(world.reply(token), Some(Ok(Reply::Done)));
    world.run_ms(500);
    let token = world.signal("a", Signal(10));
    assert_eq!(world.reply(token).unwrap().unwrap_err().to_string(), "NOT_RUNNING: a");
    let token = world.signal("nobody", Signal(10));
    assert_eq!(world.reply(token).unwrap().unwrap_err().to_string(), "BAD_NAME: nobody");
}

#[test]
fn a_group_reports_what_could_be_signalled() {
    // C-306
    let member = |name: &str, auto: bool| process(name, |spec| spec.autostart = auto);
    let members = vec![member("g:a", true), member("g:b", false), member("g:c", true)];
    let mut world = World::booted(vec![group("g", 1, members), manual("z")]);
    for name in ["g:*", "*"] {
        let token = world.signal(name, Signal::HUP);
        let Some(Ok(Reply::Results(results))) = world.reply(token) else { panic!("no results") };
        let shown: Vec<String> =
            results.iter().map(|r| format!("{} {}", r.name, r.description)).collect();
        assert_eq!(shown, ["g:a OK", "g:c OK"]);
    }
}

#[test]
fn a_signal_that_cannot_be_sent_leaves_an_unknown_state() {
    // C-188, C-305
    let mut world = World::running(plain("a"));
    world.program("a", Program { signal_error: Some("EPERM"), ..Program::default() });
    let token = world.signal("a", Signal::HUP);
    assert_eq!(world.reply(token).unwrap().unwrap_err().to_string(), "FAILED: EPERM");
    assert_eq!(world.state("a"), ProcessState::Unknown);
}

#[test]
fn a_signal_was_sent_even_when_it_was_the_last_the_process_saw() {
    // C-189: what counts is the outcome of the signal, not what it did.
    let mut core = World::running(program("a", |s| s.autorestart = Autorestart::Never)).core;
    let now = crate::model::time::Now::default();
    let request = Request::Signal { scope: crate::core::testing::scope("a"), signal: Signal::KILL };
    core.handle(Input::Request { token: Token(7), request }, now);
    let process = core.processes().next().unwrap();
    let (key, pid) = (process.key(), process.pid());
    let status = ExitStatus::Signal { signal: Signal::KILL, core_dumped: false };
    let answered = |actions: &[crate::core::action::Action]| {
        actions.iter().any(|action| {
            matches!(action, crate::core::action::Action::Reply { outcome: Ok(Reply::Done), .. })
        })
    };
    let exit = core.handle(Input::Exited { pid, status }, now);
    assert!(!exit.iter().any(|a| matches!(a, crate::core::action::Action::Reply { .. })));
    let report = Input::Signalled { key, generation: 1, token: Some(Token(7)), outcome: Ok(()) };
    assert!(answered(&core.handle(report, now)));
}

#[test]
fn a_process_without_a_pid_yet_cannot_be_signalled() {
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program { spawns_in: Duration::from_secs(5), ..Program::default() });
    world.give(Input::Boot);
    let token = world.signal("a", Signal::HUP);
    assert_eq!(world.reply(token).unwrap().unwrap_err().to_string(), "NOT_RUNNING: a");
}

#[test]
fn stdin_reaches_what_is_up() {
    // C-317
    let mut world = World::running(plain("a"));
    let write =
        |name: &str| Request::Stdin { name: ProcessName::new(name, name), data: b"hello".to_vec() };
    assert_eq!(world.answer(write("a")), Ok(Reply::Done));
    assert_eq!(world.answer(write("b")).unwrap_err().to_string(), "BAD_NAME: b");
    world.program("a", Program::slow_to_stop(500));
    world.stop_nowait("a").unwrap();
    assert_eq!(world.answer(write("a")).unwrap_err().to_string(), "NOT_RUNNING: a");
    world.run_ms(500);
    assert_eq!(world.answer(write("a")).unwrap_err().to_string(), "NOT_RUNNING: a");
}
