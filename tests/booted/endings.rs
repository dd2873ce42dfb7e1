//! How it ends in order, and how programs do.

use super::installed;
use super::machine::Machine;
use super::rootfs::Suite;
use super::service::show;

super::on_each_suite!(
    stop_ends_programs_by_priority,
    stop_waits_as_long_as_programs_may_take,
    nothing_of_a_program_is_left_behind,
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

fn stop_waits_as_long_as_programs_may_take(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/slow.conf", &slow_to_stop("slow", 10, 7));
    machine.write(
        "/etc/systemd/system/supervisor.service.d/short.conf",
        "[Service]\nTimeoutStopSec=2s\n",
    );
    machine.ok("systemctl daemon-reload && systemctl restart supervisor");
    until_up(&machine, 1);
    machine.ok("systemctl stop supervisor");
    assert_eq!(machine.read("/run/order"), "slow asked\nslow done\n");
    assert_eq!(show(&machine, "Result"), "success");
    machine.journal_has("-u supervisor", "Stopped supervisor.service");
}

fn nothing_of_a_program_is_left_behind(suite: Suite) {
    // C-212
    let machine = installed(suite);
    machine.write(
        "/etc/supervisor/conf.d/forker.conf",
        "[program:forker]\n\
         command=bash -c 'setsid sleep 4242 & setsid --fork sleep 4343 && exec sleep 4141'\n\
         autorestart=true\n\
         [program:kept]\n\
         command=bash -c 'setsid sleep 4444 & exec sleep 4141'\nkillmode=process\n",
    );
    machine.ok("systemctl restart supervisor");
    let all = "pgrep -fx 'sleep 4242' && pgrep -fx 'sleep 4343' && pgrep -fx 'sleep 4444'";
    machine.until(all);
    machine.ok("test -d /sys/fs/cgroup$(systemctl show supervisor --value -p ControlGroup)/forker");

    // After a crash there is one set of it, and another one.
    let before = machine.ok("pgrep -fx 'sleep 4(242|343)'");
    let main = machine.ok("supervisorctl pid forker");
    machine.ok(&format!("kill -KILL {main}"));
    machine.until(&format!(
        "pid=$(supervisorctl pid forker) && test $pid != {main} && test $pid != 0 && \
         pgrep -fx 'sleep 4242' && pgrep -fx 'sleep 4343'"
    ));
    let after = machine.ok("pgrep -fx 'sleep 4(242|343)'");
    assert_eq!(after.lines().count(), 2, "{after}");
    assert!(after.lines().all(|pid| !before.lines().any(|old| old == pid)), "{before}\n{after}");

    machine.ok("supervisorctl stop forker kept");
    assert_eq!(machine.ok("pgrep -fx 'sleep 4[0-9]*' -a | cut -d' ' -f2-"), "sleep 4444");
    machine.journal_has("-u supervisor", "forker left 2 processes behind");
    machine.until(
        "! test -d /sys/fs/cgroup$(systemctl show supervisor --value -p ControlGroup)/forker",
    );
    // What was to be left alone goes when the service ends.
    machine.ok("systemctl stop supervisor && ! pgrep sleep");
    assert_eq!(show(&machine, "Result"), "success");
}
