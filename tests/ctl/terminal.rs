//! The shell on a terminal: prompt, completion, history, confirmations.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use nix::pty::{Winsize, openpty};
use supervisor::model::state::ProcessState as State;

use crate::fake::{Fake, Reply};
use crate::run::{Running, supervisorctl};

/// A supervisorctl on a terminal of its own.
struct Terminal {
    running: Running,
    screen: std::fs::File,
}

impl Terminal {
    fn start(fake: &Fake, args: &[&str]) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let copy = |fd: &OwnedFd| fd.try_clone().unwrap();
        let running = supervisorctl(&fake.with_config(args))
            .with(|command| {
                command.stdin(copy(&pty.slave)).stdout(copy(&pty.slave)).stderr(copy(&pty.slave));
            })
            .spawn();
        Self { running, screen: pty.master.into() }
    }

    fn write(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// What appears up to and with this text, without escape sequences.
    fn read_until(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let mut chunk = [0; 1];
        loop {
            let shown = plain(&String::from_utf8_lossy(&seen));
            if shown.contains(text) {
                return shown;
            }
            match self.screen.read(&mut chunk) {
                Ok(count @ 1..) => seen.extend_from_slice(&chunk[..count]),
                other => panic!("no {text:?} in {shown:?} ({other:?})"),
            }
        }
    }

    /// The exit code, and what was still shown.
    fn finish(mut self) -> (Option<i32>, String) {
        let mut seen = Vec::new();
        // The end of a terminal is an input/output error.
        let _ = self.screen.read_to_end(&mut seen);
        let code = self.running.0.wait().unwrap().code();
        (code, plain(&String::from_utf8_lossy(&seen)))
    }
}

/// Text without terminal control sequences and carriage returns.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                let introducer = chars.next();
                if introducer == Some('[') {
                    let _ = chars.find(|c| c.is_ascii_alphabetic() || *c == '~');
                }
            }
            '\r' | '\x07' => {}
            c => out.push(c),
        }
    }
    out
}

fn fake() -> Fake {
    Fake::start().process("cat", "cat", State::Stopped, "Not started").process(
        "web",
        "one",
        State::Stopped,
        "Not started",
    )
}

#[test]
fn a_terminal_gets_prompt_completion_and_history() {
    // C-273, C-276, C-277
    let fake = fake();
    std::fs::write(fake.path().join("history"), "earlier\n").unwrap();
    let mut terminal = Terminal::start(&fake, &[]);
    terminal.read_until("fake> ");
    terminal.write("vers\t\n");
    terminal.read_until("5.0.0");
    terminal.read_until("fake> ");
    terminal.write("start c\t\n");
    terminal.read_until("cat: started");
    terminal.read_until("fake> ");
    terminal.write("stop web:\t\t");
    let listed = terminal.read_until("web:*");
    assert!(!listed.contains("stopped"), "{listed}");
    terminal.write("one\n");
    terminal.read_until("web:one: stopped");
    terminal.read_until("fake> ");
    terminal.write("\x04");
    assert_eq!(terminal.finish().0, Some(0));
    let history = std::fs::read_to_string(fake.path().join("history")).unwrap();
    assert_eq!(history, "earlier\nversion \nstart cat \nstop web:one\n");
}

#[test]
fn what_is_typed_ahead_is_kept() {
    let fake = fake();
    let mut terminal = Terminal::start(&fake, &[]);
    terminal.read_until("fake> ");
    terminal.write("version\nstart cat\nshutdown\ny\nquit\n");
    terminal.read_until("5.0.0");
    terminal.read_until("cat: started");
    terminal.read_until("Shut down");
    assert_eq!(terminal.finish().0, Some(0));
}

#[test]
fn a_terminal_confirms_without_completion() {
    // C-266, C-275
    let fake = fake();
    let mut terminal = Terminal::start(&fake, &[]);
    terminal.read_until("fake> ");
    terminal.write("shutdown\n");
    terminal.read_until("y/N? ");
    terminal.write("\ty\n");
    terminal.read_until("Shut down");
    terminal.read_until("fake> ");
    terminal.write("\x03");
    let (code, _) = terminal.finish();
    assert_eq!(code, Some(0));
    assert!(fake.calls().contains(&"Shutdown".to_owned()));
}

#[test]
fn ctrl_c_at_a_question_leaves_the_shell() {
    // C-275
    let fake = fake();
    let mut terminal = Terminal::start(&fake, &[]);
    terminal.read_until("fake> ");
    terminal.write("reload\n");
    terminal.read_until("y/N? ");
    terminal.write("\x03");
    assert_eq!(terminal.finish().0, Some(0));
    assert!(!fake.calls().contains(&"Restart".to_owned()));
}

#[test]
fn a_question_on_the_command_line_is_asked_on_the_terminal() {
    // C-223
    let fake = fake();
    let mut terminal = Terminal::start(&fake, &["-i", "reload"]);
    terminal.read_until("y/N? ");
    terminal.write("y\n");
    terminal.read_until("Restarted supervisord");
    assert_eq!(terminal.finish().0, Some(0));
}

#[test]
fn a_long_wait_shows_how_far_it_is() {
    let mut fake = Fake::start().on("StopAll", Reply::Gate(2, vec![("p", "0", 80, "OK")]));
    for name in ["0", "1", "2", "3", "4", "5"] {
        fake = fake.process("p", name, State::Running, "");
    }
    let mut terminal = Terminal::start(&fake, &["stop", "all"]);
    fake.wait_for("StopAll");
    fake.emit("p", "0", "STOPPING", "STOPPED");
    fake.emit("p", "3", "STOPPING", "STOPPED");
    terminal.read_until("2/6");
    terminal.running.interrupt();
    assert_eq!(terminal.finish().0, None, "ended by the signal");
}
