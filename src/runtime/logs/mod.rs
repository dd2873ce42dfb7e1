//! The log plane: a thread of its own that drains every child's output, writes and rotates files,
//! feeds syslog and the journal, and keeps the daemon's own log. A disk that hangs stalls this thread alone;
//! nobody waits for it except who asks it a question.
//!
//! ```text
//!  child --pipe--> Pipe --(capture)--(strip_ansi)--+--> Sink: file, rotated; or stream
//!                   |  paced by Pace               +--> Syslog, Journal
//!                   |                              +--> Tap --> the engine
//!                   +--splice--> Sink on a regular file that gets all as it comes;
//!                                what the others get is looked at before (Peek)
//!  LogHandle --Inbox--> Plane --> MainLog --> Sink | Syslog | Journal, a copy on stdout
//!                         +-----> Follows --> Follower (tail -f)
//! ```

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::SigSet;
use tokio::sync::mpsc as async_mpsc;

mod auto;
mod deliver;
mod follow;
mod handle;
mod handover;
mod journal;
mod lines;
mod main_log;
mod open;
mod output;
mod pace;
mod peek;
mod pipe;
mod plan;
mod plane;
mod read;
mod sink;
mod sinks;
mod stream;
mod syslog;
mod take;
mod tap;
#[cfg(test)]
mod tests;
mod text;

pub use auto::{clean_auto_logs, create_auto_log};
pub use follow::{Follower, Growth, TRUNCATED};
pub use handle::LogHandle;
pub use handover::{Handed, LogsLeft};
pub use open::open_log;
pub use peek::contents;
pub use plan::{ChannelKey, ChannelPlan, MainLogPlan, MainTarget};
pub use read::{Tail, read, tail};
pub use tap::{Permit, TapPlan, Tapped, What};

use crate::core::rotate::Rotation;
use crate::systemd::journal::{Journal, is_journal, socket_path};
use handle::Inbox;
use plane::{Origin, Plane};
use sink::Sink;
use stream::Stream;
use syslog::Syslog;

/// What the plane finds around it.
#[derive(Debug)]
pub struct Surroundings {
    /// Where the copy of the main log goes, when one is wanted.
    pub stdout: Option<OwnedFd>,
    /// Where it is said that the main log itself cannot be written.
    pub stderr: Option<OwnedFd>,
    /// The socket of the syslog daemon.
    pub syslog: PathBuf,
    /// The socket of journald.
    pub journal: PathBuf,
    /// stdout is a stream to the journal: its copy of the main log is better sent as entries.
    pub stdout_is_journal: bool,
    /// Somebody keeps the pipes for the next daemon, should this one be killed: what listeners say
    /// stays in their pipes until it is [confirmed](LogHandle::confirm).
    pub careful: bool,
}

impl Default for Surroundings {
    /// The process's own stdout and stderr, `/dev/log`, and journald's socket.
    fn default() -> Self {
        let stream = std::env::var("JOURNAL_STREAM").ok();
        let (stdout, stderr) = (io::stdout(), io::stderr());
        Self {
            stdout: stdout.as_fd().try_clone_to_owned().ok(),
            stderr: stderr.as_fd().try_clone_to_owned().ok(),
            syslog: syslog::SOCKET.into(),
            journal: socket_path(),
            stdout_is_journal: is_journal(stdout.as_fd(), stderr.as_fd(), stream.as_deref()),
            careful: false,
        }
    }
}

/// The owner of the log plane's thread. Dropping it stops the thread without waiting for slow
/// streams; [`stop`](Self::stop) is the orderly way.
#[derive(Debug)]
pub struct LogPlane {
    handle: LogHandle,
    thread: Option<JoinHandle<()>>,
    /// Closed by the thread when it ends.
    ended: mpsc::Receiver<()>,
}

impl LogPlane {
    /// Opens the main log and starts the thread. To be called after daemonizing: threads do not
    /// survive a fork. What is tapped of the children's output comes out of the receiver; when it
    /// is dropped, nobody wants it.
    ///
    /// # Errors
    /// What the system says of the log file, or that it refuses a thread.
    pub fn start(plan: &MainLogPlan) -> io::Result<(Self, async_mpsc::UnboundedReceiver<Tapped>)> {
        Self::start_in(plan, Surroundings::default())
    }

