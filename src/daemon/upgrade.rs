//! A hot upgrade: the program that is installed now takes this one's place in the same process.
//! The children, their pipes, the sockets and all state stay; clients ask again.
//!
//! The state travels in sealed memory: a line that says how to read it, and JSON. First the new
//! program has to read it in a trial, as a child that changes nothing; a program that cannot is
//! not used, and this one goes on.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::rlim_t;
use serde::{Deserialize, Serialize};

use crate::config::Overrides;
use crate::config::settings::Settings;
use crate::http::listen::{self, Listeners, ListenersLeft};
use crate::http::sessions::{Sessions, SessionsLeft};
use crate::runtime::checkpoint::Memories;
use crate::runtime::handover::{Baggage, EngineLeft, Slot, check_slots};
use crate::sys::cgroup::{Place, Tree};
use crate::sys::pidfile::PidFile;
use crate::sys::socket::Listener;
use crate::sys::{handover, inherited, pidfd};
use crate::systemd::notify::Manager;

/// Says in which descriptor the state is.
const VARIABLE: &str = "SUPERVISOR_HANDOVER";
/// Says that it is only to be read.
const TRIAL: &str = "SUPERVISOR_HANDOVER_TRIAL";
/// What the state is written as. A program that writes something else counts on.
const FORMAT: u32 = 2;
/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is told of the complaints of a program that fails in its trial, in bytes.
const COMPLAINT: u64 = 1000;

/// How the state is to be read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Head {
    format: u32,
    /// Whose it is.
    pid: u32,
    /// The program that wrote it.
    version: String,
    descriptors: Vec<RawFd>,
}

/// A listening unix socket of the daemon, or its pid file.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileLeft<Identity> {
    /// Its path.
    pub path: PathBuf,
    /// The descriptor.
    pub slot: Slot,
    /// Device and inode.
    pub identity: Identity,
}

impl FileLeft<(u64, u64)> {
    /// Another handle on the socket of the peer-to-peer bus.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn of_bus(bus: &Listener, baggage: &mut Baggage) -> io::Result<Self> {
        let slot = baggage.put(bus.try_clone_socket()?.into());
        Ok(Self { path: bus.path().to_owned(), slot, identity: bus.identity() })
    }
}

/// All that a daemon is.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// The command line, as it was resolved at the start.
    pub overrides: Overrides,
    /// The configuration of the daemon itself, as in force.
    pub settings: Settings,
    /// The limit of open files before the daemon raised its own.
    pub nofile: Option<(rlim_t, rlim_t)>,
    /// Where programs have cgroups of their own.
    pub cgroups: Option<Place>,
    /// The service manager.
    pub manager: Manager,
    /// The socket of the peer-to-peer bus.
    pub bus: Option<FileLeft<(u64, u64)>>,
    /// The pid file.
    pub pidfile: Option<FileLeft<Option<(u64, u64)>>>,
    /// The sockets of the HTTP servers.
    pub servers: ListenersLeft,
    /// Who is logged in there.
    pub sessions: SessionsLeft,
    /// How often the program was replaced before.
    pub upgrades: u32,
    /// Where the state is written down, in case the daemon is killed.
    pub memories: Option<[Slot; 2]>,
    /// The engine.
    pub engine: EngineLeft,
}

impl State {
    /// Whether it fits together, and to so many descriptors.
    fn check(&self, descriptors: usize) -> Result<(), String> {
        let bus = self.bus.as_ref().map(|bus| bus.slot);
        let pidfile = self.pidfile.as_ref().map(|pidfile| pidfile.slot);
        let memories = self.memories.into_iter().flatten();
        let ours = bus.into_iter().chain(pidfile).chain(memories).chain(self.servers.slots());
        check_slots(ours.chain(self.engine.slots()), descriptors)?;
        self.engine.check()
    }
}

/// A daemon that is to be replaced: what of it is not the engine's.
#[derive(Debug)]
pub struct Daemon<'a> {
    /// As in [`State`].
    pub overrides: &'a Overrides,
    /// As in [`State`].
    pub settings: &'a Settings,
    /// As in [`State`].
    pub nofile: Option<(rlim_t, rlim_t)>,
    /// Where programs have cgroups of their own.
    pub cgroups: Option<&'a Tree>,
    /// As in [`State`].
    pub manager: &'a Manager,
    /// The socket of the peer-to-peer bus.
    pub bus: Option<&'a Listener>,
    /// The pid file.
    pub pidfile: Option<&'a PidFile>,
    /// The sockets of the HTTP servers.
    pub servers: &'a Listeners,
    /// Who is logged in there.
    pub sessions: &'a Sessions,
    /// As in [`State`].
    pub upgrades: u32,
    /// As in [`State`].
    pub memories: Option<&'a Memories>,
}

