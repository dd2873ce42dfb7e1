//! The real polkitd, on a private bus.

use std::fs;
use std::process::Command;

use tokio::task::spawn_blocking;

use crate::broker::Broker;
use crate::support::process::Running;
use crate::support::scratch::Scratch;
use crate::support::{PATIENCE, require_root};

/// Where it looks, whoever runs it: what the test has is put there, for this one process.
const ACTIONS: &str = "/usr/share/polkit-1/actions";
const RULES: &str = "/etc/polkit-1/rules.d";
const POLKITD: &str = "/usr/lib/polkit-1/polkitd";

/// polkitd.
pub struct Polkitd {
    _process: Running,
    _scratch: Scratch,
}

impl Polkitd {
    /// Starts it on this bus with these rules, and waits until it answers.
    pub async fn start(broker: &Broker, rules: &str) -> Self {
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
            let seen = tokio::time::timeout(PATIENCE, appears).await;
            assert!(seen.is_ok(), "polkitd did not start: {}", process.stderr.text());
        }
        Self { _process: process, _scratch: scratch }
    }
}
