//! Events as a listener gets them: header and payload of each type, and in what order they come.

use nix::sys::signal::Signal;

use super::rpc::calls;
use crate::compare::compare;
use crate::world::{DAEMON, World, upstream};

/// The section of a listener that writes what it hears into `NAME.events`. Answers, each in
/// quotes, are explained in `listener.py`.
pub fn listener(name: &str, options: &str, answers: &str) -> String {
    let python = upstream().join("bin/python").display().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/listener.py");
    format!(
        "[eventlistener:{name}]\ncommand={python} {script} DIR/{name}.events {answers}\nstartsecs=0\n\
         {options}\n"
    )
}

/// Starts a program that ends at once: what a start that waits says of it is chance.
pub fn start_only(world: &mut World, name: &str) {
    calls(world, &format!("[\"supervisor.startProcess\", \"{name}\", false]\n"));
}

/// Enough for everything that comes before a listener is ready.
pub const ROOM: &str = "buffer_size=100\n";

/// Sends an event that ends what is observed, and observes what these listeners heard until then.
pub fn heard(world: &mut World, names: &[&str]) {
    calls(world, "[\"supervisor.sendRemoteCommEvent\", \"end\", \"\"]\n");
    for name in names {
        let file = format!("{name}.events");
        world.expect_file(&file, "type:end");
        world.file(&file);
    }
}

/// What a listener wrote down so far.
fn heard_so_far(world: &World, name: &str) -> String {
    world.dir.read(&format!("{name}.events"))
}

/// C-338, C-340, C-341, C-358, C-359, C-360, C-361: a program through all of its states.
#[test]
fn states() {
    compare(|world| {
        let l = listener("l", &format!("events=PROCESS_STATE,REMOTE_COMMUNICATION\n{ROOM}"), "");
        world.programs(&format!(
            "{l}\
             [program:up]\ncommand=/bin/sleep 100\nautostart=false\nstartsecs=1\n\
             [program:ends]\ncommand=/bin/sh -c 'exit 3'\nautostart=false\nautorestart=false\nstartsecs=0\n\
             [program:well]\ncommand=/bin/true\nautostart=false\nautorestart=false\nstartsecs=0\n\
             [program:short]\ncommand=/bin/false\nautostart=false\nstartsecs=5\nstartretries=2\n\
             [program:killed]\ncommand=/bin/sh -c 'kill -9 $$'\nautostart=false\nautorestart=false\nstartsecs=0\n"
        ));
        world.start();
        world.ctl(&["start", "up"]);
        world.ctl(&["stop", "up"]);
        for name in ["ends", "well", "killed"] {
            start_only(world, name);
            world.expect_exited(&[name]);
        }
        world.ctl(&["start", "short"]);
        world.expect_log("gave up: short");
        heard(world, &["l"]);
        let text = heard_so_far(world, "l");
        for event in [
            "ver:3.0 server:supervisor serial:0 pool:l poolserial:0 eventname:PROCESS_STATE_STARTING \
             len:52 b'processname:l groupname:l from_state:STOPPED tries:0'",
            "b'processname:up groupname:up from_state:STARTING pid:PID'",
            "b'processname:up groupname:up from_state:RUNNING pid:PID'",
            "b'processname:up groupname:up from_state:STOPPING pid:PID'",
            "b'processname:ends groupname:ends from_state:RUNNING expected:0 pid:PID'",
            "b'processname:well groupname:well from_state:RUNNING expected:1 pid:PID'",
            "b'processname:short groupname:short from_state:STARTING tries:3'",
            "b'processname:short groupname:short from_state:BACKOFF'",
        ] {
            world.upstream_is(event, text.contains(event));
        }
    });
}

