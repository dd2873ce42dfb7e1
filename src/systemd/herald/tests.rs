//! A herald beside a simulated world.

use std::sync::Arc;
use std::time::Duration;

use super::{Herald, Scene};
use crate::core::testing::{Program, World, build};
use crate::model::signal::Signal;
use crate::model::snapshot::Snapshot;
use crate::model::spec::GroupSpec;

/// A world, its herald, and what it said and when, in milliseconds since the beginning.
struct Stage {
    world: World,
    herald: Herald,
    seen: Option<Arc<Snapshot>>,
    starting: usize,
    ready: bool,
    millis: u64,
    said: Vec<(u64, String)>,
    looks: usize,
}

impl Stage {
    fn new(world: World, herald: Herald) -> Self {
        let mut stage = Self {
            world,
            herald,
            seen: None,
            starting: 0,
            ready: false,
            millis: 0,
            said: Vec::new(),
            looks: 0,
        };
        stage.look();
        stage
    }

    /// One that said that it is ready.
    fn ready(groups: Vec<Arc<GroupSpec>>) -> Self {
        let mut stage = Self::new(World::booted(groups), Herald::new(false, None));
        stage.pass(5000);
        stage.ready = true;
        stage.look();
        stage.pass(5000);
        stage.said.clear();
        stage
    }

    fn look(&mut self) {
        let snapshot = Arc::clone(&self.world.snapshot);
        let changed = self.seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &snapshot));
        self.seen = Some(Arc::clone(&snapshot));
        let scene = Scene {
            snapshot: &snapshot,
            changed,
            starting: self.starting,
            ready: self.ready,
            stops: &|| self.world.core.stops(),
        };
        let now = self.world.now().mono;
        self.looks += 1;
        for message in self.herald.look(&scene, now) {
            self.said.push((self.millis, message.trim_end().replace('\n', " ")));
        }
        assert!(self.herald.deadline().is_none_or(|at| at > now), "it would wake at once");
    }

    /// Lets time pass in steps of 100 ms, and looks when something changed or it is time.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 100 {
            if self.world.exit.is_none() {
                self.world.run_ms(100);
            }
            self.millis += 100;
            let changed =
                self.seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &self.world.snapshot));
            if changed || self.herald.deadline().is_some_and(|at| at <= self.world.now().mono) {
                self.look();
            }
        }
    }

    fn said(&mut self) -> Vec<(u64, String)> {
        std::mem::take(&mut self.said)
    }

    fn texts(&mut self) -> Vec<String> {
        self.said().into_iter().map(|(_, text)| text).collect()
    }
}

fn patient(name: &str, stopwaitsecs: i64) -> Arc<GroupSpec> {
    build::program(name, |spec| spec.stopwaitsecs = stopwaitsecs)
}

#[test]
fn a_start_is_told_until_it_is_ready_and_then_how_many_run() {
    let world = World::booted(vec![build::plain("a"), build::plain("b")]);
    let mut stage = Stage::new(world, Herald::new(false, None));
    assert_eq!(stage.texts(), ["STATUS=Starting: 0 of 2 running, 2 starting"]);
    stage.pass(300);
    stage.ready = true;
    stage.look();
    assert_eq!(stage.texts(), ["READY=1 STATUS=0 of 2 running, 2 starting"]);
    stage.pass(5000);
    assert_eq!(stage.texts(), ["STATUS=2 of 2 running"]);
}

#[test]
fn nothing_wakes_up_when_nothing_happens() {
    let mut stage = Stage::ready(vec![build::plain("a")]);
    assert_eq!(stage.herald.deadline(), None);
    stage.looks = 0;
    stage.pass(3_600_000);
    assert_eq!((stage.looks, stage.said().len()), (0, 0));
}

