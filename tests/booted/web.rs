//! The web port and the socket for XML-RPC as the package ships them, and `supervisor.socket`.

use super::rootfs::Suite;
use super::service::show;
use super::{PROGRAMS, installed};

super::on_each_suite!(nobody_acts_without_a_login, systemd_listens_for_it);

/// The status of a request, and nothing else.
const CODE: &str = "curl -s -o /dev/null -w '%{http_code}' -m 20";

const STATE: &str = "<?xml version='1.0'?><methodCall><methodName>supervisor.stopAllProcesses\
                     </methodName><params></params></methodCall>";

fn nobody_acts_without_a_login(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor; useradd alice");
    let web = "http://127.0.0.1:9001";
    for path in ["/RPC2", "/logtail/mail", "/mainlogtail"] {
        // Root or not: there is no way in yet.
        for user in ["root", "alice"] {
            let answer = machine.run_as(user, &format!("{CODE} '{web}{path}'"));
            assert_eq!(answer.stdout, "401", "{user} {path}: {}", answer.stderr);
        }
    }
    let call = format!("{CODE} -H 'content-type: text/xml' -d \"{STATE}\" {web}/RPC2");
    assert_eq!(machine.ok(&call), "401");
    let action = format!("{CODE} '{web}/index.html?action=stopall'");
    assert!(["200", "401"].contains(&machine.ok(&action).as_str()));
    assert_eq!(machine.ok("supervisorctl status | grep -c -v STOP"), "3");
    // Only root reaches the socket.
    assert_eq!(machine.ok("stat -c '%A %U:%G' /run/supervisor.sock"), "srwx------ root:root");
    let local = format!("{CODE} --unix-socket /run/supervisor.sock http://localhost/");
    assert_eq!(machine.ok(&local), "200");
    assert_eq!(machine.run_as("alice", &local).stdout, "000");
    // This machine, and no other.
    let listening = machine.ok("ss -ltnH | awk '{print $4}'");
    assert_eq!(listening, "127.0.0.1:9001");
    machine.ok("systemctl stop supervisor");
    assert!(!machine.exists("/run/supervisor.sock"));
}

fn systemd_listens_for_it(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    assert_eq!(machine.run("systemctl is-enabled supervisor.socket").stdout, "disabled\n");
    machine.ok("systemctl stop supervisor && systemctl enable --now supervisor.socket");
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "inactive\n");
    // The first client starts it, and is answered.
    let get = format!("{CODE} http://127.0.0.1:9001/");
    assert_eq!(machine.ok(&get), "200");
    assert_eq!(machine.until("systemctl is-active supervisor"), "active");
    machine.until("test $(pgrep -x -c sleep) = 3");
    // Clients that come while it is down wait, and start it again.
    for _ in 0..3 {
        machine.ok("systemctl stop supervisor");
        assert_eq!(machine.ok(&get), "200");
        assert_eq!(machine.until("systemctl is-active supervisor"), "active");
    }
    machine.ok("systemctl stop supervisor.socket supervisor && systemctl start supervisor");
    assert_eq!(machine.ok(&get), "200", "it listens itself");
    assert_eq!(show(&machine, "NRestarts"), "0");
}
