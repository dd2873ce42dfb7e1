//! A simulated world for tests of the core: virtual time, children that live and die, spawns
//! whose outcome comes later. It carries the actions out, and [`watch`] checks after every turn
//! what must always hold.

mod ask;
pub mod build;
mod program;
pub mod show;
mod watch;
mod written;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::action::{
    Action, ExitKind, Generation, Heard, Input, Leftovers, Run, SignalScope, Sweep,
};
use super::key::ProcKey;
use super::request::{Reply, Token};
use super::supervisor::{Identity, Serials, Supervisor};
use crate::model::event::Event;
use crate::model::exit::ExitStatus;
use crate::model::fault::Fault;
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::snapshot::{Channel, Snapshot};
use crate::model::spec::{GroupSpec, KillMode, ProcessSpec};
use crate::model::time::{Mono, Now, Wall};
pub use ask::scope;
pub use program::Program;
use watch::Watch;
use written::Written;

/// A live child.
#[derive(Debug, Clone)]
pub struct Child {
    pub key: ProcKey,
    pub generation: Generation,
    pub name: ProcessName,
    spec: Arc<ProcessSpec>,
}

impl Child {
    /// What it leaves behind is not to be left alone.
    fn is_tidy(&self) -> bool {
        self.spec.killmode != KillMode::Process
    }
}

/// An event that was sent to a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub name: String,
    pub run: Run,
    pub serial: u64,
    pub text: String,
    pub at: Mono,
}

/// A signal that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub name: String,
    pub signal: Signal,
    pub scope: SignalScope,
    pub at: Mono,
}

/// Something that is going to happen.
#[derive(Debug)]
enum Coming {
    SpawnReport {
        run: Run,
        spec: Arc<ProcessSpec>,
    },
    Exit {
        pid: i32,
        status: ExitStatus,
    },
    /// The processes that were left behind until now are gone.
    LeftGone {
        key: ProcKey,
        generation: Generation,
    },
    Report(Input),
}

/// The world around one supervisor.
#[derive(Debug)]
pub struct World {
    pub core: Supervisor,
    /// A supervisor that was handed over, and has to behave as the original does.
    twin: Option<Supervisor>,
    now: Now,
    programs: HashMap<String, Program>,
    pub children: BTreeMap<i32, Child>,
    /// What ended children left behind: how many, for each process.
    pub left: BTreeMap<ProcKey, u32>,
    /// Who looks after that: the spawn it is told under.
    sweeping: BTreeMap<ProcKey, Generation>,
    coming: BTreeMap<(Mono, u64), Coming>,
    counter: u64,
    next_pid: i32,
    next_token: u64,
    /// What reading the configuration for a restart says.
    pub config: Result<(), String>,
    pub snapshot: Arc<Snapshot>,
    lines: Vec<String>,
    events: Vec<Event>,
    signals: Vec<Sent>,
    spawned: Vec<String>,
    delivered: Vec<Delivery>,
    /// What was to be done with leftovers, in order.
    pub sweeps: Vec<Sweep>,
    pub others: Vec<Action>,
    replies: BTreeMap<Token, Result<Reply, Fault>>,
    pub exit: Option<ExitKind>,
    watch: Watch,
    written: Written,
}

impl World {
    /// A world with a supervisor that was not booted yet. It begins at 1000 s, so that nothing
    /// is right by being 0.
    pub fn new(groups: Vec<Arc<GroupSpec>>) -> Self {
        let identity = Identity {
            identifier: "supervisor".to_owned(),
            childlogdir: PathBuf::from("/tmp"),
            seed: 7,
            serials: Serials::default(),
        };
        let mut core = Supervisor::new(identity, groups);
        let snapshot = core.take_snapshot().expect("the first picture is always new");
        core.note_changes();
        Self {
            core,
            twin: None,
            now: Now {
                mono: Mono(Duration::from_secs(1000)),
                wall: Wall(Duration::from_secs(1_700_000_000)),
            },
            programs: HashMap::new(),
            children: BTreeMap::new(),
            left: BTreeMap::new(),
            sweeping: BTreeMap::new(),
            coming: BTreeMap::new(),
            counter: 0,
            next_pid: 100,
            next_token: 0,
            config: Ok(()),
            snapshot,
            lines: Vec::new(),
            events: Vec::new(),
            signals: Vec::new(),
            spawned: Vec::new(),
            delivered: Vec::new(),
            sweeps: Vec::new(),
            others: Vec::new(),
            replies: BTreeMap::new(),
            exit: None,
            watch: Watch::default(),
            written: Written::default(),
        }
    }

