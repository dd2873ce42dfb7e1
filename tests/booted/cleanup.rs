//! What becomes of programs when the daemon is down: they run on while another is due, and none
//! is left when none is.

use super::machine::Machine;
use super::rootfs::Suite;
use super::support::PATIENCE;
use super::{PROGRAMS, installed};

super::on_each_suite!(
    programs_run_on_while_a_restart_is_due,
    a_stop_while_a_restart_is_due_ends_them,
    a_daemon_that_is_killed_while_it_stops_is_ended_with_all_of_them,
    a_daemon_that_cannot_start_with_what_it_is_told_leaves_none,
    a_daemon_that_crashes_again_and_again_leaves_none,
    a_masked_unit_leaves_none,
    a_purge_while_a_restart_is_due_leaves_none,
    programs_get_the_usual_limit_of_open_files,
);

/// What is left of the service.
const LEFT: &str = "pgrep -x supervisord || pgrep -fx 'sleep (inf|[0-9]{4})' || \
                    test -e /sys/fs/cgroup/system.slice/supervisor.service";

/// The processes of programs.
const RUNNING: &str = "pgrep -fx 'sleep (inf|[0-9]{4})'";

/// A machine with programs, and one that leaves others behind for good.
fn with_programs(suite: Suite) -> Machine {
    let machine = installed(suite);
    let kept = "[program:kept]\ncommand=bash -c 'setsid sleep 4444 & exec sleep 4141'\n\
                killmode=process\n";
    machine.write("/etc/supervisor/conf.d/shop.conf", &format!("{PROGRAMS}{kept}"));
    machine.ok("systemctl reload supervisor");
    machine.until("test $(supervisorctl status | grep -c RUNNING) = 4 && pgrep -fx 'sleep 4444'");
    machine
}

/// Changes the unit as `systemctl edit` does.
fn edit(machine: &Machine, settings: &str) {
    machine.write("/etc/systemd/system/supervisor.service.d/test.conf", settings);
    machine.ok("systemctl daemon-reload");
}

/// Kills the daemon, with a restart due that does not come by itself; the programs' pids.
fn killed(machine: &Machine) -> String {
    edit(machine, "[Service]\nRestartSec=1h\n");
    let pids = machine.ok(RUNNING);
    assert_eq!(pids.lines().count(), 5, "{pids}");
    machine.ok("systemctl kill --kill-who=main --signal=KILL supervisor");
    machine.until("test $(systemctl show supervisor --value -p SubState) = auto-restart");
    pids
}

/// Nothing of the service runs, now or in a moment.
fn none_left(machine: &Machine) {
    machine.until(&format!("! {{ {LEFT}; }}"));
}

fn programs_run_on_while_a_restart_is_due(suite: Suite) {
    let machine = with_programs(suite);
    let pids = killed(&machine);
    assert_eq!(machine.ok(RUNNING), pids);
    // Whoever asks for it earlier has what the timer would have brought: no program runs twice.
    machine.ok("systemctl restart supervisor");
    machine.until("test $(supervisorctl status | grep -c RUNNING) = 4");
    assert_eq!(machine.ok("pgrep -xc -f 'sleep inf|sleep 1000'"), "3");
}

fn a_stop_while_a_restart_is_due_ends_them(suite: Suite) {
    let machine = with_programs(suite);
    killed(&machine);
    machine.ok("systemctl stop supervisor");
    none_left(&machine);
    machine.journal_has(
        "-u 'supervisor-cleanup@*'",
        "killed what supervisord left running: 5 processes",
    );
    assert_eq!(machine.ok("systemctl --failed --no-legend"), "");
    machine.ok("systemctl start supervisor");
    machine.until("test $(supervisorctl status | grep -c RUNNING) = 4");
}

fn a_daemon_that_is_killed_while_it_stops_is_ended_with_all_of_them(suite: Suite) {
    let machine = with_programs(suite);
    let stubborn = "[program:stubborn]\ncommand=bash -c \"trap '' TERM; sleep 4242 & wait\"\n\
                    stopwaitsecs=3600\n";
    machine.write("/etc/supervisor/conf.d/stubborn.conf", stubborn);
    machine.ok("systemctl reload supervisor");
    machine.until("test $(supervisorctl status | grep -c RUNNING) = 5 && pgrep -fx 'sleep 4242'");
    let mut stop = machine.start("systemctl stop supervisor");
    machine.until("test $(systemctl show supervisor --value -p SubState) = stop-sigterm");
    machine.ok("systemctl kill --kill-who=main --signal=KILL supervisor");
    assert_eq!(stop.finish(PATIENCE).code, 0);
    // Done when the stop is.
    assert_eq!(machine.fails(LEFT).stdout, "");
}

fn a_daemon_that_cannot_start_with_what_it_is_told_leaves_none(suite: Suite) {
    let machine = with_programs(suite);
    killed(&machine);
    // As an option would that is none.
    edit(&machine, "[Service]\nExecStart=\nExecStart=sh -c 'exit 2'\n");
    machine.fails("systemctl restart supervisor");
    // Done when the start has failed.
    assert_eq!(machine.fails(LEFT).stdout, "");
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "failed\n");
}

fn a_daemon_that_crashes_again_and_again_leaves_none(suite: Suite) {
    let machine = with_programs(suite);
    edit(&machine, "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=3\n");
    machine.ok("systemctl restart supervisor");
    machine.until(
        "systemctl kill --kill-who=main --signal=KILL supervisor; systemctl is-failed supervisor",
    );
    none_left(&machine);
    machine.journal_has("-u supervisor", "Start request repeated too quickly");
    // And the next daemon is not hit.
    machine.ok("systemctl reset-failed supervisor && systemctl start supervisor");
    machine.until("test $(supervisorctl status | grep -c RUNNING) = 4");
}

fn a_masked_unit_leaves_none(suite: Suite) {
    let machine = with_programs(suite);
    machine.ok("systemctl mask supervisor");
    machine.ok("systemctl kill --kill-who=main --signal=KILL supervisor");
    none_left(&machine);
}

fn a_purge_while_a_restart_is_due_leaves_none(suite: Suite) {
    let machine = with_programs(suite);
    killed(&machine);
    machine.ok("apt-get -qq -y purge supervisor 2>&1");
    assert_eq!(machine.fails(LEFT).stdout, "");
    assert_eq!(machine.ok("systemctl list-units --all --plain --no-legend 'supervisor*'"), "");
}

fn programs_get_the_usual_limit_of_open_files(suite: Suite) {
    let machine = installed(suite);
    machine.write(
        "/etc/supervisor/conf.d/limit.conf",
        "[program:limit]\ncommand=sh -c 'ulimit -Sn; echo \"store=$FDSTORE\"'\n\
         startsecs=0\nautorestart=false\nstdout_logfile=/run/limit\n",
    );
    machine.ok("systemctl restart supervisor");
    machine.until("grep store /run/limit");
    assert_eq!(machine.read("/run/limit"), "1024\nstore=\n");
    // What an administrator gives them, they get.
    edit(&machine, "[Service]\nLimitNOFILE=5000\n");
    machine.ok("systemctl restart supervisor");
    machine.until("test $(grep -c store /run/limit) = 2");
    assert_eq!(machine.read("/run/limit"), "1024\nstore=\n5000\nstore=\n");
}