impl Daemon<'_> {
    /// Has the program that is installed now go on from here. Comes back only when it cannot, with
    /// the reason and all that was to be handed over.
    #[must_use]
    pub fn replace(
        &self,
        program: Option<&Path>,
        engine: EngineLeft,
        mut baggage: Baggage,
    ) -> (String, EngineLeft, Baggage) {
        let Some(program) = program else {
            return ("where this program is installed is not known".to_owned(), engine, baggage);
        };
        let (bus, pidfile, servers, memories) = match self.share(&mut baggage) {
            Ok(shared) => shared,
            Err(error) => return (error.to_string(), engine, baggage),
        };
        let state = State {
            overrides: self.overrides.clone(),
            settings: self.settings.clone(),
            nofile: self.nofile,
            cgroups: self.cgroups.map(|tree| tree.place().clone()),
            manager: self.manager.clone(),
            bus,
            pidfile,
            servers,
            sessions: self.sessions.share(),
            upgrades: self.upgrades,
            memories,
            engine,
        };
        let error = execute(program, &state, &baggage);
        (error, state.engine, baggage)
    }

    /// Other handles on what this daemon keeps if it has to go on.
    fn share(&self, baggage: &mut Baggage) -> io::Result<Shared> {
        let bus = self.bus.map(|bus| FileLeft::of_bus(bus, baggage)).transpose()?;
        let pidfile = match self.pidfile {
            None => None,
            Some(pidfile) => {
                let (fd, identity) = pidfile.share()?;
                let path = self.settings.daemon.pidfile.clone();
                Some(FileLeft { path, slot: baggage.put(fd), identity })
            }
        };
        let memories = match self.memories {
            None => None,
            Some(memories) => {
                Some(memories.try_clone()?.into_descriptors().map(|fd| baggage.put(fd)))
            }
        };
        Ok((bus, pidfile, self.servers.share(baggage)?, memories))
    }
}

/// The socket of the bus, the pid file, the sockets of the servers, the memories.
type Shared = (
    Option<FileLeft<(u64, u64)>>,
    Option<FileLeft<Option<(u64, u64)>>>,
    ListenersLeft,
    Option<[Slot; 2]>,
);

/// What another program left to this one.
#[derive(Debug)]
pub struct Legacy {
    /// The state.
    pub state: State,
    /// The descriptors.
    pub baggage: Baggage,
    /// Which program it was.
    pub version: String,
}

/// What this program was executed for.
#[derive(Debug)]
pub enum Purpose {
    /// To start.
    Start,
    /// To see whether it could go on from a state: why it could not.
    Trial(Result<(), String>),
    /// To go on, or why it cannot.
    GoOn(Result<Box<Legacy>, String>),
}

/// Finds out what this program was executed for. Before anything is opened, and while there is one
/// thread.
#[must_use]
pub fn purpose() -> Purpose {
    let Some(fd) = std::env::var_os(VARIABLE) else { return Purpose::Start };
    let trial = std::env::var_os(TRIAL).is_some();
    inherited::forget_variables(&[VARIABLE, TRIAL]);
    let fd = fd.to_str().and_then(|fd| fd.parse::<RawFd>().ok());
    let fd = fd.ok_or_else(|| format!("{VARIABLE} is no number"));
    let state = fd.and_then(|fd| read(fd).map(|(head, state)| (fd, head, state)));
    if trial {
        return Purpose::Trial(state.and_then(|(_, head, state)| {
            if head.pid != nix::unistd::getppid().as_raw().cast_unsigned() {
                return Err("the state is of another process".to_owned());
            }
            let certificates = listen::check_certificates(&state.settings.servers, &[]);
            certificates.map(drop).map_err(|error| error.to_string())
        }));
    }
    Purpose::GoOn(state.and_then(|(fd, head, state)| {
        if head.pid != std::process::id() {
            return Err("the state is of another process".to_owned());
        }
        // The memory of the state is the last one: it was read, and is closed.
        let taken = inherited::take_descriptors(head.descriptors.into_iter().chain([fd]));
        let descriptors = taken.and_then(|all| all.into_iter().collect::<io::Result<Vec<_>>>());
        let mut descriptors =
            descriptors.map_err(|error| format!("descriptors are missing: {error}"))?;
        descriptors.truncate(descriptors.len() - 1);
        let baggage = Baggage::new(descriptors);
        Ok(Box::new(Legacy { state, baggage, version: head.version }))
    }))
}