    /// A world with a supervisor at work.
    pub fn booted(groups: Vec<Arc<GroupSpec>>) -> Self {
        let mut world = Self::new(groups);
        world.give(Input::Boot);
        world
    }

    /// One program whose process has the same name, running for five seconds; nothing is noted of
    /// how it came to be.
    pub fn running(group: Arc<GroupSpec>) -> Self {
        let mut world = Self::booted(vec![group]);
        world.run_ms(5000);
        world.forget_notes();
        world
    }

    /// Says how a program behaves from now on.
    pub fn program(&mut self, name: &str, program: Program) {
        self.programs.insert(name.to_owned(), program);
    }

    /// Gives the core an input, and lets happen what follows from it without delay.
    pub fn give(&mut self, input: Input) {
        self.feed(input);
        self.run_ms(0);
    }

    /// Lets time pass.
    pub fn run_ms(&mut self, millis: u64) {
        self.run_until(self.now.mono + Duration::from_millis(millis));
    }

    /// Sets the wall clock, as an operator or NTP does.
    pub fn set_wall(&mut self, secs: u64) {
        self.now.wall = Wall(Duration::from_secs(secs));
    }

    fn run_until(&mut self, end: Mono) {
        let mut turns = 0;
        while self.exit.is_none() {
            let coming = self.coming.keys().next().map(|&(at, _)| at);
            let Some(at) = [coming, self.core.next_deadline()].into_iter().flatten().min() else {
                break;
            };
            if at > end {
                break;
            }
            turns = if at > self.now.mono { 0 } else { turns + 1 };
            assert!(turns < 1000, "the core goes round in circles");
            self.advance_to(at);
            match self.coming.first_entry().filter(|entry| entry.key().0 <= at) {
                Some(entry) => {
                    let coming = entry.remove();
                    self.happen(coming);
                }
                None => self.feed(Input::Tick),
            }
        }
        self.advance_to(end);
    }

