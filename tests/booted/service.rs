//! The unit, by systemctl: start, stop, restart, enable, status, and what stands in its way.

use super::machine::Machine;
use super::rootfs::Suite;
use super::{PROGRAMS, installed};

super::on_each_suite!(
    start_stop_restart_and_status,
    start_returns_when_programs_are_there,
    a_broken_configuration_fails_the_start_and_tells_why,
    boots_with_it_or_without,
    the_unit_is_sound,
);

/// A property of the unit.
pub fn show(machine: &Machine, property: &str) -> String {
    machine.ok(&format!("systemctl show supervisor --value -p {property}"))
}

fn start_stop_restart_and_status(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");

    let status = machine.ok("systemctl status supervisor --no-pager --full");
    for part in [
        "supervisor.service - Supervisor",
        "enabled",
        "active (running)",
        "Status: \"3 of 3 running\"",
        "─mail\n",
        "─worker:worker_0\n",
        "─worker:worker_1\n",
        "─supervisord\n",
        "Docs: man:supervisord",
    ] {
        assert!(status.contains(part), "no {part:?} in\n{status}");
    }
    let spawned = machine.ok("journalctl -q -o cat -u supervisor | grep -c 'spawned: .worker_'");
    assert_eq!(spawned, "2");

    let pids = machine.ok("pgrep -x sleep");
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let after = machine.ok("pgrep -x sleep");
    assert_eq!(after.lines().count(), 3);
    assert!(after.lines().all(|pid| !pids.lines().any(|old| old == pid)), "{pids}\n{after}");

    machine.ok("systemctl stop supervisor");
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "inactive\n");
    assert_eq!(show(&machine, "Result"), "success");
    assert_eq!(machine.fails("pgrep -x sleep").stdout, "");
    assert!(!machine.exists("/run/supervisord.pid") && !machine.exists("/run/supervisord.bus"));
    // A question does not start it: only what enables or starts the unit does.
    let status = machine.fails("supervisorctl status 2>&1");
    assert!(status.stdout.contains("/run/supervisor"), "{}", status.stdout);
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "inactive\n");
}

fn start_returns_when_programs_are_there(suite: Suite) {
    let machine = installed(suite);
    machine.ok("systemctl stop supervisor");
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    // What is ordered after it finds the programs, and the name on the bus.
    machine.write(
        "/etc/systemd/system/after.service",
        "[Unit]\nRequires=supervisor.service\nAfter=supervisor.service\n[Service]\nType=oneshot\n\
         ExecStart=sh -c 'busctl --no-pager status org.supervisord.Supervisor1 >/run/after.bus; \
         pgrep -c -x sleep >/run/after.count; supervisorctl status >/run/after.status; :'\n",
    );
    machine.ok("systemctl daemon-reload && systemctl start after");
    assert_eq!(machine.read("/run/after.count"), "3\n");
    let owner = machine.read("/run/after.bus");
    assert!(owner.contains(&format!("PID={}\n", show(&machine, "MainPID"))), "{owner}");
    let status = machine.read("/run/after.status");
    assert_eq!(status.lines().count(), 3, "{status}");
    assert!(
        status.lines().all(|line| line.contains("STARTING") || line.contains("RUNNING")),
        "{status}"
    );
}

fn a_broken_configuration_fails_the_start_and_tells_why(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/broken.conf", "[program:x]\ncommmand=sleep infinity\n");
    machine.fails("systemctl restart supervisor");
    // Trying again would not mend it.
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "failed\n");
    assert_eq!(show(&machine, "NRestarts"), "0");
    machine.journal_has("-u supervisor", "broken.conf");
    let status = machine.run("systemctl status supervisor --no-pager --full").stdout;
    assert!(status.contains("/etc/supervisor/conf.d/broken.conf"), "{status}");
    assert!(status.contains("program:x"), "{status}");
    machine.ok("rm /etc/supervisor/conf.d/broken.conf && systemctl start supervisor");
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
}

fn boots_with_it_or_without(suite: Suite) {
    let mut machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.reboot();
    assert_eq!(machine.ok("systemctl is-system-running"), "running");
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
    assert_eq!(show(&machine, "NRestarts"), "0");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    machine.ok("systemctl disable supervisor");
    machine.reboot();
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "inactive\n");
    assert_eq!(machine.fails("pgrep -x sleep").stdout, "");
}

fn the_unit_is_sound(suite: Suite) {
    let machine = installed(suite);
    let units = machine.ok("dpkg -L supervisor | grep '/lib/systemd/system/supervisor'");
    for unit in units.lines() {
        // Whether the manual can be shown is not a question of the unit: there is no `man` here.
        let said = machine.ok(&format!("systemd-analyze verify --man=no {unit} 2>&1"));
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("supervisor")).collect();
        assert!(ours.is_empty(), "{said}");
    }
    let security = machine.ok("systemd-analyze --no-pager security supervisor.service");
    println!("{security}");
    assert!(security.contains("Overall exposure level"), "{security}");
}
