//! What event listeners get, and what becomes of them (C-338 to C-356, C-406 to C-412).

use std::sync::Arc;
use std::time::Duration;

use crate::core::action::{Heard, Input};
use crate::core::pool;
use crate::core::request::Request;
use crate::core::testing::build::{listeners, plain, program};
use crate::core::testing::{Program, World};
use crate::model::event_type::EventType::{self, ProcessGroup, ProcessState, RemoteCommunication};
use crate::model::exit::ExitStatus;
use crate::model::listener::ListenerState;
use crate::model::signal::Signal;
use crate::model::spec::{Autorestart, EventLength, GroupSpec, ListenerPool};
use crate::model::state::ProcessState as State;

const OK: &str = "RESULT 2\nOKREADY\n";
const FAIL: &str = "RESULT 4\nFAILREADY\n";

/// A pool `p` for events of clients.
fn remote(number: usize, edit: impl FnOnce(&mut ListenerPool)) -> Arc<GroupSpec> {
    listeners("p", number, &[RemoteCommunication], edit)
}

/// A world in which all listeners of `p` are ready.
fn ready(groups: Vec<Arc<GroupSpec>>) -> World {
    let mut world = World::booted(groups);
    world.run_ms(5000);
    let names: Vec<String> = world.core.processes().map(|p| p.spec().name.to_string()).collect();
    for name in names.iter().filter(|name| name.starts_with("p:")) {
        world.says(name, "READY\n");
    }
    world.forget_notes();
    world
}

fn happens(world: &mut World, data: &str) {
    let remote = Request::RemoteEvent { kind: "t".to_owned(), data: data.to_owned() };
    world.answer(remote).unwrap();
}

/// Who got which payload, without the header and without `type:t`.
fn got(world: &mut World) -> Vec<(String, String)> {
    let payload = |text: &str| text.rsplit('\n').next().unwrap().to_owned();
    let short = |name: &str| name.split(':').nth(1).unwrap().to_owned();
    world.deliveries().iter().map(|sent| (short(&sent.name), payload(&sent.text))).collect()
}

fn is(who: &str, what: &str) -> (String, String) {
    (who.to_owned(), what.to_owned())
}

fn listener_state(world: &World, name: &str) -> Option<ListenerState> {
    let found = world.snapshot.processes.values().find(|p| p.spec.name.to_string() == name);
    found.unwrap().listener
}

fn queue(world: &World) -> (u64, u64, u64) {
    let pool = world.snapshot.groups["p"].pool.unwrap();
    (pool.queued, pool.sent, pool.dropped)
}

#[test]
fn an_event_has_a_header() {
    // C-338, C-339, C-340, C-341
    let mut world = ready(vec![remote(1, |_| {})]);
    happens(&mut world, "é");
    world.says("p:p_0", OK);
    happens(&mut world, "e");
    let texts: Vec<String> = world.deliveries().into_iter().map(|sent| sent.text).collect();
    let header = |serial: u32| {
        format!(
            "ver:3.0 server:supervisor serial:{serial} pool:p poolserial:{serial} \
             eventname:REMOTE_COMMUNICATION len:8\ntype:t\n"
        )
    };
    assert_eq!(texts, [header(0) + "é", header(1) + "e"]);
}

#[test]
fn the_length_counts_bytes_where_that_is_configured() {
    // C-339, C-410
    let mut world = ready(vec![remote(1, |pool| pool.event_length = EventLength::Bytes)]);
    happens(&mut world, "é");
    assert!(world.deliveries()[0].text.contains(" len:9\n"));
}

