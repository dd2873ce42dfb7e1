//! `fg`.

use supervisor::model::state::ProcessState as State;

use crate::fake::{Fake, Reply};
use crate::run::{Running, supervisorctl};

const BANNER: &str = "==> Press Ctrl-C to exit <==\n";

fn fake() -> Fake {
    Fake::start()
        .process("cat", "cat", State::Running, "")
        .process("off", "off", State::Stopped, "")
        .on("FollowProcessLog cat stdout", Reply::Pipe(b"out\n", true))
        .on("FollowProcessLog cat stderr", Reply::Fault("NoFile", ""))
}

fn fg(fake: &Fake) -> Running {
    let mut running = supervisorctl(&fake.with_config(&["fg", "cat"])).spawn();
    assert_eq!(running.read_until("out\n"), format!("{BANNER}out\n"));
    running
}

#[test]
fn fg_refuses_what_it_cannot_do() {
    // C-270
    let fake = fake();
    let help = fake.ctl(&["help", "fg"]).stdout;
    fake.ctl(&["fg"]).expect(&format!("ERROR: no process name supplied\n{help}"), 1).quiet();
    fake.ctl(&["fg", "a", "b"]).expect("ERROR: too many process names supplied\n", 1);
    fake.ctl(&["fg", "nope"]).expect("ERROR: bad process name supplied\n", 1);
    fake.ctl(&["fg", "off"]).expect("ERROR: process not running\n", 1);
}

#[test]
fn fg_passes_lines_in_and_output_out() {
    // C-270
    let fake = fake();
    let mut running = fg(&fake);
    running.write(b"hello\n");
    fake.wait_for("SendProcessStdin cat hello\n");
    fake.write_logs(b"hello\n");
    running.read_until("hello\n");
    running.write(b"rest without newline");
    running.finish().expect("Exiting foreground\n", 0).quiet();
    fake.wait_for("SendProcessStdin cat rest without newline\n");
}

#[test]
fn fg_ends_with_ctrl_c() {
    // C-270
    let fake = fake();
    let running = fg(&fake);
    running.interrupt();
    let mut running = running;
    running.read_until("Exiting foreground\n");
    running.finish().expect("", 0).quiet();
}

#[test]
fn fg_ends_with_the_process() {
    // C-270
    let fake = fake();
    let mut running = fg(&fake);
    fake.emit("other", "cat", "RUNNING", "EXITED");
    fake.write_logs(b"bye\n");
    fake.emit("cat", "cat", "RUNNING", "EXITED");
    assert_eq!(running.read_until("foreground\n"), "bye\nProcess got killed\nExiting foreground\n");
    running.finish().expect("", 0).quiet();
}

#[test]
fn fg_ends_when_the_process_takes_no_input() {
    // C-270
    for (fault, text) in [
        ("NotRunning", "Process got killed\nExiting foreground\n"),
        ("NoFile", "ERROR: <Fault 20: 'NO_FILE: x'>\nExiting foreground\n"),
    ] {
        let fake = fake().on("SendProcessStdin", Reply::Fault(fault, "x"));
        let mut running = fg(&fake);
        running.write(b"hello\n");
        running.read_until(text);
        running.finish().expect("", 0).quiet();
    }
}
