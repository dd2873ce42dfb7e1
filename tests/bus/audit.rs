//! The audit log: who changed what, and who was refused.

use supervisor::dbus::proxy::{Options, manager};
use supervisor::dbus::types::Bytes;
use supervisor::model::record::Level;

use super::broker::{Broker, Whom};
use super::fake::{MANAGER, WEB, World};

/// The lines of this level that hold the text.
fn lines(world: &World, level: Level, text: &str) -> Vec<String> {
    let said = world.said.lock().unwrap();
    let ours = said.iter().filter(|line| line.level == level && line.text.contains(text));
    ours.map(|line| line.text.clone()).collect()
}

#[tokio::test]
async fn every_change_leaves_a_line() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    let on_the_bus = manager(&broker.connect().await).await.unwrap();
    for manager in [world.manager().await, on_the_bus] {
        let first = world.said.lock().unwrap().len();
        manager.list_processes().await.unwrap();
        manager.stop_process("web", Options::new()).await.unwrap();
        manager.stop_process("g:a", Options::new()).await.unwrap_err();
        manager.send_process_stdin("web", &Bytes(b"password".to_vec())).await.unwrap();
        manager.stop_process("no\nWARN such", Options::new()).await.unwrap_err();
        manager.reread().await.unwrap_err();
        manager.shutdown().await.unwrap();
        let who = format!("user {} (pid {}", nix::unistd::getuid(), std::process::id());
        let said = world.said.lock().unwrap()[first..].to_vec();
        let said: Vec<_> = said
            .iter()
            .map(|line| {
                assert_eq!(line.level, Level::Info);
                assert!(line.text.starts_with(&who), "{line:?}");
                line.text.split_once(") called ").expect("what").1
            })
            .collect();
        assert_eq!(
            said[..5],
            [
                "Manager.StopProcess name web: done",
                "Manager.StopProcess name g:a: failed: NOT_RUNNING: g:a",
                "Manager.SendProcessStdin name web: done",
                "Manager.StopProcess name 'no\\nWARN such': failed: 'BAD_NAME: no\\nWARN such'",
                "Manager.Reread: failed: CANT_REREAD: the file is gone",
            ]
        );
        assert_eq!(said[5..], ["Manager.Shutdown: done"]);
    }
}

#[tokio::test]
async fn a_change_that_nobody_waited_for_leaves_a_line_too() {
    let world = World::start(None);
    let manager = world.manager().await;
    let client = manager.inner().connection().clone();
    let call = tokio::spawn(async move { manager.stop_process("g:slow", Options::new()).await });
    world.held(1).await;
    client.close().await.unwrap();
    call.await.unwrap().unwrap_err();
    world.hears("Manager.StopProcess name g:slow: nobody waited for the answer").await;
}

#[tokio::test]
async fn every_refusal_leaves_a_line_and_a_flood_of_them_some() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    let stop = ["org.supervisord.Supervisor1.Process.Stop", "@a{sv} {}"];
    for _ in 0..12 {
        broker.gdbus(Whom::Nobody, WEB, &stop).await.unwrap_err();
    }
    let list = ["org.supervisord.Supervisor1.Manager.ListProcesses"];
    broker.gdbus(Whom::Nobody, MANAGER, &list).await.unwrap_err();
    let refused = lines(&world, Level::Warn, "refused user 65534 (pid ");
    assert_eq!(refused.len(), 10, "{refused:?}");
    // gdbus looks at the object first.
    let what = ") Process.Stop of web: This needs org.supervisord.Supervisor1.manage-processes";
    assert!(refused.iter().any(|line| line.contains(what)), "{refused:?}");
    // Root's calls are told all the same.
    broker.gdbus(Whom::Me, WEB, &stop).await.unwrap();
    assert_eq!(lines(&world, Level::Info, "Process.Stop of web: done").len(), 1);
}
