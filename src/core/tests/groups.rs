//! Groups that come and go (C-297 to C-299, C-393 to C-398, upstream issues 746, 942, 1154, 105).

use std::sync::Arc;

use crate::core::action::{Action, Input};
use crate::core::request::{Changes, Reply, Request};
use crate::core::testing::build::{group, manual, plain, process, program};
use crate::core::testing::{Program, World};
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::spec::{Autorestart, FcgiAddress, FcgiSocket, GroupSpec, LogFile, ProcessKind};
use crate::model::state::ProcessState::{Exited, Running, Starting, Stopped, Stopping};

fn reread(world: &mut World, groups: Vec<Arc<GroupSpec>>) -> Changes {
    match world.answer(Request::Reread { groups: Arc::new(groups) }) {
        Ok(Reply::Changes(changes)) => changes,
        other => panic!("{other:?}"),
    }
}

fn add(world: &mut World, name: &str) -> String {
    shown(world.answer(Request::AddGroup(name.into())))
}

fn remove(world: &mut World, name: &str) -> String {
    shown(world.answer(Request::RemoveGroup(name.into())))
}

fn shown(outcome: Result<Reply, crate::model::fault::Fault>) -> String {
    outcome.map_or_else(|fault| fault.to_string(), |reply| format!("{reply:?}"))
}

#[test]
fn a_reread_changes_nothing_that_is_active() {
    // C-297, C-393
    let mut world = World::booted(vec![plain("z"), plain("same"), plain("a"), plain("edited")]);
    world.run_ms(2000);
    world.forget_notes();
    let edited = program("edited", |spec| spec.command = "/bin/true".to_owned());
    let changes = reread(&mut world, vec![plain("new"), plain("same"), edited]);
    assert_eq!(changes.added, ["new".into()]);
    assert_eq!(changes.changed, ["edited".into()]);
    assert_eq!(changes.removed, ["z".into(), "a".into()], "in the order of activation");
    for name in ["z", "same", "a", "edited"] {
        assert_eq!(world.state(name), Running);
    }
    assert_eq!(world.events(), []);
    assert_eq!(world.snapshot.configured.len(), 3);
    assert_eq!(world.snapshot.groups.len(), 4);
}

#[test]
fn a_group_is_added_from_the_last_reread_and_starts() {
    // C-298, C-170, C-397
    let mut world = World::booted(vec![plain("a")]);
    assert_eq!(add(&mut world, "a"), "ALREADY_ADDED: a");
    assert_eq!(add(&mut world, "b"), "BAD_NAME: b");
    reread(&mut world, vec![plain("a"), plain("b"), manual("c")]);
    world.forget_notes();
    assert_eq!(add(&mut world, "b"), "Done");
    assert_eq!(world.state("b"), Starting);
    assert_eq!(world.events()[0], Event::GroupAdded("b".into()));
    assert_eq!(add(&mut world, "c"), "Done");
    assert_eq!(world.state("c"), Stopped);
}

#[test]
fn a_group_is_removed_when_it_is_stopped() {
    // C-299
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(500));
    assert_eq!(remove(&mut world, "b"), "BAD_NAME: b");
    assert_eq!(remove(&mut world, "a"), "STILL_RUNNING: a");
    world.stop_nowait("a").unwrap();
    assert_eq!(remove(&mut world, "a"), "STILL_RUNNING: a");
    world.run_ms(500);
    world.forget_notes();
    assert_eq!(remove(&mut world, "a"), "Done");
    assert_eq!(world.events(), [Event::GroupRemoved("a".into())]);
    assert!(matches!(world.others[..], [Action::Forget(_)]));
    assert!(world.snapshot.processes.is_empty() && world.snapshot.groups.is_empty());
    assert_eq!(world.start_nowait("a").unwrap_err().to_string(), "BAD_NAME: a");
    assert_eq!(remove(&mut world, "a"), "BAD_NAME: a");
}

