//! reread, update, add, remove: a configuration that changes under a running daemon.

use crate::compare::compare;
use crate::support::PATIENCE;
use crate::world::Side;

const A: &str = "[program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n";
const B: &str = "[program:b]\ncommand=/bin/sleep 100\nstartsecs=0\n";
const C: &str = "[program:c]\ncommand=/bin/sleep 100\nstartsecs=0\n";

/// C-260, C-261, C-393, C-396: added, changed and removed at once.
#[test]
fn reread_and_update() {
    compare(|world| {
        world.programs(&format!("{A}{B}[program:same]\ncommand=/bin/sleep 100\nstartsecs=0\n"));
        world.start();
        world.expect_running(&["a", "b", "same"]);
        world.ctl(&["reread"]).prints("No config updates to processes\n").exits(0);
        world.ctl(&["update"]).prints("").exits(0);
        world.programs(&format!(
            "{A}priority=5\n{C}[program:same]\ncommand=/bin/sleep 100\nstartsecs=0\n"
        ));
        world.ctl(&["reread"]).prints("a: changed\nb: disappeared\nc: available\n").exits(0);
        world.ctl(&["avail"]).exits(0);
        world.ctl(&["status"]).exits(0);
        world.ctl(&["update"]).exits(0);
        world.expect_running(&["c"]);
        world.expect_log_times("success: a entered RUNNING", 2);
        world.ctl(&["status"]).exits(0);
        world.ctl(&["avail"]).exits(0);
        world.log("of same", &["same"]);
    });
}

/// C-261, C-262: update of some groups.
#[test]
fn update_of_names() {
    compare(|world| {
        world.programs(A);
        world.start();
        world.expect_running(&["a"]);
        world.programs(&format!("{A}autorestart=true\n{B}{C}"));
        world.ctl(&["update", "b"]).prints("b: added process group\n").exits(0);
        world.ctl(&["update", "nope", "c"]).exits(1);
        world.ctl(&["update", "all"]).exits(0);
        world.ctl(&["update", "a"]).exits(0);
        world.ctl(&["avail"]).exits(0);
    });
}

/// C-260, C-263, C-397: a broken configuration changes nothing.
#[test]
fn broken() {
    compare(|world| {
        world.programs(&format!("{A}{B}autostart=false\n"));
        world.start();
        world.expect_running(&["a"]);
        world.programs("[program:a]\nautostart=true\n");
        world.ctl(&["reread"]).exits(1);
        world.ctl(&["update"]).exits(1);
        world.ctl(&["status"]).exits(3);
        world.ctl(&["remove", "b"]).exits(0);
        world.ctl(&["add", "b"]);
        world.ctl(&["restart", "a"]).exits(0);
    });
}

/// C-264, C-265, C-298, C-299: add and remove.
#[test]
fn add_and_remove() {
    compare(|world| {
        world.programs(&format!("{A}{B}"));
        world.start();
        world.expect_running(&["a", "b"]);
        world.ctl(&["add", "a"]).prints("ERROR: process group already active\n").exits(0);
        world.ctl(&["add", "nope"]).exits(1);
        world.ctl(&["remove", "a"]).prints("ERROR: process/group still running: a\n").exits(1);
        world.ctl(&["remove", "nope"]).exits(1);
        world.ctl(&["stop", "a"]).exits(0);
        world.ctl(&["remove", "a", "b"]).exits(1);
        world.ctl(&["status"]).exits(0);
        world.ctl(&["start", "a"]).exits(1);
        world.ctl(&["add", "a"]).prints("a: added process group\n").exits(0);
        world.expect_log_times("success: a entered RUNNING", 2);
        world.ctl(&["status"]).exits(0);
        world.ctl(&["add"]).prints("").exits(0);
        world.ctl(&["remove"]).prints("").exits(0);
    });
}