/// C-181, C-358, C-360: groups, restarts of crashed programs and signals.
#[test]
fn states_in_groups() {
    compare(|world| {
        let l = listener("l", &format!("events=PROCESS_STATE,REMOTE_COMMUNICATION\n{ROOM}"), "");
        world.programs(&format!(
            "{l}\
             [program:x]\ncommand=/bin/sleep 100\nautostart=false\nstartsecs=1\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs=1\n\
             [group:g]\nprograms=x\n"
        ));
        world.start();
        world.ctl(&["start", "g:x_0"]);
        world.expect_file("l.events", "PROCESS_STATE_RUNNING len:55 b'processname:x_0 groupname:g");
        world.ctl(&["signal", "KILL", "g:x_0"]);
        world.expect_log_times("success: x_0 entered RUNNING", 2);
        world.ctl(&["stop", "g:*"]);
        heard(world, &["l"]);
    });
}

/// C-360: a program that is stopped while it waits for another attempt has no process.
#[test]
fn stopped_between_attempts() {
    compare(|world| {
        let options = format!("events=PROCESS_STATE_STOPPED,REMOTE_COMMUNICATION\n{ROOM}");
        let l = listener("l", &options, "");
        world.programs(&format!(
            "{l}[program:a]\ncommand=/bin/false\nstartsecs=5\nstartretries=100\n"
        ));
        world.start();
        // Then it waits for three seconds.
        world.expect_log_times("exited: a", 3);
        world.ctl(&["stop", "a"]);
        heard(world, &["l"]);
        let text = heard_so_far(world, "l");
        let stopped = "b'processname:a groupname:a from_state:BACKOFF pid:0'";
        world.upstream_is("there is no process", text.contains(stopped));
    });
}

/// C-205, C-359, C-361: a program that cannot be started.
#[test]
fn spawn_errors() {
    compare(|world| {
        let events = "events=PROCESS_STATE_BACKOFF,PROCESS_STATE_FATAL,REMOTE_COMMUNICATION\n";
        let l = listener("l", &format!("{events}{ROOM}"), "");
        world.programs(&format!("{l}[program:nowhere]\ncommand=/no/such/thing\nstartretries=1\n"));
        world.start();
        world.expect_log("gave up: nowhere");
        heard(world, &["l"]);
    });
}

/// C-370, C-369, C-367, C-340, C-341, C-353: what happens at the start, as pools of different priorities see
/// it.
#[test]
fn start() {
    compare(|world| {
        let events = "events=PROCESS_GROUP,SUPERVISOR_STATE_CHANGE,REMOTE_COMMUNICATION\n";
        let first = listener("first", &format!("{events}{ROOM}"), "");
        let later = listener("later", &format!("{events}{ROOM}priority=20\n"), "");
        world.config(&format!(
            "{DAEMON}identifier=here\n{first}{later}\
             [program:b]\ncommand=/bin/cat\nautostart=false\npriority=10\n\
             [program:a]\ncommand=/bin/cat\nautostart=false\npriority=30\n\
             [group:c]\nprograms=\n"
        ));
        world.start();
        heard(world, &["first", "later"]);
        let text = heard_so_far(world, "first");
        let event = "server:here serial:0 pool:first poolserial:0 eventname:PROCESS_GROUP_ADDED len:16 \
                     b'groupname:first\\n'";
        world.upstream_is("the first sees itself", text.contains(event));
        world.upstream_is("the first sees all", text.lines().count() == 7);
        let text = heard_so_far(world, "later");
        world.upstream_is("the other sees what comes after", text.lines().count() == 5);
    });
}

/// C-369, C-341: groups that come and go, a listener among them.
#[test]
fn groups() {
    compare(|world| {
        let l = listener("l", &format!("events=PROCESS_GROUP,REMOTE_COMMUNICATION\n{ROOM}"), "");
        let late =
            listener("late", &format!("events=PROCESS_GROUP,REMOTE_COMMUNICATION\n{ROOM}"), "");
        let a = "[program:a]\ncommand=/bin/cat\nautostart=false\n";
        let b = "[program:b]\ncommand=/bin/cat\nautostart=false\n";
        world.programs(&format!("{l}{a}"));
        world.start();
        world.programs(&format!("{l}{b}{late}"));
        world.ctl(&["update"]).exits(0);
        world.ctl(&["remove", "b"]);
        world.ctl(&["add", "b"]);
        // It has seen all four before it goes.
        world.expect_file("late.events", "poolserial:3 ");
        world.ctl(&["stop", "late"]);
        world.ctl(&["remove", "late"]);
        world.ctl(&["add", "late"]);
        heard(world, &["l", "late"]);
    });
}

