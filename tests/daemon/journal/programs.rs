//! What programs write.

use std::time::Instant;

use super::*;

/// Starts the daemon with a journal for its programs; its own log is where it always is.
fn start(scratch: &Scratch, journald: &Journald, programs: &str) -> Daemon {
    let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
    let mut daemon = command(SUPERVISORD, scratch.path());
    daemon.arg("-n").arg("-c").arg(&config).env(VARIABLE, journald.path());
    Daemon::start_command(scratch.path(), &config, daemon)
}

fn of_channel(channel: &'static str) -> impl Fn(&Entry) -> bool {
    move |entry| entry.get("SUPERVISOR_CHANNEL") == channel
}

#[test]
fn each_line_is_an_entry_of_its_own_program() {
    let scratch = Scratch::new();
    let mut journald = Journald::bind(&scratch.join("journal"));
    scratch.script(
        "talk",
        "#!/bin/sh\necho one; echo; echo '<3>three'; echo $$ >pid; printf 'four\\377\\0\\r\\n'; echo '<4>hm' >&2\n\
         touch up; read line; printf unfinished\n",
    );
    let daemon = start(
        &scratch,
        &journald,
        "[group:shop]\nprograms=web\n[program:web]\ncommand=%(here)s/talk\ndirectory=%(here)s\nprocess_name=api\nstartsecs=0\nautorestart=false\n\
         stdout_logfile=journal\nstderr_logfile=JOURNAL\n",
    );
    let first = journald.expect("line", of_channel("stdout"));
    expect_in_file(&scratch.join("up"), "");
    let pid = scratch.read("pid").trim().to_owned();
    for (name, value) in [
        ("MESSAGE", "one"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "web"),
        ("SYSLOG_PID", &pid),
        ("SYSLOG_FACILITY", "3"),
        ("SUPERVISOR_PROCESS", "shop:api"),
        ("SUPERVISOR_GROUP", "shop"),
        ("SUPERVISOR_PROGRAM", "web"),
        ("SUPERVISOR_PID", &pid),
        ("SUPERVISOR_CHANNEL", "stdout"),
        ("OBJECT_PID", &pid),
    ] {
        assert_eq!(first.get(name), value, "{name}");
    }
    assert_eq!(first.names().len(), 11, "{:?}", first.names());
    let error = journald.expect("line", of_channel("stderr"));
    assert_eq!((error.get("MESSAGE"), error.get("PRIORITY")), ("hm".into(), "4".into()));
    let three = journald.expect("line", |entry| entry.bytes("MESSAGE") == b"three");
    assert_eq!(three.get("PRIORITY"), "3");
    journald.expect("line", |entry| entry.bytes("MESSAGE") == b"four\xff\0");

    assert_eq!(
        daemon.ctl(&["tail", "shop:api"]).stdout,
        "shop:api: ERROR (no log file: it is in the journal, see: journalctl SUPERVISOR_PROCESS=shop:api)\n"
    );
    assert_eq!(daemon.ctl(&["clear", "shop:api"]).stdout, "shop:api: cleared\n");
    let follow = daemon.ctl(&["tail", "-f", "shop:api", "stderr"]);
    assert!(
        follow.stderr.ends_with(
            "status code 410 (no log file: it is in the journal, see: journalctl SUPERVISOR_PROCESS=shop:api)\n"
        ),
        "{}",
        follow.stderr
    );

    daemon.ctl(&["signal", "KILL", "shop:api"]);
    daemon.expect_log("exited: api");
}

#[test]
fn the_last_line_needs_no_newline_and_a_long_one_comes_in_parts() {
    let scratch = Scratch::new();
    let mut journald = Journald::bind(&scratch.join("journal"));
    let _daemon = start(
        &scratch,
        &journald,
        "[program:web]\ncommand=/bin/sh -c 'printf \"<5>\"; head -c 100000 /dev/zero | tr \"\\\\0\" x; echo; printf end >&2'\n\
         startsecs=0\nautorestart=false\nredirect_stderr=true\nstdout_logfile=journal\n",
    );
    let end = journald.expect("end", |entry| entry.get("MESSAGE") == "end");
    assert_eq!(end.get("SUPERVISOR_LINE_BREAK"), "eof");
    assert_eq!(end.get("SUPERVISOR_CHANNEL"), "stdout", "redirect_stderr");
    let parts: Vec<_> = journald.seen().iter().filter(|e| e.get("MESSAGE").contains('x')).collect();
    let sizes: Vec<_> = parts.iter().map(|part| part.bytes("MESSAGE").len()).collect();
    assert_eq!(sizes, [48 * 1024 - 3, 48 * 1024, 100_000 + 3 - 2 * 48 * 1024]);
    for (part, line_break) in parts.iter().zip(["line-max", "line-max", ""]) {
        assert_eq!(part.get("PRIORITY"), "5");
        assert_eq!(part.get("SUPERVISOR_LINE_BREAK"), line_break);
    }
}

