//! How it ends: in order, by a crash, by a hang.

use super::machine::Machine;
use super::rootfs::Suite;
use super::service::show;
use super::{PROGRAMS, installed};

super::on_each_suite!(
    stop_ends_programs_by_priority,
    a_killed_daemon_is_restarted_and_no_program_runs_twice,
);

/// A program that tells when it is asked to stop and when it has, a while later.
fn slow_to_stop(name: &str, priority: u32, seconds: u32) -> String {
    format!(
        "[program:{name}]\n\
         command=bash -c \"trap 'echo {name} asked >>/run/order; sleep {seconds}; \
         echo {name} done >>/run/order; exit' TERM; echo {name} up >>/run/order; \
         while :; do sleep 1000 & wait; done\"\n\
         priority={priority}\nstopwaitsecs=60\nstopasgroup=false\n"
    )
}

/// Waits until programs set their traps.
fn until_up(machine: &Machine, count: usize) {
    machine.until(&format!("test $(grep -c up /run/order) = {count} && >/run/order"));
}

fn stop_ends_programs_by_priority(suite: Suite) {
    let machine = installed(suite);
    let programs =
        [slow_to_stop("first", 10, 1), slow_to_stop("third", 30, 1), slow_to_stop("second", 20, 1)];
    machine.write("/etc/supervisor/conf.d/order.conf", &programs.concat());
    machine.ok("systemctl restart supervisor");
    until_up(&machine, 3);
    machine.ok("systemctl stop supervisor");
    // The last to start is the first to stop, and each waits for the one before.
    assert_eq!(
        machine.read("/run/order").lines().collect::<Vec<_>>(),
        ["third asked", "third done", "second asked", "second done", "first asked", "first done"]
    );
    assert_eq!(show(&machine, "Result"), "success");
}

/// What must hold once systemd has restarted it: new pids, each program once.
fn came_back(machine: &Machine, main: &str, pids: &str) {
    machine.until(&format!(
        "test $(systemctl show supervisor --value -p NRestarts) = 1 && \
         systemctl is-active supervisor && test $(systemctl show supervisor --value -p MainPID) != {main}"
    ));
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let after = machine.ok("pgrep -x sleep");
    assert_eq!(after.lines().count(), 3, "each program once: {after}");
    assert!(after.lines().all(|pid| !pids.lines().any(|old| old == pid)), "{pids}\n{after}");
}

fn a_killed_daemon_is_restarted_and_no_program_runs_twice(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl restart supervisor");
    let (main, pids) = (show(&machine, "MainPID"), machine.ok("pgrep -x sleep"));
    machine.ok(&format!("kill -KILL {main}"));
    came_back(&machine, &main, &pids);
}
