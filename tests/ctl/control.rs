//! `status`, `pid`, `start`, `stop`, `restart` and `signal`.

use supervisor::model::state::ProcessState as State;

use crate::fake::{Fake, Reply};

fn three() -> Fake {
    Fake::start()
        .process("cat", "cat", State::Running, "pid 100, uptime 0:00:05")
        .process("g", "a", State::Running, "pid 101, uptime 1 day, 1:01:01")
        .process("g", "b", State::Starting, "")
}

#[test]
fn status_lists_everything_or_what_is_named() {
    // C-240, C-241, C-242
    let fake = three();
    let cat = "cat                              RUNNING   pid 100, uptime 0:00:05\n";
    let a = "g:a                              RUNNING   pid 101, uptime 1 day, 1:01:01\n";
    let b = "g:b                              STARTING  \n";
    fake.ctl(&["status"]).expect(&[cat, a, b].concat(), 0).quiet();
    fake.ctl(&["status", "g:*", "cat"]).expect(&[a, b, cat].concat(), 0);
    fake.ctl(&["status", "g:", "all"]).expect(&[cat, a, b].concat(), 0);
    fake.ctl(&["status", "g:b"]).expect(b, 0);
    let unknown = "g: ERROR (no such process)\nx: ERROR (no such group)\n\
                   x: ERROR (no such process)\n";
    fake.ctl(&["status", "g", "x:*", "x", "cat"]).expect(&[unknown, cat].concat(), 4);
}

#[test]
fn status_tells_by_its_exit_code_that_something_is_down() {
    // C-228, C-240
    let fake = three().process("off", "off", State::Stopped, "Not started");
    let off = "off                              STOPPED   Not started\n";
    fake.ctl(&["status", "off"]).expect(off, 3);
    fake.ctl(&["status", "x", "off"]).expect(&format!("x: ERROR (no such process)\n{off}"), 3);
}

#[test]
fn pid_prints_pids() {
    // C-244
    let fake = three().process("off", "off", State::Fatal, "");
    fake.ctl(&["pid"]).expect("4711\n", 0).quiet();
    fake.ctl(&["pid", "all"]).expect("100\n101\n102\n0\n", 0);
    fake.ctl(&["pid", "g:a", "cat"]).expect("101\n100\n", 0);
    fake.ctl(&["pid", "off", "cat"]).expect("0\n100\n", 7);
    fake.ctl(&["pid", "g:*", "cat", "x"])
        .expect("No such process g:*\n100\nNo such process x\n", 1);
}

#[test]
fn start_tells_what_became_of_each_process() {
    // C-227, C-245, C-246, C-229
    let fake = Fake::start()
        .on("StartProcess nope", Reply::Fault("BadName", "nope"))
        .on("StartProcess nofile", Reply::Fault("NoFile", "/x"))
        .on("StartProcess noexec", Reply::Fault("NotExecutable", "/x"))
        .on("StartProcess up", Reply::Fault("AlreadyStarted", "up"))
        .on("StartProcess bad", Reply::Fault("SpawnError", "bad"))
        .on("StartProcess ends", Reply::Fault("AbnormalTermination", "ends"));
    fake.ctl(&["start", "cat", "g:a", "cat:cat"])
        .expect("cat: started\ng:a: started\ncat: started\n", 0)
        .quiet();
    assert_eq!(fake.calls(), ["StartProcess cat", "StartProcess g:a", "StartProcess cat:cat"]);
    for (name, text, code) in [
        ("nope", "no such process", 1),
        ("nofile", "no such file", 1),
        ("noexec", "file is not executable", 1),
        ("up", "already started", 0),
        ("bad", "spawn error", 7),
        ("ends", "abnormal termination", 7),
    ] {
        fake.ctl(&["start", name]).expect(&format!("{name}: ERROR ({text})\n"), code);
    }
    // The last failure wins, success never resets.
    let text = "bad: ERROR (spawn error)\nnope: ERROR (no such process)\ncat: started\n";
    fake.ctl(&["start", "bad", "nope", "cat"]).expect(text, 1);
}

#[test]
fn start_of_groups_and_all_is_one_call() {
    // C-226, C-247, C-249
    let fake = Fake::start()
        .on("StartGroup x", Reply::Fault("BadName", "x"))
        .on(
            "StartGroup g",
            Reply::Results(vec![("g", "b", 50, "SPAWN_ERROR"), ("g", "a", 80, "OK")]),
        )
        .on("StartAll", Reply::Results(vec![("cat", "cat", 80, "OK"), ("g", "a", 60, "")]));
    fake.ctl(&["start", "g:*"]).expect("g:b: ERROR (spawn error)\ng:a: started\n", 7);
    fake.ctl(&["start", "x:"]).expect("x: ERROR (no such group)\n", 2);
    fake.ctl(&["start", "x", "all"]).expect("cat: started\ng:a: ERROR (already started)\n", 0);
    assert_eq!(fake.calls(), ["StartGroup g", "StartGroup x", "StartAll"]);
    let idle = Fake::start().on("StartAll", Reply::Results(vec![]));
    idle.ctl(&["start", "all"]).expect("", 0).quiet();
}

