//! `tail`, `maintail` and `clear`.

use crate::fake::{Fake, Reply};
use crate::run::supervisorctl;

#[test]
fn tail_shows_the_end_of_a_log_byte_for_byte() {
    // C-254, C-434, C-435
    let fake = Fake::start()
        .on("ReadProcessLog cat stdout -1600 0", Reply::Bytes(b"\xff\x00\x1b[1m"))
        .on("ReadProcessLog g:a stderr -5 0", Reply::Bytes(b"12345"))
        .on("ReadProcessLog cat stdout 0 0", Reply::Bytes(b"everything\n"))
        .on("ReadLog -1600 0", Reply::Bytes(b"main\n"))
        .on("ReadLog -3 0", Reply::Bytes(b"in\n"));
    fake.ctl(&["tail", "cat"]).expect("\\xff\\x00\\x1b[1m\\n", 0).quiet();
    fake.ctl(&["tail", "-5", "g:a", "STDERR"]).expect("12345\n", 0);
    fake.ctl(&["tail", "-0", "cat", "stdout"]).expect("everything\n\n", 0);
    fake.ctl(&["maintail"]).expect("main\n\n", 0).quiet();
    fake.ctl(&["maintail", "-3"]).expect("in\n\n", 0);
}

#[test]
fn tail_tells_what_is_wrong() {
    // C-255, C-257
    let fake = Fake::start()
        .on("ReadProcessLog nope stdout -1600 0", Reply::Fault("BadName", "nope"))
        .on("ReadProcessLog nolog stdout -1600 0", Reply::Fault("NoFile", "nolog"))
        .on("ReadProcessLog odd stdout -1600 0", Reply::Fault("Failed", "odd"))
        .on("ReadLog", Reply::Fault("NoFile", ""));
    let help = fake.ctl(&["help", "tail"]).stdout;
    let main_help = fake.ctl(&["help", "maintail"]).stdout;
    for (args, text) in [
        ("tail", &*format!("Error: too few arguments\n{help}")),
        ("tail -5 a stdout x", &*format!("Error: too many arguments\n{help}")),
        ("tail a foo", "Error: bad channel 'foo'\n"),
        ("tail a b c", "Error: bad channel 'c'\n"),
        ("tail -x a", "Error: bad argument -x\n"),
        ("tail -f", "Error: tail requires process name\n"),
        ("tail nope", "nope: ERROR (no such process name)\n"),
        ("tail nolog", "nolog: ERROR (no log file)\n"),
        ("tail odd", "odd: ERROR (unknown error reading log)\n"),
        ("maintail", "supervisord: ERROR (no log file)\n"),
        ("maintail foo", "Error: bad argument foo\n"),
        ("maintail -x", "Error: bad argument -x\n"),
        ("maintail -1 -2", &*format!("Error: too many arguments\n{main_help}")),
    ] {
        fake.ctl(&[args]).expect(text, 1).quiet();
    }
}

const BANNER: &str = "==> Press Ctrl-C to exit <==\n";

#[test]
fn tail_f_shows_what_is_added_until_ctrl_c() {
    // C-256
    let fake = Fake::start().on("FollowProcessLog", Reply::Pipe(b"end of log\n", true));
    let mut tail = supervisorctl(&fake.with_config(&["tail", "-f", "cat"])).spawn();
    assert_eq!(tail.read_until("end of log\n"), format!("{BANNER}end of log\n"));
    fake.write_logs(b"more\n");
    tail.read_until("more\n");
    tail.interrupt();
    tail.finish().expect("\n", 0).quiet();
    assert_eq!(fake.calls(), ["FollowProcessLog cat stdout"]);
}

#[test]
fn tail_f_ends_with_the_log() {
    // C-256, C-257
    let fake = Fake::start()
        .on("FollowProcessLog g:a stderr", Reply::Pipe(b"\xfflast", false))
        .on("FollowLog", Reply::Pipe(b"main", false));
    fake.ctl(&["tail", "-f", "g:a", "stderr"])
        .expect(&format!("{}\\xfflast", BANNER.escape_default()), 0)
        .quiet();
    fake.ctl(&["maintail", "-f"]).expect(&format!("{BANNER}main"), 0).quiet();
}

#[test]
fn tail_f_of_what_has_no_log_says_so_on_stderr() {
    // C-256, C-447
    let fake = Fake::start()
        .on("FollowProcessLog nope stdout", Reply::Fault("BadName", "nope"))
        .on("FollowProcessLog nolog stdout", Reply::Fault("NoFile", "nolog"));
    let bus = format!("dbus:unix:path={}/s.bus", fake.path().display());
    let run = fake.ctl(&["tail", "-f", "nope"]);
    run.expect(BANNER, 0);
    assert_eq!(
        run.stderr,
        format!("{bus}/logtail/nope/stdout Cannot read, status code 404 (no such process name)\n")
    );
    let run = fake.ctl(&["tail", "-f", "nolog"]);
    run.expect(BANNER, 0);
    assert!(run.stderr.ends_with("Cannot read, status code 410 (no log file)\n"), "{run:?}");
}

#[test]
fn a_reader_that_is_gone_ends_it_quietly() {
    let fake = Fake::start().on("FollowProcessLog", Reply::Pipe(b"line\n", true));
    let mut tail = supervisorctl(&fake.with_config(&["tail", "-f", "cat"])).spawn();
    tail.read_until("line\n");
    // Nothing is written any more: that nobody reads is seen all the same.
    drop(tail.0.stdout.take());
    tail.finish().expect("", 0).quiet();
}

#[test]
fn clear_empties_logs() {
    // C-258, C-443
    let fake = Fake::start()
        .on("ClearProcessLogs nope", Reply::Fault("BadName", "nope"))
        .on("ClearProcessLogs g:*", Reply::Fault("BadName", "g:*"))
        .on("ClearProcessLogs odd", Reply::Fault("Failed", "odd"))
        .on(
            "ClearAllProcessLogs",
            Reply::Results(vec![("cat", "cat", 80, "OK"), ("g", "a", 30, "")]),
        );
    fake.ctl(&["clear", "cat", "g:a"]).expect("cat: cleared\ng:a: cleared\n", 0).quiet();
    fake.ctl(&["clear", "nope", "cat"]).expect("nope: ERROR (no such process)\ncat: cleared\n", 1);
    fake.ctl(&["clear", "odd"]).expect("odd: ERROR (failed)\n", 1);
    fake.ctl(&["clear", "g:*"]).expect("g:*: ERROR (no such process)\n", 1);
    fake.ctl(&["clear", "x", "all"]).expect("cat: cleared\ng:a: ERROR (failed)\n", 1);
}