#[test]
fn escapes_are_stripped_when_asked_and_other_logs_are_what_they_were() {
    let scratch = Scratch::new();
    let mut journald = Journald::bind(&scratch.join("journal"));
    let config = format!(
        "{}[program:web]\ncommand=/bin/sh -c 'printf \"\\\\033[31mred\\\\033[0m\\\\n\"; echo plain >&2'\n\
         startsecs=0\nautorestart=false\nstdout_logfile=journal\nstderr_logfile=%(here)s/web.err\n",
        HEAD.replace("[supervisord]\n", "[supervisord]\nstrip_ansi=true\n")
    );
    let config = scratch.write("supervisord.conf", config);
    let mut daemon = command(SUPERVISORD, scratch.path());
    daemon.arg("-n").arg("-c").arg(&config).env(VARIABLE, journald.path());
    let daemon = Daemon::start_command(scratch.path(), &config, daemon);
    journald.expect("line", |entry| entry.get("MESSAGE") == "red");
    daemon.expect_log("exited: web");
    assert_eq!(expect_in_file(&scratch.join("web.err"), "plain"), "plain\n");
    assert_eq!(journald.seen().len(), 1);
    assert_eq!(
        daemon.ctl(&["tail", "web"]).stdout,
        "web: ERROR (no log file: it is in the journal, see: journalctl -t web)\n"
    );
}

#[test]
fn without_a_journal_the_lines_are_in_the_daemons_log() {
    let scratch = Scratch::new();
    let journald = Journald::bind(&scratch.join("journal"));
    std::fs::remove_file(journald.path()).expect("it was there");
    let daemon = start(
        &scratch,
        &journald,
        "[program:web]\ncommand=/bin/sh -c 'echo hello; echo oh >&2; read x'\nstartsecs=0\n\
         stdout_logfile=journal\nstderr_logfile=journal\n",
    );
    daemon.expect_log(" INFO web stdout: hello\n");
    daemon.expect_log(" INFO web stderr: oh\n");
    daemon.expect_log(" ERRO no journal at ");
}

#[test]
fn a_journal_that_nobody_reads_holds_up_nothing_but_its_writers() {
    let scratch = Scratch::new();
    let journald = Journald::bind(&scratch.join("journal"));
    let mut daemon = start(
        &scratch,
        &journald,
        "[program:flood]\ncommand=/bin/sh -c 'exec yes a line that is repeated'\nstdout_logfile=journal\nstartsecs=0\n\
         [program:quiet]\ncommand=/bin/sh -c 'while :; do echo tick; sleep 0.05; done'\nstdout_logfile=%(here)s/quiet.out\nstartsecs=0\n",
    );
    daemon.expect_log("success: quiet entered RUNNING");
    // The flood waits for the journal at first, and then is dropped; the daemon goes on either way.
    let busy = format!("/proc/{}/statm", daemon.pid());
    for _ in 0..40 {
        let begun = Instant::now();
        assert_eq!(daemon.ctl(&["restart", "quiet"]).code, 0);
        assert!(begun.elapsed().as_secs() < 10, "supervision is held up");
    }
    let pages = std::fs::read_to_string(&busy).expect("it runs");
    let resident: u64 = pages.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    assert!(resident * 4096 < 200 << 20, "{pages}");
    expect_in_file(&scratch.join("quiet.out"), "tick");
    assert_eq!(daemon.ctl(&["stop", "flood"]).stdout, "flood: stopped\n");
    daemon.stop();
}

#[test]
fn a_journal_that_comes_back_is_used_again() {
    let scratch = Scratch::new();
    let path = scratch.join("journal");
    let mut first = Journald::bind(&path);
    let daemon = start(
        &scratch,
        &first,
        "[program:web]\ncommand=/bin/cat\nstdout_logfile=journal\nstartsecs=0\n",
    );
    daemon.expect_log("success: web entered RUNNING");
    let say = |text: &str| {
        // What is typed at `fg` goes to the program's standard input.
        let script = format!("echo {text} > /proc/{}/fd/0", daemon.pid_of("web"));
        let mut echo = command("/bin/sh", scratch.path());
        assert_eq!(crate::support::process::run(echo.args(["-c", &script])).code, 0);
    };
    say("one");
    first.expect_message("one");
    drop(first);
    let mut second = Journald::bind(&path);
    say("two");
    let entry = second.expect_message("two");
    assert_eq!(entry.get("SYSLOG_IDENTIFIER"), "web");
}
