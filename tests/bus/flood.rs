//! A client that floods the daemon with calls slows neither other clients nor supervision.

use std::fs::File;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::broker::{Broker, Whom, command_of};
use super::daemon;
use super::fake::{MANAGER, World};
use super::support::process::{Running, pid_of};
use super::support::scratch::Scratch;

/// How long others may wait meanwhile: a machine that runs all tests at once is slow.
const BOUND: Duration = Duration::from_secs(5);

/// The flood: see `flood.py`. Ends when dropped.
pub struct Flood(Running);

impl Flood {
    /// Starts so many connections of a user without rights, each with so many calls; 0 is without
    /// end. Returns once one of the calls was too many.
    pub async fn start(broker: &Broker, connections: u32, calls: u32, method: &str) -> Self {
        let path = broker.address.strip_prefix("unix:path=").expect("a socket");
        let (connections, calls) = (connections.to_string(), calls.to_string());
        let args = ["-", path, &connections, &calls, method];
        let mut python = command_of("/usr/bin/python3", &args, Whom::Nobody);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bus/flood.py");
        python.stdin(File::open(script).expect("the script"));
        // What answers is this thread: another one waits.
        let begun = tokio::task::spawn_blocking(move || {
            let flood = Self(Running::spawn(&mut python));
            flood.0.expect("refused");
            flood
        });
        begun.await.expect("a flood")
    }
}

#[tokio::test]
async fn others_are_answered_during_a_flood() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    let other = supervisor::dbus::proxy::manager(&broker.connect().await).await.unwrap();
    let direct = world.manager().await;
    let flood = Flood::start(&broker, 3, 0, "ListProcesses").await;
    for _ in 0..20 {
        for manager in [&other, &direct] {
            let begun = Instant::now();
            assert_eq!(manager.list_processes().await.unwrap().len(), 3);
            assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        }
    }
    let list = "org.supervisord.Supervisor1.Manager.ListProcesses";
    let begun = Instant::now();
    broker.gdbus(Whom::Me, MANAGER, &[list]).await.unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    drop(flood);
    // Some thousand refusals are some lines.
    let refusals = world.said.lock().unwrap().len();
    assert!(refusals < 30, "{refusals} lines");
}

#[test]
fn a_crash_is_handled_during_a_flood() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    let daemon = daemon::start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let flood = runtime.block_on(Flood::start(&broker, 3, 0, "ListProcesses"));
    let begun = Instant::now();
    kill(pid_of(daemon::row(&scratch, "web").pid), Signal::SIGKILL).unwrap();
    daemon.expect_log_times("success: web entered RUNNING", 2);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    drop(flood);
}
