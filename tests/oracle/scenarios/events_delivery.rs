//! How events get to listeners: what a listener may say, and what becomes of an event that it does
//! not take.

use super::events::{ROOM, heard, listener};
use super::rpc::calls;
use crate::compare::compare;
use crate::support::PATIENCE;
use crate::support::daemon::command;
use crate::support::process::{run, run_with_input};
use crate::world::{Side, World, upstream};

const REMOTE: &str = "events=REMOTE_COMMUNICATION\n";

/// Sends events of these types, without data.
fn send(world: &mut World, types: &[&str]) {
    let line = |kind: &&str| format!("[\"supervisor.sendRemoteCommEvent\", \"{kind}\", \"\"]\n");
    calls(world, &types.iter().map(line).collect::<String>());
}

/// Observes the first line of the log that has this in it.
fn first_line(world: &mut World, label: &str, needle: &str) {
    world.expect_log(needle);
    let log = world.main_log();
    let line = log.lines().find(|line| line.contains(needle)).expect("it came");
    world.note(label, line);
}

/// C-342, C-343, C-345, C-346, C-348, C-351: answers, and the states they lead to.
#[test]
fn answers() {
    compare(|world| {
        let l = listener(
            "l",
            &format!("{REMOTE}{ROOM}"),
            "OK FAIL 'RESULT 3\\nfooREADY\\n' 'RESULT 0002\\nOKREADY\\n'",
        );
        world.programs(&l);
        world.start_with(&["-e", "debug"]);
        world.expect_running(&["l"]);
        send(world, &["a", "b"]);
        heard(world, &["l"]);
        world.expect_log_times("l: ACKNOWLEDGED -> READY", 6);
        world.log("of rejections", &["rejected"]);
        world.log("of states", &["l: READY ->", "l: BUSY ->", "l: ACKNOWLEDGED ->"]);
        let text = world.dir.read("l.events");
        let again =
            "serial:1 pool:l poolserial:1 eventname:REMOTE_COMMUNICATION len:7 b'type:b\\n'";
        world.upstream_is("sent again as it was", text.matches(again).count() == 3);
    });
}

/// C-351, C-349: what is rejected is the next to be sent, before what came later.
#[test]
fn order() {
    compare(|world| {
        let l = listener("l", &format!("{REMOTE}{ROOM}autostart=false\n"), "OK FAIL FAIL OK FAIL");
        world.programs(&l);
        world.start();
        send(world, &["a", "b", "c", "d"]);
        world.ctl(&["start", "l"]);
        heard(world, &["l"]);
    });
}

/// C-342, C-343, C-344, C-347, C-348, C-411: whoever does not speak the language hears no more.
#[test]
fn wrong_words() {
    compare(|world| {
        let mut text = String::new();
        let silent = [
            ("noise", "printf 'hello world\\n'; exec sleep 100\n"),
            ("lower", "printf 'ready\\n'; exec sleep 100\n"),
            ("spaced", "printf 'READY \\n'; exec sleep 100\n"),
            ("twice", "printf 'READY\\nREADY\\n'; exec sleep 100\n"),
            ("chatty", "printf 'READY\\n'; sleep 0.3; echo chat; exec sleep 100\n"),
        ];
        for (name, script) in silent {
            world.script(name, script);
            let section =
                format!("[eventlistener:{name}]\ncommand=DIR/{name}\nstartsecs=0\n{REMOTE}");
            text.push_str(&section);
        }
        let wrong = [
            ("word", "'RESULT two\\nOK'"),
            ("empty", "'RESULT \\nOK'"),
            ("short", "'OK\\n'"),
            ("after", "'RESULT 2\\nOKREADY\\nand more'"),
            ("before", "'READY\\nRESULT 2\\nOK'"),
        ];
        for (name, answer) in wrong {
            text.push_str(&listener(name, &format!("{REMOTE}{ROOM}"), answer));
        }
        world.programs(&text);
        world.start();
        for (name, _) in silent {
            first_line(
                world,
                &format!("of {name}"),
                &format!("{name}: has entered the UNKNOWN state"),
            );
        }
        send(world, &["a"]);
        for (name, _) in wrong {
            first_line(
                world,
                &format!("of {name}"),
                &format!("{name}: has entered the UNKNOWN state"),
            );
        }
        for name in ["word", "empty", "short", "before"] {
            first_line(world, &format!("why {name}"), &format!("{name}: bad result line"));
        }
        // Ours starts them again, and the event is not lost.
        let back = world.side == Side::Ours;
        if back {
            for name in ["noise", "word"] {
                world.expect_log_times(&format!("spawned: '{name}'"), 2);
            }
        }
        world.note("they come back", &back.to_string());
    });
}