#[test]
fn a_result_without_a_text_is_one_clear_line() {
    // C-250
    let fake = Fake::start().on("StartProcess cat", Reply::Fault("Failed", "out of pids"));
    fake.ctl(&["start", "cat", "next"]).expect(
        "error: <class 'ValueError'>, Unknown result code 30 for cat: FAILED: out of pids\n",
        1,
    );
    assert_eq!(fake.calls(), ["StartProcess cat"]);
}

#[test]
fn stop_tells_what_became_of_each_process() {
    // C-251
    let fake = Fake::start()
        .on("StopProcess nope", Reply::Fault("BadName", "nope"))
        .on("StopProcess off", Reply::Fault("NotRunning", "off"))
        .on("StopProcess stuck", Reply::Fault("Failed", "attempted to kill stuck"))
        .on("StopGroup x", Reply::Fault("BadName", "x"))
        .on("StopGroup g", Reply::Results(vec![("g", "a", 80, "OK"), ("g", "b", 70, "")]))
        .on("StopAll", Reply::Results(vec![("cat", "cat", 80, "OK")]));
    fake.ctl(&["stop", "cat", "off"]).expect("cat: stopped\noff: ERROR (not running)\n", 0).quiet();
    fake.ctl(&["stop", "nope"]).expect("nope: ERROR (no such process)\n", 1);
    fake.ctl(&["stop", "stuck"]).expect("FAILED: attempted to kill stuck\n", 1);
    fake.ctl(&["stop", "x:*"]).expect("x: ERROR (no such group)\n", 1);
    fake.ctl(&["stop", "g:*"]).expect("g:a: stopped\ng:b: ERROR (not running)\n", 0);
    fake.ctl(&["stop", "all", "nope"]).expect("cat: stopped\n", 0);
}

#[test]
fn restart_is_stop_then_start() {
    // C-252
    let fake = Fake::start()
        .on("StopProcess off", Reply::Fault("NotRunning", "off"))
        .on("StopAll", Reply::Results(vec![("cat", "cat", 80, "OK")]))
        .on("StartAll", Reply::Results(vec![("cat", "cat", 80, "OK")]));
    fake.ctl(&["restart", "cat", "off"])
        .expect("cat: stopped\noff: ERROR (not running)\ncat: started\noff: started\n", 0);
    assert_eq!(
        fake.calls(),
        ["StopProcess cat", "StopProcess off", "StartProcess cat", "StartProcess off"]
    );
    fake.ctl(&["restart", "all"]).expect("cat: stopped\ncat: started\n", 0);
}

#[test]
fn signal_passes_its_name_on() {
    // C-253
    let fake = Fake::start()
        .on("SignalProcess cat FOO", Reply::Fault("BadSignal", "FOO"))
        .on("SignalProcess off HUP", Reply::Fault("NotRunning", "off"))
        .on("SignalProcess nope HUP", Reply::Fault("BadName", "nope"))
        .on("SignalGroup x HUP", Reply::Fault("BadName", "x"))
        .on("SignalGroup g FOO", Reply::Fault("BadSignal", "FOO"))
        .on("SignalGroup g HUP", Reply::Results(vec![("g", "a", 80, "OK"), ("g", "b", 70, "")]))
        .on("SignalAll HUP", Reply::Results(vec![("cat", "cat", 80, "OK")]));
    fake.ctl(&["signal", "HUP", "cat", "g:a"])
        .expect("cat: signalled\ng:a: signalled\n", 0)
        .quiet();
    fake.ctl(&["signal", "FOO", "cat"]).expect("cat: ERROR (bad signal name)\n", 1);
    fake.ctl(&["signal", "HUP", "off"]).expect("off: ERROR (not running)\n", 7);
    fake.ctl(&["signal", "HUP", "nope"]).expect("nope: ERROR (no such process)\n", 1);
    fake.ctl(&["signal", "HUP", "x:*"]).expect("x: ERROR (no such group)\n", 1);
    fake.ctl(&["signal", "HUP", "g:*"]).expect("g:a: signalled\ng:b: ERROR (not running)\n", 7);
    fake.ctl(&["signal", "HUP", "all"]).expect("cat: signalled\n", 0);
    let run = fake.ctl(&["signal", "FOO", "g:*"]);
    let raw = "error: <class 'xmlrpc.client.Fault'>, <Fault 11: 'BAD_SIGNAL: FOO'>: ";
    assert!(run.stdout.starts_with(raw) && run.code == Some(1), "{run:?}");
}

#[test]
fn names_are_required() {
    // C-248, C-251, C-252, C-253
    let fake = Fake::start();
    for (action, error, code) in [
        ("start", "Error: start requires a process name\n", 2),
        ("stop", "Error: stop requires a process name\n", 1),
        ("restart", "Error: restart requires a process name\n", 1),
        ("signal", "Error: signal requires a signal name and a process name\n", 1),
        ("signal HUP", "Error: signal requires a signal name and a process name\n", 1),
        ("clear", "Error: clear requires a process name\n", 1),
    ] {
        let run = fake.ctl(&[action]);
        let help = fake.ctl(&["help", action.split(' ').next().unwrap()]);
        run.expect(&format!("{error}{}", help.stdout), code).quiet();
    }
    assert_eq!(fake.calls(), Vec::<String>::new());
}