fn read(fd: RawFd) -> Result<(Head, State), String> {
    parse(&handover::unseal(fd).map_err(|error| format!("no state: {error}"))?)
}

/// Reads a state as it was written, and takes none that does not fit together.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<(Head, State), String> {
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    let (head, state) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let head: Head = serde_json::from_slice(head).map_err(|error| format!("no state: {error}"))?;
    if head.format != FORMAT {
        return Err(format!(
            "the state of supervisord {} has format {}, this is {} with format {FORMAT}",
            head.version,
            head.format,
            env!("CARGO_PKG_VERSION")
        ));
    }
    let state: State = serde_json::from_slice(state).map_err(|error| {
        format!("the state of supervisord {} cannot be read: {error}", head.version)
    })?;
    state.check(head.descriptors.len()).map_err(|error| {
        format!("the state of supervisord {} does not fit together: {error}", head.version)
    })?;
    Ok((head, state))
}

/// As [`parse`] reads it.
///
/// # Errors
/// Something cannot be written, a path that is not UTF-8.
pub(super) fn written(head: &Head, state: &State) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(head)?;
    bytes.push(b'\n');
    serde_json::to_writer(&mut bytes, state)?;
    Ok(bytes)
}

fn write(state: &State, baggage: &Baggage) -> io::Result<OwnedFd> {
    let head = Head {
        format: FORMAT,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        descriptors: baggage.iter().map(AsRawFd::as_raw_fd).collect(),
    };
    handover::seal(&written(&head, state)?)
}

/// Has the program at `program` go on from here. Comes back only when it cannot; then nothing has
/// changed.
#[must_use]
fn execute(program: &Path, state: &State, baggage: &Baggage) -> String {
    match write(state, baggage) {
        Err(error) => format!("the state cannot be written: {error}"),
        Ok(memory) => match try_out(program, &memory) {
            Err(error) => format!("{}: {error}", program.display()),
            Ok(()) => replace(program, &memory, baggage),
        },
    }
}

fn set_nonblocking(fd: &impl AsFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// Has it read the state, as a child.
fn try_out(program: &Path, memory: &OwnedFd) -> Result<(), String> {
    let start = || -> io::Result<_> {
        let (complaints, stderr) = io::pipe()?;
        let child = Command::new(program)
            .env(VARIABLE, "0")
            .env(TRIAL, "1")
            .env_remove("NOTIFY_SOCKET")
            .stdin(memory.try_clone()?)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()?;
        Ok((child, complaints))
    };
    let (mut child, complaints) = start().map_err(|error| error.to_string())?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    let in_time = pidfd::open(pid).is_ok_and(|ended| {
        let mut wait = [PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
        poll(&mut wait, patience).is_ok_and(|ready| ready > 0)
    });
    if !in_time {
        let _ = child.kill(); // it may have ended just now
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if in_time {
        // What it started may hold the pipe open: what is there is all that is waited for.
        let _ = set_nonblocking(&complaints);
        let _ = complaints.take(COMPLAINT).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    Err(match said.trim() {
        "" if in_time => format!("it fails in a trial: {status}"),
        "" => format!("it does not end its trial within {} s", PATIENCE.as_secs()),
        said => format!("it fails in a trial: {said}"),
    })
}

fn replace(program: &Path, memory: &OwnedFd, baggage: &Baggage) -> String {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut environment: Vec<_> = std::env::vars_os().collect();
    environment.push((VARIABLE.into(), memory.as_raw_fd().to_string().into()));
    let mut kept: Vec<_> = baggage.iter().map(AsFd::as_fd).collect();
    kept.push(memory.as_fd());
    let error = handover::execute(program, &arguments, &environment, &kept);
    format!("{} cannot be executed: {error}", program.display())
}

#[cfg(test)]
mod tests;
