//! `systemctl reload`: what changed is applied, and nothing else is touched.

use super::rootfs::Suite;
use super::service::show;
use super::{PROGRAMS, installed};

super::on_each_suite!(reload_applies_what_changed, a_broken_configuration_is_refused);

/// Name and pid of each program that runs.
const PIDS: &str = "for name in $(supervisorctl status | awk '{print $1}'); do \
                    echo $name $(supervisorctl pid $name); done";

fn reload_applies_what_changed(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.write("/etc/supervisor/conf.d/old.conf", "[program:old]\ncommand=sleep 1001\n");
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let (main, before) = (show(&machine, "MainPID"), machine.ok(PIDS));

    let changed = PROGRAMS.replace("sleep 1000 ", "sleep 2000 ");
    assert_ne!(changed, PROGRAMS);
    machine.write("/etc/supervisor/conf.d/shop.conf", &changed);
    machine.write("/etc/supervisor/conf.d/new.conf", "[program:new]\ncommand=sleep 1002\n");
    machine.ok("rm /etc/supervisor/conf.d/old.conf");
    machine.ok("systemctl reload supervisor");
    assert_eq!(machine.ok("systemctl is-active supervisor"), "active");
    assert_eq!(show(&machine, "MainPID"), main);
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let after = machine.ok(PIDS);
    let names: Vec<&str> = after.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["mail", "new", "worker:worker_0", "worker:worker_1"]);
    for line in before.lines() {
        let stays = line.starts_with("worker:");
        assert_eq!(after.lines().any(|now| now == line), stays, "{line}: {before}\n{after}");
    }
    assert_eq!(machine.ok("ps -C sleep -o args= | sort -u"), "sleep 1002\nsleep 2000\nsleep inf");

    // Nothing changed: nothing happens.
    machine.ok("systemctl reload supervisor");
    assert_eq!(machine.ok(PIDS), after);
}

fn a_broken_configuration_is_refused(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let (main, before) = (show(&machine, "MainPID"), machine.ok(PIDS));
    machine.write(
        "/etc/supervisor/conf.d/shop.conf",
        &PROGRAMS.replace("numprocs=2", "numprocs=two").replace("sleep 1000 ", "sleep 2000 "),
    );
    machine.fails("systemctl reload supervisor");
    machine.journal_has("-u supervisor", "numprocs");
    let status = machine.ok("systemctl status supervisor --no-pager --full");
    assert!(status.contains("numprocs"), "{status}");
    assert!(status.contains("active (running)"), "{status}");
    assert_eq!((show(&machine, "MainPID"), machine.ok(PIDS)), (main, before));
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor");
}