#[test]
fn all_stopped_states_allow_removal() {
    // C-299
    let mut world = World::booted(vec![
        program("exited", |spec| spec.autorestart = Autorestart::Never),
        program("fatal", |spec| spec.startretries = 0),
        manual("stopped"),
    ]);
    world.run_ms(2000);
    world.exits("exited", ExitStatus::Code(0));
    world.program("fatal", Program::failing("no"));
    world.exits("fatal", ExitStatus::Code(1));
    for name in ["exited", "fatal", "stopped"] {
        assert_eq!(remove(&mut world, name), "Done", "{name}");
    }
}

#[test]
fn a_restart_that_was_put_off_dies_with_its_group() {
    // C-428, C-299
    let mut world = World::new(vec![program("a", |spec| {
        spec.startsecs = 0;
        spec.autorestart = Autorestart::Always;
    })]);
    world.program("a", Program::exiting(0, 0));
    world.give(Input::Boot);
    assert_eq!(world.state("a"), Exited);
    assert_eq!(remove(&mut world, "a"), "Done");
    assert_eq!(world.core.next_deadline(), None);
    world.forget_notes();
    world.run_ms(5000);
    assert_eq!(world.spawned(), Vec::<String>::new());
}

#[test]
fn a_process_that_nobody_can_signal_keeps_its_group_while_it_lives() {
    // C-188, C-299: upstream would forget a live child.
    let mut world = World::running(plain("a"));
    world.program("a", Program { signal_error: Some("EPERM"), ..Program::default() });
    world.stop_nowait("a").unwrap();
    assert_eq!(remove(&mut world, "a"), "STILL_RUNNING: a");
    world.exits("a", ExitStatus::Code(0));
    assert_eq!(remove(&mut world, "a"), "Done");
}

#[test]
fn an_update_touches_only_what_changed() {
    // C-396, C-398, upstream issues 1154, 105
    let mut world = World::booted(vec![plain("keep"), plain("edit")]);
    world.run_ms(2000);
    let kept = world.pid("keep");
    let edited = program("edit", |spec| spec.startsecs = 7);
    let changes = reread(&mut world, vec![plain("keep"), edited]);
    assert_eq!((changes.added.len(), changes.changed.len(), changes.removed.len()), (0, 1, 0));
    world.stop_nowait("edit").unwrap();
    world.start_nowait("edit").unwrap();
    assert_eq!(world.process("edit").spec().startsecs, 1, "until it is added again");
    world.stop_nowait("edit").unwrap();
    assert_eq!(remove(&mut world, "edit"), "Done");
    assert_eq!(add(&mut world, "edit"), "Done");
    assert_eq!(world.process("edit").spec().startsecs, 7);
    assert_eq!((world.pid("keep"), world.state("keep")), (kept, Running));
    assert_eq!(world.snapshot.groups["edit"].spec.processes[0].startsecs, 7);
    let again = world.snapshot.configured.to_vec();
    assert_eq!(reread(&mut world, again), Changes::default());
}

#[test]
fn a_group_that_comes_back_has_no_memory() {
    // C-392 for groups: counters, times and states begin anew.
    let mut world = World::running(plain("a"));
    let old = world.process("a").key();
    world.stop_nowait("a").unwrap();
    remove(&mut world, "a");
    world.program("a", Program::slow_to_spawn(1000));
    add(&mut world, "a");
    let process = world.process("a");
    assert_ne!(process.key(), old);
    assert_eq!((process.state(), process.snapshot().stopped), (Starting, None));
}

