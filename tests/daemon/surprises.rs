//! What cannot take effect is said, and is no reason not to run.

use crate::support::daemon::Daemon;
use crate::support::scratch::Scratch;

// C-062, C-130, C-422
#[test]
fn what_has_no_effect_or_fails_is_warned_of_and_the_daemon_runs() {
    let scratch = Scratch::new();
    // Not even root makes files in /proc.
    let config = scratch.write(
        "supervisord.conf",
        "[supervisord]\nlogfile=%(here)s/supervisord.log\npidfile=/proc/supervisord.pid\n\
         childlogdir=%(here)s\ndirectory=/usr\n\
         [program:a]\ncommand=/bin/sh -c 'pwd; exec sleep 100'\nstdout_logfile=%(here)s/a.out\n",
    );
    let mut daemon = Daemon::start_on(scratch.path(), &config, &[]);
    daemon.expect_log("WARN directory= has no effect in the foreground");
    daemon.expect_log("CRIT could not write pidfile /proc/supervisord.pid");
    daemon.expect_log("WARN no control socket");
    daemon.expect_log("success: a entered RUNNING state");
    assert_eq!(daemon.stop().code, 0);
    assert_eq!(scratch.read("a.out"), format!("{}\n", scratch.path().display()));
}