#[test]
fn serials_count_what_somebody_gets_and_pools_count_for_themselves() {
    // C-340, C-341, C-353
    let other = listeners("q", 1, &[ProcessGroup, RemoteCommunication], |_| {});
    let mut world = World::booted(vec![remote(1, |_| {}), other, plain("a")]);
    world.run_ms(5000);
    for name in ["p:p_0", "q:q_0"] {
        world.says(name, "READY\n");
    }
    happens(&mut world, "1");
    assert_eq!(world.core.serials().listeners, 3, "of `q` and `a` being added, and of `1`");
    let headers = |world: &mut World| -> Vec<String> {
        let deliveries = world.deliveries();
        deliveries
            .iter()
            .map(|sent| sent.text.split(" eventname").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        headers(&mut world),
        [
            "ver:3.0 server:supervisor serial:0 pool:q poolserial:0",
            "ver:3.0 server:supervisor serial:2 pool:p poolserial:0",
        ]
    );
    world.says("q:q_0", OK);
    world.says("q:q_0", OK);
    assert_eq!(
        headers(&mut world),
        [
            "ver:3.0 server:supervisor serial:1 pool:q poolserial:1",
            "ver:3.0 server:supervisor serial:2 pool:q poolserial:2",
        ]
    );
}

#[test]
fn a_pool_hears_of_itself_and_of_what_comes_later() {
    // C-367, C-370
    let mut world =
        World::booted(vec![plain("a"), listeners("p", 1, &[EventType::Event], |_| {}), plain("b")]);
    world.run_ms(5000);
    let mut heard = Vec::new();
    world.says("p:p_0", "READY\n");
    while let Some(sent) = world.deliveries().pop() {
        heard.push(sent.text.split_once('\n').unwrap().1.trim_end().to_owned());
        world.says("p:p_0", OK);
    }
    assert_eq!(heard[..3], ["groupname:p", "groupname:b", ""]);
    assert!(heard[3].starts_with("processname:a groupname:a from_state:STOPPED"), "{}", heard[3]);
}

#[test]
fn events_go_to_the_first_listener_that_is_up_and_ready() {
    // C-342, C-349
    let mut world = World::booted(vec![remote(2, |_| {})]);
    world.says("p:p_0", "READY\n");
    world.says("p:p_1", "READY\n");
    happens(&mut world, "1");
    assert_eq!(got(&mut world), [], "one that is STARTING gets nothing");
    world.run_ms(1000);
    assert_eq!(got(&mut world), [is("p_0", "1")]);
    happens(&mut world, "2");
    happens(&mut world, "3");
    assert_eq!(got(&mut world), [is("p_1", "2")]);
    world.says("p:p_1", "RESULT 2\nOK");
    assert_eq!(got(&mut world), [], "it has to say that it is ready");
    assert_eq!(listener_state(&world, "p:p_1"), Some(ListenerState::Acknowledged));
    world.says("p:p_1", "READY\n");
    assert_eq!(got(&mut world), [is("p_1", "3")]);
    assert_eq!(listener_state(&world, "p:p_1"), Some(ListenerState::Busy));
    assert_eq!(queue(&world), (0, 2, 0));
}

#[test]
fn a_rejected_event_is_sent_again_first_and_more_and_more_slowly() {
    // C-346, C-351, C-407
    let mut world = ready(vec![remote(1, |_| {})]);
    happens(&mut world, "1");
    happens(&mut world, "2");
    let mut times = Vec::new();
    for _ in 0..12 {
        let sent = world.deliveries().pop().unwrap();
        assert!(sent.text.ends_with("\n1") && sent.text.contains("poolserial:0 "));
        times.push(sent.at);
        world.says("p:p_0", FAIL);
        let rejected = "WARN p_0: event was rejected".to_owned();
        assert!(world.lines_above_debug().contains(&rejected));
        world.run_ms(30_000);
    }
    let waits: Vec<u128> = times.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
    // It is awaited for 30 s here, and sent at the end of its own delay.
    assert!(waits.iter().all(|&wait| wait <= 30_000 + 30_000), "{waits:?}");
    world.says("p:p_0", OK);
    assert_eq!(got(&mut world).last(), Some(&is("p_0", "2")));
}

#[test]
fn rejections_come_back_in_order() {
    // C-351
    let mut world = ready(vec![remote(3, |_| {})]);
    (1..=4).for_each(|number| happens(&mut world, &number.to_string()));
    assert_eq!(got(&mut world), [is("p_0", "1"), is("p_1", "2"), is("p_2", "3")]);
    world.says("p:p_0", FAIL);
    world.says("p:p_1", FAIL);
    world.says("p:p_2", FAIL);
    world.run_ms(1000);
    assert_eq!(got(&mut world), [is("p_0", "1"), is("p_1", "2"), is("p_2", "3")]);
}

#[test]
fn a_rejected_event_is_for_its_own_pool_only() {
    // C-353, C-406
    let mut world =
        ready(vec![remote(1, |_| {}), listeners("q", 1, &[RemoteCommunication], |_| {})]);
    world.says("q:q_0", "READY\n");
    happens(&mut world, "1");
    world.says("q:q_0", OK);
    world.forget_notes();
    world.says("p:p_0", FAIL);
    world.run_ms(1000);
    assert_eq!(got(&mut world), [is("p_0", "1")]);
}

#[test]
fn a_full_pool_discards_the_oldest_and_counts() {
    // C-352
    let mut world = World::booted(vec![remote(1, |pool| pool.buffer_size = 2)]);
    world.run_ms(5000);
    (1..=4).for_each(|number| happens(&mut world, &number.to_string()));
    assert_eq!(queue(&world), (2, 0, 2));
    let mut errors = world.lines();
    errors.retain(|line| line.starts_with("ERRO"));
    assert_eq!(
        errors,
        [
            "ERRO pool p event buffer overflowed, discarding event 0 (1 so far)",
            "ERRO pool p event buffer overflowed, discarding event 1 (2 so far)",
        ]
    );
    world.says("p:p_0", "READY\n");
    assert_eq!(got(&mut world), [is("p_0", "3")]);
    happens(&mut world, "5");
    world.says("p:p_0", FAIL);
    assert_eq!(queue(&world), (2, 0, 3), "what comes back needs room as well");
    world.run_ms(1000);
    assert_eq!(got(&mut world), [is("p_0", "3")]);
}

#[test]
fn types_that_overlap_are_delivered_once() {
    // C-354, C-412
    let both = [EventType::Event, RemoteCommunication, EventType::Event];
    let mut world = ready(vec![listeners("p", 1, &both, |_| {}), listeners("q", 0, &both, |_| {})]);
    let before = queue(&world).0;
    happens(&mut world, "1");
    assert_eq!(queue(&world).0, before + 1);
}

#[test]
fn one_that_dies_with_an_event_loses_none() {
    // C-351
    let mut world = ready(vec![remote(2, |_| {})]);
    happens(&mut world, "1");
    happens(&mut world, "2");
    world.forget_notes();
    world.exits("p:p_0", ExitStatus::Code(1));
    world.says("p:p_1", OK);
    assert_eq!(got(&mut world), []);
    world.run_ms(200);
    assert_eq!(got(&mut world), [is("p_1", "1")]);
    let line = "INFO p_0: ended without an answer to event 0, it is sent again".to_owned();
    assert!(world.lines().contains(&line));
}

#[test]
fn the_last_words_of_one_that_dies_count() {
    let mut world = ready(vec![remote(2, |_| {})]);
    happens(&mut world, "1");
    let run = world.process("p:p_0").run();
    let pid = world.pid("p:p_0");
    world.program("p:p_0", Program { heard_in: Duration::from_millis(500), ..Program::default() });
    world.exits("p:p_0", ExitStatus::Code(0));
    let what = Heard::Protocol(b"RESULT 2\nOK".to_vec());
    world.give(Input::Heard { run, channel: crate::model::snapshot::Channel::Stdout, pid, what });
    world.run_ms(10_000);
    assert_eq!(got(&mut world), [is("p_0", "1")], "once");
    assert_eq!(queue(&world), (0, 0, 0));
}

#[test]
fn one_whose_end_is_never_heard_is_judged_all_the_same() {
    let mut world = ready(vec![remote(2, |_| {})]);
    happens(&mut world, "1");
    world.program("p:p_0", Program { heard_in: Duration::from_secs(3600), ..Program::default() });
    world.exits("p:p_0", ExitStatus::Code(0));
    world.run_ms(2000);
    assert_eq!(got(&mut world), [is("p_0", "1"), is("p_1", "1")]);
}

#[test]
fn an_event_that_cannot_be_written_goes_to_the_next() {
    // C-350
    let mut world = ready(vec![remote(2, |_| {})]);
    happens(&mut world, "1");
    let sent = world.deliveries().pop().unwrap();
    world.loses(&sent);
    assert_eq!(got(&mut world), [is("p_1", "1")]);
    assert_eq!(listener_state(&world, "p:p_0"), Some(ListenerState::Ready));
    let line =
        "DEBG epipe occurred while sending event 0 to listener p_0, listener state unchanged";
    assert!(world.lines().contains(&line.to_owned()));
    happens(&mut world, "2");
    world.run_ms(60_000);
    assert_eq!(got(&mut world), [], "it is not tried again");
    world.exits("p:p_0", ExitStatus::Code(1));
    world.run_ms(2000);
    world.says("p:p_0", "READY\n");
    assert_eq!(got(&mut world), [is("p_0", "2")]);
}

#[test]
fn one_that_breaks_the_protocol_is_started_again_and_others_get_its_event() {
    // C-343, C-347, C-348
    let mut world = ready(vec![remote(2, |_| {})]);
    happens(&mut world, "1");
    world.says("p:p_0", "nonsense\n");
    assert_eq!(listener_state(&world, "p:p_0"), Some(ListenerState::Unknown));
    assert_eq!(
        world.lines_above_debug(),
        [
            "WARN p_0: bad result line: 'nonsense'",
            "WARN p_0: has entered the UNKNOWN state and will no longer receive events, this \
             usually indicates the process violated the eventlistener protocol",
            "INFO p_0: is restarted in 1 s, to receive events again",
        ]
    );
    world.run_ms(500);
    assert_eq!(got(&mut world), [is("p_0", "1"), is("p_1", "1")]);
    assert_eq!(world.path(), [], "not yet");
    world.run_ms(500);
    assert_eq!(world.path(), [State::Stopping, State::Stopped, State::Starting]);
    assert_eq!(listener_state(&world, "p:p_0"), Some(ListenerState::Acknowledged));
    world.run_ms(2000);
    world.says("p:p_0", "READY\n");
    happens(&mut world, "2");
    assert_eq!(got(&mut world), [is("p_0", "2")]);
}

#[test]
fn one_that_always_breaks_the_protocol_is_started_more_and_more_slowly() {
    let mut world = ready(vec![remote(1, |_| {})]);
    let mut pids = Vec::new();
    for _ in 0..70 {
        world.says("p:p_0", "chatter");
        let pid = world.pid("p:p_0");
        let before = world.now().mono;
        while world.pid("p:p_0") == pid {
            world.run_ms(1000);
        }
        pids.push((world.now().mono - before).as_secs());
    }
    assert_eq!(pids[..3], [1, 2, 3]);
    assert_eq!(*pids.last().unwrap(), u64::from(pool::STRIKES_MAX));
    world.run_ms(5000);
    world.says("p:p_0", "READY\n");
    happens(&mut world, "1");
    world.says("p:p_0", OK);
    let pid = world.pid("p:p_0");
    world.says("p:p_0", "x");
    world.run_ms(1000);
    assert_ne!(world.pid("p:p_0"), pid, "what was done well counts");
}

#[test]
fn one_that_is_never_to_be_restarted_stays_unknown() {
    let mut pool = (*remote(1, |_| {})).clone();
    let mut process = (*pool.processes[0]).clone();
    process.autorestart = Autorestart::Never;
    pool.processes = vec![Arc::new(process)];
    let mut world = ready(vec![Arc::new(pool)]);
    world.says("p:p_0", "x");
    world.run_ms(100_000);
    assert_eq!(world.path(), []);
    assert_eq!(listener_state(&world, "p:p_0"), Some(ListenerState::Unknown));
}

#[test]
fn one_that_closes_its_stdout_and_lives_on_is_no_listener_any_more() {
    let mut world = ready(vec![remote(2, |_| {})]);
    happens(&mut world, "1");
    world.writes("p:p_0", Heard::End);
    assert_eq!(world.lines_above_debug(), [] as [&str; 0], "it may be about to end");
    world.run_ms(1000);
    assert_eq!(world.lines_above_debug()[0], "WARN p_0: has closed its stdout");
    world.run_ms(200);
    assert_eq!(got(&mut world), [is("p_0", "1"), is("p_1", "1")]);
    world.run_ms(1000);
    assert_eq!(listener_state(&world, "p:p_0"), Some(ListenerState::Acknowledged), "a new one");
}

#[test]
fn what_a_program_wrote_comes_before_its_end() {
    // C-362, C-364, C-371
    let types = [ProcessState, EventType::ProcessLog, EventType::ProcessCommunication];
    let heard = program("a", |spec| {
        spec.stdout.events_enabled = true;
        spec.autorestart = Autorestart::Never;
    });
    let mut world = ready(vec![listeners("p", 1, &types, |_| {}), heard]);
    while !world.deliveries().is_empty() {
        world.says("p:p_0", OK);
    }
    let (run, pid) = (world.process("a").run(), world.pid("a"));
    world.program("a", Program { heard_in: Duration::from_millis(300), ..Program::default() });
    let mut told = Vec::new();
    let mut listen = |world: &mut World| {
        while let Some(sent) = world.deliveries().pop() {
            told.push(
                sent.text.split("eventname:").nth(1).unwrap().split(' ').next().unwrap().to_owned(),
            );
            world.says("p:p_0", OK);
        }
    };
    while world.snapshot.groups["p"].pool.unwrap().sent > 0 {
        world.says("p:p_0", OK);
    }
    world.forget_notes();
    world.exits("a", ExitStatus::Code(0));
    assert_eq!(world.path(), [State::Exited], "everybody else knows at once");
    listen(&mut world);
    for what in [Heard::Log(b"last".to_vec()), Heard::Communication(b"words".to_vec())] {
        let channel = crate::model::snapshot::Channel::Stdout;
        world.give(Input::Heard { run, channel, pid, what });
        listen(&mut world);
    }
    world.run_ms(300);
    listen(&mut world);
    assert_eq!(
        told,
        ["PROCESS_LOG_STDOUT", "PROCESS_COMMUNICATION_STDOUT", "PROCESS_STATE_EXITED"]
    );
}

#[test]
fn at_a_shutdown_listeners_hear_of_every_end_before_their_own() {
    // C-356
    let mut world = ready(vec![
        listeners("p", 1, &[EventType::ProcessStateStopped], |_| {}),
        plain("a"),
        plain("b"),
    ]);
    world.forget_notes();
    world.os(Signal::TERM);
    let mut told = Vec::new();
    while let Some(sent) = world.deliveries().pop() {
        told.push(
            sent.text.split("processname:").nth(1).unwrap().split(' ').next().unwrap().to_owned(),
        );
        assert!(world.exit.is_none());
        world.says("p:p_0", OK);
    }
    assert_eq!(told, ["b", "a"]);
    assert!(world.exit.is_some());
}

#[test]
fn a_listener_that_does_not_answer_holds_a_shutdown_up_for_moments_only() {
    let mut world =
        ready(vec![listeners("p", 1, &[EventType::ProcessStateStopped], |_| {}), plain("a")]);
    world.os(Signal::TERM);
    world.run_ms(1900);
    assert!(world.exit.is_none());
    world.run_ms(200);
    assert!(world.exit.is_some());
}

#[test]
fn a_pool_that_changes_keeps_what_waits() {
    let mut world = ready(vec![remote(1, |_| {})]);
    happens(&mut world, "1");
    happens(&mut world, "2");
    let changed = remote(1, |pool| pool.buffer_size = 7);
    world.answer(Request::Reread { groups: Arc::new(vec![changed]) }).unwrap();
    world.answer(Request::UpdateGroup("p".into())).unwrap();
    assert_eq!(queue(&world), (1, 1, 0));
    world.says("p:p_0", OK);
    assert_eq!(got(&mut world), [is("p_0", "1"), is("p_0", "2")]);
}

#[test]
fn a_pool_that_is_removed_says_what_it_leaves() {
    let mut world = ready(vec![remote(1, |_| {})]);
    happens(&mut world, "1");
    happens(&mut world, "2");
    world.stop("p:p_0");
    world.forget_notes();
    world.answer(Request::RemoveGroup("p".into())).unwrap();
    assert_eq!(world.lines(), ["INFO pool p is removed with 2 events that wait in it"]);
}
