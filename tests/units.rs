//! The units of systemd/ say what the programs understand, and systemd understands them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const SERVICE: &str = include_str!("../systemd/supervisor.service");
const SOCKET: &str = include_str!("../systemd/supervisor.socket");
const CLEANUP: &str = include_str!("../systemd/supervisor-cleanup@.service");
const SHIPPED: &str = include_str!("../packaging/supervisord.conf");
/// What the unit and the package agree on.
const CONFIGURATION: &str = "/etc/supervisor/supervisord.conf";

/// All values of `key=` of a unit, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let assigned = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    unit.lines().filter_map(assigned).collect()
}

fn value<'a>(unit: &'a str, key: &str) -> &'a str {
    let values = values(unit, key);
    assert_eq!(values.len(), 1, "{key}= is there {} times", values.len());
    values[0]
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn the_service_starts_the_daemon_with_flags_that_it_has() {
    let line = words(value(SERVICE, "ExecStart"));
    assert_eq!(line.first(), Some(&"/usr/bin/supervisord"));
    assert_eq!(line.last(), Some(&"$DAEMON_OPTS"));
    let flags = &line[1..line.len() - 1];
    let matches = supervisor::daemon::args::definition()
        .try_get_matches_from(std::iter::once(&"supervisord").chain(flags))
        .expect("the command line of the unit");
    assert!(matches.get_flag("nodaemon"), "systemd waits for the process that it started");
    assert_eq!(matches.get_one::<String>("configuration").map(String::as_str), Some(CONFIGURATION));
    assert_eq!(value(SERVICE, "EnvironmentFile"), "-/etc/default/supervisor");
}

#[test]
fn a_reload_is_an_update_of_the_same_configuration() {
    assert_eq!(
        words(value(SERVICE, "ExecReload")),
        ["/usr/bin/supervisorctl", "-c", CONFIGURATION, "update"]
    );
}

#[test]
fn the_service_is_found_by_all_its_names() {
    // Each on a line: deb-systemd-helper makes one link of a line.
    assert_eq!(
        values(SERVICE, "Alias"),
        ["supervisord.service", "dbus-org.supervisord.Supervisor1.service"]
    );
    assert_eq!(value(SERVICE, "BusName"), supervisor::dbus::types::BUS_NAME);
    assert_eq!(value(SERVICE, "Type"), "notify");
    assert_eq!(value(SOCKET, "Service"), "supervisor.service");
}

#[test]
fn a_broken_configuration_is_not_tried_again() {
    // C-120
    assert_eq!(value(SERVICE, "Restart"), "on-failure");
    assert_eq!(value(SERVICE, "RestartPreventExitStatus"), "2");
}

#[test]
fn programs_outlive_a_daemon_that_is_killed_and_no_other() {
    // Signals to the cgroup would hit programs, or leave them to nobody.
    assert_eq!(value(SERVICE, "KillMode"), "process");
    let (cleanup, unit) = ("/usr/lib/supervisor/cleanup", "supervisor-cleanup@%N.service");
    assert_eq!(value(SERVICE, "ExecStopPost"), format!("+{cleanup} %n"));
    assert_eq!((value(SERVICE, "OnFailure"), value(SERVICE, "OnSuccess")), (unit, unit));
    assert_eq!(value(CLEANUP, "ExecStart"), format!("{cleanup} %i.service"));
    assert_eq!(value(CLEANUP, "Before"), "%i.service");
}

#[test]
fn systemd_can_hand_over_all_that_it_keeps() {
    // It cannot give a descriptor a number that the soft limit does not allow.
    let kept: u64 = value(SERVICE, "FileDescriptorStoreMax").parse().expect("a number");
    let (soft, _) = value(SERVICE, "LimitNOFILE").split_once(':').expect("two limits");
    assert_eq!(soft.parse(), Ok(kept + 1024));
    assert!(values(SERVICE, "Environment").contains(&format!("FDSTORE={kept}").as_str()));
}

/// A directory with the units, in which every program that they name exists.
fn as_installed() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut paths = Vec::new();
    let units = [
        ("supervisor.service", SERVICE),
        ("supervisor.socket", SOCKET),
        ("supervisor-cleanup@.service", CLEANUP),
    ];
    for (name, text) in units {
        let bin = dir.path().display().to_string();
        let text = text.replace("/usr/bin", &bin).replace("/usr/lib/supervisor", &bin);
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a unit");
        paths.push(path);
    }
    for name in ["supervisord", "supervisorctl", "cleanup"] {
        let path = dir.path().join(name);
        std::fs::write(&path, "#!/bin/sh\n").expect("a program");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("its mode");
    }
    (dir, paths)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let (_dir, units) = as_installed();
    // The man pages come with the package.
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .output()
        .expect("systemd-analyze, of Debian's package systemd (make deps)");
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("supervisor")).collect();
    assert!(output.status.success() && ours.is_empty(), "{told}");
}

#[test]
fn every_setting_is_given_once() {
    const MANY: [&str; 2] = ["Alias", "Environment"];
    for unit in [SERVICE, SOCKET, CLEANUP] {
        let mut seen = BTreeMap::new();
        for line in unit.lines().filter(|line| !line.starts_with(['#', '['])) {
            if let Some((key, _)) = line.split_once('=') {
                *seen.entry(key).or_insert(0) += 1;
            }
        }
        let twice: Vec<_> =
            seen.iter().filter(|(key, count)| !MANY.contains(key) && **count > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }
}

#[test]
fn the_socket_is_where_the_shipped_configuration_serves() {
    assert_eq!(value(SOCKET, "ListenStream"), "127.0.0.1:9001");
    assert_eq!(value(SOCKET, "FileDescriptorName"), "http");
    assert!(SHIPPED.lines().any(|line| line.starts_with("port=127.0.0.1:9001")), "{SHIPPED}");
}
