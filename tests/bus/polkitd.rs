//! The real polkitd on a private bus, with the shipped actions and rules of the test.

use super::authority::Polkitd;
use super::broker::{Broker, Whom};
use super::fake::{G, MANAGER, WEB, World};

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
