//! From Debian's own supervisor to ours, from ours to ours, and back.

use super::machine::{DEB, Machine};
use super::rootfs::{DEBIANS_OWN, Suite};
use super::service::show;
use super::{PROGRAMS, bare, installed, numbers};

super::on_each_suite!(
    from_debians_with_its_configuration,
    from_debians_with_a_changed_configuration,
    from_itself,
    from_itself_with_a_hundred_programs_that_write,
    back_to_debians,
);

/// Debian's own on a machine, with programs running.
fn with_debians(suite: Suite) -> Machine {
    let machine = bare(suite);
    machine.ok(&format!("apt-get -qq -y install {DEBIANS_OWN}/*.deb"));
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("supervisorctl update");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    machine
}

/// What holds after the upgrade, whatever the configuration file.
fn runs_as_ours(machine: &Machine, old: &str) {
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let now = machine.ok("pgrep -x sleep");
    assert_eq!(now.lines().count(), 3, "{now}");
    assert!(now.lines().all(|pid| !old.lines().any(|before| before == pid)), "{old}\n{now}");
    is_ours(machine);
}

/// What holds after any upgrade.
fn is_ours(machine: &Machine) {
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
    assert_eq!(machine.ok("systemctl is-enabled supervisor"), "enabled");
    assert_eq!(show(machine, "NRestarts"), "0");
    assert_eq!(machine.ok("supervisorctl version"), "5.0.0");
    assert_eq!(machine.fails("pgrep -a python3").stdout, "", "Debian's daemon still runs");
    assert_eq!(machine.read("/etc/supervisor/conf.d/shop.conf"), PROGRAMS);
    assert!(!machine.exists("/etc/init.d/supervisor"), "its script would start it without systemd");
    assert_eq!(machine.ok("systemctl --failed --no-legend"), "");
}

fn from_debians_with_its_configuration(suite: Suite) {
    let machine = with_debians(suite);
    let (conf, pids) =
        (machine.read("/etc/supervisor/supervisord.conf"), machine.ok("pgrep -x sleep"));
    let said = machine.ok(&format!("apt-get -y install {DEB} 2>&1"));
    assert!(!said.contains("warning"), "{said}");
    runs_as_ours(&machine, &pids);
    // Nobody had changed it: it is the new one now, and nothing is left of the old one.
    assert_ne!(machine.read("/etc/supervisor/supervisord.conf"), conf);
    assert_eq!(machine.ok("find /etc -name '*.dpkg-*' -o -name '*.ucf-*'"), "");
    assert_eq!(machine.ok("dpkg --verify supervisor"), "");
    // What Debian's needed is not needed any more.
    machine.ok("apt-get -qq -y autoremove --purge && systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
}

fn from_debians_with_a_changed_configuration(suite: Suite) {
    let machine = with_debians(suite);
    let conf = machine
        .read("/etc/supervisor/supervisord.conf")
        .replace("[supervisord]", "[supervisord]\nidentifier=the-shop\nloglevel=debug\n")
        .replace("/var/run/supervisor.sock", "/run/shop.sock");
    machine.write("/etc/supervisor/supervisord.conf", &conf);
    machine.write("/etc/default/supervisor", "DAEMON_OPTS=\"-l /var/log/shop.log\"\n");
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let pids = machine.ok("pgrep -x sleep");
    // dpkg asks; the administrator keeps the own versions.
    let said = machine.ok(&format!("yes N | apt-get -y install {DEB} 2>&1"));
    assert!(said.contains("supervisord.conf"), "dpkg did not ask:\n{said}");
    runs_as_ours(&machine, &pids);
    assert_eq!(machine.read("/etc/supervisor/supervisord.conf"), conf);
    assert_eq!(machine.ok("supervisorctl -s dbus:system status | wc -l"), "3");
    machine.ok("grep -q 'spawned:.*mail' /var/log/shop.log");
    assert_eq!(
        machine.ok("busctl get-property org.supervisord.Supervisor1 /org/supervisord/Supervisor1 \
             org.supervisord.Supervisor1.Manager Identification"),
        "s \"the-shop\""
    );
}

fn from_itself(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let (main, pids) = (show(&machine, "MainPID"), machine.ok("pgrep -x sleep"));
    let conf = format!("{}# mine\n", machine.read("/etc/supervisor/supervisord.conf"));
    machine.write("/etc/supervisor/supervisord.conf", &conf);
    let said = machine.ok(&format!("apt-get -y reinstall {DEB} 2>&1"));
    assert!(said.contains("Upgraded supervisord 5.0.0 to 5.0.0"), "{said}");
    is_ours(&machine);
    // The same process with the same programs, and another program in it.
    assert_eq!(show(&machine, "MainPID"), main);
    assert_eq!(machine.ok("pgrep -x sleep"), pids);
    assert_eq!(
        machine.ok("readlink /proc/$(cat /run/supervisord.pid)/exe"),
        "/usr/bin/supervisord",
        "not the one that was deleted"
    );
    assert_eq!(
        machine.ok("busctl get-property org.supervisord.Supervisor1 /org/supervisord/Supervisor1 \
             org.supervisord.Supervisor1.Manager Upgrades"),
        "u 1"
    );
    assert_eq!(machine.read("/etc/supervisor/supervisord.conf"), conf);
    assert_eq!(machine.ok("find /etc -name '*.dpkg-*'"), "");
}

/// A hundred programs that write numbers, while the package is installed again.
fn from_itself_with_a_hundred_programs_that_write(suite: Suite) {
    let machine = installed(suite);
    let pids = numbers::start(&machine);
    for _ in 0..3 {
        machine.ok(&format!("apt-get -qq -y reinstall {DEB} 2>&1"));
    }
    assert_eq!(machine.ok("supervisorctl pid all"), pids);
    assert_eq!(show(&machine, "NRestarts"), "0");
    numbers::end(&machine);
}

fn back_to_debians(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor");
    machine.ok(&format!("apt-get -qq -y --allow-downgrades install {DEBIANS_OWN}/*.deb 2>&1"));
    assert!(machine.ok("supervisord --version").starts_with("4."));
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
    assert_eq!(machine.ok("systemctl is-enabled supervisor"), "enabled");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    assert_eq!(machine.ok("pgrep -x -c sleep"), "3");
    assert_eq!(machine.read("/etc/supervisor/conf.d/shop.conf"), PROGRAMS);
    // And once more to ours.
    machine.ok(&format!("apt-get -qq -y install {DEB} 2>&1"));
    assert_eq!(machine.ok("supervisorctl version"), "5.0.0");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
}
