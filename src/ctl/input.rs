//! Standard input, line by line, without a thread that would steal a later line.

use std::io;
use std::os::fd::AsFd as _;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::io::Interest;

use crate::sys::watch::watch;

/// Lines of standard input. One buffer for all who read: the shell, confirmations and `fg`.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// The next line without its newline; none at the end of the input. Safe to cancel: nothing
    /// is lost.
    ///
    /// # Errors
    /// When standard input cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.ended {
                // A terminal may go on after an end of input; ask it again next time.
                self.ended = false;
                let rest = std::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            self.fill().await?;
        }
    }

    /// Waits until there is something to read, and reads it once.
    async fn fill(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        // The descriptor is shared with other programs, so it must stay blocking: it is watched
        // afresh for every read. A regular file cannot be watched, and never blocks.
        if let Ok(watched) = watch(stdin.as_fd().try_clone_to_owned()?, Interest::READABLE) {
            drop(watched.readable().await?);
        }
        let mut chunk = [0; 4096];
        match nix::unistd::read(&stdin, &mut chunk) {
            Ok(0) => self.ended = true,
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// While it lives, a terminal on standard input does not show what is typed.
pub struct Hidden {
    before: Option<Termios>,
}

impl Hidden {
    /// Hides what is typed. Without a terminal there is nothing to hide.
    #[must_use]
    pub fn new() -> Self {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(mut silent) = before.clone() {
            silent.local_flags.remove(LocalFlags::ECHO);
            silent.local_flags.insert(LocalFlags::ECHONL);
            let _ = tcsetattr(&stdin, SetArg::TCSADRAIN, &silent);
        }
        Self { before }
    }
}

impl Default for Hidden {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone shows nothing either.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, before);
        }
    }
}
