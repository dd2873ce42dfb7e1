//! The signal `Event`, and what is told of event listeners.

use std::collections::HashMap;
use std::sync::Arc;

use supervisor::dbus::types;
use supervisor::model::event::{Event, Output, Period};
use supervisor::model::listener::ListenerState;
use supervisor::model::name::ProcessName;
use supervisor::model::snapshot::{Channel, GroupSnapshot, PoolSnapshot};
use supervisor::model::state::{DaemonState, ProcessState};
use tokio::sync::mpsc::error::TryRecvError;
use zbus::{MessageStream, OwnedVariant, Variant};

use super::broker::Broker;
use super::fake::{G, MANAGER, WEB, World, alter};
use super::signals::{Ears, on_a_bus};

type Details = HashMap<String, OwnedVariant>;

/// The next event, past the manager's other signals.
async fn next(ears: &mut Ears) -> (String, u64, u64, Details) {
    loop {
        let message = ears.next().await;
        if message.header().member().unwrap().as_str() == "Event" {
            return message.body().deserialize().unwrap();
        }
    }
}

/// Names and values, sorted, as texts.
fn shown(details: &Details) -> Vec<String> {
    let mut all: Vec<_> =
        details.iter().map(|(name, value)| format!("{name}={}", **value)).collect();
    all.sort();
    all
}

fn written(data: impl Into<Vec<u8>>) -> Output {
    let name = ProcessName::new("web", "web");
    Output { name, pid: 7, channel: Channel::Stderr, data: data.into() }
}

#[tokio::test]
async fn every_event_is_told_with_its_values() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let client = broker.connect().await;
    let mut ears = on_a_bus(&client).await;
    let web = ["groupname=\"web\"", "processname=\"web\""];
    let with = |more: &[&str]| {
        let mut all: Vec<_> = web.iter().chain(more).map(|text| (*text).to_owned()).collect();
        all.sort();
        all
    };
    let exited = Event::ProcessState {
        name: ProcessName::new("web", "web"),
        from: ProcessState::Running,
        to: ProcessState::Exited,
        pid: 7,
        tries: 0,
        expected: true,
        ended: None,
        problem: "".into(),
        restarts: 0,
    };
    let remote = Event::Remote { kind: "a\0b".to_owned(), data: "\0z".to_owned() };
    let data = "[byte 0x00, 0xff]";
    let told = [
        (
            exited,
            "PROCESS_STATE_EXITED",
            with(&["expected=true", "from_state=\"RUNNING\"", "pid=uint64 7"]),
        ),
        (
            Event::ProcessLog(written(*b"\0\xff")),
            "PROCESS_LOG_STDERR",
            with(&["channel=\"stderr\"", &format!("data={data}"), "pid=uint64 7", "size=uint64 2"]),
        ),
        (
            Event::ProcessCommunication(written(*b"\0\xff")),
            "PROCESS_COMMUNICATION_STDERR",
            with(&[&format!("data={data}"), "pid=uint64 7", "size=uint64 2"]),
        ),
        (Event::GroupAdded("g".into()), "PROCESS_GROUP_ADDED", vec!["groupname=\"g\"".to_owned()]),
        (
            Event::GroupRemoved("g".into()),
            "PROCESS_GROUP_REMOVED",
            vec!["groupname=\"g\"".to_owned()],
        ),
        (
            remote,
            "REMOTE_COMMUNICATION",
            ["data=[byte 0x00, 0x7a]", "size=uint64 2", "type=\"a\u{fffd}b\""]
                .map(str::to_owned)
                .to_vec(),
        ),
        (
            Event::Tick { period: Period::Seconds60, when: 120 },
            "TICK_60",
            vec!["when=uint64 120".to_owned()],
        ),
        (Event::DaemonState(DaemonState::Shutdown), "SUPERVISOR_STATE_CHANGE_STOPPING", Vec::new()),
    ];
    for (serial, (event, kind, details)) in (0..).zip(told) {
        world.tell(event);
        let (heard, number, time, values) = next(&mut ears).await;
        assert_eq!((heard.as_str(), number), (kind, serial));
        assert_eq!(time, 1_763_803_500_000_007);
        assert_eq!(shown(&values), details, "{kind}");
    }
}

#[tokio::test]
async fn of_much_data_the_beginning_is_told() {
    let world = World::start(None);
    let manager = world.manager().await;
    let mut ears = Ears(MessageStream::from(manager.inner().connection()));
    manager.subscribe().await.unwrap();
    for (size, carried) in [(65_536, 65_536), (200_000, 65_536), (0, 0)] {
        let data: Vec<u8> = (0..=250).cycle().take(size).collect();
        world.tell(Event::ProcessLog(written(data.clone())));
        let (_, _, _, mut details) = next(&mut ears).await;
        let told: Vec<u8> = details.remove("data").unwrap().try_into().unwrap();
        assert!(told == data[..carried], "{} of {size}", told.len());
        assert_eq!(*details["size"], Variant::from(size as u64));
    }
}

#[tokio::test]
async fn nobody_on_d_bus_has_the_engine_wake_up_for_ticks() {
    let broker = Broker::start();
    let mut world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let manager = world.manager().await;
    let mut ears = Ears(MessageStream::from(manager.inner().connection()));
    manager.subscribe().await.unwrap();
    world.tell(Event::GroupAdded("g".into()));
    next(&mut ears).await;
    assert_eq!(world.announced.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn pools_and_listeners_can_be_looked_at() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let client = broker.connect().await;
    let mut ears = on_a_bus(&client).await;
    let group = ["EventsQueued", "EventsDropped"];
    let get = async |path: &str, interface: &str, names: &[&str]| {
        let args = ["get-property", types::BUS_NAME, path, interface];
        broker.busctl(&[&args[..], names].concat()).await.unwrap()
    };
    assert_eq!(get(G, types::GROUP, &group).await, "t 0\nt 0");
    assert_eq!(get(WEB, types::PROCESS, &["ListenerState"]).await, "s \"\"");

    world.change(|snapshot| {
        let spec = snapshot.groups["g"].spec.clone();
        let pool = Some(PoolSnapshot { queued: 3, sent: 1, dropped: 5 });
        snapshot.groups.insert("g".into(), Arc::new(GroupSnapshot { spec, pool }));
        alter(snapshot, "web", "web", |process| process.listener = Some(ListenerState::Busy));
    });
    assert_eq!(get(G, types::GROUP, &group).await, "t 3\nt 5");
    assert_eq!(get(WEB, types::PROCESS, &["ListenerState"]).await, "s \"BUSY\"");

    // They change with every event, and nobody is told.
    world.tell(Event::DaemonState(DaemonState::Running));
    ears.hear("Event", MANAGER).await;
}
