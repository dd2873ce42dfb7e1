//! What events tell (C-357 to C-370).

use crate::core::action::Input;
use crate::core::testing::build::{group, plain, process, program};
use crate::core::testing::show::payload;
use crate::core::testing::{Program, World};
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::spec::Autorestart;
use crate::model::state::{DaemonState, ProcessState};

fn payloads(world: &mut World) -> Vec<String> {
    let events = world.events();
    let processes = events.iter().filter(|event| matches!(event, Event::ProcessState { .. }));
    processes.map(payload).collect()
}

#[test]
fn a_life_from_start_to_stop() {
    // C-358, C-359, C-360
    let mut world = World::booted(vec![group("g", 1, vec![process("g:p", |_| {})])]);
    world.run_ms(1000);
    world.stop_nowait("g:p").unwrap();
    assert_eq!(
        payloads(&mut world),
        [
            "PROCESS_STATE_STARTING processname:p groupname:g from_state:STOPPED tries:0",
            "PROCESS_STATE_RUNNING processname:p groupname:g from_state:STARTING pid:100",
            "PROCESS_STATE_STOPPING processname:p groupname:g from_state:RUNNING pid:100",
            "PROCESS_STATE_STOPPED processname:p groupname:g from_state:STOPPING pid:100",
        ]
    );
}

#[test]
fn an_exit_tells_whether_it_was_expected() {
    // C-361
    for (code, expected) in [(0, 1), (1, 0)] {
        let mut world = World::running(program("a", |s| s.autorestart = Autorestart::Never));
        world.exits("a", ExitStatus::Code(code));
        let line = format!(
            "PROCESS_STATE_EXITED processname:a groupname:a from_state:RUNNING \
             expected:{expected} pid:100"
        );
        assert_eq!(payloads(&mut world), [line]);
    }
}

#[test]
fn what_happened_is_told_with_how_and_why() {
    let mut world = World::running(program("a", |s| s.autorestart = Autorestart::Always));
    world.exits("a", ExitStatus::Code(2));
    world.run_ms(1000);
    let stories: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ProcessState { to, ended, problem, restarts, .. } => {
                Some((to, ended, problem.to_string(), restarts))
            }
            _ => None,
        })
        .collect();
    let bad = (ProcessState::Exited, Some(ExitStatus::Code(2)), "Bad exit code 2".to_owned(), 0);
    let again = |state| (state, None, String::new(), 1);
    assert_eq!(stories, [bad, again(ProcessState::Starting), again(ProcessState::Running)]);
}

#[test]
fn attempts_are_counted() {
    // C-359, C-361: the first start is 0, a backoff counts itself, at most startretries + 1.
    let mut world = World::new(vec![program("a", |spec| spec.startretries = 1)]);
    world.program("a", Program::failing("no"));
    world.give(Input::Boot);
    world.run_ms(10_000);
    assert_eq!(
        payloads(&mut world),
        [
            "PROCESS_STATE_STARTING processname:a groupname:a from_state:STOPPED tries:0",
            "PROCESS_STATE_BACKOFF processname:a groupname:a from_state:STARTING tries:1",
            "PROCESS_STATE_STARTING processname:a groupname:a from_state:BACKOFF tries:1",
            "PROCESS_STATE_BACKOFF processname:a groupname:a from_state:STARTING tries:2",
            "PROCESS_STATE_FATAL processname:a groupname:a from_state:BACKOFF",
        ]
    );
    world.start_nowait("a").unwrap();
    assert_eq!(
        payloads(&mut world)[0],
        "PROCESS_STATE_STARTING processname:a groupname:a from_state:FATAL tries:0"
    );
}

#[test]
fn a_stop_in_backoff_has_no_pid() {
    // C-360
    let mut world = World::new(vec![plain("a")]);
    world.program("a", Program::exiting(10, 0));
    world.give(Input::Boot);
    world.run_ms(20);
    world.forget_notes();
    world.stop_nowait("a").unwrap();
    assert_eq!(
        payloads(&mut world),
        ["PROCESS_STATE_STOPPED processname:a groupname:a from_state:BACKOFF pid:0"]
    );
}

#[test]
fn an_unknown_state_has_no_extras() {
    // C-361
    let mut world = World::running(plain("a"));
    world.program("a", Program { signal_error: Some("EPERM"), ..Program::default() });
    world.stop_nowait("a").unwrap();
    assert_eq!(
        payloads(&mut world),
        [
            "PROCESS_STATE_STOPPING processname:a groupname:a from_state:RUNNING pid:100",
            "PROCESS_STATE_UNKNOWN processname:a groupname:a from_state:STOPPING",
        ]
    );
}

#[test]
fn the_groups_come_first_then_the_daemon_then_the_processes() {
    // C-118, C-370
    let mut world = World::booted(vec![plain("a"), plain("b")]);
    let shown: Vec<String> = world.events().iter().map(payload).collect();
    assert_eq!(shown[0], "PROCESS_GROUP_ADDED groupname:a");
    assert_eq!(shown[1], "PROCESS_GROUP_ADDED groupname:b");
    assert_eq!(shown[2].trim_end(), "SUPERVISOR_STATE_CHANGE_RUNNING");
    assert!(shown[3].starts_with("PROCESS_STATE_STARTING processname:a"), "{}", shown[3]);
    assert!(shown[4].starts_with("PROCESS_STATE_STARTING processname:b"), "{}", shown[4]);
    assert_eq!(shown.len(), 5);
}

#[test]
fn an_event_of_a_client_is_passed_on_even_while_stopping() {
    // C-318, C-288
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(5000));
    world.os(crate::model::signal::Signal::TERM);
    world.forget_notes();
    let remote = crate::core::request::Request::RemoteEvent {
        kind: "deploy".to_owned(),
        data: "42".to_owned(),
    };
    world.answer(remote).unwrap();
    let expected = Event::Remote { kind: "deploy".to_owned(), data: "42".to_owned() };
    assert_eq!(world.events(), [expected]);
    assert_eq!(world.core.state(), DaemonState::Shutdown);
    assert_eq!(world.state("a"), ProcessState::Stopping);
}
