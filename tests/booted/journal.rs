//! The journal: entries that can be searched, and programs under their own names.

use serde_json::{Map, Value};

use super::installed;
use super::machine::Machine;
use super::rootfs::Suite;

super::on_each_suite!(entries_have_fields, programs_write_under_their_own_names);

const PROGRAMS: &str = "\
[program:worker]
command=sleep inf
process_name=%(program_name)s_%(process_num)s
numprocs=2
[program:crasher]
command=sh -c \"sleep 1; exit 3\"
autorestart=false
startsecs=0
[program:lost]
command=/nowhere/at/all
startretries=0
";

/// Entries of the journal that match, oldest first.
fn entries(machine: &Machine, matches: &str) -> Vec<Map<String, Value>> {
    let lines = machine.ok(&format!("journalctl -q --no-pager -o json {matches}"));
    lines.lines().map(|line| serde_json::from_str(line).expect("journalctl -o json")).collect()
}

/// A field's text; a missing one is empty.
fn field<'a>(entry: &'a Map<String, Value>, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn entries_have_fields(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status worker:worker_1 | grep RUNNING");
    machine.journal_has("SUPERVISOR_PROCESS=crasher", "exited: crasher");
    machine.journal_has("SUPERVISOR_PROCESS=lost", "gave up: lost");
    let pid = machine.ok("supervisorctl pid worker:worker_1");

    let running = entries(
        &machine,
        "SUPERVISOR_PROCESS=worker:worker_1 MESSAGE_ID=44af8a1ec5ff4447a98ae7ddb18dffaf",
    );
    assert_eq!(running.len(), 1);
    for (name, value) in [
        ("SUPERVISOR_PROGRAM", "worker"),
        ("SUPERVISOR_GROUP", "worker"),
        ("SUPERVISOR_STATE", "RUNNING"),
        ("SUPERVISOR_PID", pid.as_str()),
        ("SYSLOG_IDENTIFIER", "supervisord"),
        ("_SYSTEMD_UNIT", "supervisor.service"),
        ("PRIORITY", "6"),
    ] {
        assert_eq!(field(&running[0], name), value, "{name}");
    }
    assert_eq!(entries(&machine, "SUPERVISOR_GROUP=worker SUPERVISOR_STATE=RUNNING").len(), 2);

    let exits = entries(&machine, "SUPERVISOR_PROCESS=crasher SUPERVISOR_STATE=EXITED");
    assert_eq!(exits.len(), 1);
    assert_eq!(field(&exits[0], "SUPERVISOR_EXIT_STATUS"), "3");
    assert_eq!(field(&exits[0], "PRIORITY"), "4");
    assert_eq!(field(&exits[0], "MESSAGE_ID"), "3b0ff73950994ba19f8e88eaf32ac0c6");
    // Looking for trouble finds it, and nothing else.
    let trouble =
        machine.ok("journalctl -q -o cat -u supervisor -p warning SUPERVISOR_GROUP=worker");
    assert_eq!(trouble, "");
    let gave_up = entries(&machine, "SUPERVISOR_PROCESS=lost SUPERVISOR_STATE=FATAL");
    assert_eq!(gave_up.len(), 1);

    // The journal has the times; the file has them as ever.
    let lines = machine.ok("journalctl -q -o cat -t supervisord");
    assert!(lines.lines().all(|line| !line.starts_with("20")), "{lines}");
    machine.ok("grep -q '^20[0-9-]* [0-9:,]* INFO spawned: .worker_1. with pid' \
                /var/log/supervisor/supervisord.log");

    // What it means, and what to do.
    let explained = machine.ok("journalctl -q -x --no-pager SUPERVISOR_PROCESS=lost");
    println!("{explained}");
    assert!(explained.contains("░░ Subject: "), "no catalog:\n{explained}");
}

fn programs_write_under_their_own_names(suite: Suite) {
    let machine = installed(suite);
    machine.write(
        "/etc/supervisor/conf.d/chatty.conf",
        "[program:chatty]\n\
         command=bash -c \"echo hello; echo '<3>bad' >&2; echo end; exec sleep inf\"\n\
         stdout_logfile=journal\nstderr_logfile=journal\n",
    );
    machine.ok("systemctl reload supervisor");
    machine.journal_has("-t chatty", "^end$");
    machine.journal_has("-t chatty", "^bad$");
    assert_eq!(machine.ok("journalctl -q -o cat -t chatty -p err"), "bad");
    let lines = entries(&machine, "-t chatty SUPERVISOR_CHANNEL=stdout");
    let texts: Vec<&str> = lines.iter().map(|line| field(line, "MESSAGE")).collect();
    assert_eq!(texts, ["hello", "end"]);
    assert_eq!(field(&lines[0], "PRIORITY"), "6");
    assert_eq!(field(&lines[0], "SUPERVISOR_PROGRAM"), "chatty");
    assert_eq!(field(&lines[0], "SUPERVISOR_PID"), machine.ok("supervisorctl pid chatty"));
    // `systemctl status` has them too.
    let status = machine.ok("systemctl status supervisor --no-pager");
    assert!(status.contains("]: hello"), "{status}");
    // There is no file to read, and supervisorctl says where to look.
    let tail = machine.run("supervisorctl tail chatty 2>&1");
    assert!(tail.stdout.contains("journal"), "{}", tail.stdout);
}
