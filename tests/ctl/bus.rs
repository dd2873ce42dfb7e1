//! How supervisorctl finds its daemon where there is a bus.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::broker::Broker;
use crate::support::daemon::{Daemon, HEAD, SUPERVISORCTL, SUPERVISORD, command};
use crate::support::process::{Output, run};
use crate::support::scratch::Scratch;

const PROGRAMS: &str = "[supervisorctl]\nserverurl=unix://%(here)s/s.sock\n\
                        [program:web]\nstartsecs=0\n\
                        command=/bin/sh -c 'echo hello; exec sleep 1000'\n";

pub struct World {
    pub broker: Broker,
    pub scratch: Scratch,
    pub daemon: Daemon,
}

impl World {
    /// A daemon on a bus, without a socket of its own.
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same with more of a configuration.
    pub fn with(more: &str) -> Self {
        let broker = Broker::start();
        let scratch = Scratch::new();
        let config = scratch.write("supervisord.conf", format!("{HEAD}{PROGRAMS}{more}"));
        let mut supervisord = command(SUPERVISORD, scratch.path());
        supervisord
            .args(["-n", "-c"])
            .arg(&config)
            .env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address)
            .env("DBUS_SESSION_BUS_ADDRESS", &broker.address);
        let daemon = Daemon::start_command(scratch.path(), &config, supervisord);
        daemon.expect_log("as org.supervisord.Supervisor1");
        std::fs::remove_file(scratch.join("supervisord.bus")).unwrap();
        Self { broker, scratch, daemon }
    }

    fn command(&self, config: &Path, args: &[&str]) -> Command {
        let mut ctl = command(SUPERVISORCTL, self.scratch.path());
        ctl.arg("-c").arg(config).args(args);
        ctl.env("DBUS_SYSTEM_BUS_ADDRESS", &self.broker.address);
        ctl
    }

    pub fn ctl(&self, args: &[&str]) -> Output {
        run(&mut self.command(&self.scratch.join("supervisord.conf"), args))
    }
}

#[test]
fn the_daemon_of_this_configuration_is_found_on_the_system_bus() {
    let world = World::start();
    let status = world.ctl(&["status"]);
    assert!(status.stdout.starts_with("web   ") && status.code == 0, "{status:?}");
    assert_eq!(world.ctl(&["tail", "web"]).stdout, "hello\n\n");
    assert_eq!(world.ctl(&["restart", "web"]).stdout, "web: stopped\nweb: started\n");
    // Another name of the same file is the same file.
    let link = world.scratch.join("link.conf");
    std::os::unix::fs::symlink(world.scratch.join("supervisord.conf"), &link).unwrap();
    let status = run(&mut world.command(&link, &["pid"]));
    assert_eq!(status.stdout, format!("{}\n", world.daemon.pid()));
}

#[test]
fn the_daemon_of_another_configuration_is_left_alone() {
    let world = World::start();
    let other = world.scratch.write("other/supervisord.conf", format!("{HEAD}{PROGRAMS}"));
    let shutdown = run(&mut world.command(&other, &["shutdown"]));
    let url = format!("unix://{}/other/s.sock", world.scratch.path().display());
    assert_eq!(shutdown.stdout, format!("ERROR: {url} no such file (already shut down?)\n"));
    let theirs = world.scratch.join("supervisord.conf");
    let note = format!(
        "  dbus:system: refused connection (the supervisord there runs {})\n",
        theirs.display()
    );
    assert!(shutdown.stderr.contains(&note), "{}", shutdown.stderr);
    // Who names it means it.
    let pid = run(&mut world.command(&other, &["-s", "dbus:system", "pid"]));
    assert_eq!(pid.stdout, format!("{}\n", world.daemon.pid()));
}

#[test]
fn a_bus_without_a_daemon_is_told() {
    let broker = Broker::start();
    let mut ctl = command(SUPERVISORCTL, Path::new("/"));
    ctl.args(["-s", "dbus:system", "version"]);
    let output = run(ctl.env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address));
    assert_eq!((output.stdout.as_str(), output.code), ("dbus:system refused connection\n", 4));
    assert!(output.stderr.contains("nobody owns the name org.supervisord.Supervisor1"));
}

/// supervisorctl where other users can run it.
pub fn for_everybody(programs: &Scratch) -> PathBuf {
    let copy = programs.join("supervisorctl");
    std::fs::copy(SUPERVISORCTL, &copy).unwrap();
    copy
}

#[test]
fn a_user_without_rights_is_told_so() {
    crate::support::require_root();
    let world = World::start();
    let config = world.scratch.join("supervisord.conf");
    let programs = Scratch::new();
    let copy = for_everybody(&programs);
    for args in [&["status"][..], &["-s", "dbus:system", "stop", "web"], &["reread"]] {
        let mut ctl = command("setpriv", world.scratch.path());
        ctl.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
        ctl.arg("-c").arg(&config).args(args);
        let output = run(ctl.env("DBUS_SYSTEM_BUS_ADDRESS", &world.broker.address));
        let start = "error: <class 'PermissionError'>, [Errno 13] Permission denied: ";
        assert!(output.stdout.starts_with(start) && output.code == 1, "{output:?}");
    }
    assert!(world.ctl(&["status"]).stdout.contains("RUNNING"));
}