#[test]
fn a_flood_of_changes_is_one_line_a_second_and_the_last_is_true() {
    let mut stage = Stage::ready((0..50).map(|n| build::plain(&format!("p{n:02}"))).collect());
    for n in 0..50 {
        let name = format!("p{n:02}");
        stage.world.stop(&name);
        stage.look();
        stage.pass(100);
    }
    stage.pass(2000);
    let said = stage.said();
    assert_eq!(said.last().unwrap().1, "STATUS=0 of 50 running");
    assert!((4..=7).contains(&said.len()), "{said:?}");
    assert!(said.windows(2).all(|two| two[1].0 - two[0].0 >= 1000), "{said:?}");
}

#[test]
fn a_long_start_asks_for_time_only_while_it_gets_on() {
    let world = World::booted(vec![build::plain("a")]);
    let mut stage = Stage::new(world, Herald::new(false, None));
    stage.said();
    for left in (1..100).rev() {
        stage.starting = left;
        stage.look();
        stage.pass(1000);
    }
    let asked: Vec<u64> = stage
        .said()
        .iter()
        .filter(|(_, text)| text.contains("EXTEND_TIMEOUT_USEC=80000000"))
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(asked, [1000, 22_000, 43_000, 64_000, 85_000]);
    // A spawn that hangs is not waited for.
    stage.pass(600_000);
    assert!(stage.said().iter().all(|(_, text)| !text.contains("EXTEND")));
    // A quick one asks for nothing.
    let world = World::booted(vec![build::plain("a")]);
    let mut quick = Stage::new(world, Herald::new(false, None));
    quick.starting = 1;
    quick.look();
    quick.starting = 0;
    quick.ready = true;
    quick.look();
    quick.pass(5000);
    assert!(quick.said().iter().all(|(_, text)| !text.contains("EXTEND")));
}

#[test]
fn a_stop_is_told_and_given_the_time_that_programs_have() {
    let mut stage = Stage::ready(vec![build::plain("a"), patient("slow", 200)]);
    stage.world.program("slow", Program::slow_to_stop(150_000));
    stage.world.os(Signal::TERM);
    stage.look();
    assert_eq!(
        stage.said(),
        [(
            10_000,
            "STOPPING=1 STATUS=Stopping: waiting for slow and 1 more to stop (up to 200 s) \
             EXTEND_TIMEOUT_USEC=80000000"
                .to_owned()
        )]
    );
    stage.pass(200_000);
    // Asked again before the time is over, so that an engine that hangs is not waited for long.
    assert_eq!(
        stage.said(),
        [
            (70_000, "EXTEND_TIMEOUT_USEC=80000000".to_owned()),
            (130_000, "EXTEND_TIMEOUT_USEC=80000000".to_owned()),
            (160_000, "STATUS=Stopping".to_owned()),
        ]
    );
    assert!(stage.world.exit.is_some());
}

#[test]
fn a_process_that_sigkill_does_not_end_is_not_waited_for() {
    let mut stage = Stage::ready(vec![patient("stuck", 30)]);
    stage.world.program("stuck", Program { killable: false, ..Program::stubborn() });
    stage.world.os(Signal::TERM);
    stage.look();
    stage.pass(3_600_000);
    let asked: Vec<_> = stage.said().into_iter().filter(|(_, t)| t.contains("EXTEND")).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    // What it leaves behind would get 5 seconds more.
    assert!(asked[0].1.ends_with("EXTEND_TIMEOUT_USEC=55000000"), "{asked:?}");
}

#[test]
fn a_restart_is_a_reload_for_the_service_manager() {
    let mut stage = Stage::ready(vec![patient("a", 90)]);
    stage.world.program("a", Program::slow_to_stop(5000));
    stage.world.os(Signal::HUP);
    let began = stage.world.now().mono;
    stage.pass(100);
    let told = stage.texts();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let micros = (began + Duration::from_millis(100)).0.as_micros();
    assert_eq!(
        told,
        &format!(
            "RELOADING=1 MONOTONIC_USEC={micros} STATUS=Restarting: waiting for a to stop \
             (up to 90 s) EXTEND_TIMEOUT_USEC=80000000"
        )
    );
    let world = World::booted(vec![build::plain("a")]);
    let mut next = Stage::new(world, Herald::new(true, None));
    next.ready = true;
    next.look();
    next.pass(3000);
    assert_eq!(
        next.texts(),
        [
            "STATUS=Starting: 0 of 1 running, 1 starting",
            "READY=1 STATUS=0 of 1 running, 1 starting",
            "STATUS=1 of 1 running"
        ]
    );
}

