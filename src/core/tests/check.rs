//! A state that does not fit together is refused, and the error says what of it.

use serde_json::{Value, json};

use super::handover::mid_flight;
use crate::core::request::Request;
use crate::core::supervisor::Supervisor;
use crate::core::testing::World;
use crate::core::testing::build::{listeners, plain};
use crate::model::event_type::EventType::RemoteCommunication;
use crate::model::signal::Signal;

/// What the state of a world would say that was changed on the way.
fn changed(world: &World, change: impl FnOnce(&mut Value)) -> Result<(), String> {
    let mut state = serde_json::to_value(&world.core).unwrap();
    change(&mut state);
    let state: Supervisor = serde_json::from_value(state).map_err(|error| error.to_string())?;
    state.check()
}

fn refused(world: &World, change: impl FnOnce(&mut Value), why: &str) {
    let error = changed(world, change).expect_err(why);
    assert!(error.contains(why), "{why:?} is not in {error:?}");
}

/// The process of this name.
fn named<'v>(state: &'v mut Value, name: &str) -> &'v mut Value {
    let all = state["processes"].as_object_mut().unwrap().values_mut();
    let is_it = |one: &&mut Value| one["spec"]["name"]["process"] == name;
    all.into_iter().find(is_it).unwrap()
}

#[test]
fn a_state_as_it_was_written_fits() {
    let world = mid_flight();
    assert_eq!(changed(&world, |_| ()), Ok(()));
    assert_eq!(changed(&World::new(vec![plain("a")]), |_| ()), Ok(()));
}

#[test]
fn what_refers_to_a_process_has_to_find_it() {
    let world = mid_flight();
    refused(&world, |s| drop(s["groups"].as_object_mut().unwrap().remove("g")), "its group is not");
    let gone = |s: &mut Value| drop(s["processes"].as_object_mut().unwrap().remove("0"));
    refused(&world, gone, "process #0 is not there");
    refused(&world, |s| s["groups"]["g"]["members"][0] = json!(2), "a member twice");
    refused(&world, |s| s["groups"]["g"]["members"] = json!([1]), "not those of its configuration");
    refused(&world, |s| s["next_key"] = json!(2), "is still to be given");
    refused(&world, |s| s["generation"] = json!(1), "its spawn is still to come");
    refused(&world, |s| named(s, "quick")["key"] = json!(77), "it has the keys #0 and #77");
    refused(&world, |s| s["groups"]["g"]["spec"]["name"] = json!("h"), "group g: it is h too");
    let other = |s: &mut Value| s["configured"][0]["processes"][0]["name"]["group"] = json!("h");
    refused(&world, other, "a process of another group");
    let waits = |s: &mut Value| {
        let waiting = s["waiters"]["waiting"].as_object_mut().unwrap();
        waiting.values_mut().next().unwrap()["pending"] = json!([99]);
    };
    refused(&world, waits, "waits for process #99, which is not there");
    refused(&world, |s| s["waiters"]["by_process"] = json!({}), "who waits for a process");
    let nothing = |s: &mut Value| {
        let waiting = s["waiters"]["waiting"].as_object_mut().unwrap();
        waiting.values_mut().next().unwrap()["pending"] = json!([]);
    };
    refused(&world, nothing, "it waits for nothing");
}

#[test]
fn a_pid_is_of_one_process_and_a_deadline_of_one_that_has_it() {
    let world = mid_flight();
    let pid = |s: &mut Value| named(s, "unknown")["pid"].clone();
    refused(&world, |s| named(s, "stopping")["pid"] = pid(s), "too");
    refused(&world, |s| named(s, "unknown")["pid"] = json!(-5), "it is UNKNOWN with pid -5");
    refused(&world, |s| named(s, "unknown")["pid"] = json!(0), "it is UNKNOWN with pid 0");
    refused(&world, |s| named(s, "fatal")["pid"] = json!(9999), "it is FATAL with pid 9999");
    refused(&world, |s| named(s, "unknown")["pid"] = json!(9999), "the pids are not those");
    refused(&world, |s| s["by_pid"]["4321"] = json!(0), "the pids are not those");
    refused(&world, |s| s["by_name"] = json!([]), "the names are not those");
    let late = json!([{"secs": 5, "nanos": 0}, 99]);
    refused(&world, |s| s["deadlines"].as_array_mut().unwrap().push(late), "as for #99");
    refused(&world, |s| named(s, "stopping")["deadline"] = Value::Null, "STOPPING, and nothing");
    refused(&world, |s| named(s, "backoff")["deadline"] = Value::Null, "BACKOFF, and nothing");
}

