//! Asks for passwords on the terminal, by polkit's own program for that, where the daemon on the
//! system bus asks polkit whether this user may. As systemctl does it.

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::sys::companion::ends_with_us;
use crate::sys::pidfd;

/// polkit's agent for terminals.
const PROGRAM: &str = "pkttyagent";
/// What logind gives every process of a session.
const SESSION: &str = "XDG_SESSION_ID";
/// How long it may take until polkit knows of it.
const REGISTRATION: Duration = Duration::from_secs(5);
/// How many milliseconds it has to end.
const END: u16 = 2000;

/// The agent, started when it is needed first, ended when dropped.
#[derive(Debug)]
pub struct Agent {
    allowed: bool,
    running: RefCell<Option<Child>>,
}

impl Agent {
    /// An agent that does not run yet; one that is not allowed to ask never does.
    #[must_use]
    pub fn new(allowed: bool) -> Self {
        Self { allowed, running: RefCell::default() }
    }

    /// Whether somebody may be asked for a password: by this agent, or by one of the desktop.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// Starts it, if it may ask and there is a terminal to ask on. Returns when polkit knows of
    /// it. That it cannot be started is no failure: an agent of the desktop may do as well, and
    /// without any the daemon says what is missing.
    pub async fn start(&self) {
        if !self.allowed || self.running.borrow().is_some() || !io::stdin().is_terminal() {
            return;
        }
        if let Ok((child, registered)) = spawn() {
            self.running.replace(Some(child));
            wait(registered).await;
        }
    }
}

/// Starts the program. It closes its standard output once polkit knows of it, or when it ends: it
/// talks to the terminal itself.
fn spawn() -> io::Result<(Child, OwnedFd)> {
    let (registered, notify) = io::pipe()?;
    let mut command = Command::new(PROGRAM);
    command
        .args(["--notify-fd", "1", "--process"])
        .arg(std::process::id().to_string())
        // An agent of the desktop comes first. Where there is no session there is no such agent,
        // and polkit would not use one that stands back for it.
        .args(std::env::var_os(SESSION).map(|_| "--fallback"))
        .stdin(Stdio::null())
        .stdout(notify)
        // What it cannot do shows in what the daemon answers.
        .stderr(Stdio::null());
    let child = ends_with_us(&mut command).spawn()?;
    Ok((child, registered.into()))
}

async fn wait(registered: OwnedFd) {
    let Ok(mut registered) = pipe::Receiver::from_owned_fd(registered) else { return };
    let mut nothing = [0];
    let end = async { while matches!(registered.read(&mut nothing).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(REGISTRATION, end).await;
}

impl Drop for Agent {
    fn drop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        // Asked to, it leaves the terminal as it found it. Its pid is ours until it is waited for.
        let Ok(pid) = i32::try_from(child.id()) else { return };
        let pidfd = pidfd::open(pid);
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        if let Ok(pidfd) = pidfd {
            let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ended, PollTimeout::from(END));
        }
        // Nothing, if it has ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}
