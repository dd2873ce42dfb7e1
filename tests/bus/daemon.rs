//! The real daemon on a bus.

use std::process::Command;

use supervisor::dbus::proxy::{connect_p2p, manager};
use supervisor::dbus::types::ProcessRow;

use super::broker::{Broker, Whom};
use super::fake::{MANAGER, WEB};
use super::support::daemon::{Daemon, HEAD, SUPERVISORCTL, SUPERVISORD, command};
use super::support::process::run;
use super::support::scratch::Scratch;

const PROGRAMS: &str = "\
[program:web]
command=/bin/sh -c 'echo hello; exec sleep 1000'
startsecs=0

[program:idle]
command=/bin/sleep 1000
autostart=false
startsecs=0
";

/// What the log says once `web` runs.
const RUNS: &str = "success: web entered RUNNING";

const METHOD: &str = "org.supervisord.Supervisor1.Manager.";

/// A `supervisord` command that finds this bus, whoever runs it.
fn on(broker: &Broker, scratch: &Scratch) -> Command {
    let config = scratch.write("supervisord.conf", format!("{HEAD}{PROGRAMS}"));
    let mut command = command(SUPERVISORD, scratch.path());
    command
        .args(["-n", "-c"])
        .arg(config)
        .env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address)
        .env("DBUS_SESSION_BUS_ADDRESS", &broker.address);
    command
}

pub fn start(broker: &Broker, scratch: &Scratch) -> Daemon {
    let config = scratch.join("supervisord.conf");
    let daemon = Daemon::start_command(scratch.path(), &config, on(broker, scratch));
    daemon.expect_log(RUNS);
    daemon
}

/// Calls a method of the manager by gdbus.
fn call(broker: &Broker, method: &str, args: &[&str]) -> Result<String, String> {
    let method = format!("{METHOD}{method}");
    block_on_tokio(broker.gdbus(Whom::Me, MANAGER, &[&[method.as_str()], args].concat()))
}

/// What the daemon says of a process on its own socket.
pub fn row(scratch: &Scratch, name: &str) -> ProcessRow {
    block_on_tokio(async {
        let client = connect_p2p(&scratch.join("supervisord.bus")).await.unwrap();
        manager(&client).await.unwrap().get_process_info(name).await.unwrap()
    })
}

fn block_on_tokio<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn the_daemon_is_controlled_over_the_bus() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    let mut daemon = start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    let info = call(&broker, "GetProcessInfo", &["'web'"]).unwrap();
    assert!(info.contains("'web', 20, 'pid "), "{info}");

    let fault = call(&broker, "StopProcess", &["'idle'", "{}"]).unwrap_err();
    assert!(fault.contains("org.supervisord.Supervisor1.Error.NotRunning: idle"), "{fault}");
    call(&broker, "StartProcess", &["'idle'", "{}"]).unwrap();
    let fault = call(&broker, "StartProcess", &["'idle'", "{}"]).unwrap_err();
    assert!(fault.contains("Error.AlreadyStarted"), "{fault}");
    assert_eq!(row(&scratch, "idle").state, 20);

    let results = call(&broker, "StopAll", &["{}"]).unwrap();
    assert!(results.contains("('idle', 'idle', 80, 'OK')"), "{results}");
    let log = call(&broker, "ReadProcessLog", &["'web'", "'stdout'", "0", "0"]).unwrap();
    assert!(log.contains("hello") || log.contains("0x68, 0x65"), "{log}");

    call(&broker, "Shutdown", &[]).unwrap();
    assert_eq!(daemon.process.finish(super::support::PATIENCE).code, 0);
}

#[test]
fn a_second_daemon_leaves_the_name_to_the_first_until_that_ends() {
    let broker = Broker::start();
    let (first, second) = (Scratch::new(), Scratch::new());
    let mut one = start(&broker, &first);
    one.expect_log("as org.supervisord.Supervisor1");
    let two = start(&broker, &second);
    let owner = format!(": user {} (pid {}", nix::unistd::getuid(), one.pid());
    two.expect_log(&owner);
    two.expect_log("running on without the name, and taking it when it is free");
    assert_ne!(row(&first, "web").pid, row(&second, "web").pid);
    one.stop();
    two.expect_log("as org.supervisord.Supervisor1");
}

