//! What becomes of a program: states, retries, stops, and what the log says of them.

use crate::compare::compare;
use crate::world::World;

/// A shell program: `body` runs under `/bin/sh`.
fn shell(world: &mut World, name: &str, body: &str, options: &str) -> String {
    world.script(&format!("{name}.sh"), body);
    format!("[program:{name}]\ncommand=DIR/{name}.sh\nstdout_logfile=DIR/{name}.out\n{options}\n")
}

/// The lines about one program.
fn life(world: &mut World, name: &str) -> String {
    world.log(&format!("of {name}"), &[&format!(": {name} "), &format!("'{name}'")])
}

/// C-157, C-160, C-173, C-175, C-176, C-177, C-184, C-242: too quick exits, retries, giving up.
#[test]
fn too_quick() {
    compare(|world| {
        world.programs(
            "[program:twice]\ncommand=/bin/sh -c 'exit 3'\nstartretries=1\nstartsecs=5\n\
             [program:once]\ncommand=/bin/true\nstartretries=0\nstartsecs=5\n\
             [program:never]\ncommand=/bin/true\nstartretries=0\nstartsecs=5\nexitcodes=0\nautorestart=true\n",
        );
        world.start();
        for name in ["once", "never", "twice"] {
            world.expect_log(&format!("gave up: {name}"));
        }
        world.ctl(&["status"]).exits(3);
        let log = life(world, "twice");
        world.upstream_is("two attempts", log.matches("spawned").count() == 2);
        life(world, "once");
        life(world, "never");
    });
}

/// C-161, C-174, C-194, C-195, C-198, C-242, C-246: commands that cannot be run.
#[test]
fn spawn_errors() {
    compare(|world| {
        world.dir.write("plain", "text");
        world.dir.script("interpreter", "#!/no/such/interpreter\n");
        let off = "startretries=0\nstartsecs=5\nautostart=false\n";
        world.programs(&format!(
            "[program:missing]\ncommand=/no/such/program\n{off}\
             [program:unknown]\ncommand=no-such-program-anywhere x\n{off}\
             [program:directory]\ncommand=/usr/bin\n{off}\
             [program:plain]\ncommand=DIR/plain\n{off}\
             [program:quote]\ncommand=/bin/echo \"open\n{off}\
             [program:empty]\ncommand=\"\"\n{off}\
             [program:interpreter]\ncommand=DIR/interpreter\nredirect_stderr=true\nstdout_logfile=DIR/interpreter.out\n{off}\
             [program:auto]\ncommand=/no/such/program\nstartretries=1\n",
        ));
        world.start();
        world.expect_log("gave up: auto");
        for name in
            ["missing", "unknown", "directory", "plain", "quote", "empty", "interpreter", "auto"]
        {
            world.ctl(&["start", name]);
        }
        world.expect_log("gave up: interpreter");
        world.ctl(&["status"]).exits(3);
        world.file("interpreter.out");
        life(world, "auto");
        world.log("of spawn errors", &["spawnerr"]);
    });
}

/// C-157, C-158, C-182, C-183, C-185: exits, and which of them bring a program back.
#[test]
fn restarts() {
    compare(|world| {
        // Each counts its runs in a file and stays from the third on.
        let body = |exit: &str| {
            format!("echo run >> $1; [ $(wc -l < $1) -ge 3 ] && exec sleep 100; {exit}\n")
        };
        world.script("exit0", &body("exit 0"));
        world.script("exit3", &body("exit 3"));
        world.script("crash", &body("kill -SEGV $$"));
        let mut text = String::new();
        for (name, script, options) in [
            ("always", "exit0", "autorestart=true"),
            ("unexpected", "exit3", "autorestart=unexpected"),
            ("expected", "exit3", "autorestart=unexpected\nexitcodes=1,3"),
            ("none", "exit0", "exitcodes="),
            ("never", "exit3", "autorestart=false"),
            ("signal", "crash", "autorestart=unexpected"),
            ("signal-never", "crash", "autorestart=false"),
        ] {
            let section = format!(
                "[program:{name}]\ncommand=DIR/{script} DIR/{name}.runs\nstartsecs=0\n{options}\n"
            );
            text.push_str(&section);
        }
        world.programs(&text);
        world.start();
        for name in ["always", "unexpected", "none", "signal"] {
            world.expect_log_times(&format!("spawned: '{name}'"), 3);
        }
        world.expect_exited(&["expected", "never", "signal-never"]);
        for name in ["always", "unexpected", "expected", "none", "never", "signal", "signal-never"]
        {
            world.log(&format!("exits of {name}"), &[&format!("exited: {name} (")]);
        }
        world.ctl(&["status"]).exits(3);
    });
}