/// C-366, C-303, C-338: events of a client's own.
#[test]
fn remote() {
    compare(|world| {
        let l = listener("l", &format!("events=REMOTE_COMMUNICATION\n{ROOM}"), "");
        world.programs(&l);
        world.start();
        calls(
            world,
            r#"["supervisor.sendRemoteCommEvent", "kind", "data"]
["supervisor.sendRemoteCommEvent", "", ""]
["supervisor.sendRemoteCommEvent", "two words", "two\nlines\n"]
["supervisor.sendRemoteCommEvent", "lines\nin it", "len:3 ver:3.0\n\nREADY\nRESULT 2\nOK"]
"#,
        );
        heard(world, &["l"]);
        let text = heard_so_far(world, "l");
        let event = "eventname:REMOTE_COMMUNICATION len:14 b'type:kind\\ndata'";
        world.upstream_is("the payload", text.contains(event));
    });
}

/// C-339, C-366, C-410: text beyond ASCII: the payload is UTF-8, the length counts characters.
#[test]
fn non_ascii() {
    compare(|world| {
        let l = listener(
            "l",
            &format!("events=REMOTE_COMMUNICATION,PROCESS_STATE_STARTING\n{ROOM}"),
            "",
        );
        world.programs(&format!(
            "{l}[program:größe]\ncommand=/bin/sleep 100\nautostart=false\nstartsecs=0\n"
        ));
        world.start();
        calls(world, "[\"supervisor.sendRemoteCommEvent\", \"grün\", \"日本 ü\"]\n");
        world.ctl(&["start", "größe"]);
        heard(world, &["l"]);
        let text = heard_so_far(world, "l");
        world.upstream_is(
            "characters are counted",
            text.contains("len:14 b'type:gr\\xc3\\xbcn\\n\\xe6"),
        );
    });
}

/// C-368: a tick, at a time that is a multiple of its period.
#[test]
fn tick() {
    compare(|world| {
        let l = listener("l", &format!("events=TICK,REMOTE_COMMUNICATION\n{ROOM}"), "");
        let raw = "[eventlistener:raw]\ncommand=/bin/sh -c 'echo READY; read header; date +%%s > DIR/raw.when; head -c 15 > DIR/raw.payload; printf \"RESULT 2\\nOK\"; exec sleep 100'\n\
             events=TICK_5\nstartsecs=0\n";
        world.programs(&format!("{l}{raw}"));
        world.start();
        let heard = world.expect_file("l.events", "eventname:TICK_5 len:9 b'when:WHEN'");
        // At the turn of a minute another one follows.
        world.note("the first tick", heard.lines().next().unwrap_or_default());
        let payload = world.expect_file("raw.payload", "when:");
        let when: u64 = payload["when:".len()..].parse().expect("a time");
        let came: u64 = world.dir.read("raw.when").trim().parse().expect("a time");
        world.note("on the mark", &(when % 5).to_string());
        world.note("soon after it", &(came >= when && came - when < 3).to_string());
    });
}

/// C-367, C-356, C-149, C-341: the end and a new beginning: listeners hear of it, and go last.
#[test]
fn reload_and_shutdown() {
    compare(|world| {
        let events = "events=SUPERVISOR_STATE_CHANGE,PROCESS_GROUP,PROCESS_STATE_STOPPED,REMOTE_COMMUNICATION\n";
        let l = listener("l", &format!("{events}{ROOM}"), "");
        world.programs(&format!(
            "{l}[program:a]\ncommand=/bin/sleep 100\nstartsecs=0\npriority=1\n[program:b]\ncommand=/bin/sleep 100\nstartsecs=0\npriority=2\n"
        ));
        world.start();
        world.expect_running(&["l", "a", "b"]);
        heard(world, &["l"]);
        world.signal(Signal::SIGHUP);
        world.expect_log_times("success: b entered RUNNING", 2);
        world.expect_log_times("success: l entered RUNNING", 2);
        calls(world, "[\"supervisor.sendRemoteCommEvent\", \"again\", \"\"]\n");
        world.expect_file("l.events", "type:again");
        world.stop();
        world.file("l.events");
        world.log("of stops", &["stopped:"]);
    });
}

