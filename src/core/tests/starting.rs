//! Starting on request (C-300 to C-302, C-249).

use std::collections::BTreeMap;

use crate::core::action::Input;
use crate::core::request::{ProcessResult, Reply, Request};
use crate::core::testing::build::{group, manual, process, program};
use crate::core::testing::{Program, World, scope};
use crate::model::exit::ExitStatus;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::spec::Autorestart;
use crate::model::state::ProcessState::{Backoff, Fatal, Running, Starting, Stopped, Stopping};

fn text(reply: Option<Result<Reply, Fault>>) -> String {
    match reply {
        None => "waits".to_owned(),
        Some(Err(fault)) => fault.to_string(),
        Some(Ok(Reply::Done)) => "OK".to_owned(),
        Some(Ok(Reply::Results(results))) => {
            let show =
                |r: &ProcessResult| format!("{} {} {}", r.name, r.status.code(), r.description);
            results.iter().map(show).collect::<Vec<_>>().join("; ")
        }
        Some(Ok(other)) => format!("{other:?}"),
    }
}

#[test]
fn a_waiting_start_is_answered_when_it_runs() {
    // C-300
    let mut world = World::booted(vec![manual("a")]);
    let start = world.start("a");
    world.run_ms(999);
    assert_eq!(text(world.reply(start)), "waits");
    world.run_ms(1);
    assert_eq!(text(world.reply(start)), "OK");
}

#[test]
fn a_start_without_waiting_is_answered_at_once() {
    // C-300: even when it fails then.
    let mut world = World::booted(vec![manual("a")]);
    world.program(
        "a",
        Program { spawns_in: std::time::Duration::from_secs(1), ..Program::failing("no") },
    );
    assert_eq!(world.start_nowait("a"), Ok(Reply::Done));
    world.run_ms(1000);
    assert_eq!(world.state("a"), Backoff);
}

#[test]
fn a_waiting_start_fails_at_the_first_backoff_and_attempts_go_on() {
    // C-302
    for behaviour in [Program::failing("no"), Program::exiting(100, 0)] {
        let mut world = World::booted(vec![manual("a")]);
        world.program("a", behaviour);
        let start = world.start("a");
        world.run_ms(100);
        assert_eq!(text(world.reply(start)), "SPAWN_ERROR: a");
        world.program("a", Program::default());
        world.run_ms(5000);
        assert_eq!(world.state("a"), Running);
    }
}

#[test]
fn a_start_that_is_stopped_by_another_client_fails() {
    // C-300
    let mut world = World::booted(vec![manual("a")]);
    let start = world.start("a");
    world.stop_nowait("a").unwrap();
    assert_eq!(text(world.reply(start)), "ABNORMAL_TERMINATION: a");
}

#[test]
fn faults_come_in_the_order_of_upstream() {
    // C-300: BAD_NAME, what is wrong with the command, ALREADY_STARTED.
    let mut world = World::booted(vec![manual("a"), manual("up")]);
    world.start("up");
    world.run_ms(2000);
    let no_file = Fault::new(FaultKind::NoFile, "can't find command 'x'");
    let refused: BTreeMap<ProcessName, Fault> =
        ["a", "up", "nobody"].map(|name| (ProcessName::new(name, name), no_file.clone())).into();
    for (name, expected) in [
        ("nobody", "BAD_NAME: nobody"),
        ("g:nobody", "BAD_NAME: g:nobody"),
        ("nobody:*", "BAD_NAME: nobody"),
        ("up", "NO_FILE: can't find command 'x'"),
        ("a", "NO_FILE: can't find command 'x'"),
        ("a:*", "a 20 NO_FILE: can't find command 'x'"),
    ] {
        let start =
            world.ask(Request::Start { scope: scope(name), wait: true, refused: refused.clone() });
        assert_eq!(text(world.reply(start)), expected, "{name}");
    }
    assert_eq!(world.state("a"), Stopped, "what is refused is not tried");
    assert_eq!(text(Some(world.start_nowait("up"))), "ALREADY_STARTED: up");
}

#[test]
fn what_is_starting_or_backs_off_counts_as_started() {
    // C-300
    let mut world = World::booted(vec![manual("a")]);
    world.program("a", Program::exiting(500, 0));
    world.start_nowait("a").unwrap();
    assert_eq!(text(Some(world.start_nowait("a"))), "ALREADY_STARTED: a");
    world.run_ms(500);
    assert_eq!(world.state("a"), Backoff);
    assert_eq!(text(Some(world.start_nowait("a"))), "ALREADY_STARTED: a");
}

