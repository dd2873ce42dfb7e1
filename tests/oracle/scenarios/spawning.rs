//! What a program finds when it starts.

use crate::compare::compare;
use crate::support::require_root;
use crate::world::{Side, World};

const ONCE: &str = "startsecs=0\nautorestart=false\n";

/// Runs programs to their end and observes what they wrote.
fn outputs(world: &mut World, names: &[&str]) {
    for name in names {
        world.expect_exited(&[name]);
        world.file(&format!("{name}.out"));
    }
}

/// C-072, C-090, C-208, C-209, C-210: the environment.
#[test]
fn environment() {
    compare(|world| {
        world.env.push(("INHERITED".to_owned(), "100%s".to_owned()));
        world.programs(&format!(
            "[program:a]\ncommand=/usr/bin/env\nstdout_logfile=DIR/a.out\n{ONCE}\
             [program:b]\ncommand=/usr/bin/env\nstdout_logfile=DIR/b.out\nserverurl=http://elsewhere:1\n{ONCE}\
             [program:c]\ncommand=/usr/bin/env\nstdout_logfile=DIR/c.out\nserverurl= Auto \nenvironment=INHERITED=\"own\"\n{ONCE}\
             [program:d]\ncommand=/usr/bin/env\nstdout_logfile=DIR/d.out\nserverurl=\n{ONCE}\
             [group:g]\nprograms=c\n",
        ));
        world.start();
        for name in ["a", "b", "c", "d"] {
            world.expect_exited(&[name]);
            let text = world.sorted_file(&format!("{name}.out"));
            world.upstream_is("it is told who it is", text.contains("SUPERVISOR_ENABLED=1"));
        }
    });
}

/// C-062, C-083, C-084, C-199, C-202, C-203, C-204: directory, umask, process group, descriptors.
#[test]
fn surroundings() {
    compare(|world| {
        world.script(
            "probe",
            "pwd; umask; echo $0 $#\n\
             stat() { cut -d' ' -f$1 /proc/$2/stat; }\n\
             [ $(stat 5 $$) = $$ ] && echo own group\n\
             [ $(stat 6 $$) = $(stat 6 $PPID) ] && echo same session\n\
             for fd in /proc/$$/fd/*; do echo fd ${fd##*/} $(readlink $fd | sed 's/:.*//'); done\n\
             [ \"$(readlink /proc/$$/fd/1)\" = \"$(readlink /proc/$$/fd/2)\" ] && echo merged\n\
             grep flags /proc/$$/fdinfo/0 /proc/$$/fdinfo/1 | sed 's/.*://'\n",
        );
        world.programs(&format!(
            "[program:plain]\ncommand=DIR/probe one two\nstdout_logfile=DIR/plain.out\n{ONCE}\
             [program:all]\ncommand=DIR/probe\nstdout_logfile=DIR/all.out\ndirectory=/usr\numask=077\nredirect_stderr=true\n{ONCE}",
        ));
        world.start();
        outputs(world, &["plain", "all"]);
    });
}

/// C-211, C-430: signals that are ignored or blocked at the start.
#[test]
fn signal_dispositions() {
    compare(|world| {
        world.programs(&format!(
            "[program:a]\ncommand=/bin/grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status\nstdout_logfile=DIR/a.out\n{ONCE}",
        ));
        world.start();
        outputs(world, &["a"]);
    });
}

/// C-053, C-083, C-123, C-205, C-207, C-210: other users.
#[test]
fn users() {
    require_root();
    compare(|world| {
        world.script("probe", "id; echo $HOME $USER $LOGNAME\n");
        world.programs(&format!(
            "[program:name]\ncommand=DIR/probe\nuser=games\nstdout_logfile=DIR/name.out\n{ONCE}\
             [program:number]\ncommand=DIR/probe\nuser=1\nstdout_logfile=DIR/number.out\n{ONCE}\
             [program:root]\ncommand=DIR/probe\nuser=root\nstdout_logfile=DIR/root.out\n{ONCE}\
             [program:groups]\ncommand=/usr/bin/id -G\nuser=nobody\nstdout_logfile=DIR/groups.out\n{ONCE}",
        ));
        world.start();
        outputs(world, &["name", "number", "root", "groups"]);
    });
}

/// C-084, C-173, C-201, C-205, C-206: failures between fork and exec.
#[test]
fn failures_in_the_child() {
    compare(|world| {
        world.dir.write("scripts/text.sh", "not for the kernel");
        world.dir.script("scripts/text.sh", "\u{1}\u{2}\u{3}");
        let log =
            |name: &str| format!("stderr_logfile=DIR/{name}.err\nstdout_logfile=DIR/{name}.out\n");
        world.programs(&format!(
            "[program:chdir]\ncommand=/bin/true\ndirectory=/no/such/directory\nstartretries=0\nstartsecs=5\n{}\
             [program:merged]\ncommand=/bin/true\ndirectory=/no/such/directory\nredirect_stderr=true\nstartretries=0\nstartsecs=5\nstdout_logfile=DIR/merged.out\n\
             [program:format]\ncommand=DIR/scripts/text.sh\nstartretries=0\nstartsecs=5\n{}\
             [program:zero]\ncommand=/bin/true\ndirectory=/no/such/directory\nstartretries=0\nstartsecs=0\nautorestart=false\n{}",
            log("chdir"),
            log("format"),
            log("zero"),
        ));
        world.start();
        for name in ["chdir", "merged", "format"] {
            world.expect_log(&format!("gave up: {name}"));
        }
        // Upstream takes it for a program that ended with 127; ours knows that it never ran.
        match world.side {
            Side::Upstream => world.expect_exited(&["zero"]),
            Side::Ours => world.expect_log("gave up: zero"),
        }
        for file in ["chdir.err", "merged.out", "format.err", "zero.err", "zero.out"] {
            world.file(file);
        }
        world.ctl(&["status"]).exits(3);
        world.log("of exits", &["exited:", "spawnerr"]);
    });
}

/// C-193, C-196, C-197, C-199, C-429: how a command is read and found.
#[test]
fn commands() {
    compare(|world| {
        world.script("bin/tool", "echo tool $0 \"$@\"\n");
        world.dir.write("shadow/tool", "not executable");
        world.script("other/local", "echo local\n");
        let program = |name: &str, options: &str| {
            format!(
                "[program:{name}]\nstdout_logfile=DIR/{name}.out\nstartretries=0\n{options}\n{ONCE}"
            )
        };
        world.programs(
            &[
                program("path", "command=tool a\nenvironment=PATH=\"DIR/bin:/usr/bin:/bin\""),
                program("system", "command=echo 'one  two' three\\ four \"a\\\"b\" $HOME * ~"),
                program(
                    "shadowed",
                    "command=tool\nenvironment=PATH=\"DIR/shadow:DIR/bin\"\nautostart=false",
                ),
                program("relative", "command=bin/tool x"),
                program("dotted", "command=./local\ndirectory=DIR/other\nautostart=false"),
                program("assignment", "command=A=1 /bin/echo\nautostart=false"),
                program("multiline", "command=/bin/echo one\n  two"),
            ]
            .concat(),
        );
        world.start();
        outputs(world, &["path", "system", "relative", "multiline"]);
        world.ctl(&["start", "assignment"]);
        world.ctl(&["start", "shadowed"]);
        world.ctl(&["start", "dotted"]);
    });
}
