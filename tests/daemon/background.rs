//! A daemon in the background, where `directory=` takes effect.

use crate::support::PATIENCE;
use crate::support::children::kill_of_home;
use crate::support::daemon::{SUPERVISORCTL, SUPERVISORD, command};
use crate::support::process::{run, wait_gone};
use crate::support::scratch::Scratch;
use crate::support::watch::wait_dir;

/// A directory whose processes end with it.
struct Home(Scratch);

impl Home {
    fn ctl(&self, action: &str) -> String {
        let mut ctl = command(SUPERVISORCTL, self.0.path());
        run(ctl.args(["-c", "supervisord.conf", action])).stdout
    }

    /// Waits until the log tells of that many starts.
    fn expect_starts(&self, times: usize) {
        let started = || self.0.read("log").matches("supervisord started with pid").count();
        let enough = wait_dir(self.0.path(), PATIENCE, || (started() >= times).then_some(()));
        assert!(enough.is_some(), "not started {times} times:\n{}", self.0.read("log"));
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        kill_of_home(self.0.path());
    }
}

// C-062, C-119, C-416, C-417
#[test]
fn relative_paths_mean_where_it_was_started_after_a_reread_and_a_reload_too() {
    let home = Home(Scratch::new());
    home.0.write(
        "supervisord.conf",
        "[supervisord]\nlogfile=log\npidfile=pid\nchildlogdir=.\ndirectory=/usr\n[supervisorctl]\n\
         [program:a]\ncommand=/bin/sleep 1000\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    let mut daemon = command(SUPERVISORD, home.0.path());
    let output = run(daemon.args(["-c", "supervisord.conf"]));
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let pid: u32 = home.0.read("pid").trim().parse().expect("the pid of the daemon");
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).expect("it runs");
    assert_eq!(cwd, std::path::Path::new("/usr"));

    assert_eq!(home.ctl("reread"), "No config updates to processes\n");
    assert!(home.ctl("maintail").contains("supervisord started with pid"));
    assert_eq!(home.ctl("reload"), "Restarted supervisord\n");
    home.expect_starts(2);
    assert!(home.ctl("maintail").contains("supervisord started with pid"));
    assert_eq!(home.ctl("shutdown"), "Shut down\n");
    assert!(wait_gone(pid, PATIENCE));
    assert_eq!(home.0.names("."), ["log", "supervisord.conf"]);
}
