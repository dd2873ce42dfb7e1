//! Carries out what the core decides: children, signals, logs.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::channels::Channels;
use super::foundling::{Foundling, Gone};
use super::handover::{Baggage, ChildLeft, EffectsLeft, FoundPipe, FoundlingLeft, SocketOf};
use super::keep::{Keep, Kept, Name};
use super::logs::{ChannelKey, LogHandle};
use super::spawner::SpawnNews;
use super::stdin::{Delivery, Stdin, Told};
use crate::core::action::{Generation, Input, Run, SignalScope};
use crate::core::key::ProcKey;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::signal::Signal;
use crate::model::snapshot::Channel;
use crate::model::spawn::SpawnError;
use crate::sys::leftovers::Leftovers;
use crate::sys::pidfd;

/// A live child.
struct Child {
    generation: Generation,
    pid: i32,
    pidfd: Option<OwnedFd>,
    stdin: Stdin,
    name: ProcessName,
    /// Where to look for what it leaves behind; none when that is left alone.
    leftovers: Option<Leftovers>,
    /// The socket that it has, if it is a FastCGI program.
    socket: Option<SocketOf>,
    /// It is a child of an earlier daemon, and watched.
    foundling: Option<Foundling>,
    /// What keeps its handle, its stdin and its socket for the next daemon.
    _kept: [Option<Kept>; 3],
}

/// What the next daemon has to know of a child, if this one is killed.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChildKept {
    /// Which spawn.
    pub generation: Generation,
    /// Its pid.
    pub pid: i32,
    /// Its name.
    pub name: ProcessName,
    /// Where to look for what it leaves behind.
    pub leftovers: Option<Leftovers>,
    /// The socket that it has, if it is a FastCGI program.
    pub socket: Option<SocketOf>,
}

/// Something that happened to what was made here.
#[derive(Debug)]
pub enum Happened {
    /// An event was written to its listener, or could not be.
    Told(Told),
    /// A child of an earlier daemon ended.
    Gone(Gone),
}

/// The children, and the way to their logs.
pub struct Effects {
    logs: LogHandle,
    children: HashMap<ProcKey, Child>,
    pids: HashMap<i32, ProcKey>,
    /// What became of events.
    told_in: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
    /// Where to look for what earlier runs left behind, while there may be something, and the spawn
    /// that it was last looked for under.
    left: HashMap<ProcKey, (Generation, Leftovers)>,
    /// Children of an earlier daemon that ended.
    gone_in: mpsc::UnboundedSender<Gone>,
    gone: mpsc::UnboundedReceiver<Gone>,
    /// What keeps descriptors for the next daemon.
    keep: Keep,
    /// Children that came or went since it was last written down who there is.
    changed: BTreeSet<ProcKey>,
}

impl Effects {
    /// Without children yet.
    #[must_use]
    pub fn new(logs: LogHandle, keep: Keep) -> Self {
        // No more than one for each listener.
        let (told_in, told) = mpsc::unbounded_channel();
        let (gone_in, gone) = mpsc::unbounded_channel();
        Self {
            logs,
            children: HashMap::new(),
            pids: HashMap::new(),
            told_in,
            told,
            left: HashMap::new(),
            gone_in,
            gone,
            keep,
            changed: BTreeSet::new(),
        }
    }

    /// What keeps descriptors for the next daemon.
    #[must_use]
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// What happens to events and to children of an earlier daemon.
    pub async fn happened(&mut self) -> Happened {
        // This has a sender of each itself.
        tokio::select! {
            Some(told) = self.told.recv() => Happened::Told(told),
            Some(gone) = self.gone.recv() => Happened::Gone(gone),
            else => std::future::pending().await,
        }
    }

    /// Gives `put` who came or went since it was last asked; none for who is gone.
    ///
    /// # Errors
    /// One cannot be written as JSON, which would be a mistake in this program.
    pub fn take_changes(
        &mut self,
        put: &mut dyn FnMut(ProcKey, Option<Vec<u8>>),
    ) -> serde_json::Result<()> {
        for key in std::mem::take(&mut self.changed) {
            let child = self.children.get(&key).map(|child| ChildKept {
                generation: child.generation,
                pid: child.pid,
                name: child.name.clone(),
                leftovers: child.leftovers.clone(),
                socket: child.socket.clone(),
            });
            put(key, child.map(|child| serde_json::to_vec(&child)).transpose()?);
        }
        Ok(())
    }

    /// What became of events, as far as it is known by now.
    pub fn told_now(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }

    /// Whether this is the pid of a live child that the core knows.
    #[must_use]
    pub fn is_child(&self, pid: i32) -> bool {
        self.pids.contains_key(&pid)
    }