    fn advance_to(&mut self, at: Mono) {
        let passed = at - self.now.mono;
        self.now.mono = self.now.mono + passed;
        self.now.wall = Wall(self.now.wall.0 + passed);
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::SpawnReport { run: Run { key, generation }, spec } => {
                let name = spec.name.clone();
                let program = self.behaviour(&name.to_string());
                self.watch.spawn_reported(key);
                if self.left.contains_key(&key) && spec.killmode != KillMode::Process {
                    self.feed(Input::Occupied { key, generation });
                    return;
                }
                if let Some(error) = program.spawn_error {
                    self.feed(Input::SpawnFailed { key, generation, error: error.to_owned() });
                    return;
                }
                let pid = self.next_pid;
                self.next_pid += 1;
                self.watch.born(pid, key, self.now.mono, &self.children);
                self.sweeping.remove(&key);
                self.children.insert(pid, Child { key, generation, name, spec });
                if let Some((after, status)) = program.lives {
                    self.plan(after, Coming::Exit { pid, status });
                }
                self.feed(Input::Spawned { key, generation, pid });
            }
            Coming::Exit { pid, status } => self.end(pid, status),
            Coming::LeftGone { key, generation } => self.left_gone(key, generation),
            Coming::Report(input) => self.feed(input),
        }
    }

    fn end(&mut self, pid: i32, status: ExitStatus) {
        if let Some(child) = self.children.remove(&pid) {
            let leaves = self.behaviour(&child.name.to_string()).leaves;
            if leaves > 0 && child.is_tidy() {
                self.left.insert(child.key, leaves);
            }
            self.feed(Input::Exited { pid, status });
            let after = self.behaviour(&child.name.to_string()).heard_in;
            let run = Run { key: child.key, generation: child.generation };
            for channel in [Channel::Stdout, Channel::Stderr] {
                if child.spec.is_heard(channel) {
                    let what = Heard::End;
                    let end = Input::Heard { run, channel, pid, what };
                    self.plan(after, Coming::Report(end));
                }
            }
        }
    }

    /// What a process left behind ends by itself.
    pub fn leftovers_end(&mut self, name: &str) {
        let key = self.process(name).key();
        let generation = self.sweeping.get(&key).copied().unwrap_or_default();
        self.left_gone(key, generation);
        self.run_ms(0);
    }

    fn left_gone(&mut self, key: ProcKey, generation: Generation) {
        if self.left.remove(&key).is_some() && self.sweeping.remove(&key).is_some() {
            self.feed(Input::Swept { key, generation, left: Leftovers::default() });
        }
    }

    fn sweep(&mut self, key: ProcKey, generation: Generation, sweep: Sweep) {
        let name = self.core.processes().find(|p| p.key() == key).map(|p| p.spec().name.clone());
        let program = name.map_or_else(Program::default, |name| self.behaviour(&name.to_string()));
        let count = self.left.get(&key).copied().unwrap_or_default();
        let text = if count == 0 { String::new() } else { "7 (x)".to_owned() };
        let left = Leftovers { count, text };
        self.plan(Duration::ZERO, Coming::Report(Input::Swept { key, generation, left }));
        self.sweeps.push(sweep);
        if count == 0 {
            return;
        }
        self.sweeping.insert(key, generation);
        let end = match sweep {
            Sweep::Watch => None,
            Sweep::Terminate => program.left_end_in,
            Sweep::Kill => program.left_killable.then_some(Duration::ZERO),
        };
        if let Some(after) = end {
            self.plan(after, Coming::LeftGone { key, generation });
        }
    }

    fn plan(&mut self, after: Duration, coming: Coming) {
        self.counter += 1;
        self.coming.insert((self.now.mono + after, self.counter), coming);
    }

    fn behaviour(&self, name: &str) -> Program {
        self.programs.get(name).cloned().unwrap_or_default()
    }

    /// One turn of the core.
    fn feed(&mut self, input: Input) {
        assert!(self.exit.is_none(), "nothing reaches the core after its end");
        match &input {
            Input::Request { token, .. } => self.watch.asked(*token),
            Input::Abandoned(token) => self.watch.abandoned(*token),
            _ => {}
        }
        let again = self.twin.is_some().then(|| input.clone());
        let actions = self.core.handle(input, self.now);
        let snapshot = self.core.take_snapshot();
        if let (Some(twin), Some(input)) = (&mut self.twin, again) {
            let said = format!("a twin drifts: {input:?}");
            assert_eq!(twin.handle(input, self.now), actions, "{said}");
            assert_eq!(twin.next_deadline(), self.core.next_deadline(), "{said}");
            if let (Some(theirs), Some(ours)) = (twin.take_snapshot(), &snapshot) {
                assert_eq!(theirs.processes, ours.processes, "{said}");
                assert_eq!(theirs.groups, ours.groups, "{said}");
            }
        }
        watch::bounded(&actions, &self.core);
        for action in actions {
            self.carry_out(action);
        }
        if let Some(snapshot) = snapshot {
            self.snapshot = snapshot;
        }
        self.watch.after(&self.core, &self.snapshot, &self.children);
        if self.exit.is_none() {
            assert_eq!(self.core.check(), Ok(()));
            self.written.turn(&mut self.core);
        }
        self.check_leftovers();
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn { key, generation, spec, .. } => {
                self.watch.spawn(key, &self.core, &self.children);
                let name = spec.name.to_string();
                let after = self.behaviour(&name).spawns_in;
                self.spawned.push(name);
                self.plan(after, Coming::SpawnReport { run: Run { key, generation }, spec });
            }
            Action::Signal { key, generation, pid, signal, scope, token } => {
                let child = self.children.get(&pid).expect("only live pids are signalled").clone();
                assert_eq!((child.key, child.generation), (key, generation), "the wrong child");
                let name = child.name.to_string();
                self.signals.push(Sent { name: name.clone(), signal, scope, at: self.now.mono });
                let program = self.behaviour(&name);
                let outcome = program.signal_error.map_or(Ok(()), |error| Err(error.to_owned()));
                if outcome.is_ok() {
                    self.deliver(pid, signal, &child, &program);
                }
                let report = Input::Signalled { key, generation, token, outcome };
                self.plan(Duration::ZERO, Coming::Report(report));
            }
            Action::Sweep { key, generation, sweep } => self.sweep(key, generation, sweep),
            Action::Publish(event) => {
                self.watch.published(&event, self.now.mono, &self.core);
                self.events.push(event.event.clone());
            }
            Action::Log(record) => self.lines.push(format!("{} {}", record.level, record.text)),
            Action::Reply { token, outcome } => self.answered(token, outcome),
            Action::WriteStdin { token, key, .. } => {
                assert!(self.children.values().any(|child| child.key == key));
                self.answered(token, Ok(Reply::Done));
            }
            Action::Deliver { run, serial, data } => self.delivered(run, serial, data),
            Action::LoadForRestart => {
                let report = Input::RestartLoaded(self.config.clone());
                self.plan(Duration::from_millis(10), Coming::Report(report));
            }
            Action::Exit(kind) => {
                self.watch.exited(&self.core, &self.children, &self.left);
                self.exit = Some(kind);
            }
            other => self.others.push(other),
        }
    }

    fn deliver(&mut self, pid: i32, signal: Signal, child: &Child, program: &Program) {
        let by_signal = ExitStatus::Signal { signal, core_dumped: false };
        if signal == Signal::KILL && program.killable {
            self.plan(Duration::ZERO, Coming::Exit { pid, status: by_signal });
        } else if signal == child.spec.stopsignal
            && signal != Signal::KILL
            && let Some(after) = program.stops_in
        {
            let status = program.stops_with.unwrap_or(by_signal);
            self.plan(after, Coming::Exit { pid, status });
        }
    }

    fn delivered(&mut self, run: Run, serial: u64, data: Vec<u8>) {
        let of = |child: &&Child| (child.key, child.generation) == (run.key, run.generation);
        let child = self.children.values().find(of).expect("events are sent to live listeners");
        let name = child.name.to_string();
        let text = String::from_utf8(data).expect("a header and a payload are text");
        self.watch.delivered(run, serial);
        self.delivered.push(Delivery { name, run, serial, text, at: self.now.mono });
    }

    /// A main process never runs beside what an earlier one left, unless that is wanted.
    fn check_leftovers(&self) {
        for child in self.children.values().filter(|child| child.is_tidy()) {
            assert!(!self.left.contains_key(&child.key), "{} has two sets", child.name);
        }
        let at_rest = self.core.processes().filter(|process| process.is_at_rest());
        for process in at_rest.filter(|process| self.left.contains_key(&process.key())) {
            assert!(process.may_have_left(), "{} forgot what it left", process.spec().name);
        }
    }

    fn answered(&mut self, token: Token, outcome: Result<Reply, Fault>) {
        self.watch.answered(token);
        self.replies.insert(token, outcome);
    }

    /// Ends the child of a process.
    pub fn exits(&mut self, name: &str, status: ExitStatus) {
        let pid = self.pid(name);
        self.end(pid, status);
        self.run_ms(0);
    }

    /// Serialises the supervisor; from now on what was restored from that has to behave as the
    /// original does.
    pub fn hand_over(&mut self) {
        let text = serde_json::to_string(&self.core).expect("the state can be written");
        let twin: Supervisor = serde_json::from_str(&text).expect("the state can be read");
        let mut twin = twin.restored();
        let snapshot = twin.take_snapshot().expect("what was restored has a picture");
        assert_eq!(snapshot.state, self.snapshot.state);
        assert_eq!(snapshot.processes, self.snapshot.processes);
        assert_eq!(snapshot.groups, self.snapshot.groups);
        assert_eq!(snapshot.configured, self.snapshot.configured);
        self.twin = Some(twin);
    }
}