#[test]
fn a_restart_comes_back_under_the_name() {
    // C-296, C-390
    let broker = Broker::start();
    let scratch = Scratch::new();
    let daemon = start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    call(&broker, "Restart", &[]).unwrap();
    daemon.expect_log_times("as org.supervisord.Supervisor1", 2);
    daemon.expect_log_times(RUNS, 2);
    let info = call(&broker, "GetProcessInfo", &["'web'"]).unwrap();
    assert!(info.contains("'web', 20, 'pid "), "{info}");
}

#[test]
fn a_restart_with_a_broken_configuration_is_refused() {
    // C-415
    let broker = Broker::start();
    let scratch = Scratch::new();
    let daemon = start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    let pid = row(&scratch, "web").pid;
    scratch.write("supervisord.conf", format!("{HEAD}[program:web]\n"));
    for method in ["Restart", "Reread"] {
        let fault = call(&broker, method, &[]).unwrap_err();
        assert!(fault.contains("org.supervisord.Supervisor1.Error.CantReread"), "{fault}");
    }
    assert_eq!(row(&scratch, "web").pid, pid);
}

#[test]
fn a_bus_that_ends_does_not_end_the_daemon() {
    let mut broker = Broker::start();
    let scratch = Scratch::new();
    let daemon = start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    let pid = row(&scratch, "web").pid;
    broker.restart();
    daemon.expect_log("lost the ");
    assert_eq!(row(&scratch, "web").pid, pid);
    daemon.expect_log_times("as org.supervisord.Supervisor1", 2);
    call(&broker, "ListGroups", &[]).unwrap();
}

#[test]
fn a_bus_that_never_answers_holds_no_program_up_and_ready_only_for_seconds() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    // It takes connections and says nothing.
    let silent = scratch.join("silent");
    let _listener = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    let mut command = on(&broker, &scratch);
    let address = format!("unix:path={}", silent.display());
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &address).env("DBUS_SESSION_BUS_ADDRESS", &address);
    let daemon = Daemon::start_command(scratch.path(), &scratch.join("supervisord.conf"), command);
    daemon.expect_log(RUNS);
    assert_eq!(row(&scratch, "web").state, 20);
    daemon.expect_log("not on the");
    let log = daemon.log();
    assert!(log.find(RUNS) < log.find("not on the"), "the programs did not wait: {log}");
}

#[test]
fn transitions_are_heard_on_the_bus() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    let daemon = start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    let pid = row(&scratch, "web").pid;
    block_on_tokio(async {
        let client = broker.connect().await;
        let mut ears = super::signals::on_a_bus(&client).await;
        let manager = manager(&client).await.unwrap();
        manager.stop_process("web", std::collections::HashMap::new()).await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let signal = ears.next().await;
            if signal.header().member().unwrap().as_str() == "ProcessStateChanged" {
                let (_, name, from, to, was, path): super::signals::Transition =
                    signal.body().deserialize().unwrap();
                assert_eq!((name.as_str(), was, path.as_str()), ("web", pid, WEB));
                heard.push(format!("{from}-{to}"));
            }
        }
        assert_eq!(heard, ["RUNNING-STOPPING", "STOPPING-STOPPED"]);
    });
}

#[test]
fn supervisorctl_finds_the_daemon_on_the_system_bus() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    let daemon = start(&broker, &scratch);
    daemon.expect_log("as org.supervisord.Supervisor1");
    let mut client = command(SUPERVISORCTL, std::path::Path::new("/"));
    client
        .args(["-s", "dbus:system", "status", "web"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address);
    let output = run(&mut client);
    assert!(output.stdout.starts_with("web  "), "{output:?}");
}
