//! Signals: to whom, and what they say.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use supervisor::dbus::contract::contract;
use supervisor::dbus::types;
use supervisor::model::event::Event;
use supervisor::model::name::ProcessName;
use supervisor::model::snapshot::LogPaths;
use supervisor::model::state::{DaemonState, ProcessState};
use tokio::time::timeout;
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant};

use super::broker::Broker;
use super::fake::{G, MANAGER, WEB, World, add, alter};

pub type Transition = (String, String, String, String, u32, OwnedObjectPath);
type Added = (OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>);

/// The signals that a client hears.
pub struct Ears(pub MessageStream);

impl Ears {
    pub async fn next(&mut self) -> Message {
        let next = async {
            loop {
                let message = poll_fn(|cx| Pin::new(&mut self.0).poll_next(cx)).await;
                let message = message.expect("a connection").expect("a message");
                if message.message_type() == Type::Signal {
                    return message;
                }
            }
        };
        timeout(Duration::from_secs(20), next).await.expect("a signal in time")
    }

    /// The next signal, which must be this one.
    pub async fn hear(&mut self, member: &str, path: &str) -> Message {
        let message = self.next().await;
        let header = message.header();
        assert_eq!(header.member().unwrap().as_str(), member, "{message:?}");
        assert_eq!(header.path().unwrap().as_str(), path);
        message
    }

    async fn properties(&mut self, path: &str) -> HashMap<String, OwnedVariant> {
        let message = self.hear("PropertiesChanged", path).await;
        let (_, changed, gone): (String, HashMap<String, OwnedVariant>, Vec<String>) =
            message.body().deserialize().unwrap();
        assert!(gone.is_empty());
        changed
    }
}

pub async fn on_a_bus(client: &Connection) -> Ears {
    let rule = MatchRule::builder().msg_type(Type::Signal).sender(types::BUS_NAME).build();
    Ears(MessageStream::for_match_rule(rule.unwrap(), client, None).await.unwrap())
}

fn keys(properties: &HashMap<String, OwnedVariant>) -> Vec<&str> {
    let mut keys: Vec<_> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
pub async fn on_a_bus_everybody_hears_what_changed() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let client = broker.connect().await;
    let mut ears = on_a_bus(&client).await;

    world.change(|snapshot| {
        alter(snapshot, "web", "web", |process| {
            process.state = ProcessState::Stopping;
        });
    });
    let changed = ears.properties(WEB).await;
    assert_eq!(keys(&changed), ["State", "StateCode"]);
    assert_eq!(*changed["State"], Variant::from("STOPPING"));

    world.tell(Event::ProcessState {
        name: ProcessName::new("web", "web"),
        from: ProcessState::Running,
        to: ProcessState::Stopping,
        pid: 4242,
        tries: 0,
        expected: false,
        ended: None,
        problem: "".into(),
        restarts: 0,
    });
    let message = ears.hear("ProcessStateChanged", MANAGER).await;
    let (group, name, from, to, pid, path): Transition = message.body().deserialize().unwrap();
    assert_eq!((group.as_str(), name.as_str(), pid), ("web", "web", 4242));
    assert_eq!((from.as_str(), to.as_str(), path.as_str()), ("RUNNING", "STOPPING", WEB));
    ears.hear("Event", MANAGER).await;

    world.change(|snapshot| snapshot.state = DaemonState::Shutdown);
    assert_eq!(keys(&ears.properties(MANAGER).await), ["State", "StateCode"]);
}

#[tokio::test]
async fn objects_that_come_and_go_are_told() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let client = broker.connect().await;
    let mut ears = on_a_bus(&client).await;

    world.change(|snapshot| add(snapshot, "g", "new", 9, LogPaths::default()));
    assert_eq!(keys(&ears.properties(G).await), ["Processes"]);
    let message = ears.hear("InterfacesAdded", MANAGER).await;
    let (path, interfaces): Added = message.body().deserialize().unwrap();
    assert_eq!(path.as_str(), "/org/supervisord/Supervisor1/process/g/new");
    let all = &contract().interface(types::PROCESS).unwrap().properties;
    assert_eq!(interfaces[types::PROCESS].len(), all.len() - 4, "all but what is measured");

    world.change(|snapshot| {
        snapshot.groups.remove("web");
        snapshot.processes.remove(&ProcessName::new("web", "web"));
    });
    world.tell(Event::GroupRemoved("web".into()));
    for (path, interface) in
        [("/org/supervisord/Supervisor1/group/web", types::GROUP), (WEB, types::PROCESS)]
    {
        let message = ears.hear("InterfacesRemoved", MANAGER).await;
        let (gone, interfaces): (OwnedObjectPath, Vec<String>) =
            message.body().deserialize().unwrap();
        assert_eq!((gone.as_str(), interfaces[0].as_str()), (path, interface));
    }
    ears.hear("GroupRemoved", MANAGER).await;
    ears.hear("Event", MANAGER).await;
}

#[tokio::test]
async fn what_did_not_change_for_anybody_is_not_told() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let client = broker.connect().await;
    let mut ears = on_a_bus(&client).await;
    // A picture that is new and says the same.
    world.change(|snapshot| alter(snapshot, "web", "web", |_| {}));
    world.tell(Event::GroupAdded("end".into()));
    ears.hear("GroupAdded", MANAGER).await;
}

#[tokio::test]
async fn without_a_broker_only_who_asks_hears() {
    let world = World::start(None);
    let manager = world.manager().await;
    let client = manager.inner().connection().clone();
    let mut ears = Ears(MessageStream::from(&client));
    let happens = |name: &str| world.tell(Event::GroupAdded(name.into()));
    let heard = |message: Message| message.body().deserialize::<(String, OwnedObjectPath)>();

    happens("before");
    manager.list_groups().await.unwrap();
    manager.subscribe().await.unwrap();
    happens("during");
    let (name, _) = heard(ears.hear("GroupAdded", MANAGER).await).unwrap();
    assert_eq!(name, "during");
    ears.hear("Event", MANAGER).await;
    manager.subscribe().await.unwrap();
    manager.unsubscribe().await.unwrap();
    happens("after");
    manager.list_groups().await.unwrap();
    manager.subscribe().await.unwrap();
    happens("again");
    let (name, _) = heard(ears.hear("GroupAdded", MANAGER).await).unwrap();
    assert_eq!(name, "again");
}

#[tokio::test]
async fn the_proxy_of_a_client_without_a_broker_hears_too() {
    let world = World::start(None);
    let manager = world.manager().await;
    let mut added = manager.receive_group_added().await.unwrap();
    manager.subscribe().await.unwrap();
    world.tell(Event::GroupAdded("new".into()));
    let next = poll_fn(|cx| Pin::new(&mut added).poll_next(cx));
    let signal = timeout(Duration::from_secs(20), next).await.unwrap().unwrap();
    assert_eq!(signal.args().unwrap().name, "new");
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_up_nobody() {
    let world = World::start(None);
    // It asks for signals, and reads nothing after that.
    let deaf = world.manager().await;
    let _full = MessageStream::from(deaf.inner().connection());
    deaf.subscribe().await.unwrap();
    let other = world.manager().await;
    for round in 0..2000_u32 {
        world.change(|snapshot| {
            alter(snapshot, "web", "web", |process| {
                process.spawn_error = format!("{round}{}", "x".repeat(1000)).into();
            });
        });
        tokio::task::yield_now().await;
    }
    assert_eq!(other.list_processes().await.unwrap().len(), 3);
}
