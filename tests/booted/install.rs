//! Installing on a machine that never had it, and on machines that lack something.

use super::machine::{DEB, chroot};
use super::rootfs::{self, Suite};
use super::{bare, deb};

super::on_each_suite!(
    apt_leaves_a_running_service,
    polkit_is_not_needed,
    a_running_systemd_is_not_needed,
    a_broken_configuration_is_told_and_can_be_mended,
    a_stopped_service_stays_stopped_and_a_disabled_one_disabled,
);

fn apt_leaves_a_running_service(suite: Suite) {
    let machine = bare(suite);
    let said = machine.ok(&format!("apt-get -y install {DEB} 2>&1"));
    assert!(!said.to_lowercase().contains("warning"), "{said}");
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
    assert_eq!(machine.ok("systemctl is-enabled supervisor"), "enabled");
    assert_eq!(machine.ok("systemctl show supervisor --value -p NRestarts"), "0");
    assert_eq!(machine.ok("systemctl show supervisor --value -p Type"), "notify");
    assert_eq!(machine.ok("systemctl is-active supervisord"), "active", "the other name");
    assert_eq!(machine.ok("systemctl --failed --no-legend"), "");
    assert_eq!(machine.ok("supervisord --version"), "5.0.0");

    // Nothing runs, and saying so is no failure, on either way to the daemon.
    for server in ["", "-s dbus:system"] {
        let status = machine.run(&format!("supervisorctl {server} status"));
        assert_eq!((status.code, status.stdout.as_str()), (0, ""), "{}", status.stderr);
    }
    // What others can reach, and where Debian's package has it.
    let modes = machine.ok("stat -c '%A %U %n' /run/supervisord.bus /run/supervisord.pid \
         /var/log/supervisor /var/log/supervisor/supervisord.log /etc/supervisor/conf.d \
         /etc/supervisor/supervisord.conf /etc/default/supervisor /usr/bin/supervisord \
         /usr/bin/supervisorctl /usr/bin/echo_supervisord_conf /usr/bin/pidproxy");
    assert_eq!(
        modes.lines().collect::<Vec<_>>(),
        [
            "srwx------ root /run/supervisord.bus",
            "-rw-r--r-- root /run/supervisord.pid",
            "drwxr-xr-x root /var/log/supervisor",
            "-rw-r--r-- root /var/log/supervisor/supervisord.log",
            "drwxr-xr-x root /etc/supervisor/conf.d",
            "-rw-r--r-- root /etc/supervisor/supervisord.conf",
            "-rw-r--r-- root /etc/default/supervisor",
            "-rwxr-xr-x root /usr/bin/supervisord",
            "-rwxr-xr-x root /usr/bin/supervisorctl",
            "-rwxr-xr-x root /usr/bin/echo_supervisord_conf",
            "-rwxr-xr-x root /usr/bin/pidproxy",
        ]
    );
    let pid = machine.ok("systemctl show supervisor --value -p MainPID");
    assert_eq!(machine.read("/run/supervisord.pid").trim_end(), pid);
    assert_eq!(machine.ok("dpkg --verify supervisor"), "", "files differ from the package's");
    let valid = machine.ok("supervisord -t -c /etc/supervisor/supervisord.conf 2>&1");
    assert!(valid.ends_with(" is valid: 0 groups, 0 processes."), "{valid}");
}

fn polkit_is_not_needed(suite: Suite) {
    let machine = bare(suite);
    machine.ok("apt-get -qq -y purge polkitd && systemctl daemon-reload");
    machine.ok(&format!("apt-get -qq -y install {DEB}"));
    machine.write("/etc/supervisor/conf.d/a.conf", "[program:a]\ncommand=sleep infinity\n");
    machine.ok("systemctl reload supervisor");
    for server in ["", "-s dbus:system"] {
        machine.ok(&format!("supervisorctl {server} restart a"));
    }
    // Root and the daemon's own user: with nobody to ask, nobody else.
    machine.ok("useradd alice");
    let refused = machine.run_as("alice", "supervisorctl -s dbus:system stop a 2>&1");
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    assert!(refused.stdout.contains("only root"), "{}", refused.stdout);
    machine.ok("supervisorctl status a | grep -q RUNNING");
    assert_eq!(machine.ok("systemctl show supervisor --value -p NRestarts"), "0");
}

/// As in building an image: a root filesystem that nothing runs in.
fn a_running_systemd_is_not_needed(suite: Suite) {
    let script = format!(
        "set -e; export DEBIAN_FRONTEND=noninteractive
         apt-get -qq -y install {DEB} 2>&1
         echo '[program:a]' > /etc/supervisor/conf.d/a.conf
         echo 'command=sleep infinity' >> /etc/supervisor/conf.d/a.conf
         ! pgrep supervisord
         supervisord -t && systemctl is-enabled supervisor
         apt-get -qq -y reinstall {DEB} 2>&1
         apt-get -qq -y purge supervisor 2>&1
         test -e /etc/supervisor/conf.d/a.conf && ! test -e /usr/bin/supervisord"
    );
    let output = chroot(rootfs::base(suite), &deb(), &script);
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    for word in ["error", "fail", "cannot"] {
        assert!(!output.stdout.to_lowercase().contains(word), "{}", output.stdout);
    }
    assert!(output.stdout.contains("\nenabled\n"), "{}", output.stdout);
}

fn a_broken_configuration_is_told_and_can_be_mended(suite: Suite) {
    let machine = bare(suite);
    machine.write("/etc/supervisor/conf.d/broken.conf", "[program:x]\n");
    let said = machine.ok(&format!("apt-get -y install {DEB} 2>&1"));
    assert!(said.contains("/etc/supervisor/conf.d/broken.conf"), "{said}");
    // dpkg is done with it; what is left to do is the administrator's.
    assert_eq!(machine.ok("dpkg --audit"), "");
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "failed\n");
    machine.ok("echo 'command=sleep inf' >> /etc/supervisor/conf.d/broken.conf");
    machine.ok("systemctl start supervisor");
    machine.until("supervisorctl status x | grep RUNNING");
}

fn a_stopped_service_stays_stopped_and_a_disabled_one_disabled(suite: Suite) {
    let machine = super::installed(suite);
    machine.ok("systemctl disable --now supervisor");
    machine.ok(&format!("apt-get -qq -y reinstall {DEB}"));
    assert_eq!(machine.run("systemctl is-enabled supervisor").stdout, "disabled\n");
    machine.ok("systemctl enable --now supervisor");
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
}
