//! Applying a changed configuration to a daemon that runs.

use std::collections::HashMap;
use std::time::Duration;

use supervisor::dbus::proxy::{connect_p2p, manager};
use supervisor::dbus::types::UpdateRow;

use crate::support::PATIENCE;
use crate::support::daemon::{Daemon, HEAD};
use crate::support::process::{Running, wait_gone};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

const SLEEP: &str = "command=/bin/sleep 1000\nstartsecs=0\n";
/// Says so, and ends a while after it was asked to.
const SLOW: &str = "command=/bin/sh -c 'trap \"sleep 1.5; exit\" TERM; echo up; while :; do sleep 0.1; done'\n\
     startsecs=0\nstopwaitsecs=200\nstdout_logfile=%(here)s/slow.out\n";

/// Calls `Update` on the control socket: (group, change, code), or the error's text.
fn update(
    scratch: &Scratch,
    groups: &[&str],
    options: &[&str],
) -> Result<Vec<(String, String, i32)>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("an event loop").block_on(async {
        let client = connect_p2p(&scratch.join("supervisord.bus")).await.expect("it listens");
        let options: HashMap<_, _> = options.iter().map(|key| (*key, true.into())).collect();
        let manager = manager(&client).await.expect("a proxy");
        let rows = manager.update(groups, options).await.map_err(|error| error.to_string())?;
        let plain = |row: UpdateRow| {
            assert_eq!(row.code == 80, row.text == "OK", "{row:?}");
            (row.group, row.change, row.code)
        };
        Ok(rows.into_iter().map(plain).collect())
    })
}

fn done(group: &str, change: &str) -> (String, String, i32) {
    (group.to_owned(), change.to_owned(), 80)
}

fn configure(scratch: &Scratch, programs: &str) {
    scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
}

fn reloads(message: &str) -> bool {
    message.starts_with("RELOADING=1")
}

// C-261, C-396
#[test]
fn what_changed_is_applied_and_what_did_not_runs_on() {
    let scratch = Scratch::new();
    let before = format!("[program:kept]\n{SLEEP}[program:gone]\n{SLEEP}[program:other]\n{SLEEP}");
    let daemon = Daemon::start(&scratch, &before);
    let (kept, gone) = (daemon.pid_of("kept"), daemon.pid_of("gone"));
    let other = daemon.pid_of("other");
    configure(
        &scratch,
        &format!(
            "[program:kept]\n{SLEEP}[program:other]\n{SLEEP}priority=3\n[program:new]\n{SLEEP}"
        ),
    );
    assert_eq!(
        update(&scratch, &[], &[]).expect("a valid configuration"),
        [done("gone", "removed"), done("other", "changed"), done("new", "added")]
    );
    assert_eq!(daemon.pid_of("kept"), kept);
    assert_ne!(daemon.pid_of("other"), other);
    assert!(daemon.pid_of("new") > 0);
    assert!(wait_gone(gone, PATIENCE));
    let told = daemon.notify().until(reloads, PATIENCE).expect("it is a reload");
    assert!(told.iter().all(|message| !message.contains("READY=1")), "{told:?}");
    daemon.notify().wait("READY=1", PATIENCE).expect("it is over");
    assert_eq!(update(&scratch, &[], &[]), Ok(Vec::new()), "nothing is left to do");
}

// C-262
#[test]
fn only_the_groups_that_are_named_are_updated() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}[program:b]\n{SLEEP}"));
    configure(&scratch, &format!("[program:c]\n{SLEEP}[program:d]\n{SLEEP}"));
    let refused = update(&scratch, &["a", "nobody"], &[]).expect_err("there is no such group");
    assert!(refused.contains("BadName") && refused.contains("nobody"), "{refused}");
    assert!(daemon.pid_of("a") > 0, "nothing was done");
    assert_eq!(
        update(&scratch, &["d", "a"], &[]),
        Ok(vec![done("a", "removed"), done("d", "added")])
    );
    assert!(daemon.pid_of("b") > 0);
    assert_eq!(update(&scratch, &["all"], &[]), Ok(vec![done("b", "removed"), done("c", "added")]));
    let refused = update(&scratch, &[], &["force"]).expect_err("there is no such option");
    assert!(refused.contains("InvalidArgs") && refused.contains("force"), "{refused}");
}

// C-263, C-397
#[test]
fn a_configuration_with_errors_changes_nothing_and_says_where() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:a]\n{SLEEP}"));
    let pid = daemon.pid_of("a");
    configure(&scratch, &format!("[program:b]\n{SLEEP}[program:c]\n{SLEEP}startretries=often\n"));
    let lines = scratch.read("supervisord.conf").lines().count();
    let told = update(&scratch, &[], &[]).expect_err("it has an error");
    assert!(told.contains("CantReread") && told.contains("'often'"), "{told}");
    assert!(told.contains("supervisord.conf") && told.contains(&lines.to_string()), "{told}");
    let output = daemon.ctl(&["update"]);
    assert_eq!(output.code, 1, "{output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains("'often'") && all.contains("supervisord.conf"), "{output:?}");
    assert_eq!(daemon.pid_of("a"), pid);
    assert!(daemon.ctl(&["status"]).stdout.lines().count() == 1);
    while let Some(message) = daemon.notify().receive(Duration::from_millis(1)) {
        assert!(!reloads(&message), "{message}");
    }
}

// C-261: also by the single calls of supervisorctl.
#[test]
fn an_update_that_waits_for_stops_is_a_reload_and_gets_the_time() {
    for change in [&format!("[program:slow]\n{SLOW}priority=7\n"), ""] {
        let scratch = Scratch::new();
        let daemon = Daemon::start(&scratch, &format!("[program:slow]\n{SLOW}"));
        expect_in_file(&scratch.join("slow.out"), "up\n");
        configure(&scratch, change);
        let mut update = Running::spawn(&mut daemon.ctl_command(&["update"]));
        let mut told = daemon.notify().until(reloads, PATIENCE).expect("it is a reload");
        let waits = |message: &str| {
            message.contains("STATUS=Reloading: waiting for slow to stop (up to 200 s)")
                && message.contains("EXTEND_TIMEOUT_USEC=80000000")
        };
        let over = |message: &str| message.starts_with("READY=1");
        told.extend(daemon.notify().until(over, PATIENCE).expect("it is over"));
        assert!(told.iter().any(|message| waits(message)), "{told:?}");
        assert_eq!(update.finish(PATIENCE).code, 0);
    }
}

#[test]
fn an_update_goes_on_when_its_client_is_gone() {
    let scratch = Scratch::new();
    let daemon = Daemon::start(&scratch, &format!("[program:slow]\n{SLOW}"));
    expect_in_file(&scratch.join("slow.out"), "up\n");
    configure(&scratch, &format!("[program:new]\n{SLEEP}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("an event loop").block_on(async {
        let client = connect_p2p(&scratch.join("supervisord.bus")).await.expect("it listens");
        let manager = manager(&client).await.expect("a proxy");
        let began = async {
            let notify = daemon.notify();
            while !notify.receive(Duration::from_millis(5)).is_some_and(|told| reloads(&told)) {
                tokio::task::yield_now().await;
            }
        };
        // The call is dropped while it is carried out.
        tokio::select! {
            answer = manager.update(&[], HashMap::new()) => panic!("too early: {answer:?}"),
            () = began => {}
        }
    });
    daemon.expect_log("spawned: 'new'");
}