    /// Takes in what became of a spawn: what to tell the core, and the pid of the new child.
    pub fn take_news(&mut self, news: SpawnNews) -> (Input, Option<i32>) {
        let SpawnNews { key, generation, channels, leftovers, socket, kept, outcome } = news;
        match outcome {
            Ok((child, files)) => {
                let pid = child.pid;
                let Channels { stdout, stderr } = channels;
                let name = stdout.name.clone();
                let pipes = [
                    (Channel::Stdout, Some(stdout), child.stdout, kept.stdout, files.stdout),
                    (Channel::Stderr, stderr, child.stderr, kept.stderr, files.stderr),
                ];
                for (channel, plan, pipe, kept, file) in pipes {
                    if let (Some(plan), Some(pipe)) = (plan, pipe) {
                        let channel = ChannelKey { process: key, channel };
                        self.logs.attach(channel, generation, plan, file, (pipe, kept), pid);
                    }
                }
                let stdin = Stdin::new(child.stdin);
                let pidfd = child.pidfd;
                let (foundling, kept) = (None, [kept.process, kept.stdin, kept.socket]);
                let child = Child {
                    generation,
                    pid,
                    pidfd,
                    stdin,
                    name,
                    leftovers,
                    socket,
                    foundling,
                    _kept: kept,
                };
                self.left.remove(&key);
                self.add(key, child);
                (Input::Spawned { key, generation, pid }, Some(pid))
            }
            Err(SpawnError::Occupied) => {
                self.left.extend(leftovers.map(|leftovers| (key, (generation, leftovers))));
                (Input::Occupied { key, generation }, None)
            }
            Err(error) => {
                if let Some(text) = error.child_log_text() {
                    let (channel, plan) = channels.of_errors(key);
                    self.logs.note(channel, plan.clone(), text);
                }
                (Input::SpawnFailed { key, generation, error: error.to_string() }, None)
            }
        }
    }

    fn add(&mut self, key: ProcKey, child: Child) {
        self.pids.insert(child.pid, key);
        self.changed.insert(key);
        self.children.insert(key, child);
    }

    /// Sends a signal. That the process is gone is no failure: its exit is on the way (C-189).
    pub fn signal(
        &mut self,
        key: ProcKey,
        pid: i32,
        signal: Signal,
        scope: SignalScope,
    ) -> Result<(), String> {
        let Some(child) = self.children.get_mut(&key).filter(|child| child.pid == pid) else {
            return Ok(());
        };
        if let Some(Leftovers::Family(family)) = &mut child.leftovers {
            family.learn(); // it may end now, and then nobody knows any more
        }
        let pidfd = child.pidfd.as_ref().map(AsFd::as_fd);
        let sent = match scope {
            SignalScope::Process => pidfd::send_signal(pidfd, pid, signal),
            SignalScope::Group => pidfd::send_signal_to_group(pidfd, pid, signal),
        };
        match sent {
            Err(Errno::ESRCH) => {
                let name = &child.name;
                let text = format!(
                    "unable to signal {} (pid {pid}), it probably just exited on its own",
                    name.process
                );
                self.logs.record(Record::about(Level::Debug, name, text));
                Ok(())
            }
            Err(errno) => Err(errno.desc().to_owned()),
            Ok(()) => Ok(()),
        }
    }

    /// Writes to a child's stdin (C-317).
    pub fn write_stdin(&mut self, key: ProcKey, data: Vec<u8>) -> Result<(), Fault> {
        let child = self.children.get_mut(&key).ok_or(FaultKind::NotRunning)?;
        child.stdin.write(&child.name.to_string(), data)
    }

    /// Writes an event to a listener, without waiting for it. That it cannot be written is told by
    /// [`Self::happened`].
    pub fn deliver(&mut self, run: Run, serial: u64, data: Vec<u8>) {
        let delivery = Delivery { run, serial };
        let child = self.children.get_mut(&run.key);
        match child.filter(|child| child.generation == run.generation) {
            Some(child) => {
                child.stdin.deliver(data, delivery, &self.told_in, self.keep.is_on());
            }
            // It ended just now, which the core will hear.
            None => drop(self.told_in.send(Told::Undelivered(delivery))),
        }
    }

    /// A child was reaped: what it left in its pipes is read, its stdin closed.
    /// Answers with its name when it was one that the core knows.
    pub fn ended(&mut self, key: ProcKey, generation: Generation) -> Option<ProcessName> {
        let mut ended = None;
        if self.children.get(&key).is_some_and(|child| child.generation == generation)
            && let Some(child) = self.children.remove(&key)
        {
            self.changed.insert(key);
            self.pids.remove(&child.pid);
            self.left.extend(child.leftovers.map(|leftovers| (key, (generation, leftovers))));
            ended = Some(child.name);
        }
        for channel in [Channel::Stdout, Channel::Stderr] {
            self.logs.ended(ChannelKey { process: key, channel }, generation);
        }
        ended
    }

    /// Whether a start has to wait until it was looked for what an earlier run left behind. In a
    /// cgroup that is seen when the child is made.
    #[must_use]
    pub fn must_look_first(&self, key: ProcKey) -> bool {
        matches!(self.left.get(&key), Some((_, Leftovers::Family(_))))
    }

