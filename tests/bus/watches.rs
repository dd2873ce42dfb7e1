//! Logs that are watched: whoever asked is told that they grew, and nobody else.

use std::io::Write;
use std::time::{Duration, Instant};

use supervisor::dbus::proxy::Options;
use supervisor::dbus::types::PROCESS;
use supervisor::model::event::Event;
use supervisor::model::key::ProcKey;
use zbus::{Connection, MessageStream, Variant};

use super::broker::Broker;
use super::fake::{MANAGER, WEB, World, alter};
use super::signals::{Ears, on_a_bus};

type Grown = (String, u64, u64);

async fn call(client: &Connection, member: &str) -> zbus::Result<()> {
    let name = client.is_bus().then_some("org.supervisord.Supervisor1");
    let options = Options::from([("interval", Variant::from(0_u64))]);
    let called = if member == "WatchLog" {
        client.call_method(name, WEB, Some(PROCESS), member, &("stdout", options)).await
    } else {
        client.call_method(name, WEB, Some(PROCESS), member, &"stdout").await
    };
    called.map(drop)
}

async fn grown(ears: &mut Ears) -> Grown {
    ears.hear("LogGrown", WEB).await.body().deserialize().unwrap()
}

/// Listens until the size is this one.
async fn reaches(ears: &mut Ears, size: u64) {
    loop {
        let (channel, now, openings) = grown(ears).await;
        // The file is opened for the child.
        assert_eq!((channel.as_str(), openings), ("stdout", 1));
        if now == size {
            return;
        }
    }
}

#[tokio::test]
async fn a_client_hears_how_far_a_log_has_grown_until_it_wants_no_more() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let (client, other) = (broker.connect().await, broker.connect().await);
    let (mut ears, mut others) = (on_a_bus(&client).await, on_a_bus(&other).await);
    call(&client, "WatchLog").await.unwrap();
    let mut child = world.plane.child(0, "web");
    child.write_all(b"hello\n").unwrap();
    reaches(&mut ears, 16).await;
    for _ in 0..100 {
        child.write_all(b"x").unwrap();
    }
    reaches(&mut ears, 116).await;

    call(&client, "UnwatchLog").await.unwrap();
    call(&client, "UnwatchLog").await.unwrap();
    child.write_all(b"not told").unwrap();
    // A watch that begins now does not tell of the past either.
    world.plane.logs().sync(None).await.unwrap();
    world.tell(Event::GroupAdded("end".into()));
    ears.hear("GroupAdded", MANAGER).await;
    others.hear("GroupAdded", MANAGER).await;
}

#[tokio::test]
async fn without_a_broker_a_watch_needs_no_subscription() {
    let world = World::start(None);
    let client = world.connect().await;
    let mut ears = Ears(MessageStream::from(&client));
    call(&client, "WatchLog").await.unwrap();
    let mut child = world.plane.child(0, "web");
    child.write_all(b"hello\n").unwrap();
    reaches(&mut ears, 16).await;
    // Emptied by somebody.
    let manager = supervisor::dbus::proxy::manager(&client).await.unwrap();
    manager.clear_process_logs("web").await.unwrap();
    reaches(&mut ears, 0).await;
}

#[tokio::test]
async fn a_log_that_there_is_not_cannot_be_watched() {
    let world = World::start(None);
    let client = world.connect().await;
    let called = client
        .call_method(None::<&str>, WEB, Some(PROCESS), "WatchLog", &("stderr", Options::new()))
        .await;
    assert!(called.unwrap_err().to_string().contains("Error.NoFile"));
}

/// Watches until there is no room any more; how often that went well.
async fn watch_until_full(clients: &[Connection]) -> usize {
    let mut watched = 0;
    for client in clients {
        for at in ["web/web", "g/a", "g/slow"] {
            let path = format!("{MANAGER}/process/{at}");
            let name = client.is_bus().then_some("org.supervisord.Supervisor1");
            let call = client
                .call_method(
                    name,
                    path.as_str(),
                    Some(PROCESS),
                    "WatchLog",
                    &("stdout", Options::new()),
                )
                .await;
            match call {
                Ok(_) => watched += 1,
                Err(error) => {
                    assert!(error.to_string().contains("LimitsExceeded"), "{error}");
                    return watched;
                }
            }
        }
    }
    watched
}

#[tokio::test]
async fn watches_are_bounded_and_end_with_their_clients() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let mut clients = Vec::new();
    for _ in 0..87 {
        clients.push(broker.connect().await);
    }
    assert_eq!(watch_until_full(&clients).await, 256);
    // To watch again what one watches needs room for a moment, like anything else.
    assert!(call(&clients[0], "WatchLog").await.is_err());
    call(&clients[0], "UnwatchLog").await.unwrap();
    call(&clients[0], "WatchLog").await.unwrap();
    drop(clients);
    let client = broker.connect().await;
    let began = Instant::now();
    while call(&client, "WatchLog").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    // Without a broker they end with the connection.
    let mut clients = Vec::new();
    for _ in 0..86 {
        clients.push(world.connect().await);
    }
    let began = Instant::now();
    while watch_until_full(&clients).await < 255 {
        assert!(began.elapsed() < Duration::from_secs(20));
        clients.clear();
        for _ in 0..86 {
            clients.push(world.connect().await);
        }
    }
    drop(clients);
    let client = world.connect().await;
    let began = Instant::now();
    while call(&client, "WatchLog").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn a_watch_ends_with_its_process() {
    let world = World::start(None);
    let client = world.connect().await;
    let mut ears = Ears(MessageStream::from(&client));
    call(&client, "WatchLog").await.unwrap();
    let mut child = world.plane.child(0, "web");
    child.write_all(b"hello\n").unwrap();
    reaches(&mut ears, 16).await;
    // Another process of the same name.
    world.change(|snapshot| alter(snapshot, "web", "web", |process| process.key = ProcKey(99)));
    let manager = supervisor::dbus::proxy::manager(&client).await.unwrap();
    manager.subscribe().await.unwrap();
    child.write_all(b"not told").unwrap();
    world.plane.logs().sync(None).await.unwrap();
    world.tell(Event::GroupAdded("end".into()));
    ears.hear("GroupAdded", MANAGER).await;
}