/// C-394: which differences count as a change.
#[test]
fn changes() {
    compare(|world| {
        let program = |options: &str| {
            format!("[program:a]\ncommand=/bin/sleep 100\nautostart=false\n{options}")
        };
        world.programs(&program(""));
        world.start();
        for options in [
            "; a comment\n",
            "startsecs=1\n",
            "startsecs=2\n",
            "stopsignal=15\n",
            "stopsignal=INT\n",
            "exitcodes=0,2\n",
            "environment=A=1\n",
            "umask=022\n",
            "directory=/\n",
            "user=root\n",
            "stdout_logfile=DIR/a.out\n",
            "stdout_logfile_maxbytes=1MB\n",
            "redirect_stderr=true\n",
            "autorestart=true\n",
            "stopasgroup=true\n",
            "process_name=other\n",
            "no_such_option=1\n",
        ] {
            world.programs(&program(options));
            let output = crate::support::process::run(
                &mut world.command("supervisorctl", &["-c", "supervisord.conf", "reread"]),
            );
            let seen = world.observe(&format!("with {}", options.trim()), &output);
            seen.exits(0);
        }
        world.config("[supervisord]\nlogfile=DIR/supervisord.log\npidfile=DIR/supervisord.pid\nchildlogdir=DIR\nenvironment=B=2\n[program:a]\ncommand=/bin/sleep 100\nautostart=false\n");
        world.ctl(&["reread"]).prints("a: changed\n");
    });
}

/// C-395, C-398: what does not count as a change, and starts that use what is active.
#[test]
fn active_configuration() {
    compare(|world| {
        world.programs(&format!("{A}stdout_logfile=DIR/a.out\n"));
        world.start();
        world.expect_running(&["a"]);
        world.programs(
            "[program:a]\ncommand=/bin/echo changed\nstartsecs=0\nstdout_logfile=DIR/a.out\n",
        );
        world.ctl(&["restart", "a"]).exits(0);
        world.ctl(&["status", "a"]).exits(0);
        world.ctl(&["reread"]).prints("a: changed\n");
        world.ctl(&["restart", "a"]).exits(0);
        world.file("a.out");
    });
}

/// C-092, C-226, C-394: members that come and go.
#[test]
fn members() {
    compare(|world| {
        let many = |count: u32| {
            format!(
                "[program:m]\ncommand=/bin/sleep 100\nstartsecs=0\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs={count}\n"
            )
        };
        world.programs(&format!("{}{A}{B}[group:g]\nprograms=a\n", many(2)));
        world.start();
        world.expect_running(&["m_0", "m_1", "a", "b"]);
        world.programs(&format!("{}{A}{B}[group:g]\nprograms=a,b\n", many(3)));
        world.ctl(&["reread"]).prints("b: disappeared\ng: changed\nm: changed\n");
        let seen = world.ctl(&["update"]);
        seen.exits(0);
        world.expect_running(&["m_2"]);
        world.expect_log_times("success: b entered RUNNING", 2);
        // Ours leaves members alone that did not change.
        if world.side == Side::Upstream {
            world.expect_log_times("success: a entered RUNNING", 2);
            world.expect_log_times("success: m_0 entered RUNNING", 2);
        }
        let stopped = world.settled_log().contains("stopped: m_0");
        world.note("members that did not change are restarted", &stopped.to_string());
        world.ctl(&["status"]).exits(0);
    });
}

/// C-390, C-391, C-392, C-065: reload takes what reread does not: flags stay, files are read again.
#[test]
fn reload() {
    compare(|world| {
        world.programs(&format!("{A}{B}"));
        world.start_with(&["-e", "info"]);
        world.expect_running(&["a", "b"]);
        world.ctl(&["stop", "a"]);
        world.config(&format!(
            "[supervisord]\nlogfile=DIR/supervisord.log\npidfile=DIR/supervisord.pid\nchildlogdir=DIR\nloglevel=debug\nidentifier=second\n{A}[include]\nfiles=more.conf\n"
        ));
        world.write("more.conf", C);
        world.ctl(&["reread"]).exits(0);
        world.signal(nix::sys::signal::Signal::SIGHUP);
        world.expect_running(&["c"]);
        world.expect_log_times("success: a entered RUNNING", 2);
        world.ctl(&["status"]).exits(0);
        let debug = world.main_log().contains(" DEBG ");
        world.note("the flag still wins", &(!debug).to_string());
        let auto = world.dir.names(".").iter().any(|name| name.contains("---second-"));
        world.note("new identifier", &auto.to_string());
    });
}

/// C-415: a reload with a broken configuration.
#[test]
fn broken_reload() {
    compare(|world| {
        world.programs(A);
        world.start();
        world.expect_running(&["a"]);
        world.programs("[program:a]\nautostart=true\n");
        world.ctl(&["reload"]).exits(0);
        let fate = match world.side {
            Side::Upstream => {
                world.daemon.as_mut().expect("it was started").finish(PATIENCE).code.to_string()
            }
            Side::Ours => world.ctl(&["status", "a"]).stdout.clone(),
        };
        world.note("what becomes of it", &fate);
    });
}