/// C-345, C-347, C-411: lengths of results that no result has.
#[test]
fn wrong_lengths() {
    compare(|world| {
        let wrong = [
            ("negative", "'RESULT -1\\nOK'"),
            ("huge", "'RESULT 99999999999999999999\\nOKREADY\\n'"),
            ("none", "'RESULT 0\\nREADY\\n'"),
            ("otherword", "'result 2\\nOKREADY\\n'"),
        ];
        let mut text = String::new();
        for (name, answer) in wrong {
            text.push_str(&listener(name, &format!("{REMOTE}{ROOM}"), answer));
        }
        world.programs(&text);
        world.start_with(&["-e", "debug"]);
        for (name, _) in wrong {
            world.expect_log(&format!("{name}: ACKNOWLEDGED -> READY"));
        }
        send(world, &["a"]);
        for (name, _) in wrong {
            let said = |world: &World| -> Vec<String> {
                let log = world.main_log();
                let of = format!("{name}: ");
                log.lines()
                    .filter(|line| line.contains(&of) && line.contains("WARN"))
                    .map(ToOwned::to_owned)
                    .collect()
            };
            world.expect_file(&format!("{name}.events"), "type:a");
            // Upstream says nothing of most of these: it waits, or takes them.
            if world.side == Side::Ours {
                world.expect_log(&format!("{name}: "));
            }
            let lines = said(world);
            world.note(&format!("of {name}"), lines.first().map_or("", String::as_str));
        }
    });
}

/// C-351: a listener that ends while it has an event: its successor gets it.
#[test]
fn an_end_while_busy() {
    compare(|world| {
        let l = listener("l", &format!("{REMOTE}{ROOM}autorestart=true\n"), "EXIT");
        world.programs(&l);
        world.start();
        world.expect_running(&["l"]);
        send(world, &["a", "b"]);
        world.expect_log_times("success: l entered RUNNING", 2);
        heard(world, &["l"]);
        let text = world.dir.read("l.events");
        world.upstream_is("the event comes again", text.matches("type:a").count() == 2);
    });
}

/// C-349, C-353: a pool of two: the first that is ready gets the event; another pool gets its own.
#[test]
fn pools() {
    compare(|world| {
        let options =
            format!("{REMOTE}{ROOM}numprocs=2\nprocess_name=%(program_name)s_%(process_num)d\n");
        let pool =
            listener("pool", &options, "").replace("pool.events", "pool_%(process_num)d.events");
        let hanging = pool.replace("_%(process_num)d.events ", "_%(process_num)d.events HANG");
        let other = listener("other", &format!("{REMOTE}{ROOM}"), "");
        world.programs(&format!("{hanging}{other}"));
        world.start_with(&["-e", "debug"]);
        for name in ["pool_0", "pool_1", "other"] {
            world.expect_log(&format!("{name}: ACKNOWLEDGED -> READY"));
        }
        send(world, &["a"]);
        world.expect_file("pool_0.events", "type:a");
        send(world, &["b"]);
        world.expect_file("pool_1.events", "type:b");
        send(world, &["c"]);
        for name in ["pool_0", "pool_1"] {
            world.file(&format!("{name}.events"));
        }
        heard(world, &["other"]);
        world.log("of sending", &["sent to listener"]);
    });
}

/// C-352: too much for a buffer: the oldest goes.
#[test]
fn overflow() {
    compare(|world| {
        let l = listener("l", &format!("{REMOTE}buffer_size=2\nautorestart=true\n"), "HANG");
        world.programs(&l);
        world.start_with(&["-e", "debug"]);
        world.expect_log("l: ACKNOWLEDGED -> READY");
        send(world, &["first"]);
        world.expect_file("l.events", "type:first");
        send(world, &["a", "b", "c", "d"]);
        world.expect_log_times("event buffer overflowed", 2);
        world.log("of overflow", &["overflowed"]);
        world.ctl(&["stop", "l"]).exits(0);
        world.ctl(&["start", "l"]).exits(0);
        world.expect_file("l.events", "type:d");
        world.log("of overflow", &["overflowed"]);
        world.file("l.events");
    });
}