fn group_of_four() -> World {
    let member = |name: &str, startsecs: i64| {
        process(name, |spec| {
            spec.autostart = false;
            spec.startsecs = startsecs;
            spec.startretries = 0;
        })
    };
    let members =
        vec![member("g:slow", 3), member("g:bad", 1), member("g:quick", 0), member("g:up", 1)];
    let mut world = World::booted(vec![group("g", 1, members)]);
    world.program("g:bad", Program::failing("no"));
    world.start_nowait("g:up").unwrap();
    world.run_ms(2000);
    world
}

#[test]
fn a_group_is_answered_in_the_order_of_completion() {
    // C-301, C-249: only what was not up is reported; failures are results, not faults.
    for name in ["g:*", "*"] {
        let mut world = group_of_four();
        let start = world.start(name);
        assert_eq!(text(world.reply(start)), "waits");
        world.run_ms(3000);
        assert_eq!(
            text(world.reply(start)),
            "g:bad 50 SPAWN_ERROR: g:bad; g:quick 80 OK; g:slow 80 OK"
        );
    }
}

#[test]
fn a_group_that_is_up_has_no_results() {
    // C-249, C-301
    let mut world = group_of_four();
    world.program("g:bad", Program::default());
    world.start("*");
    world.run_ms(5000);
    let start = world.start("*");
    assert_eq!(world.reply(start), Some(Ok(Reply::Results(Vec::new()))));
}

#[test]
fn a_group_that_is_not_waited_for_is_reported_as_accepted() {
    // C-301
    let mut world = group_of_four();
    let reply = world.start_nowait("g:*");
    assert_eq!(text(Some(reply)), "g:slow 80 OK; g:bad 80 OK; g:quick 80 OK");
}

#[test]
fn a_stop_of_a_group_reports_what_was_up_in_the_order_of_completion() {
    // C-304
    let mut world = group_of_four();
    world.program("g:bad", Program::default());
    world.start("g:*");
    world.run_ms(5000);
    world.stop_nowait("g:quick").unwrap();
    world.program("g:slow", Program::slow_to_stop(900));
    world.program("g:bad", Program::slow_to_stop(1800));
    let stop = world.stop("g:*");
    world.run_ms(1800);
    assert_eq!(text(world.reply(stop)), "g:up 80 OK; g:slow 80 OK; g:bad 80 OK");
    let stop = world.stop("g:*");
    assert_eq!(world.reply(stop), Some(Ok(Reply::Results(Vec::new()))));
}

#[test]
fn a_fault_of_one_process_does_not_keep_the_others_from_stopping() {
    // C-304, C-188
    let mut world = group_of_four();
    world.program("g:bad", Program::default());
    world.start("g:*");
    world.run_ms(5000);
    world.program("g:bad", Program { signal_error: Some("EPERM"), ..Program::default() });
    let stop = world.stop("g:*");
    let reply = text(world.reply(stop));
    for part in ["g:bad 30 FAILED: g:bad", "g:slow 80 OK", "g:quick 80 OK", "g:up 80 OK"] {
        assert!(reply.contains(part), "{reply}");
    }
}

#[test]
fn a_client_that_goes_away_leaves_its_work_behind() {
    let mut world = World::booted(vec![manual("a")]);
    let start = world.start("a");
    world.give(Input::Abandoned(start));
    world.run_ms(5000);
    assert_eq!(world.state("a"), Running);
    assert_eq!(text(world.reply(start)), "waits");
    assert_eq!(world.core.waiting(), 0);
    assert_eq!(world.core.next_deadline(), None);
}

#[test]
fn two_clients_wait_for_the_same_start() {
    let mut world = World::running(program("a", |_| {}));
    world.program("a", Program::slow_to_stop(100));
    world.stop_nowait("a").unwrap();
    let (one, two) = (world.start("a"), world.start("a"));
    assert_eq!(world.path(), [Stopping]);
    world.run_ms(1100);
    assert_eq!((text(world.reply(one)), text(world.reply(two))), ("OK".into(), "OK".into()));
    assert_eq!(world.path(), [Stopped, Starting, Running]);
}

#[test]
fn an_exit_and_a_fatal_can_be_started_again() {
    // C-171, C-300
    let mut world = World::running(program("a", |spec| {
        spec.autorestart = Autorestart::Never;
        spec.startretries = 0;
    }));
    world.exits("a", ExitStatus::Code(1));
    world.program("a", Program::failing("no"));
    world.start("a");
    assert_eq!(world.state("a"), Fatal);
    world.program("a", Program::default());
    let start = world.start("a");
    world.run_ms(1000);
    assert_eq!(text(world.reply(start)), "OK");
}