#[test]
fn a_counter_has_room_to_go_on() {
    let world = mid_flight();
    for (at, name) in [("next_order", "order"), ("generation", "generation")] {
        refused(&world, |s| s[at] = json!(u64::MAX), &format!("the counter of the {name} is at"));
    }
    refused(&world, |s| s["next_key"] = json!(u32::MAX), "the counter of the key is at its end");
    refused(&world, |s| s["serials"]["published"] = json!(u64::MAX), "the event serial is at");
    refused(
        &world,
        |s| named(s, "backoff")["backoff"] = json!(u32::MAX),
        "a counter is at its end",
    );
}

#[test]
fn a_shutdown_is_under_way_when_the_daemon_stops_and_only_then() {
    let mut world = mid_flight();
    refused(&world, |s| s["state"] = json!("Shutdown"), "SHUTDOWN, and nothing is being stopped");
    world.os(Signal::TERM);
    assert_eq!(changed(&world, |_| ()), Ok(()));
    refused(&world, |s| s["state"] = json!("Running"), "it is in the state RUNNING");
    refused(&world, |s| s["shutdown"]["current"] = json!("nobody"), "nobody is to be stopped");
}

/// A pool with a listener that has an event, and another event that waits.
fn telling() -> World {
    let mut world =
        World::booted(vec![listeners("l", 1, &[RemoteCommunication], |_| {}), plain("p")]);
    world.run_ms(2000);
    world.says("l:l_0", "READY\n");
    for data in ["one", "two"] {
        let (kind, data) = ("k".to_owned(), data.to_owned());
        world.ask(Request::RemoteEvent { kind, data });
    }
    world
}

#[test]
fn the_events_of_a_pool_are_counted_and_of_its_own_listeners() {
    let world = telling();
    assert_eq!(changed(&world, |_| ()), Ok(()));
    let pool =
        |s: &mut Value, at: &str, to: Value| *s.pointer_mut(&format!("/pools/l{at}")).unwrap() = to;
    refused(&world, |s| s["pools"] = json!({}), "it has a pool of listeners, or should have");
    refused(&world, |s| pool(s, "/name", json!("m")), "pool l: it is m too");
    refused(&world, |s| pool(s, "/queue/bytes", json!(0)), "bytes of its queue are counted wrong");
    refused(&world, |s| pool(s, "/next_serial", json!(0)), "is still to come");
    refused(&world, |s| pool(s, "/dropped", json!(u64::MAX)), "a counter is at its end");
    refused(&world, |s| pool(s, "/sessions/0/run/key", json!(1)), "no listener of the pool");
    refused(&world, |s| pool(s, "/sessions/0/event", Value::Null), "owes one and has none");
    let begun = json!(vec![b'R'; 256]);
    refused(&world, |s| pool(s, "/sessions/0/listener/begun", begun), "its words do not fit");
    let none = |s: &mut Value| s["configured"][0]["listener"] = Value::Null;
    refused(&world, none, "l:l_0 is a listener without a pool");
    refused(&world, |s| s["outlet"]["bytes"] = json!(1), "outlet: the bytes are counted wrong");
    let open = json!([[{"key": 0, "generation": 1}, 0]]);
    refused(&world, |s| s["outlet"]["open"] = open, "process #0 has 0 channels");
}