/// C-406: an event that one pool rejects is no matter of the others.
#[test]
fn rejected_beside_another_pool() {
    compare(|world| {
        let l = listener("l", &format!("{REMOTE}{ROOM}"), "FAIL");
        let other =
            listener("other", &format!("events=REMOTE_COMMUNICATION,TICK_3600\n{ROOM}"), "");
        world.programs(&format!("{l}{other}"));
        world.start();
        send(world, &["a"]);
        world.expect_file("l.events", "type:a");
        world.expect_log("rejected");
        heard(world, &["l", "other"]);
    });
}

/// C-354, C-412: a pool that asks for a type and for one above it.
#[test]
fn overlapping() {
    compare(|world| {
        let l = listener(
            "l",
            &format!("events=PROCESS_STATE_STARTING,PROCESS_STATE,REMOTE_COMMUNICATION\n{ROOM}"),
            "",
        );
        world.programs(&l);
        world.start();
        world.expect_running(&["l"]);
        heard(world, &["l"]);
    });
}

/// C-355: what a listener says is in its log, and nothing of it is lost.
#[test]
fn log_of_a_listener() {
    compare(|world| {
        let l = listener("l", &format!("{REMOTE}{ROOM}stdout_logfile=DIR/l.out\n"), "OK FAIL");
        world.programs(&l);
        world.start();
        send(world, &["a", "b"]);
        heard(world, &["l"]);
        let all = "RESULT 2\nOKREADY\nRESULT 4\nFAILREADY\nRESULT 2\nOKREADY\nRESULT 2\nOKREADY\n";
        world.expect_file("l.out", all);
        world.file("l.out");
    });
}

/// C-350: a listener that closed its end: the next one gets the event.
#[test]
fn a_closed_pipe() {
    compare(|world| {
        world.script("closed", "exec 0<&-; printf 'READY\\n'; exec sleep 100\n");
        let options =
            format!("{REMOTE}{ROOM}numprocs=2\nprocess_name=%(program_name)s_%(process_num)d\n");
        let pool = listener("pool", &options, "");
        world.script(
            "either",
            &format!("[ \"$1\" = 1 ] || exec DIR/closed; shift; exec {}\n", command_of(&pool)),
        );
        let pool = pool.replace(command_of(&pool), "DIR/either %(process_num)d");
        world.programs(&pool);
        world.start_with(&["-e", "debug"]);
        world.expect_log("pool_0: ACKNOWLEDGED -> READY");
        world.expect_log("pool_1: ACKNOWLEDGED -> READY");
        send(world, &["a"]);
        heard(world, &["pool"]);
        world.log("of it", &["epipe"]);
    });
}

fn command_of(section: &str) -> &str {
    let line = section.lines().find_map(|line| line.strip_prefix("command="));
    line.expect("every program has one")
}

/// C-408: a listener that takes events and does not read them, until its pipe is full.
#[test]
fn never_reads() {
    compare(|world| {
        world.script(
            "deaf",
            "printf 'READY\\n'\n\
             while [ ! -e DIR/go ]; do sleep 0.1; done\n\
             printf 'RESULT 2\\nOKREADY\\n'; exec sleep 100\n",
        );
        world.programs(&format!("[eventlistener:l]\ncommand=DIR/deaf\n{REMOTE}startsecs=0\n"));
        world.start_with(&["-e", "debug"]);
        world.expect_log("l: ACKNOWLEDGED -> READY");
        // More than a pipe holds.
        let data = "x".repeat(200_000);
        send_by(world, &format!("[\"supervisor.sendRemoteCommEvent\", \"a\", \"{data}\"]\n"));
        world.expect_log("event 0 sent to listener l");
        world.write("go", "");
        world.expect_log_times("l: ACKNOWLEDGED -> READY", 2);
        send_by(world, "[\"supervisor.sendRemoteCommEvent\", \"b\", \"\"]\n");
        let fate = match world.side {
            Side::Upstream => {
                let ended = world.daemon.as_mut().expect("it was started").finish(PATIENCE);
                format!("exit {}", ended.code)
            }
            Side::Ours => {
                let mut status =
                    world.command("supervisorctl", &["-c", "supervisord.conf", "status"]);
                run(&mut status).stdout
            }
        };
        world.note("what becomes of the daemon", &fate);
    });
}

/// Makes a call that may be the last that the daemon answers, or one that it does not.
fn send_by(world: &World, call: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/rpc.py");
    let mut client = command(upstream().join("bin/python"), world.dir.path());
    run_with_input(client.arg(script).arg(world.dir.join("sv.sock")), call);
}