    /// Where to look for what earlier runs left behind, which is done for this spawn now; none when
    /// there is nothing.
    pub fn leftovers(&mut self, key: ProcKey, generation: Generation) -> Option<Leftovers> {
        let (looked_for, leftovers) = self.left.get_mut(&key)?;
        *looked_for = generation;
        Some(leftovers.clone())
    }

    /// A look for this spawn found nothing left behind. A run since then may have left something.
    pub fn nothing_left(&mut self, key: ProcKey, generation: Generation) {
        if self.left.get(&key).is_some_and(|&(looked_for, _)| looked_for == generation) {
            self.left.remove(&key);
        }
    }

    /// A process is no longer active.
    pub fn forget(&mut self, key: ProcKey) {
        self.left.remove(&key);
        for channel in [Channel::Stdout, Channel::Stderr] {
            self.logs.remove(ChannelKey { process: key, channel });
        }
    }

    /// Reopens all logs by name (C-143).
    pub fn reopen_logs(&self) {
        self.log(Record::new(Level::Info, "supervisord logreopen"));
        self.logs.reopen();
    }

    /// Writes a line to the daemon's log.
    pub fn log(&self, record: Record) {
        self.logs.record(record);
    }

    /// Logs something unexpected.
    pub fn warn(&self, text: String) {
        self.log(Record::new(Level::Warn, text));
    }

    /// Gives the children away. Nothing may be asked of them afterwards.
    pub async fn hand_over(&mut self, baggage: &mut Baggage) -> EffectsLeft {
        self.pids.clear();
        let left = self.left.drain();
        let mut handed = EffectsLeft {
            left: left.map(|(key, (generation, left))| (key, generation, left)).collect(),
            children: Vec::new(),
        };
        for (key, child) in self.children.drain() {
            let Child { generation, pid, pidfd, stdin, name, leftovers, socket, foundling, .. } =
                child;
            let stdin = stdin.hand_over().await;
            let stdin = stdin.map(|(pipe, unwritten)| (baggage.put(pipe), unwritten));
            let foundling =
                foundling.map(|_| FoundlingLeft { pidfd: pidfd.map(|pidfd| baggage.put(pidfd)) });
            handed.children.push(ChildLeft {
                key,
                generation,
                pid,
                name,
                leftovers,
                stdin,
                socket,
                foundling,
            });
        }
        handed
    }

    /// Takes over the children of another engine, in this process or killed. Runs on the engine's event loop.
    ///
    /// # Errors
    /// Something of what belongs to them is missing.
    pub fn adopt(&mut self, left: EffectsLeft, baggage: &mut Baggage) -> io::Result<()> {
        for (key, generation, left) in left.left {
            self.left.insert(key, (generation, left));
        }
        for child in left.children {
            let ChildLeft { key, generation, pid, name, leftovers, stdin, socket, foundling } =
                child;
            let run = Run { key, generation };
            let kept = [
                self.keep.claim(Name::Process(run)),
                stdin.is_some().then(|| self.keep.claim(Name::Stdin(run))).flatten(),
                socket.is_some().then(|| self.keep.claim(Name::Socket(run))).flatten(),
            ];
            let stdin = match stdin {
                None => Stdin::Closed,
                Some((slot, unwritten)) => {
                    Stdin::adopt(baggage.take(slot)?, unwritten, run, &self.told_in)?
                }
            };
            let (pidfd, foundling) = if let Some(FoundlingLeft { pidfd }) = foundling {
                let pidfd = pidfd.map(|slot| baggage.take(slot)).transpose()?;
                let watched = pidfd.as_ref().map(OwnedFd::try_clone).transpose()?;
                (pidfd, Some(Foundling::watch(pid, watched, self.gone_in.clone())))
            } else {
                // It is a child of this process and was not reaped, so the pid is its own.
                (pidfd::open(pid).ok(), None)
            };
            let child = Child {
                generation,
                pid,
                pidfd,
                stdin,
                name,
                leftovers,
                socket,
                foundling,
                _kept: kept,
            };
            self.add(key, child);
        }
        Ok(())
    }

    /// Has the pipes of an engine that was killed read on.
    ///
    /// # Errors
    /// One is missing.
    pub fn take_pipes(&self, found: Vec<FoundPipe>, baggage: &mut Baggage) -> io::Result<()> {
        for FoundPipe { key, generation, pid, plan, pipe, ended } in found {
            let kept = self.keep.claim(Name::output(key, generation));
            self.logs.attach(key, generation, plan, None, (baggage.take(pipe)?, kept), pid);
            if ended {
                self.logs.ended(key, generation);
            }
        }
        Ok(())
    }

    /// The way to the logs.
    #[must_use]
    pub fn logs(&self) -> &LogHandle {
        &self.logs
    }

    /// The engine ends: nothing of it may be left.
    pub fn shut_down(&mut self) {
        self.children.clear();
        self.pids.clear();
        self.left.clear();
    }
}
