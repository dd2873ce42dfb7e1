//! Live introspection is the contract file.

use supervisor::dbus::contract::{XML, contract};
use supervisor::dbus::types;

use super::broker::{Broker, Whom, run};
use super::fake::{G, MANAGER, WEB, World};

/// The text of an interface, without comments and blanks that mean nothing.
fn interface(xml: &str, name: &str) -> String {
    let mut text = String::new();
    let mut rest = xml;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = comment.split_once("-->").unwrap().1;
    }
    text.push_str(rest);
    let start = text.find(&format!("<interface name=\"{name}\">")).expect("the interface");
    let end = text[start..].find("</interface>").expect("its end");
    text[start..start + end].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn all_three_objects_are_what_the_contract_says() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    for (path, name) in [(MANAGER, types::MANAGER), (G, types::GROUP), (WEB, types::PROCESS)] {
        let live =
            broker.busctl(&["introspect", "--xml-interface", types::BUS_NAME, path]).await.unwrap();
        assert_eq!(interface(&live, name), interface(XML, name));
        for other in [types::MANAGER, types::GROUP, types::PROCESS] {
            assert_eq!(live.contains(other), other == name, "{other} at {path}");
        }
    }
}

#[tokio::test]
async fn gdbus_reads_the_same_from_all_three() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    for (path, name) in [(MANAGER, types::MANAGER), (G, types::GROUP), (WEB, types::PROCESS)] {
        let args = ["introspect", "--address", &broker.address, "--xml"];
        let to = ["--dest", types::BUS_NAME, "--object-path", path];
        let live = run("gdbus", &[&args[..], &to].concat(), Whom::Me).await.unwrap();
        assert_eq!(interface(&live, name), interface(XML, name));
    }
}

#[tokio::test]
async fn busctl_shows_values_and_which_of_them_are_told() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let list = broker.busctl(&["introspect", types::BUS_NAME, WEB, types::PROCESS]).await.unwrap();
    let line = |name: &str| {
        let line = list.lines().find(|line| line.starts_with(&format!(".{name} "))).expect(name);
        line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("State"), ".State property s \"RUNNING\" emits-change");
    assert_eq!(line("Name"), ".Name property s \"web\" const");
    assert_eq!(line("Description"), ".Description property s \"pid 4242, uptime 1:01:01\" -");
    assert_eq!(line("Command"), ".Command property s \"/bin/cat\" emits-change");
    assert_eq!(line("LogGrown"), ".LogGrown signal stt - -");
}

#[tokio::test]
async fn busctl_reads_the_types_of_every_member() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let list = broker.busctl(&["introspect", types::BUS_NAME, MANAGER, types::MANAGER]).await;
    let list = list.unwrap();
    for (name, method) in &contract().interface(types::MANAGER).unwrap().methods {
        let line = list.lines().find(|line| line.starts_with(&format!(".{name} ")));
        let words: Vec<_> = line.expect(name).split_whitespace().collect();
        let or_none =
            |types: &str| if types.is_empty() { "-".to_owned() } else { types.to_owned() };
        assert_eq!(words[1..4], ["method", &or_none(&method.input), &or_none(&method.output)]);
    }
}

#[tokio::test]
async fn a_walk_down_the_tree_finds_every_object() {
    let broker = Broker::start();
    let world = World::of(Some(broker.bus()), &[("web", "web"), ("g", "näme 1"), ("g", "b")]);
    world.hears("on the bus").await;
    let tree = broker.busctl(&["tree", "--list", types::BUS_NAME]).await.unwrap();
    let objects: Vec<_> =
        tree.lines().filter_map(|line| line.strip_prefix(&format!("{MANAGER}/"))).collect();
    let expected = [
        "group",
        "group/g",
        "group/web",
        "process",
        "process/g",
        "process/g/b",
        "process/g/n_c3_a4me_201",
        "process/web",
        "process/web/web",
    ];
    assert_eq!(objects, expected);
}

#[tokio::test]
async fn gdbus_understands_it_too() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let ping = broker.gdbus(Whom::Me, WEB, &["org.freedesktop.DBus.Peer.Ping"]).await;
    assert_eq!(ping.as_deref(), Ok("()"));
    let name =
        ["org.freedesktop.DBus.Properties.Get", "org.supervisord.Supervisor1.Process", "StateCode"];
    assert_eq!(broker.gdbus(Whom::Me, WEB, &name).await.as_deref(), Ok("(<20>,)"));
}