#[test]
fn a_shutdown_in_the_middle_of_a_restart_is_told() {
    let mut stage = Stage::ready(vec![patient("a", 5)]);
    stage.world.program("a", Program::slow_to_stop(3000));
    stage.world.os(Signal::HUP);
    stage.pass(100);
    stage.world.os(Signal::TERM);
    stage.look();
    let told = stage.texts();
    assert!(told[0].starts_with("RELOADING=1") && told[1].starts_with("STOPPING=1"), "{told:?}");
}

#[test]
fn a_change_of_the_configuration_begins_and_ends() {
    let mut stage = Stage::ready(vec![patient("a", 100), build::plain("b")]);
    stage.world.program("a", Program::slow_to_stop(10_000));
    stage.herald.reload_begins();
    stage.herald.reload_begins();
    stage.look();
    let micros = stage.world.now().mono.0.as_micros();
    assert_eq!(stage.texts(), [format!("RELOADING=1 MONOTONIC_USEC={micros} STATUS=Reloading")]);
    stage.world.stop("a");
    stage.look();
    stage.pass(1000);
    assert_eq!(
        stage.texts(),
        ["STATUS=Reloading: waiting for a to stop (up to 100 s) EXTEND_TIMEOUT_USEC=80000000"]
    );
    stage.herald.reload_ends();
    stage.look();
    assert_eq!(stage.texts(), [""; 0], "one of them is not over");
    stage.herald.reload_ends();
    stage.look();
    assert_eq!(stage.texts(), ["READY=1 STATUS=1 of 2 running, 1 stopping"]);
    stage.herald.reload_ends();
    stage.herald.reload_begins();
    stage.look();
    assert!(stage.texts()[0].starts_with("RELOADING=1"), "an end too many does no harm");
}

#[test]
fn a_change_before_it_is_ready_does_not_hide_that_it_is() {
    let world = World::booted(vec![build::plain("a")]);
    let mut stage = Stage::new(world, Herald::new(false, None));
    stage.herald.reload_begins();
    stage.look();
    assert_eq!(stage.texts().len(), 1, "it still starts");
    stage.ready = true;
    stage.look();
    let told = stage.texts();
    assert!(told[0] == "READY=1" && told[1].starts_with("RELOADING=1"), "{told:?}");
}

#[test]
fn a_daemon_in_the_background_says_who_it_is_first() {
    let world = World::booted(vec![build::plain("a")]);
    let mut stage = Stage::new(world, Herald::new(false, Some(77)));
    stage.ready = true;
    stage.look();
    let told = stage.texts();
    assert!(told[0].starts_with("MAINPID=77 STATUS=Starting"), "{told:?}");
    assert!(told[1].starts_with("READY=1") && !told[1].contains("MAINPID"), "{told:?}");
}

#[test]
fn no_stop_waits_for_longer_than_can_be_told() {
    let mut stage = Stage::ready(vec![patient("a", i64::MAX)]);
    stage.world.program("a", Program::stubborn());
    stage.world.os(Signal::TERM);
    stage.look();
    stage.pass(600_000);
    let asked = stage.said().iter().filter(|(_, t)| t.contains("EXTEND")).count();
    assert_eq!(asked, 11, "now, and every minute");
    assert!(
        stage
            .herald
            .deadline()
            .is_some_and(|at| { at - stage.world.now().mono <= Duration::from_secs(60) })
    );
}