/// C-357: types above others can be subscribed to, and are never what an event is.
#[test]
fn types() {
    compare(|world| {
        let pools = [
            "EVENT",
            "PROCESS_STATE",
            "process_state_running",
            "TICK_60,remote_communication",
            "PROCESS_GROUP_ADDED",
        ];
        let mut text = String::new();
        for (index, events) in pools.iter().enumerate() {
            let options = format!("events={events}\npriority={index}\n{ROOM}autostart=false");
            text.push_str(&listener(&format!("l{index}"), &options, ""));
        }
        world.programs(&format!(
            "{text}[program:a]\ncommand=/bin/sleep 100\nautostart=false\nstartsecs=0\n"
        ));
        world.start();
        for index in 0..pools.len() {
            world.ctl(&["start", &format!("l{index}")]).exits(0);
        }
        world.ctl(&["start", "a"]).exits(0);
        world.ctl(&["stop", "a"]).exits(0);
        calls(world, "[\"supervisor.sendRemoteCommEvent\", \"end\", \"\"]\n");
        for (index, last) in
            ["type:end", "from_state:STOPPING", "processname:a", "type:end", "name:a"]
                .iter()
                .enumerate()
        {
            let text = world.expect_file(&format!("l{index}.events"), last);
            // A tick comes when it comes, and takes a serial.
            let types: Vec<&str> = text
                .lines()
                .filter_map(|line| line.split_once("eventname:").map(|(_, rest)| rest))
                .filter(|line| !line.starts_with("TICK_"))
                .collect();
            world.note(&format!("heard by l{index}"), &types.join("\n"));
        }
    });
}

/// C-149: a listener of one line that ends the daemon when a program is FATAL.
#[test]
fn a_listener_that_ends_the_daemon() {
    compare(|world| {
        world.script("killer", "printf 'READY\\n'; read line; kill -TERM $PPID\n");
        world.programs(
            "[eventlistener:l]\ncommand=DIR/killer\nevents=PROCESS_STATE_FATAL\nstartsecs=0\n\
             [program:a]\ncommand=/bin/false\nstartretries=0\nstartsecs=5\n",
        );
        world.start();
        world.finish();
        world.log("the end", &["gave up", "SIGTERM"]);
    });
}

/// C-339, C-338: a listener that is written with Python's childutils, as most are.
#[test]
fn childutils() {
    compare(|world| {
        let python = upstream().join("bin/python").display().to_string();
        world.write(
            "listener.py",
            "import sys\nfrom supervisor import childutils\n\
             while True:\n    headers, payload = childutils.listener.wait()\n\
             \x20   print(sorted(set(headers) - {'len'}), headers['eventname'], repr(payload), file=sys.stderr, flush=True)\n\
             \x20   childutils.listener.ok()\n",
        );
        world.programs(&format!(
            "[eventlistener:l]\ncommand={python} DIR/listener.py\nevents=REMOTE_COMMUNICATION\nstartsecs=0\n{ROOM}stderr_logfile=DIR/l.err\n"
        ));
        world.start();
        calls(world, "[\"supervisor.sendRemoteCommEvent\", \"t\", \"data\"]\n");
        calls(world, "[\"supervisor.sendRemoteCommEvent\", \"grün\", \"日本 ü\"]\n");
        calls(world, "[\"supervisor.sendRemoteCommEvent\", \"end\", \"\"]\n");
        world.expect_file("l.err", "type:end");
        world.file("l.err");
    });
}
