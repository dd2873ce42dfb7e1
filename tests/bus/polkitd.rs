//! The real polkitd on a private bus, with the shipped actions and rules of the test.

use std::fs;
use std::process::Command;

use tokio::task::spawn_blocking;

use super::broker::{Broker, Whom};
use super::fake::{G, MANAGER, WEB, World};
use super::support::process::Running;
use super::support::require_root;
use super::support::scratch::Scratch;

/// Where it looks, whoever runs it: what the test has is put there, for this one process.
const ACTIONS: &str = "/usr/share/polkit-1/actions";
const RULES: &str = "/etc/polkit-1/rules.d";
const POLKITD: &str = "/usr/lib/polkit-1/polkitd";

/// polkitd.
struct Polkitd {
    _process: Running,
    _scratch: Scratch,
}

impl Polkitd {
    /// Starts it on this bus with these rules, and waits until it answers.
    async fn start(broker: &Broker, rules: &str) -> Self {
        require_root();
        let scratch = Scratch::new();
        let actions =
            concat!(env!("CARGO_MANIFEST_DIR"), "/dbus/org.supervisord.Supervisor1.policy");
        let shipped = fs::read(actions).expect("the shipped policy");
        scratch.write("actions/org.supervisord.Supervisor1.policy", shipped);
        scratch.write("rules/10-test.rules", rules);
        assert!(
            fs::exists(POLKITD).unwrap_or(false),
            "these tests need polkitd: install the package polkitd"
        );
        let mut command = Command::new("unshare");
        let script =
            "mount --bind \"$0/actions\" \"$1\" && mount --bind \"$0/rules\" \"$2\" && exec \"$3\"";
        command.args(["--mount", "sh", "-c", script]).arg(scratch.path());
        command.args([ACTIONS, RULES, POLKITD]).env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address);
        let process = spawn_blocking(move || Running::spawn(&mut command)).await.unwrap();
        let client = broker.connect().await;
        let bus = zbus::fdo::DBusProxy::new(&client).await.unwrap();
        let mut owners = bus.receive_name_owner_changed().await.unwrap();
        let name = zbus::names::BusName::try_from("org.freedesktop.PolicyKit1").unwrap();
        if !bus.name_has_owner(name.clone()).await.unwrap() {
            let appears = async {
                use futures_util::StreamExt as _;
                while owners.next().await.unwrap().args().unwrap().name != name {}
            };
            let seen = tokio::time::timeout(super::support::PATIENCE, appears).await;
            assert!(seen.is_ok(), "polkitd did not start: {}", process.stderr.text());
        }
        Self { _process: process, _scratch: scratch }
    }
}

/// Members of nobody's group may look, and control the processes of `g`.
const RULE: &str = r#"
polkit.addRule(function(action, subject) {
    var name = "org.supervisord.Supervisor1.";
    if (subject.user != "nobody") return;
    if (action.id == name + "inspect") return polkit.Result.YES;
    if (action.id == name + "manage-processes" && action.lookup("group") == "g" &&
        action.lookup("method").indexOf("Stop") == 0) return polkit.Result.YES;
    if (action.id == name + "shutdown") return polkit.Result.NO;
});
"#;

#[tokio::test]
async fn without_a_rule_an_administrator_has_to_authenticate() {
    let broker = Broker::start();
    let _polkitd = Polkitd::start(&broker, "").await;
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    for method in ["ListGroups", "Shutdown", "Reread", "ClearAllProcessLogs"] {
        let method = format!("org.supervisord.Supervisor1.Manager.{method}");
        // There is no session here that would be active.
        let said = broker.gdbus(Whom::Nobody, MANAGER, &[&method]).await.unwrap_err();
        assert!(said.contains("Error.InteractiveAuthorizationRequired"), "{said}");
        if method.ends_with("ListGroups") {
            broker.gdbus(Whom::Me, MANAGER, &[&method]).await.unwrap();
        }
    }
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_rule_can_grant_a_part() {
    let broker = Broker::start();
    let _polkitd = Polkitd::start(&broker, RULE).await;
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    let manager = |method: &str| format!("org.supervisord.Supervisor1.Manager.{method}");
    let (list, stop, all) = (manager("ListProcesses"), manager("StopProcess"), manager("StopAll"));
    let none = "@a{sv} {}";
    broker.gdbus(Whom::Nobody, MANAGER, &[&list]).await.unwrap();
    broker.gdbus(Whom::Nobody, G, &["org.supervisord.Supervisor1.Group.Stop", none]).await.unwrap();
    // That it is not running is what the daemon says, not polkit.
    let said = broker.gdbus(Whom::Nobody, MANAGER, &[&stop, "'g:a'", none]).await.unwrap_err();
    assert!(said.contains("Supervisor1.Error.NotRunning"), "{said}");
    let refused = "Error.InteractiveAuthorizationRequired";
    for (path, call) in [
        (MANAGER, vec![stop.as_str(), "'web'", none]),
        (MANAGER, vec![&all, none]),
        (WEB, vec!["org.supervisord.Supervisor1.Process.Stop", none]),
        (G, vec!["org.supervisord.Supervisor1.Group.Start", none]),
    ] {
        let said = broker.gdbus(Whom::Nobody, path, &call).await.unwrap_err();
        assert!(said.contains(refused), "{call:?}: {said}");
    }
    let shutdown = manager("Shutdown");
    let said = broker.gdbus(Whom::Nobody, MANAGER, &[&shutdown]).await.unwrap_err();
    assert!(said.contains("Error.AccessDenied: You are not authorised for"), "{said}");
    assert_eq!(world.asked.lock().unwrap().len(), 2);
}
