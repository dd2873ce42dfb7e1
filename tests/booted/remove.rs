//! Removing keeps what an administrator wrote; purging removes what the package made.

use super::machine::DEB;
use super::rootfs::Suite;
use super::{PROGRAMS, installed};

super::on_each_suite!(remove_purge_and_install_again);

fn remove_purge_and_install_again(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");

    machine.ok("apt-get -qq -y remove supervisor 2>&1");
    assert_eq!(machine.fails("pgrep -x 'sleep|supervisord'").stdout, "");
    assert!(!machine.exists("/usr/bin/supervisord") && !machine.exists("/run/supervisord.pid"));
    assert!(machine.exists("/etc/supervisor/supervisord.conf"));
    assert!(machine.exists("/etc/default/supervisor"));
    assert!(machine.exists("/var/log/supervisor/supervisord.log"));
    assert_eq!(machine.read("/etc/supervisor/conf.d/shop.conf"), PROGRAMS);
    assert_eq!(machine.ok("systemctl --failed --no-legend"), "");

    machine.ok(&format!("apt-get -qq -y install {DEB} 2>&1"));
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    assert_eq!(machine.ok("systemctl is-enabled supervisor"), "enabled");

    machine.ok("apt-get -qq -y purge supervisor 2>&1");
    assert_eq!(machine.fails("pgrep -x 'sleep|supervisord'").stdout, "");
    assert!(!machine.exists("/etc/supervisor/supervisord.conf"));
    assert!(!machine.exists("/etc/default/supervisor"));
    assert!(!machine.exists("/var/log/supervisor"));
    assert_eq!(machine.ok("find /etc/systemd /var/lib/systemd -name '*supervisor*'"), "");
    assert_eq!(machine.ok("systemctl list-units --all --plain --no-legend 'supervisor*'"), "");
    // The programs' descriptions are the administrator's.
    assert_eq!(machine.read("/etc/supervisor/conf.d/shop.conf"), PROGRAMS);

    machine.ok(&format!("apt-get -qq -y install {DEB} 2>&1"));
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
}
