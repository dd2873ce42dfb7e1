//! The sockets of FastCGI programs, as the thread that spawns sees them: opened for the first
//! process of a program, shared by all, closed when the last one is gone (C-401).

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::handover::{Baggage, SocketLeft, SocketOf};
use super::logs::LogHandle;
use crate::core::action::Generation;
use crate::core::key::ProcKey;
use crate::model::record::{Level, Record};
use crate::model::spawn::SpawnError;
use crate::model::spec::{FcgiSocket, ProcessKind, ProcessSpec};
use crate::sys::fcgi::FcgiListener;

/// The sockets that are open.
#[derive(Debug)]
pub struct Sockets {
    open: HashMap<Owner, Shared>,
    log: LogHandle,
}

/// The socket of a run.
#[derive(Debug)]
pub struct SharedSocket {
    /// The socket, which other runs may have too.
    pub fd: Arc<OwnedFd>,
    /// Which one it is.
    pub of: SocketOf,
}

/// Whose socket it is, and which one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Owner {
    group: Arc<str>,
    program: Arc<str>,
    socket: FcgiSocket,
}

#[derive(Debug)]
struct Shared {
    listener: FcgiListener,
    /// The runs that have it.
    users: HashSet<(ProcKey, Generation)>,
}

impl Sockets {
    /// None are open.
    #[must_use]
    pub fn new(log: LogHandle) -> Self {
        Self { open: HashMap::new(), log }
    }

    /// Goes on with the sockets of another daemon.
    ///
    /// # Errors
    /// One is missing.
    pub fn adopt(&mut self, left: Vec<SocketLeft>, baggage: &mut Baggage) -> io::Result<()> {
        for SocketLeft { of, users, listener } in left {
            let SocketOf { group, program, socket, file } = of;
            let listener = FcgiListener::adopt(&socket, baggage.take(listener)?, file)?;
            let shared = Shared { listener, users: users.into_iter().collect() };
            self.open.insert(Owner { group, program, socket }, shared);
        }
        Ok(())
    }

    /// Gives the sockets away.
    pub fn hand_over(&mut self, baggage: &mut Baggage) -> Vec<SocketLeft> {
        let mut left = Vec::new();
        for (Owner { group, program, socket }, Shared { listener, users }) in self.open.drain() {
            let (fd, file) = match listener.hand_over() {
                Ok(given) => given,
                Err(error) => {
                    let text = format!("lost the socket {}: {error}", socket.address);
                    self.log.record(Record::new(Level::Error, text));
                    continue;
                }
            };
            let (listener, users) = (baggage.put(fd), users.into_iter().collect());
            left.push(SocketLeft {
                of: SocketOf { group, program, socket, file },
                users,
                listener,
            });
        }
        left
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens the socket of a program that became active, and closes it again: what is wrong with
    /// it is known before the first request (C-399).
    pub fn try_out(&self, spec: &ProcessSpec) {
        let Some(owner) = owner(spec).filter(|owner| !self.open.contains_key(owner)) else {
            return;
        };
        match self.create(&owner) {
            Ok(listener) => self.close(&owner, listener),
            Err(error) => {
                self.log.record(Record::about(Level::Error, &spec.name, error.to_string()));
            }
        }
    }

    /// The socket for a run of a process; none when it is no FastCGI program.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn share(
        &mut self,
        spec: &ProcessSpec,
        key: ProcKey,
        generation: Generation,
    ) -> Result<Option<SharedSocket>, SpawnError> {
        let Some(owner) = owner(spec) else { return Ok(None) };
        if !self.open.contains_key(&owner) {
            let listener = self.create(&owner)?;
            self.open.insert(owner.clone(), Shared { listener, users: HashSet::new() });
        }
        Ok(self.open.get_mut(&owner).map(|shared| {
            shared.users.insert((key, generation));
            let Owner { group, program, socket } = owner;
            let file = shared.listener.identity();
            SharedSocket {
                fd: shared.listener.socket(),
                of: SocketOf { group, program, socket, file },
            }
        }))
    }

    /// A run is over, or did not come to be.
    pub fn release(&mut self, key: ProcKey, generation: Generation) {
        let left = self.open.extract_if(|_, shared| {
            shared.users.remove(&(key, generation)) && shared.users.is_empty()
        });
        for (owner, shared) in left.collect::<Vec<_>>() {
            self.close(&owner, shared.listener);
        }
    }

    fn create(&self, owner: &Owner) -> Result<FcgiListener, SpawnError> {
        let url = owner.socket.address.to_string();
        let failed = |reason| SpawnError::Socket { url: url.clone(), reason };
        self.say(format!("Creating socket {url}"));
        let same = |other: &&Owner| other.socket.address == owner.socket.address;
        if let Some(Owner { group, program, .. }) = self.open.keys().find(same) {
            return Err(failed(format!("program {program} in group {group} has it")));
        }
        FcgiListener::open(&owner.socket).map_err(|error| failed(error.to_string()))
    }

    fn close(&self, owner: &Owner, listener: FcgiListener) {
        let url = &owner.socket.address;
        self.say(format!("Closing socket {url}"));
        if let Err(error) = listener.close() {
            let text = format!("could not remove the file of socket {url}: {error}");
            self.log.record(Record::new(Level::Warn, text));
        }
    }

    fn say(&self, text: String) {
        self.log.record(Record::new(Level::Info, text));
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for (owner, shared) in std::mem::take(&mut self.open) {
            self.close(&owner, shared.listener);
        }
    }
}

fn owner(spec: &ProcessSpec) -> Option<Owner> {
    let ProcessKind::FastCgi(socket) = &spec.kind else { return None };
    let (group, program) = (Arc::clone(&spec.name.group), Arc::clone(&spec.program));
    Some(Owner { group, program, socket: socket.clone() })
}
