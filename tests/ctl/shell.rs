//! The shell where there is no terminal.

use supervisor::model::state::ProcessState as State;

use crate::fake::{Fake, Reply};
use crate::run::supervisorctl;

const STATUS: &str = "cat                              STOPPED   Not started\n";

fn fake() -> Fake {
    Fake::start().process("cat", "cat", State::Stopped, "Not started")
}

#[track_caller]
fn shell(fake: &Fake, input: &str, output: &str) {
    let run = supervisorctl(&fake.with_config(&[])).run(input.as_bytes());
    run.expect(&format!("{STATUS}{output}"), 0).quiet();
}

#[test]
fn the_shell_shows_the_status_then_prompts() {
    // C-224, C-271, C-273, C-274, C-275
    let fake = fake();
    shell(&fake, "", "fake> \n");
    shell(
        &fake,
        "version\n\n\nfoo\nquit\nversion\n",
        "fake> 5.0.0\nfake> fake> fake> *** Unknown syntax: foo\nfake> \n",
    );
    shell(&fake, "version", "fake> 5.0.0\nfake> \n");
    shell(&fake, "start cat\r\n", "fake> cat: started\nfake> \n");
    let run = supervisorctl(&fake.with_config(&["-i"])).run(b"exit\n");
    run.expect(&format!("{STATUS}fake> \n"), 0).quiet();
}

#[test]
fn the_shell_asks_before_shutdown_and_reload() {
    // C-266, C-267, C-275
    let fake = fake();
    let shutdown = "Really shut the remote supervisord process down y/N? ";
    let reload = "Really restart the remote supervisord process y/N? ";
    shell(&fake, "shutdown\nn\nversion\n", &format!("fake> {shutdown}fake> 5.0.0\nfake> \n"));
    shell(&fake, "reload\ny\n", &format!("fake> {reload}Restarted supervisord\nfake> \n"));
    let eof = "error: <class 'EOFError'>, EOF when reading a line: nobody answered the question\n";
    shell(&fake, "shutdown\n", &format!("fake> {shutdown}{eof}fake> \n"));
}

#[test]
fn fg_in_the_shell_shares_its_input() {
    // C-270
    let fake = Fake::start()
        .process("cat", "cat", State::Running, "")
        .on("FollowProcessLog", Reply::Pipe(b"", true));
    let input = b"fg cat\nhello\nworld\n";
    let run = supervisorctl(&fake.with_config(&[])).run(input);
    run.expect(
        "cat                              RUNNING   \n\
         fake> ==> Press Ctrl-C to exit <==\nExiting foreground\nfake> \n",
        0,
    );
    fake.wait_for("SendProcessStdin cat hello\n");
    fake.wait_for("SendProcessStdin cat world\n");
}

#[test]
fn a_daemon_that_went_away_does_not_end_the_shell() {
    // C-275
    let fake = fake().on("StartProcess cat", Reply::HangUp).on("StartProcess cat", Reply::Done);
    let lost = "error: <class 'ConnectionResetError'>, [Errno 104] Connection reset by peer: ";
    let run = supervisorctl(&fake.with_config(&[])).run(b"start cat\nstart cat\n");
    assert!(run.stdout.starts_with(&format!("{STATUS}fake> {lost}")), "{run:?}");
    assert!(run.stdout.ends_with("fake> cat: started\nfake> \n"), "{run:?}");
    assert_eq!(run.code, Some(0));
}

#[test]
fn ctrl_c_leaves_the_shell() {
    // C-275
    let fake = fake();
    let mut shell = supervisorctl(&fake.with_config(&[])).spawn();
    shell.read_until("fake> ");
    shell.interrupt();
    shell.read_until("\n");
    shell.finish().expect("", 0).quiet();
}

#[test]
fn ctrl_c_ends_tail_f_and_not_the_shell() {
    // C-256, C-275
    let fake = fake().on("FollowProcessLog", Reply::Pipe(b"line\n", true));
    let mut shell = supervisorctl(&fake.with_config(&[])).spawn();
    shell.write(b"tail -f cat\n");
    shell.read_until("line\n");
    shell.interrupt();
    assert_eq!(shell.read_until("fake> "), "\nfake> ");
    shell.write(b"version\n");
    shell.finish().expect("5.0.0\nfake> \n", 0).quiet();
}

#[test]
fn ctrl_c_during_a_command_leaves_the_shell() {
    // C-275
    let fake = fake().on("StopAll", Reply::Gate(2, vec![]));
    let mut shell = supervisorctl(&fake.with_config(&[])).spawn();
    shell.read_until("fake> ");
    shell.write(b"stop all\n");
    fake.wait_for("StopAll");
    shell.interrupt();
    shell.finish().expect("\n", 0).quiet();
}
