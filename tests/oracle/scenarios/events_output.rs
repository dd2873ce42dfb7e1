//! What programs write, as events: all of it, or what stands between the tokens.

use super::events::{ROOM, heard, listener, start_only};
use crate::compare::compare;
use crate::world::{DAEMON, World};

const ONCE: &str = "startsecs=0\nautorestart=false\nautostart=false\n";

/// A listener, and programs that run one after the other once it is up.
fn run(world: &mut World, head: &str, events: &str, programs: &[(&str, &str, &str)]) {
    let l = listener("l", &format!("events={events},REMOTE_COMMUNICATION\n{ROOM}"), "");
    let mut text = format!("{head}{l}");
    for (name, script, options) in programs {
        world.script(name, script);
        let section = format!("[program:{name}]\ncommand=DIR/{name}\n{options}\n{ONCE}");
        text.push_str(&section);
    }
    world.config(&text);
    world.start();
    world.expect_running(&["l"]);
    for (name, _, _) in programs {
        start_only(world, name);
        world.expect_exited(&[name]);
    }
    heard(world, &["l"]);
}

/// C-362, C-365: output as events, piece by piece, of both channels.
#[test]
fn logs() {
    compare(|world| {
        run(
            world,
            DAEMON,
            "PROCESS_LOG",
            &[
                (
                    "out",
                    "echo one; sleep 0.4; printf 'two\\nlines\\n'; echo unheard >&2; sleep 0.4; printf 'end'\n",
                    "stdout_events_enabled=true\nstdout_logfile=DIR/out.log",
                ),
                ("err", "echo unheard; echo oops >&2\n", "stderr_events_enabled=true"),
                ("none", "echo nowhere else\n", "stdout_events_enabled=true\nstdout_logfile=NONE"),
                (
                    "bytes",
                    "printf '\\000\\377\\033[31mred\\033[0m'\n",
                    "stdout_events_enabled=true",
                ),
                ("utf", "printf 'gr\\303\\274n'\n", "stdout_events_enabled=true"),
                ("merged", "echo one >&2\n", "stdout_events_enabled=true\nredirect_stderr=true"),
            ],
        );
        world.file("out.log");
        let text = world.dir.read("l.events");
        world.upstream_is(
            "the payload",
            text.contains("b'processname:out groupname:out pid:PID channel:stdout\\none\\n'"),
        );
    });
}

/// C-362, C-381: output is an event as it is in the log.
#[test]
fn without_ansi() {
    compare(|world| {
        run(
            world,
            &format!("{DAEMON}strip_ansi=true\n"),
            "PROCESS_LOG_STDOUT",
            &[(
                "red",
                "printf '\\033[31mred\\033[0m plain\\n'\n",
                "stdout_events_enabled=true\nstdout_logfile=DIR/red.log",
            )],
        );
        world.file("red.log");
    });
}

