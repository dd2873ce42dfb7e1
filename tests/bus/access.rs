//! Who may call, and who hears.

use supervisor::dbus::contract::contract;
use supervisor::dbus::types;

use super::broker::{Broker, Whom, run};
use super::fake::{G, MANAGER, WEB, World};

const LIST: &str = "org.supervisord.Supervisor1.Manager.ListProcesses";

#[tokio::test]
async fn a_user_without_rights_is_refused_by_the_daemon() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    assert!(broker.gdbus(Whom::Me, MANAGER, &[LIST]).await.is_ok());
    let calls = [
        (MANAGER, vec![LIST]),
        (MANAGER, vec!["org.supervisord.Supervisor1.Manager.Shutdown"]),
        (WEB, vec!["org.supervisord.Supervisor1.Process.Stop", "@a{sv} {}"]),
        (WEB, vec!["org.freedesktop.DBus.Introspectable.Introspect"]),
        (MANAGER, vec!["org.freedesktop.DBus.ObjectManager.GetManagedObjects"]),
        (
            WEB,
            vec!["org.freedesktop.DBus.Properties.GetAll", "org.supervisord.Supervisor1.Process"],
        ),
    ];
    for (path, call) in calls {
        let said = broker.gdbus(Whom::Nobody, path, &call).await.unwrap_err();
        assert!(said.contains("org.freedesktop.DBus.Error.AccessDenied"), "{call:?}: {said}");
        assert!(said.contains("which only root and the user of supervisord have"), "{said}");
    }
    // Whether an object exists is nothing for them either.
    let call = "org.supervisord.Supervisor1.Process.ClearLogs";
    let path = "/org/supervisord/Supervisor1/process/g/nosuch";
    let said = broker.gdbus(Whom::Nobody, path, &[call]).await.unwrap_err();
    assert!(said.contains("AccessDenied"), "{said}");
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn no_method_is_open_to_a_user_without_rights() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let mut calls = Vec::new();
    for (path, name) in [(MANAGER, types::MANAGER), (G, types::GROUP), (WEB, types::PROCESS)] {
        for (member, method) in &contract().interface(name).unwrap().methods {
            calls.push((path, format!("{name}.{member}"), arguments(&method.input)));
        }
        let properties = "org.freedesktop.DBus.Properties";
        calls.push((path, format!("{properties}.Get"), arguments("ss")));
        calls.push((path, format!("{properties}.GetAll"), arguments("s")));
        calls.push((path, format!("{properties}.Set"), arguments("ssv")));
    }
    let objects = "org.freedesktop.DBus.ObjectManager.GetManagedObjects".to_owned();
    calls.push((MANAGER, objects, Vec::new()));
    for path in [MANAGER, G, WEB, "/", "/org/supervisord/Supervisor1/process"] {
        let introspect = "org.freedesktop.DBus.Introspectable.Introspect".to_owned();
        calls.push((path, introspect, Vec::new()));
    }
    assert!(calls.len() > 50, "there are more methods than {}", calls.len());
    for (path, method, mut args) in calls {
        args.insert(0, &method);
        let said = broker.gdbus(Whom::Nobody, path, &args).await.unwrap_err();
        assert!(said.contains("org.freedesktop.DBus.Error.AccessDenied: This needs"), "{said}");
    }
    assert!(world.asked.lock().unwrap().is_empty());
}

/// Some arguments of these types, for gdbus.
fn arguments(mut types: &str) -> Vec<&'static str> {
    const KNOWN: [(&str, &str); 10] = [
        ("a{sv}", "@a{sv} {}"),
        ("as", "@as []"),
        ("ay", "@ay []"),
        ("s", "'web'"),
        ("b", "false"),
        ("i", "1"),
        ("u", "uint32 1"),
        ("x", "int64 0"),
        ("t", "uint64 0"),
        ("v", "<'x'>"),
    ];
    let mut arguments = Vec::new();
    while !types.is_empty() {
        let (kind, value) = KNOWN.iter().find(|(kind, _)| types.starts_with(kind)).expect(types);
        arguments.push(*value);
        types = &types[kind.len()..];
    }
    arguments
}

#[tokio::test]
async fn everybody_may_ask_whether_anybody_is_there() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let ping = broker.gdbus(Whom::Nobody, MANAGER, &["org.freedesktop.DBus.Peer.Ping"]).await;
    assert_eq!(ping.as_deref(), Ok("()"));
}

#[tokio::test]
async fn busctl_of_a_user_without_rights_is_refused() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let address = format!("--address={}", broker.address);
    let manager = "org.supervisord.Supervisor1.Manager";
    let args = [&address, "call", "org.supervisord.Supervisor1", MANAGER, manager, "ListGroups"];
    let said = run("busctl", &args, Whom::Nobody).await.unwrap_err();
    assert!(said.contains("Access denied"), "{said}");
    assert!(run("busctl", &args, Whom::Me).await.unwrap().contains("\"web\""));
}

#[tokio::test]
async fn nobody_else_can_have_the_name() {
    let broker = Broker::start();
    let args = [
        "call",
        "--address",
        &broker.address,
        "--dest=org.freedesktop.DBus",
        "--object-path=/org/freedesktop/DBus",
        "--method=org.freedesktop.DBus.RequestName",
        "org.supervisord.Supervisor1",
        "4",
    ];
    let said = run("gdbus", &args, Whom::Nobody).await.unwrap_err();
    assert!(said.contains("AccessDenied"), "{said}");
}

#[tokio::test]
async fn the_own_socket_lets_in_its_user_and_root_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::start(None);
    // Its directory and mode keep others out; if they did not, the kernel's word would.
    std::fs::set_permissions(world.socket(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let peer = format!("--peer=unix:path={}", world.socket().display());
    let args = [&peer, "--print-reply", MANAGER, LIST];
    assert!(run("dbus-send", &args, Whom::Me).await.unwrap().contains("pid 4242"));
    assert!(run("dbus-send", &args, Whom::Nobody).await.is_err());
    world.hears("refused user 65534 (pid ").await;
    world.hears("the control socket: only root and the user of supervisord may use it").await;
}
