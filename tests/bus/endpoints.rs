//! Buses that are absent, taken or lost, and how the endpoints end.

use std::time::Duration;

use supervisor::dbus::endpoint::Bus;
use supervisor::dbus::proxy::{Options, connect_p2p};
use supervisor::dbus::types;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::broker::{Broker, Whom};
use super::fake::{MANAGER, World};

#[tokio::test]
async fn without_a_bus_the_daemon_runs_on() {
    let absent = Bus::Address("unix:path=/nonexistent/bus".to_owned());
    let world = World::start(Some(absent));
    world.hears("not on the bus at unix:path=/nonexistent/bus").await;
    assert_eq!(world.manager().await.list_processes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_name_that_is_taken_is_taken_over_when_it_is_free() {
    let broker = Broker::start();
    let first = broker.connect().await;
    first.request_name(types::BUS_NAME).await.unwrap();
    let world = World::start(Some(broker.bus()));
    world.settled().await;
    let own = format!(": user {} (pid {}", nix::unistd::getuid(), std::process::id());
    world
        .hears(&format!(
            "somebody else is org.supervisord.Supervisor1 on the bus at {}{own}",
            broker.address
        ))
        .await;
    assert_eq!(world.manager().await.list_processes().await.unwrap().len(), 3);
    first.release_name(types::BUS_NAME).await.unwrap();
    world.hears("as org.supervisord.Supervisor1").await;
    assert!(broker.gdbus(Whom::Me, MANAGER, &["org.freedesktop.DBus.Peer.Ping"]).await.is_ok());
}

#[tokio::test]
async fn a_name_that_is_not_allowed_is_told() {
    let broker = Broker::start_without_policy();
    let world = World::start(Some(broker.bus()));
    world.settled().await;
    world.hears("cannot be org.supervisord.Supervisor1: ").await;
    assert_eq!(world.manager().await.list_processes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_bus_that_comes_late_is_joined_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("run/dbus");
    let address = format!("unix:path={}/bus", place.display());
    let world = World::start(Some(Bus::Address(address)));
    world.settled().await;
    world.hears("not on the bus at ").await;
    let broker = Broker::start_in(&place);
    // Nothing was tried in between that could have been told.
    world.hears("as org.supervisord.Supervisor1").await;
    assert_eq!(world.said.lock().unwrap().len(), 2);
    drop(broker);
}

#[tokio::test]
async fn a_bus_that_goes_away_is_told_and_the_socket_stays() {
    let mut broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    broker.end();
    world.hears("lost the bus").await;
    assert_eq!(world.manager().await.list_processes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_bus_that_comes_back_finds_us_again() {
    let mut broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let heard = world.said.lock().unwrap().len();
    broker.restart();
    world.hears("lost the bus").await;
    world.hears_after(heard, "on the bus").await;
    assert!(broker.busctl(&["status", types::BUS_NAME]).await.is_ok());
}

#[tokio::test]
async fn at_the_end_what_was_asked_is_answered() {
    let broker = Broker::start();
    let mut world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let direct = world.manager().await;
    let bus = supervisor::dbus::proxy::manager(&broker.connect().await).await.unwrap();
    let slow = |manager: &supervisor::dbus::proxy::ManagerProxy<'static>| {
        let manager = manager.clone();
        tokio::spawn(async move { manager.stop_process("g:slow", Options::new()).await })
    };
    let calls = [slow(&direct), slow(&bus)];
    world.held(2).await;
    let (release, socket) = (world.release.clone(), world.socket());
    let answered = tokio::spawn(async move {
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
    let stopping = world.stop(Duration::from_secs(20));
    let then = async {
        // Once it takes no new clients, the end has begun.
        while connect_p2p(&socket).await.is_ok() {
            tokio::task::yield_now().await;
        }
        release.add_permits(2);
    };
    tokio::join!(stopping, then);
    answered.await.unwrap();
    assert!(direct.list_processes().await.is_err());
    assert!(broker.busctl(&["status", types::BUS_NAME]).await.is_err());
}

#[tokio::test]
async fn an_answer_that_never_comes_does_not_keep_the_daemon() {
    let mut world = World::start(None);
    let manager = world.manager().await;
    let slow = tokio::spawn(async move { manager.stop_process("g:slow", Options::new()).await });
    world.held(1).await;
    world.stop(Duration::from_millis(10)).await;
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_who_it_is_is_let_go() {
    let world = World::start(None);
    let mut silent = tokio::net::UnixStream::connect(world.socket()).await.unwrap();
    // With nothing else to do, the clock goes on by itself.
    let began = tokio::time::Instant::now();
    let read = silent.read(&mut [0]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_client_that_talks_nonsense_is_let_go() {
    let world = World::start(None);
    let uid: String = nix::unistd::getuid().to_string().bytes().map(hex).collect();
    for nonsense in [b"l\x01\x00\x01\xff\xff\xff\xff".as_slice(), &[0; 64], &[b'x'; 4096]] {
        let mut client = tokio::net::UnixStream::connect(world.socket()).await.unwrap();
        let hello = format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n");
        client.write_all(hello.as_bytes()).await.unwrap();
        client.write_all(nonsense).await.unwrap();
        client.shutdown().await.unwrap();
        // It ends after the answer to the authentication.
        let mut heard = Vec::new();
        let _ = client.read_to_end(&mut heard).await;
        assert!(heard.starts_with(b"OK "), "{heard:?}");
    }
    assert_eq!(world.manager().await.list_processes().await.unwrap().len(), 3);
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

#[tokio::test]
async fn a_call_that_is_too_large_is_refused_and_no_more() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    let bus = supervisor::dbus::proxy::manager(&broker.connect().await).await.unwrap();
    let direct = world.manager().await;
    for manager in [&bus, &direct] {
        for mib in [5, 20] {
            let data = types::Bytes(vec![b'x'; mib << 20]);
            let said = manager.send_process_stdin("web", &data).await.unwrap_err().to_string();
            assert!(said.contains("A call has at most 4194304 bytes."), "{said}");
        }
        assert_eq!(manager.list_processes().await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn clients_come_and_go_by_the_hundred() {
    let world = World::start(None);
    for _ in 0..300 {
        let manager = world.manager().await;
        manager.version().await.unwrap();
    }
    let all: Vec<_> = (0..50).map(|_| world.socket()).collect();
    let mut open = Vec::new();
    for socket in &all {
        open.push(connect_p2p(socket).await.unwrap());
    }
    assert_eq!(open.len(), 50);
}