/// C-364, C-371: what a program says to listeners, and what of it is in its log.
#[test]
fn communication() {
    compare(|world| {
        let (begin, end) = ("<!--XSUPERVISOR:BEGIN-->", "<!--XSUPERVISOR:END-->");
        let long = "a line that is longer than a token is, so that upstream holds nothing back\n";
        run(
            world,
            DAEMON,
            "PROCESS_COMMUNICATION",
            &[
                (
                    "whole",
                    &format!("printf 'before {begin}hello\\nworld{end} after {long}'\n")
                        .replace("\nworld", "\\nworld")
                        .replace("back\n'", "back\\n'"),
                    "stdout_capture_maxbytes=1MB\nstdout_logfile=DIR/whole.log",
                ),
                (
                    "pieces",
                    &format!(
                        "printf 'before <!--XSUP'; sleep 0.3; printf 'ERVISOR:BEGIN-->in '; sleep 0.3; printf 'pieces<'; sleep 0.3; printf '!--XSUPERVISOR:END--'; sleep 0.3; echo '> after {}'\n",
                        long.trim()
                    ),
                    "stdout_capture_maxbytes=1MB\nstdout_logfile=DIR/pieces.log",
                ),
                (
                    "several",
                    &format!(
                        "printf '{begin}one{end}{begin}two{end}between {begin}{end} {}\\n'\n",
                        long.trim()
                    ),
                    "stdout_capture_maxbytes=1MB\nstdout_logfile=DIR/several.log",
                ),
                (
                    "bytes",
                    &format!("printf '{begin}\\000\\377{end} {}\\n' >&2\n", long.trim()),
                    "stderr_capture_maxbytes=1MB\nstderr_logfile=DIR/bytes.log",
                ),
                (
                    "utf",
                    &format!("printf '{begin}gr\\303\\274n{end} {}\\n'\n", long.trim()),
                    "stdout_capture_maxbytes=1MB\nstdout_logfile=DIR/utf.log",
                ),
                (
                    "unasked",
                    &format!("printf '{begin}hello{end} {}\\n'\n", long.trim()),
                    "stdout_logfile=DIR/unasked.log",
                ),
                (
                    "endless",
                    &format!("printf '{} {begin}never ends {}\\n'\n", long.trim(), long.trim()),
                    "stdout_capture_maxbytes=1MB\nstdout_logfile=DIR/endless.log",
                ),
            ],
        );
        for name in ["whole", "pieces", "several", "bytes", "utf", "unasked", "endless"] {
            world.file(&format!("{name}.log"));
        }
        let text = world.dir.read("l.events");
        for event in [
            "PROCESS_COMMUNICATION_STDOUT len:53 b'processname:whole groupname:whole pid:PID\\nhello\\nworld'",
            "pid:PID\\nin pieces'",
            "PROCESS_COMMUNICATION_STDERR",
        ] {
            world.upstream_is(event, text.contains(event));
        }
    });
}

/// C-371: the daemon's log says that a program said something.
#[test]
fn communication_in_the_log() {
    compare(|world| {
        world.script("talk", "printf '<!--XSUPERVISOR:BEGIN-->hello<!--XSUPERVISOR:END-->'; sleep 0.3; echo a line that is longer than what upstream would hold back\n");
        world.programs("[program:a]\ncommand=DIR/talk\nstdout_capture_maxbytes=1KB\nstartsecs=0\nautorestart=false\n");
        world.start_with(&["-e", "debug"]);
        world.expect_exited(&["a"]);
        world.log("of it", &["comm event"]);
    });
}

/// C-372: more than is kept: the oldest goes.
#[test]
fn a_limit_of_communication() {
    compare(|world| {
        // Each piece is read by itself.
        let pieces: String = [0, 1, 2, 3, 4, 5]
            .map(|n| format!("printf 'piece {n} of ten bytes '; sleep 0.2; "))
            .concat();
        run(
            world,
            DAEMON,
            "PROCESS_COMMUNICATION",
            &[
                (
                    "much",
                    &format!(
                        "printf '<!--XSUPERVISOR:BEGIN-->'; sleep 0.2; {pieces}echo '<!--XSUPERVISOR:END-->{}'\n",
                        "and more than is held back"
                    ),
                    "stdout_capture_maxbytes=50",
                ),
                (
                    "atonce",
                    &format!(
                        "printf '<!--XSUPERVISOR:BEGIN-->{}<!--XSUPERVISOR:END-->'\n",
                        "0123456789".repeat(10)
                    ),
                    "stdout_capture_maxbytes=50",
                ),
            ],
        );
    });
}

/// C-363, C-414: what is said to listeners is no output.
#[test]
fn communication_with_logs() {
    compare(|world| {
        run(
            world,
            DAEMON,
            "PROCESS_LOG,PROCESS_COMMUNICATION",
            &[(
                "a",
                "printf '<!--XSUPERVISOR:BEGIN-->hello<!--XSUPERVISOR:END-->'; sleep 0.3; echo and this is for everybody to be heard\n",
                "stdout_capture_maxbytes=1MB\nstdout_events_enabled=true",
            )],
        );
    });
}
