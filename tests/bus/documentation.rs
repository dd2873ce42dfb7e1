//! `docs/dbus.md` shows what really happens.

use std::process::Command;

use super::broker::Broker;
use super::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use super::support::scratch::Scratch;

const PAGE: &str = include_str!("../../docs/dbus.md");

/// The blocks of the page that begin with this line.
fn blocks(fence: &str) -> Vec<&'static str> {
    let begin = format!("\n```{fence}\n");
    let parts = PAGE.split(begin.as_str()).skip(1);
    parts.map(|part| part.split("\n```").next().unwrap()).collect()
}

/// Commands, each with the lines that it is said to print.
fn examples(block: &str) -> Vec<(&str, Vec<&str>)> {
    let mut examples: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => examples.push((command, Vec::new())),
            (None, Some((_, output))) => output.push(line),
            (None, None) => panic!("{line:?} comes before any command"),
        }
    }
    examples
}

/// Whether a line is what the pattern says: `…` stands for anything, blanks for any blanks.
fn is_like(line: &str, pattern: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, pattern) = (words(line), words(pattern));
    match pattern.split_once('…') {
        Some((start, _)) => line.starts_with(start.trim_end()),
        None => line == pattern,
    }
}

/// Whether lines are what the patterns say: a pattern `…` stands for any lines.
fn are_like(lines: &[&str], patterns: &[&str]) -> bool {
    match (patterns, lines) {
        ([], rest) => rest.is_empty(),
        (["…", more @ ..], _) => (0..=lines.len()).any(|at| are_like(&lines[at..], more)),
        ([pattern, more @ ..], [line, rest @ ..]) => is_like(line, pattern) && are_like(rest, more),
        (_, []) => false,
    }
}

#[test]
fn every_example_prints_what_the_page_says() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    let programs = blocks("ini").concat();
    let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
    let on_bus = |command: &mut Command| {
        command
            .env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address)
            .env("DBUS_SESSION_BUS_ADDRESS", &broker.address);
    };
    let mut supervisord = command(SUPERVISORD, scratch.path());
    supervisord.args(["-n", "-c"]).arg(&config);
    on_bus(&mut supervisord);
    let daemon = Daemon::start_command(scratch.path(), &config, supervisord);
    daemon.expect_log("as org.supervisord.Supervisor1");
    daemon.expect_log_times("entered RUNNING", 3);
    // The log that an example reads.
    super::support::watch::expect_in_file(
        scratch
            .names(".")
            .iter()
            .find(|name| name.starts_with("web-stdout"))
            .map(|name| scratch.join(name))
            .as_deref()
            .expect("a log of web"),
        "hello\n",
    );

    let mut run = 0;
    for (line, expected) in blocks("console").into_iter().flat_map(examples) {
        let mut shell = command("/bin/sh", scratch.path());
        shell.args(["-c", &format!("exec 2>&1; {line}")]);
        on_bus(&mut shell);
        let output = super::support::process::run(&mut shell);
        assert_eq!(output.code, 0, "$ {line}\n{output:?}");
        let lines: Vec<&str> = output.stdout.lines().filter(|line| !line.is_empty()).collect();
        assert!(
            are_like(&lines, &expected),
            "$ {line}\n{}\ninstead of\n{}",
            output.stdout,
            expected.join("\n")
        );
        run += 1;
    }
    assert!(run > 10, "{run}");
}
