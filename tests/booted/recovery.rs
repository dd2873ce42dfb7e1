//! A daemon that is killed comes back to its programs as they run.

use super::machine::Machine;
use super::rootfs::Suite;
use super::service::show;
use super::{PROGRAMS, installed, numbers};

super::on_each_suite!(
    a_hundred_programs_that_write_outlive_each_daemon,
    a_frozen_daemon_is_killed_and_programs_run_on,
    an_aborted_daemon_comes_back_to_its_programs,
    a_configuration_with_errors_is_no_reason_to_lose_programs,
);

/// How many daemons are killed; `make kills` says more.
fn kills() -> u32 {
    std::env::var("SUPERVISOR_KILLS").map_or(5, |kills| kills.parse().expect("a number"))
}

/// Changes the unit as `systemctl edit` does.
fn edit(machine: &Machine, settings: &str) {
    machine.write("/etc/systemd/system/supervisor.service.d/test.conf", settings);
    machine.ok("systemctl daemon-reload");
}

/// Waits until so many daemons came after the first one, and the last is ready.
fn until_back(machine: &Machine, restarts: u32) {
    machine.until(&format!(
        "test $(systemctl show supervisor --value -p NRestarts) = {restarts} && \
         systemctl is-active supervisor"
    ));
}

/// When the processes began that have these pids, one after the other.
fn began(machine: &Machine, pids: &str) -> String {
    let pids = pids.replace('\n', " ");
    machine.ok(&format!("for pid in {pids}; do cut -d ' ' -f 22 /proc/$pid/stat || exit; done"))
}

fn a_hundred_programs_that_write_outlive_each_daemon(suite: Suite) {
    let machine = installed(suite);
    edit(&machine, "[Unit]\nStartLimitIntervalSec=0\n");
    let pids = numbers::start(&machine);
    let times = began(&machine, &pids);
    for kill in 1..=kills() {
        let daemon = show(&machine, "MainPID");
        // Sooner or later after its start, while programs write.
        let wait = f64::from(kill * 37 % 500) / 1000.0;
        machine.ok(&format!("sleep {wait}; kill -KILL {daemon}"));
        machine.until(&format!(
            "pid=$(systemctl show supervisor --value -p MainPID); \
             test $pid != 0 && test $pid != {daemon}"
        ));
        assert_eq!(began(&machine, &pids), times, "after {kill} kills");
        // Each other daemon is killed when it may still be looking for its programs.
        if kill % 2 == 0 || kill == kills() {
            until_back(&machine, kill);
            assert_eq!(machine.ok("supervisorctl pid all"), pids, "after {kill} kills");
            assert_eq!(machine.ok("supervisorctl status | grep -c RUNNING"), "100");
        }
    }
    numbers::end(&machine);
    assert_eq!(machine.ok("supervisorctl pid all"), pids);
    assert_eq!(began(&machine, &pids), times);
    machine.ok("systemctl stop supervisor && ! pgrep -x sleep");
    assert_eq!(show(&machine, "Result"), "success");
}

/// A daemon with programs; their pids.
fn with_programs(machine: &Machine) -> String {
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    machine.ok("pgrep -fx 'sleep (inf|1000)'")
}

/// Programs are those of the last daemon, and under control.
fn came_back(machine: &Machine, pids: &str) {
    until_back(machine, 1);
    assert_eq!(machine.ok("pgrep -fx 'sleep (inf|1000)'"), pids);
    assert_eq!(machine.ok("supervisorctl pid all | sort -n"), pids);
    assert_eq!(machine.ok("supervisorctl status | grep -c RUNNING"), "3");
    machine.journal_has("-u supervisor", "goes on with the 3 programs that it left");
    machine.ok("supervisorctl restart mail");
    assert_eq!(machine.ok("pgrep -fxc 'sleep (inf|1000)'"), "3");
    machine.ok("systemctl stop supervisor && ! pgrep -fx 'sleep (inf|1000)'");
    assert_eq!(machine.ok("systemctl --failed --no-legend"), "");
}

fn a_frozen_daemon_is_killed_and_programs_run_on(suite: Suite) {
    let machine = installed(suite);
    let usual = show(&machine, "WatchdogUSec");
    assert!(!["0", "infinity", ""].contains(&usual.as_str()), "no watchdog: {usual}");
    edit(&machine, "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=2s\n");
    machine.ok("systemctl restart supervisor");
    let pids = with_programs(&machine);
    machine.ok("systemctl kill --kill-who=main --signal=STOP supervisor");
    machine.journal_has("-u supervisor", "Watchdog timeout");
    came_back(&machine, &pids);
}

fn an_aborted_daemon_comes_back_to_its_programs(suite: Suite) {
    let machine = installed(suite);
    let pids = with_programs(&machine);
    machine.ok("systemctl kill --kill-who=main --signal=ABRT supervisor");
    came_back(&machine, &pids);
}

fn a_configuration_with_errors_is_no_reason_to_lose_programs(suite: Suite) {
    let machine = installed(suite);
    let pids = with_programs(&machine);
    machine.write("/etc/supervisor/conf.d/broken.conf", "[program:x]\ncommmand=sleep infinity\n");
    machine.ok("systemctl kill --kill-who=main --signal=KILL supervisor");
    came_back(&machine, &pids);
}
