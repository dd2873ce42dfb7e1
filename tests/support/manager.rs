//! A stand-in for the service manager that keeps descriptors: it starts `supervisord` again after
//! it was killed, and hands it what it had put into the store.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::sys::stat::fstat;

use super::PATIENCE;
use super::cgroup::Delegated;
use super::children::kill_of_home;
use super::daemon::{HEAD, SUPERVISORCTL, SUPERVISORD, command};
use super::process::{Output, Running, run};
use super::scratch::Scratch;

/// Becomes `supervisord` in a cgroup, with descriptors from 3 on that come over its standard input.
const LAUNCHER: &str = r"
import fcntl, os, socket, sys
cgroup, count, names = sys.argv[1], int(sys.argv[2]), sys.argv[3]
open(cgroup + '/cgroup.procs', 'w').write('0')
way, fds = socket.socket(fileno=0), []
while len(fds) < count:
    fds += socket.recv_fds(way, 1, 250)[1]
way.detach()
high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + count + len(fds)) for fd in fds]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at)
os.dup2(os.open('/dev/null', os.O_RDONLY), 0)
if count:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=names)
os.execv(sys.argv[4], sys.argv[4:])
";

/// Descriptors that are sent at once.
const BATCH: usize = 250;

#[derive(Default)]
struct Book {
    store: Vec<(String, OwnedFd)>,
    messages: VecDeque<String>,
}

/// A service: the daemon, whoever it is just now.
pub struct Service {
    /// The daemon that runs.
    pub process: Running,
    ground: Delegated,
    dir: PathBuf,
    config: PathBuf,
    address: PathBuf,
    book: Arc<(Mutex<Book>, Condvar)>,
    /// Where the daemon looks for the system bus.
    bus: String,
    /// What earlier daemons logged.
    earlier: String,
}

impl Service {
    /// Writes [`HEAD`] and `programs` as `supervisord.conf` and starts the service on it.
    pub fn start(scratch: &Scratch, programs: &str) -> Self {
        let nowhere = format!("unix:path={}", scratch.join("no-bus").display());
        Self::start_with_bus(scratch, programs, &nowhere)
    }

    /// The same with a system bus.
    pub fn start_with_bus(scratch: &Scratch, programs: &str, bus: &str) -> Self {
        let config = scratch.write("supervisord.conf", format!("{HEAD}{programs}"));
        let ground = Delegated::new(scratch);
        let address = scratch.join(".manager");
        let socket = UnixDatagram::bind(&address).expect("a socket");
        let book = Arc::new((Mutex::default(), Condvar::new()));
        thread::spawn({
            let book = Arc::clone(&book);
            move || take_in(&socket, &book)
        });
        let dir = scratch.path().to_owned();
        let process = launch(&ground, &config, &address, bus, &book);
        let (bus, earlier) = (bus.to_owned(), String::new());
        let this = Self { process, ground, dir, config, address, book, bus, earlier };
        this.expect_ready();
        this
    }

    /// Waits until the daemon says that it is ready.
    ///
    /// # Panics
    /// When it does not.
    pub fn expect_ready(&self) {
        assert!(self.wait_for("READY=1"), "supervisord did not get ready\n{}", self.log());
    }

    fn wait_for(&self, line: &str) -> bool {
        let (book, changed) = &*self.book;
        let book = book.lock().expect("no panic while locked");
        let found = |book: &mut Book| {
            while let Some(message) = book.messages.pop_front() {
                if message.lines().any(|given| given == line) {
                    return false;
                }
            }
            true
        };
        !changed.wait_timeout_while(book, PATIENCE, found).expect("as above").1.timed_out()
    }

    /// Kills the daemon as the kernel does it, and waits until it is gone.
    pub fn kill(&mut self) {
        self.end_by(Signal::SIGKILL);
    }

    /// Ends the daemon by a signal, and waits until it is gone.
    pub fn end_by(&mut self, signal: Signal) {
        self.process.signal(signal);
        assert!(self.process.wait(PATIENCE).is_some(), "it does not end");
        assert!(self.process.stdout.wait_end(PATIENCE), "who has its stdout?");
        self.earlier += &self.process.stdout.text();
        // All that it said is read.
        let mark = format!("GONE={}", self.process.pid());
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.send_to(mark.as_bytes(), &self.address).expect("the manager reads");
        assert!(self.wait_for(&mark));
    }

    /// Starts the next daemon, with what is in the store.
    pub fn launch(&mut self) {
        self.process = launch(&self.ground, &self.config, &self.address, &self.bus, &self.book);
    }

    /// Kills the daemon and starts the next one.
    pub fn crash(&mut self) {
        self.kill();
        self.launch();
        self.expect_ready();
    }

