//! A program on a terminal, typed to as a person would.

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::process::Stream;

/// How long pressed keys have, before they are pressed again.
const AGAIN: Duration = Duration::from_secs(3);

/// A program whose standard input, output and error are a terminal. Killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// Everything on the screen so far, control sequences too.
    pub screen: Stream,
}

impl Terminal {
    /// Starts a program on a new terminal of 100 columns.
    pub fn spawn(command: &mut Command) -> Self {
        let size = nix::pty::Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).expect("a terminal");
        let slave = File::from(pty.slave);
        let child = command
            .env("TERM", "xterm")
            .stdin(slave.try_clone().expect("a descriptor"))
            .stdout(slave.try_clone().expect("a descriptor"))
            .stderr(slave)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        // The command keeps its copies of the terminal's other end until it gets others.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        let keyboard = File::from(pty.master);
        let screen = Stream::follow(keyboard.try_clone().expect("a descriptor"));
        Self { child, keyboard, screen }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes it");
    }

    /// Waits for a text on the screen, so many times.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&self, needle: &str, times: usize) {
        let enough = |text: &str| (text.matches(needle).count() >= times).then_some(());
        assert!(
            self.screen.wait(PATIENCE, enough).is_some(),
            "{needle:?} did not come {times} times to the screen:\n{:?}",
            self.screen.text()
        );
    }

    /// Presses keys, again and again until the program ends; its exit code. For a program that may
    /// be busy when the keys come, and then forgets them.
    ///
    /// # Panics
    /// When it does not end.
    pub fn press_until_the_end(&mut self, keys: &str) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // The keyboard may be gone already: then the program is too.
            let _ = self.keyboard.write_all(keys.as_bytes());
            if self.screen.wait_end(AGAIN) {
                break;
            }
        }
        self.finish()
    }

    /// Waits for the program's end; its exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn finish(&mut self) -> Option<i32> {
        // The screen ends when the last of the program's descriptors is closed.
        let ended = self.screen.wait_end(PATIENCE);
        assert!(ended, "it does not end: {:?}", self.screen.text());
        self.child.wait().expect("our child").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
