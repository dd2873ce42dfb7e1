//! Carries out what the core decides: children, signals, logs.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use tokio::sync::mpsc;

use super::channels::Channels;
use super::handover::{Baggage, ChildLeft, EffectsLeft};
use super::logs::{ChannelKey, LogHandle};
use super::spawner::SpawnNews;
use super::stdin::{Stdin, Undelivered};
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
}

/// The children, and the way to their logs.
pub struct Effects {
    logs: LogHandle,
    children: HashMap<ProcKey, Child>,
    pids: HashMap<i32, ProcKey>,
    /// Events that listeners did not get.
    lost_in: mpsc::UnboundedSender<Undelivered>,
    lost: mpsc::UnboundedReceiver<Undelivered>,
    /// Where to look for what earlier runs left behind, while there may be something, and the spawn
    /// that it was last looked for under.
    left: HashMap<ProcKey, (Generation, Leftovers)>,
}

impl Effects {
    /// Without children yet.
    #[must_use]
    pub fn new(logs: LogHandle) -> Self {
        // No more than one for each listener.
        let (lost_in, lost) = mpsc::unbounded_channel();
        let left = HashMap::new();
        Self { logs, children: HashMap::new(), pids: HashMap::new(), lost_in, lost, left }
    }

    /// The next event that could not be written to its listener.
    pub async fn undelivered(&mut self) -> Option<Undelivered> {
        self.lost.recv().await
    }

    /// Those that are known by now.
    pub fn undelivered_now(&mut self) -> Vec<Undelivered> {
        std::iter::from_fn(|| self.lost.try_recv().ok()).collect()
    }

    /// Whether this is the pid of a live child that the core knows.
    #[must_use]
    pub fn is_child(&self, pid: i32) -> bool {
        self.pids.contains_key(&pid)
    }

    /// Takes in what became of a spawn: what to tell the core, and the pid of the new child.
    pub fn take_news(&mut self, news: SpawnNews) -> (Input, Option<i32>) {
        let SpawnNews { key, generation, channels, leftovers, outcome } = news;
        match outcome {
            Ok((child, files)) => {
                let pid = child.pid;
                let Channels { stdout, stderr } = channels;
                let name = stdout.name.clone();
                let pipes = [
                    (Channel::Stdout, Some(stdout), child.stdout, files.stdout),
                    (Channel::Stderr, stderr, child.stderr, files.stderr),
                ];
                for (channel, plan, pipe, file) in pipes {
                    if let (Some(plan), Some(pipe)) = (plan, pipe) {
                        let channel = ChannelKey { process: key, channel };
                        self.logs.attach(channel, generation, plan, file, pipe, pid);
                    }
                }
                let stdin = Stdin::new(child.stdin);
                let pidfd = child.pidfd;
                let child = Child { generation, pid, pidfd, stdin, name, leftovers };
                self.children.insert(key, child);
                self.left.remove(&key);
                self.pids.insert(pid, key);
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
    /// [`Self::undelivered`].
    pub fn deliver(&mut self, run: Run, serial: u64, data: Vec<u8>) {
        let undelivered = Undelivered { run, serial };
        let child = self.children.get_mut(&run.key);
        match child.filter(|child| child.generation == run.generation) {
            Some(child) => child.stdin.deliver(data, undelivered, &self.lost_in),
            // It ended just now, which the core will hear.
            None => drop(self.lost_in.send(undelivered)),
        }
    }

    /// A child was reaped: what it left in its pipes is read, its stdin closed.
    /// Answers with its name when it was one that the core knows.
    pub fn ended(&mut self, key: ProcKey, generation: Generation) -> Option<ProcessName> {
        let mut ended = None;
        if self.children.get(&key).is_some_and(|child| child.generation == generation)
            && let Some(child) = self.children.remove(&key)
        {
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
        for (key, Child { generation, pid, stdin, name, leftovers, .. }) in self.children.drain() {
            let stdin = stdin.hand_over().await;
            let stdin = stdin.map(|(pipe, unwritten)| (baggage.put(pipe), unwritten));
            handed.children.push(ChildLeft { key, generation, pid, name, leftovers, stdin });
        }
        handed
    }

    /// Takes over the children of another engine of this process. Runs on the engine's event loop.
    ///
    /// # Errors
    /// Something of what belongs to them is missing.
    pub fn adopt(&mut self, left: EffectsLeft, baggage: &mut Baggage) -> io::Result<()> {
        for (key, generation, left) in left.left {
            self.left.insert(key, (generation, left));
        }
        for child in left.children {
            let ChildLeft { key, generation, pid, name, leftovers, stdin } = child;
            let stdin = match stdin {
                None => Stdin::Closed,
                Some((slot, unwritten)) => {
                    let run = Run { key, generation };
                    Stdin::adopt(baggage.take(slot)?, unwritten, run, &self.lost_in)?
                }
            };
            // It is a child of this process and was not reaped, so the pid is its own.
            let pidfd = pidfd::open(pid).ok();
            let child = Child { generation, pid, pidfd, stdin, name, leftovers };
            self.pids.insert(pid, key);
            self.children.insert(key, child);
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