    /// The names of what is in the store, sorted.
    pub fn stored(&self) -> Vec<String> {
        let book = self.book.0.lock().expect("no panic while locked");
        let mut names: Vec<_> = book.store.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Another handle on something in the store.
    pub fn descriptor(&self, name: &str) -> OwnedFd {
        let book = self.book.0.lock().expect("no panic while locked");
        let (_, fd) = book.store.iter().find(|(stored, _)| stored == name).expect("it is there");
        fd.try_clone().expect("a descriptor")
    }

    /// The cgroup of the service.
    pub fn ground(&self) -> &Delegated {
        &self.ground
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A `supervisorctl` command on the same configuration.
    pub fn ctl_command(&self, args: &[&str]) -> Command {
        ctl_command(&self.dir, &self.config, args)
    }

    /// Runs `supervisorctl` to its end.
    pub fn ctl(&self, args: &[&str]) -> Output {
        run(&mut self.ctl_command(args))
    }

    /// Waits for a line (a part of one) in the log of the daemon that runs.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect_log(&self, needle: &str) {
        self.process.expect(needle);
    }

    /// What all daemons logged so far.
    pub fn log(&self) -> String {
        let (stdout, stderr) = (self.process.stdout.text(), self.process.stderr.text());
        format!("{}{stdout}{stderr}", self.earlier)
    }

    /// The process id of a program as `supervisorctl pid` tells it.
    ///
    /// # Panics
    /// When there is none.
    pub fn pid_of(&self, name: &str) -> u32 {
        let output = self.ctl(&["pid", name]);
        let pid = output.stdout.trim().parse();
        pid.unwrap_or_else(|_| panic!("no pid of {name}: {output:?}\n{}", self.log()))
    }

    /// Asks the daemon to end and waits for it.
    pub fn stop(&mut self) -> Output {
        self.process.signal(Signal::SIGTERM);
        self.process.finish(PATIENCE)
    }
}

/// A `supervisorctl` command on a configuration.
pub fn ctl_command(dir: &Path, config: &Path, args: &[&str]) -> Command {
    let mut command = command(SUPERVISORCTL, dir);
    command.arg("-c").arg(config).args(args);
    command
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.process.wait(Duration::ZERO).is_none() {
            self.process.signal(Signal::SIGKILL);
            self.process.wait(PATIENCE);
        }
        // Its cgroup, which is dropped next, ends what is left of its programs.
        kill_of_home(&self.dir);
    }
}

fn launch(
    ground: &Delegated,
    config: &Path,
    address: &Path,
    bus: &str,
    book: &Arc<(Mutex<Book>, Condvar)>,
) -> Running {
    let (names, fds): (Vec<_>, Vec<_>) = {
        let mut book = book.0.lock().expect("no panic while locked");
        book.messages.clear();
        let copy =
            |(name, fd): &(String, OwnedFd)| (name.clone(), fd.try_clone().expect("a descriptor"));
        book.store.iter().map(copy).unzip()
    };
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let dir = config.parent().expect("a directory");
    let mut launcher = command("/usr/bin/python3", dir);
    launcher.args(["-S", "-c", LAUNCHER]).arg(ground.join("")).arg(fds.len().to_string());
    launcher.arg(names.join(":")).arg(SUPERVISORD).arg("-n").arg("-c").arg(config);
    launcher.env("NOTIFY_SOCKET", address).env("FDSTORE", "4096");
    launcher.env("DBUS_SYSTEM_BUS_ADDRESS", bus);
    launcher.stdin(Stdio::from(OwnedFd::from(theirs)));
    let process = Running::spawn(&mut launcher);
    drop(launcher); // it has the other end
    for batch in fds.chunks(BATCH) {
        let numbers: Vec<RawFd> = batch.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let sent = sendmsg::<()>(
            ours.as_raw_fd(),
            &[IoSlice::new(b"x")],
            &rights,
            MsgFlags::empty(),
            None,
        );
        sent.expect("the launcher reads");
    }
    process
}

/// Does what daemons say, in its order, until the test ends.
fn take_in(socket: &UnixDatagram, book: &(Mutex<Book>, Condvar)) {
    loop {
        let mut buffer = [0; 4096];
        let mut space = nix::cmsg_space!([RawFd; 253]);
        let mut text = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let Ok(message) = recvmsg::<()>(socket.as_raw_fd(), &mut text, Some(&mut space), flags)
        else {
            return;
        };
        let mut fds = Vec::new();
        for control in message.cmsgs().expect("room for all") {
            if let ControlMessageOwned::ScmRights(numbers) = control {
                fds.extend(numbers.into_iter().map(owned));
            }
        }
        let length = message.bytes;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let (lock, changed) = book;
        let mut book = lock.lock().expect("no panic while locked");
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or_default();
        if text.starts_with("FDSTORE=1") {
            for fd in fds {
                if !book.store.iter().any(|(_, other)| is_same(other, &fd)) {
                    book.store.push((name.to_owned(), fd));
                }
            }
        } else if text.starts_with("FDSTOREREMOVE=1") {
            book.store.retain(|(stored, _)| stored != name);
        } else {
            book.messages.push_back(text);
            changed.notify_all();
        }
    }
}

/// Whether two descriptors are the same file, opened the same way.
fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let of = |fd: &OwnedFd| {
        let status = fstat(fd).expect("a file");
        let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).expect("flags");
        (status.st_dev, status.st_ino, flags & libc::O_ACCMODE)
    };
    of(one) == of(other)
}

#[allow(unsafe_code)]
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel just made it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
