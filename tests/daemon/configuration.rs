//! Checking configurations, and saying what is wrong with them.

use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::process::{Output, run};
use crate::support::scratch::Scratch;

fn check(scratch: &Scratch, text: &str) -> Output {
    scratch.write("supervisord.conf", text);
    let mut command = command(SUPERVISORD, scratch.path());
    run(command.args(["--test-config", "-c", "supervisord.conf"]))
}

#[test]
fn a_good_configuration_is_checked_without_starting_anything() {
    let scratch = Scratch::new();
    let marker = scratch.join("started");
    let output = check(
        &scratch,
        &format!("{HEAD}[program:a]\ncommand=/usr/bin/touch {}\n", marker.display()),
    );
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("is valid"), "{output:?}");
    assert!(!marker.exists());
    assert_eq!(scratch.names("."), ["supervisord.conf"], "a check leaves nothing behind");
}

// C-018, C-019: and beyond upstream, which stops at the first.
#[test]
fn all_errors_are_reported_at_once_with_file_and_line() {
    let scratch = Scratch::new();
    let output = check(
        &scratch,
        "[supervisord]\nminfds=many\n\n[program:a]\ncommand=/bin/cat\nstartsecs=soon\n\n\
         [program:b]\nautostart=true\n",
    );
    assert_eq!(output.code, 2, "{output:?}");
    for expected in ["'many'", "'soon'", "does not specify a command", "supervisord.conf"] {
        assert!(output.stderr.contains(expected), "{expected} is missing: {}", output.stderr);
    }
    for line in ["2", "6"] {
        let place = format!("line {line}");
        let colon = format!(":{line}");
        assert!(
            output.stderr.contains(&place) || output.stderr.contains(&colon),
            "no line {line}: {}",
            output.stderr
        );
    }
}

// C-015: still accepted, but no longer silently.
#[test]
fn unknown_options_and_sections_are_warned_of_with_a_suggestion() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(
        &scratch,
        "[program:a]\ncommand=/bin/cat\nautostrat=false\nautostart=false\n\n[porgram:b]\ncommand=x\n",
    );
    daemon.expect_log("supervisord started with pid");
    let log = daemon.log();
    assert!(log.contains("autostrat") && log.contains("autostart"), "{log}");
    assert!(log.contains("porgram:b") && log.contains("program"), "{log}");
}

#[test]
fn the_sample_configuration_is_accepted() {
    let scratch = Scratch::new();
    let sample = run(&mut command(crate::support::daemon::ECHO_CONF, scratch.path()));
    assert_eq!(sample.code, 0);
    let output = check(&scratch, &sample.stdout);
    assert_eq!((output.code, output.stderr.lines().count()), (0, 1), "{output:?}");
}
