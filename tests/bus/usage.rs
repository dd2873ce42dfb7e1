//! What programs use, as the real daemon tells it.

use std::process::Command;

use supervisor::dbus::types::PROCESS;
use zbus::{Connection, OwnedVariant, Variant};

use super::fake::WEB;
use super::support::cgroup::Delegated;
use super::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use super::support::scratch::Scratch;

/// Two processes, and none of them busy.
const PROGRAM: &str = "\
[program:web]
command=/bin/sh -c 'sleep 1000 & wait'
startsecs=0
stopasgroup=true
";

fn start(scratch: &Scratch, command: impl FnOnce(&std::path::Path) -> Command) -> Daemon {
    let config = scratch.write("supervisord.conf", format!("{HEAD}{PROGRAM}"));
    let daemon = Daemon::start_command(scratch.path(), &config, command(&config));
    daemon.expect_log("web entered RUNNING");
    daemon
}

async fn property<T: TryFrom<OwnedVariant>>(client: &Connection, name: &str) -> T
where
    T::Error: std::fmt::Debug,
{
    let standard = Some("org.freedesktop.DBus.Properties");
    let got = client.call_method(None::<&str>, WEB, standard, "Get", &(PROCESS, name)).await;
    let value: OwnedVariant = got.unwrap().body().deserialize().unwrap();
    T::try_from(value).unwrap()
}

async fn connect(scratch: &Scratch) -> Connection {
    supervisor::dbus::proxy::connect_p2p(&scratch.join("supervisord.bus")).await.unwrap()
}

/// Waits until the program has started its helper.
async fn expect_tasks(client: &Connection, count: u64) {
    let began = std::time::Instant::now();
    while property::<u64>(client, "TasksCurrent").await != count {
        assert!(began.elapsed() < super::support::PATIENCE);
    }
}

fn on_tokio<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

#[test]
fn without_a_cgroup_it_is_what_the_main_process_uses_while_it_runs() {
    let scratch = Scratch::new();
    let daemon = start(&scratch, |config| {
        let mut supervisord = command(SUPERVISORD, scratch.path());
        supervisord.args(["-n", "-c"]).arg(config);
        supervisord
    });
    on_tokio(async {
        let client = connect(&scratch).await;
        assert_eq!(property::<u64>(&client, "TasksCurrent").await, 1);
        let memory: u64 = property(&client, "MemoryCurrent").await;
        assert!((100_000..1 << 30).contains(&memory), "{memory}");
        assert!(property::<u64>(&client, "CPUUsageNSec").await < 60_000_000_000);
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        assert_eq!(property::<String>(&client, "ControlGroup").await, own);

        assert_eq!(daemon.ctl(&["stop", "web"]).code, 0);
        for name in ["CPUUsageNSec", "MemoryCurrent", "TasksCurrent"] {
            assert_eq!(property::<u64>(&client, name).await, u64::MAX, "{name}");
        }
        assert_eq!(property::<String>(&client, "ControlGroup").await, "");
        assert_eq!(property::<i32>(&client, "ExitSignal").await, 15);
        assert_eq!(property::<i32>(&client, "ExitStatus").await, -1);
    });
}

#[test]
fn with_a_cgroup_it_is_what_everything_in_it_uses() {
    let scratch = Scratch::new();
    let ground = Delegated::new(&scratch);
    let _daemon = start(&scratch, |config| ground.supervisord(scratch.path(), config));
    on_tokio(async {
        let client = connect(&scratch).await;
        expect_tasks(&client, 2).await;
        let group: String = property(&client, "ControlGroup").await;
        let name = scratch.path().file_name().unwrap().to_str().unwrap();
        assert!(group.ends_with(&format!("/{name}/web")), "{group}");
        assert!(property::<u64>(&client, "MemoryCurrent").await < 1 << 30);
        let cpu: u64 = property(&client, "CPUUsageNSec").await;
        assert!((1..60_000_000_000).contains(&cpu), "{cpu}");
        // In the list of everything, too.
        let none = None::<&str>;
        let path = super::fake::MANAGER;
        let all = client.call_method(none, path, none, "GetManagedObjects", &()).await.unwrap();
        let all: super::calls::Objects = all.body().deserialize().unwrap();
        let web = all.iter().find(|(path, _)| path.as_str() == WEB).unwrap().1;
        assert_eq!(*web[PROCESS]["TasksCurrent"], Variant::from(2_u64));
    });
}
