//! A hundred programs that write numbers, to see whether one is lost.

use super::machine::Machine;

const PROGRAMS: &str = "[program:count]\ncommand=/bin/sh -c 'i=0; while [ ! -e /tmp/enough ]; do \
    i=$((i+1)); echo $i; [ $((i%%50)) != 0 ] || sleep 0.5; done; echo end; exec sleep inf'\n\
    numprocs=100\nprocess_name=%(process_num)d\nstartsecs=0\n\
    stdout_logfile=/var/log/supervisor/count-%(process_num)d.log\n";

/// Starts them; their pids.
pub fn start(machine: &Machine) -> String {
    machine.write("/etc/supervisor/conf.d/count.conf", PROGRAMS);
    machine.ok("supervisorctl update");
    machine.until("[ $(supervisorctl status | grep -c RUNNING) = 100 ]");
    machine.ok("supervisorctl pid all")
}

/// Has them write no more: each log has all numbers, once and in order.
pub fn end(machine: &Machine) {
    machine.ok("touch /tmp/enough");
    machine.until("[ $(grep -lx end /var/log/supervisor/count-*.log | wc -l) = 100 ]");
    let wrong = "for log in /var/log/supervisor/count-*.log; do \
        awk '$0 == \"end\" { exit } $0 != NR { print FILENAME, NR, $0; exit }' $log; done";
    assert_eq!(machine.ok(wrong), "");
}
