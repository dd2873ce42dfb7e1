//! What forms do, and what they say became of it.

use super::{PROGRAMS, act, post, served};
use crate::support::http::{ask, get};
use crate::support::scratch::Scratch;

#[test]
fn forms_act_and_say_what_became_of_it() {
    // C-330, C-331
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    let first = daemon.pid_of("up");
    assert_eq!(act(&target, "processname=up&action=restart"), "Process up restarted");
    assert_ne!(daemon.pid_of("up"), first);
    assert_eq!(act(&target, "processname=up&action=start"), "ERROR: Process up: already started");
    assert_eq!(act(&target, "processname=up&action=stop"), "Process up stopped");
    assert_eq!(
        act(&target, "processname=up&action=stop"),
        "unexpected rpc fault [70] NOT_RUNNING: up"
    );
    assert_eq!(act(&target, "processname=up&action=start"), "Process up started");
    assert_eq!(act(&target, "processname=b:x1&action=start"), "Process b:x1 started");
    assert_eq!(act(&target, "processname=up&action=clearlog"), "Log for up cleared");
    let missing = "ERROR: Process none: no such file";
    assert_eq!(act(&target, "processname=none&action=start"), missing);
    assert_eq!(act(&target, "processname=none&action=restart"), missing, "it was not restarted");
    assert_eq!(act(&target, "processname=sour&action=start"), "ERROR: Process sour: spawn error");
    let nobody = "No such process named nobody<>";
    assert_eq!(act(&target, "processname=nobody%3C%3E&action=stop"), nobody);
    assert!(act(&target, "action=refresh").starts_with("Page refreshed at "));
    assert!(act(&target, "action=stopall").starts_with("All stopped at "));
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("STOPPED"));
    assert!(act(&target, "action=restartall").starts_with("All restarted at "));
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
    daemon.expect_log("used the web page to stop all programs: All stopped at ");
    for query in ["action=dance", "action=dance&processname=up", "action=start"] {
        assert_eq!(get(&target, &format!("/?{query}"), "").status(), 400, "{query}");
    }
}

#[test]
fn several_are_acted_on_at_once() {
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    assert_eq!(act(&target, "action=start&selected=down&selected=b:*"), "2 of 2 started");
    assert!(daemon.ctl(&["status", "b:*"]).stdout.matches("RUNNING").count() == 2);
    let some = act(&target, "action=stop&selected=down&selected=none&selected=b:x0");
    assert_eq!(some, "ERROR: 2 of 3 stopped; none: unexpected rpc fault [70] NOT_RUNNING: none");
    assert_eq!(act(&target, "action=signal&signal=KILL&selected=b:x1"), "1 of 1 signalled");
    daemon.expect_log("WARN exited: x1 (terminated by SIGKILL; not expected)");
}

#[test]
fn what_is_too_much_for_a_form_is_refused() {
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    let too_long = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n";
    assert_eq!(ask(&target, too_long).status(), 413);
    let endless = "POST / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(ask(&target, endless).status(), 411);
    let many = "a=b&".repeat(50_000);
    assert_eq!(post(&target, "/", &many).status(), 200);
}