    /// The same, in given surroundings.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(
        plan: &MainLogPlan,
        around: Surroundings,
    ) -> io::Result<(Self, async_mpsc::UnboundedReceiver<Tapped>)> {
        let main = match &plan.target {
            MainTarget::File(path) => {
                let rotation = Rotation::new(plan.maxbytes, plan.backups);
                let mut sink = Sink::new(path.clone(), false, rotation);
                sink.open()?;
                Some(sink)
            }
            MainTarget::Syslog | MainTarget::Journal | MainTarget::None => None,
        };
        let mut journal = Journal::new(around.journal);
        // A service that cannot reach journald's socket has the stream still.
        let copy_to_journal = plan.copy_to_stdout && around.stdout_is_journal && journal.is_there();
        let copy = around
            .stdout
            .filter(|_| plan.copy_to_stdout && !copy_to_journal)
            .map(|stdout| Sink::copy_to("stdout", for_ourselves(stdout)));
        let inbox = Arc::new(Inbox::new(EventFd::from_value_and_flags(
            0,
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?));
        let (tapped_in, tapped) = async_mpsc::unbounded_channel();
        let origin = Origin {
            inbox: Arc::clone(&inbox),
            level: plan.level,
            main,
            main_to_syslog: plan.target == MainTarget::Syslog,
            main_to_journal: plan.target == MainTarget::Journal || copy_to_journal,
            copy,
            stderr: around.stderr.map(|stderr| Stream::new(for_ourselves(stderr))),
            syslog: Syslog::new(around.syslog),
            journal,
            tapped: tapped_in,
            careful: around.careful,
        };
        let in_journal = plan.target == MainTarget::Journal;
        let handle = LogHandle { inbox, level: plan.level, in_journal };
        let (ending, ended) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let thread = thread::Builder::new().name("logs".into()).spawn({
            let inbox = Arc::clone(&handle.inbox);
            move || run(origin, &inbox, &started, ending)
        })?;
        start.recv().map_err(io::Error::other)??;
        Ok((Self { handle, thread: Some(thread), ended }, tapped))
    }

    /// A handle to give away.
    #[must_use]
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    /// Drains every pipe, writes everything, and ends the thread. Whether that was done `within`
    /// this time; if a disk hangs, the thread is left behind.
    #[must_use]
    pub fn stop(mut self, within: Duration) -> bool {
        let by = Instant::now() + within;
        self.handle.stop(by);
        // It ends by itself at `by`, unless something hangs.
        let grace = within + Duration::from_millis(100);
        let ended = self.ended.recv_timeout(grace) == Err(mpsc::RecvTimeoutError::Disconnected);
        match self.thread.take() {
            Some(thread) if ended => thread.join().is_ok(),
            _ => false,
        }
    }
}

impl Drop for LogPlane {
    fn drop(&mut self) {
        self.handle.stop(Instant::now());
    }
}

/// The thread's life. Signals are for others: blocked here, they cannot interrupt a write, and
/// one that a write causes (SIGPIPE, SIGXFSZ) is an error instead.
fn run(
    origin: Origin,
    inbox: &Inbox,
    started: &mpsc::Sender<io::Result<()>>,
    ending: mpsc::Sender<()>,
) {
    let plane =
        SigSet::all().thread_block().map_err(io::Error::from).and_then(|()| Plane::new(origin));
    match plane {
        Ok(plane) => {
            let closing = Closing { inbox, _ending: ending };
            // Nobody listens only if the start was given up.
            let _ = started.send(Ok(()));
            plane.run();
            drop(closing);
        }
        Err(error) => drop(started.send(Err(error))),
    }
}

/// Sees to it that nobody waits for a thread that is gone, even if it panicked.
struct Closing<'a> {
    inbox: &'a Inbox,
    _ending: mpsc::Sender<()>,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

/// A terminal or pipe is opened anew, so that it can be told not to block without telling
/// everybody else who has it; what cannot be is used as it is.
fn for_ourselves(fd: OwnedFd) -> File {
    let file = File::from(fd);
    let shared = file
        .metadata()
        .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_char_device());
    let anew = || {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .ok()
    };
    if shared { anew().unwrap_or(file) } else { file }
}