/// C-159, C-162, C-163, C-179, C-180, C-181, C-191, C-251: ways to stop.
#[test]
fn stops() {
    compare(|world| {
        let loop_ = "while :; do sleep 0.2; done\n";
        let text = [
            shell(world, "plain", &format!("echo up; {loop_}"), ""),
            shell(world, "polite", &format!("trap 'exit 0' TERM; echo up; {loop_}"), ""),
            shell(
                world,
                "seven",
                &format!("trap 'exit 7' USR1; echo up; {loop_}"),
                "stopsignal=USR1\nautorestart=true",
            ),
            shell(world, "deaf", &format!("trap '' TERM; echo up; {loop_}"), "stopwaitsecs=1"),
            shell(world, "kill", &format!("echo up; {loop_}"), "stopsignal=KILL"),
        ];
        world.programs(&text.concat());
        world.start_with(&["-e", "debug"]);
        let names = ["plain", "polite", "seven", "deaf", "kill"];
        world.expect_running(&names);
        for name in names {
            world.expect_file(&format!("{name}.out"), "up\n");
            world.ctl(&["stop", name]).prints(&format!("{name}: stopped\n")).exits(0);
        }
        world.ctl(&["status"]).exits(3);
        world.ctl(&["stop", "plain"]).prints("plain: ERROR (not running)\n").exits(0);
        world.expect_log("stopped: kill");
        world.log("of stops", &["killing", "stopped:"]);
    });
}

/// C-165, C-178, C-186, C-187, C-212, C-245, C-251, C-425: requests in states of transition.
#[test]
fn transitions() {
    compare(|world| {
        let deaf = shell(
            world,
            "deaf",
            "trap '' TERM; echo up; while :; do sleep 0.2; done\n",
            "stopwaitsecs=5",
        );
        world.programs(&format!(
            "{deaf}[program:crashing]\ncommand=/bin/false\nstartretries=100\nstartsecs=5\n\
             [program:slow]\ncommand=/bin/sleep 100\nstartsecs=60\n"
        ));
        world.start_with(&["-e", "debug"]);
        world.expect_running(&["deaf"]);
        world.expect_file("deaf.out", "up\n");
        let mut stop = world.ctl_beside(&["stop", "deaf"]);
        world.expect_log("killing deaf (pid");
        world.ctl(&["status", "deaf"]).prints("deaf                             STOPPING  \n");
        world.ctl(&["stop", "deaf"]).prints("deaf: ERROR (not running)\n");
        world.ctl(&["status", "slow"]).prints("slow                             STARTING  \n");
        world.ctl(&["start", "slow"]).prints("slow: ERROR (already started)\n").exits(0);
        world.ctl(&["stop", "slow"]).prints("slow: stopped\n").exits(0);
        world.expect_log_times("spawned: 'crashing'", 4);
        world.ctl(&["stop", "crashing"]).prints("crashing: stopped\n").exits(0);
        let output = stop.finish(crate::support::PATIENCE);
        world.observe("the waiting stop", &output).prints("deaf: stopped\n");
        let told = world.main_log().contains("INFO waiting for deaf to stop\n");
        world.note("that a client waits is told", &told.to_string());
        world.ctl(&["status", "deaf"]).exits(3);
    });
}

/// C-163, C-212, C-305: signals to the process alone, or to its group.
#[test]
fn groups_of_processes() {
    compare(|world| {
        let body = "sleep 3333 & echo $! > DIR/$1.child; echo up; wait\n";
        world.script("parent", body);
        let program = |name: &str, options: &str| {
            format!(
                "[program:{name}]\ncommand=DIR/parent {name}\nstdout_logfile=DIR/{name}.out\n{options}\n"
            )
        };
        world.programs(&format!(
            "{}{}",
            program("single", ""),
            program("group", "stopasgroup=true"),
        ));
        world.start_with(&["-e", "debug"]);
        world.expect_running(&["single", "group"]);
        for name in ["single", "group"] {
            world.expect_file(&format!("{name}.out"), "up\n");
        }
        world.ctl(&["stop", "group", "single"]).exits(0);
        let child: u32 = world.dir.read("group.child").trim().parse().expect("a pid");
        let gone = crate::support::process::wait_gone(child, crate::support::PATIENCE);
        world.note("the group's child is gone", &gone.to_string());
        world.expect_log("stopped: single");
        world.log("of stops", &["killing", "stopped:"]);
    });
}

/// C-172, C-242, C-243, C-426: what status says of each state.
#[test]
fn descriptions() {
    compare(|world| {
        world.programs(
            "[program:never]\ncommand=/bin/cat\nautostart=false\n\
             [program:running]\ncommand=/bin/sleep 100\n\
             [program:ended]\ncommand=/bin/true\nstartsecs=0\nautorestart=false\n\
             [program:stopped]\ncommand=/bin/sleep 100\n\
             [program:fatal]\ncommand=/no/such/thing\nstartretries=0\n\
             [program:a-name-that-is-longer-than-thirty-characters]\ncommand=/bin/sleep 100\n",
        );
        world.start();
        world.expect_running(&["running", "stopped"]);
        world.expect_running(&["a-name-that-is-longer-than-thirty-characters"]);
        world.expect_exited(&["ended"]);
        world.expect_log("gave up: fatal");
        world.ctl(&["stop", "stopped"]);
        world.ctl(&["status"]).exits(3);
        world.ctl(&["status", "running"]).exits(0);
        world.ctl(&["status", "running", "never"]).exits(3);
    });
}