#[test]
fn auto_logs_get_names_when_a_group_becomes_active() {
    // C-136: also for what is never started, and without slashes.
    let spec = process("g:x/y", |spec| {
        spec.autostart = false;
        spec.stdout.file = LogFile::Auto;
        spec.stderr.file = LogFile::Path("/var/log/e".into());
    });
    let mut world = World::booted(vec![group("g", 1, vec![spec])]);
    let [Action::CreateLogs { logs, .. }] = &world.others[..] else { panic!("no logs") };
    let stdout = logs.stdout.as_ref().unwrap().to_str().unwrap();
    let suffix = stdout
        .strip_prefix("/tmp/x_y-stdout---supervisor-")
        .and_then(|rest| rest.strip_suffix(".log"))
        .unwrap_or_else(|| panic!("{stdout}"));
    assert_eq!(suffix.len(), 8);
    assert!(suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
    assert_eq!(logs.stderr.as_ref().unwrap().to_str(), Some("/var/log/e"));
    assert_eq!(world.process("g:x/y").snapshot().logs, *logs);

    let first = stdout.to_owned();
    remove(&mut world, "g");
    add(&mut world, "g");
    let second = world.process("g:x/y").snapshot().logs.stdout.clone().unwrap();
    assert_ne!(second.to_str(), Some(&*first), "a name is never used twice");
}

#[test]
fn the_socket_of_a_fastcgi_program_is_tried_once_when_it_becomes_active() {
    // C-399
    let fcgi = |name: &str| {
        process(name, |spec| {
            spec.autostart = false;
            spec.program = "f".into();
            let address = FcgiAddress::Tcp { host: "localhost".to_owned(), port: 9000 };
            spec.kind = ProcessKind::FastCgi(FcgiSocket { address, backlog: None });
        })
    };
    let plain = process("g:plain", |_| {});
    let mut world = World::booted(vec![group("g", 1, vec![fcgi("g:0"), fcgi("g:1"), plain])]);
    let tried = |world: &World| {
        let tried = world.others.iter().filter_map(|action| match action {
            Action::TrySocket(spec) => Some(spec.name.to_string()),
            _ => None,
        });
        tried.collect::<Vec<_>>()
    };
    assert_eq!(tried(&world), ["g:0"]);
    world.others.clear();
    world.start("g:1");
    assert!(tried(&world).is_empty());
}

#[test]
fn a_stop_of_everything_is_answered_before_its_groups_go() {
    // Upstream issues 746, 942: update stops, waits, removes, and never meets STILL_RUNNING.
    let mut world = World::running(plain("a"));
    world.program("a", Program::slow_to_stop(500));
    let stop = world.stop("a:*");
    assert_eq!(world.state("a"), Stopping);
    world.run_ms(500);
    assert!(world.reply(stop).unwrap().is_ok());
    assert_eq!(remove(&mut world, "a"), "Done");
    world.os(Signal::TERM);
    assert!(world.exit.is_some());
}

#[test]
fn an_updated_group_keeps_the_processes_that_did_not_change() {
    // C-396 (better), upstream issues 1154, 105
    let same = |name: &str| process(name, |_| {});
    let old = vec![same("g:keep"), same("g:edit"), same("g:drop")];
    let mut world = World::booted(vec![group("g", 5, old)]);
    world.run_ms(2000);
    let (kept, edited) = (world.pid("g:keep"), world.pid("g:edit"));
    let edit = process("g:edit", |spec| spec.startsecs = 7);
    let read = group("g", 6, vec![same("g:new"), edit, same("g:keep")]);
    assert_eq!(reread(&mut world, vec![read]).changed, ["g".into()]);
    let update = |world: &mut World| shown(world.answer(Request::UpdateGroup("g".into())));
    assert_eq!(update(&mut world), "STILL_RUNNING: g:edit");
    for name in ["g:edit", "g:drop"] {
        world.stop_nowait(name).unwrap();
        world.run_ms(100);
    }
    world.forget_notes();
    assert_eq!(update(&mut world), "Done");
    world.run_ms(100);
    assert_eq!((world.pid("g:keep"), world.state("g:keep")), (kept, Running));
    assert_ne!(world.pid("g:edit"), edited);
    assert_eq!(world.process("g:edit").spec().startsecs, 7);
    assert_eq!(world.state("g:new"), Starting);
    assert_eq!(world.snapshot.groups["g"].spec.priority, 6);
    assert_eq!(world.snapshot.members("g").count(), 3);
    let again = world.snapshot.configured.to_vec();
    assert_eq!(reread(&mut world, again), Changes::default());
    assert_eq!(shown(world.answer(Request::UpdateGroup("x".into()))), "BAD_NAME: x");
}
