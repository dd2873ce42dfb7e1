//! The engine: one thread that owns all state. It feeds the core with what happens and has
//! [`Effects`] carry out what the core decides.
//!
//! In a turn, exits come before everything else: when a request is looked at, nothing that is
//! dead looks alive, and a pid that could be reused is never signalled.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

mod intake;
mod leave;
mod written;

pub use written::Written;

use tokio::sync::{mpsc, oneshot, watch};

use super::checkpoint::Checkpoint;
use super::effects::{Effects, Happened};
use super::foundling::Gone;
use super::handle::{Announcement, EngineHandle, Envelope};
use super::handover::{Baggage, EngineLeft, Unfinished};
use super::happenings::Happenings;
use super::leftovers::Sweeper;
use super::logs::{ChannelKey, Tapped, What};
use super::signals::Signals;
use super::spawner::{News, Spawner};
use super::stdin::{Delivery, Told};
use crate::config::settings::Settings;
use crate::core::action::{Action, ExitKind, Generation, Heard, Input, Leftovers, Run, Sweep};
use crate::core::key::ProcKey;
use crate::core::request::{Reply, Token};
use crate::core::supervisor::{Serials, Supervisor};
use crate::model::event::Published;
use crate::model::exit::ExitStatus;
use crate::model::fault::Fault;
use crate::model::signal::Signal;
use crate::model::snapshot::Snapshot;
use crate::model::time::Mono;
use crate::sys::{clock, reap, signals};
use crate::systemd::herald::Scene;
use crate::systemd::link::Link;

/// Reads the configuration again; the error is for people.
pub type Loader = Arc<dyn Fn() -> Result<Settings, String> + Send + Sync>;

/// Called once, when everything that starts with the daemon was spawned and the front ends are
/// open.
pub type OnReady = Box<dyn FnOnce() + Send>;

/// Exits, spawn reports and requests that one turn takes in at most, of each kind, so that none
/// keeps the others waiting.
const PER_TURN: usize = 128;

/// Requests that may wait for the engine.
const REQUEST_QUEUE: usize = 256;

/// Events that a slow subscriber may lag behind.
const EVENT_QUEUE: usize = 4096;

/// How long what the spawner still has to do may hold the end up.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long spawns that are under way may hold a handover up; it is given up then.
const CALM: Duration = Duration::from_secs(10);

/// How long the log plane may take to write what it has read before a handover.
const LOGS: Duration = Duration::from_secs(2);

/// How an engine ended.
#[derive(Debug)]
pub enum Outcome {
    /// Everything is stopped.
    Ended {
        /// For good, or to start again.
        kind: ExitKind,
        /// The configuration to start again with, already checked.
        next: Option<Box<Settings>>,
        /// Where the counters go on when it starts again.
        serials: Serials,
    },
    /// Everything runs on, and another engine takes over.
    HandedOver(Box<EngineLeft>, Baggage),
}

/// What an engine is made of.
pub struct Parts {
    /// The state.
    pub supervisor: Supervisor,
    /// Makes children.
    pub spawner: Spawner,
    /// What the spawner reports.
    pub news: mpsc::UnboundedReceiver<News>,
    /// What the log plane hears of the output of programs.
    pub tapped: mpsc::UnboundedReceiver<Tapped>,
    /// Carries actions out.
    pub effects: Effects,
    /// Looks after what programs leave behind.
    pub sweeper: Sweeper,
    /// What that reports.
    pub swept: mpsc::UnboundedReceiver<Input>,
    /// Reads the configuration for a restart.
    pub loader: Loader,
    /// Told when everything is up.
    pub on_ready: OnReady,
    /// The link to the service manager; none without one.
    pub link: Option<Link>,
    /// What another engine had in hand; none at a start.
    pub left: Option<(Unfinished, Baggage)>,
    /// Where the state is written down, in case the daemon is killed.
    pub checkpoint: Option<Checkpoint>,
}

/// Starts an engine on a thread of its own.
///
/// # Errors
/// When the thread, or its event loop, cannot be made, or something of what was left is missing.
pub fn start(parts: Parts) -> io::Result<(EngineHandle, oneshot::Receiver<Outcome>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (requests_in, requests) = mpsc::channel(REQUEST_QUEUE);
    let mut supervisor = parts.supervisor;
    if parts.checkpoint.is_some() {
        supervisor.note_changes();
    }
    let first = supervisor.take_snapshot().unwrap_or_else(|| Arc::new(Snapshot::empty()));
    let (snapshots, snapshots_out) = watch::channel(first);
    let events = Happenings::new(EVENT_QUEUE);
    let (announcements_in, announcements) = mpsc::unbounded_channel();
    let handle = EngineHandle::new(requests_in, snapshots_out, events.clone())
        .with_announcements(announcements_in);
    let mut effects = parts.effects;
    let mut resumed = None;
    let signals = {
        let _guard = runtime.enter();
        if let Some((left, mut baggage)) = parts.left {
            let Unfinished {
                effects: children,
                logs,
                pipes,
                found,
                sweeps,
                held,
                signals,
                taken_back,
            } = left;
            effects.logs().adopt(logs, baggage.take_all(pipes)?, effects.keep().clone());
            effects.adopt(children, &mut baggage)?;
            effects.take_pipes(found, &mut baggage)?;
            resumed = Some(Resumed { sweeps, held, signals, taken_back });
        }
        Signals::new()?
    };
    let engine = Engine {
        core: supervisor,
        spawner: parts.spawner,
        effects,
        sweeper: parts.sweeper,
        swept: parts.swept,
        loader: parts.loader,
        on_ready: Some(parts.on_ready),
        link: parts.link,
        announcements,
        front_ends_up: false,
        news: parts.news,
        tapped: parts.tapped,
        news_backlog: VecDeque::new(),
        loaded: None,
        next: None,
        requests,
        snapshots,
        events,
        inputs: VecDeque::new(),
        waiting: HashMap::new(),
        outbox_events: Vec::new(),
        outbox_replies: Vec::new(),
        next_token: 0,
        early_exits: HashMap::new(),
        exit: None,
        leaving: None,
        held: Vec::new(),
        sweeps: HashMap::new(),
        checkpoint: parts.checkpoint,
        unwritten: Vec::new(),
        confirmed: Vec::new(),
        unwritable: false,
    };
    let (done_in, done) = oneshot::channel();
    thread::Builder::new().name("engine".to_owned()).spawn(move || {
        // Nobody else hears signals, so that none gets lost between two engines.
        signals::unblock_all();
        let _ = done_in.send(runtime.block_on(engine.run(signals, resumed)));
    })?;
    Ok((handle, done))
}

struct Engine {
    core: Supervisor,
    spawner: Spawner,
    effects: Effects,
    sweeper: Sweeper,
    swept: mpsc::UnboundedReceiver<Input>,
    loader: Loader,
    /// Taken when it was called.
    on_ready: Option<OnReady>,
    link: Option<Link>,
    announcements: mpsc::UnboundedReceiver<Announcement>,
    front_ends_up: bool,
    news: mpsc::UnboundedReceiver<News>,
    news_backlog: VecDeque<News>,
    tapped: mpsc::UnboundedReceiver<Tapped>,
    /// The outcome of reading the configuration for a restart, while that is under way.
    loaded: Option<oneshot::Receiver<Result<Settings, String>>>,
    next: Option<Settings>,
    requests: mpsc::Receiver<Envelope>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: Happenings,
    /// What the effects of this turn caused.
    inputs: VecDeque<Input>,
    waiting: HashMap<Token, oneshot::Sender<Result<Reply, Fault>>>,
    /// What this turn tells others: only after the picture that shows it.
    outbox_events: Vec<Arc<Published>>,
    outbox_replies: Vec<(Token, Result<Reply, Fault>)>,
    next_token: u64,
    /// Children that ended before the spawner reported them.
    early_exits: HashMap<i32, ExitStatus>,
    exit: Option<ExitKind>,
    /// A handover is under way.
    leaving: Option<Leaving>,
    /// What was decided, and is for who comes after.
    held: Vec<Action>,
    /// What is being done about leftovers, until there are none.
    sweeps: HashMap<ProcKey, (Generation, Sweep)>,
    /// Where the state is written down, in case the daemon is killed.
    checkpoint: Option<Checkpoint>,
    /// What is done when the state that it follows from is written down.
    unwritten: Vec<Action>,
    /// Words of listeners that may leave their pipes then.
    confirmed: Vec<(ChannelKey, Generation, usize)>,
    /// It could not be written down, and that was said.
    unwritable: bool,
}

/// A handover that waits until no child is being made.
struct Leaving {
    /// Who asked for it.
    token: Option<Token>,
    /// When it is given up.
    until: Mono,
    /// The log plane is gone: there is no way back.
    logs_gone: bool,
}

/// What is done first by an engine that goes on for another.
struct Resumed {
    sweeps: Vec<(ProcKey, Generation, Sweep)>,
    held: Vec<Action>,
    signals: Vec<Signal>,
    /// The engine before was killed.
    taken_back: bool,
}

/// What woke the engine.
enum Wake {
    Signal(Signal),
    News(News),
    Swept(Input),
    Loaded(Box<Result<Settings, String>>),
    Announced(Announcement),
    Request(Envelope),
    Tapped(Tapped),
    Happened(Happened),
    Deadline,
    Busy,
}

impl Engine {
    async fn run(mut self, mut signals: Signals, resumed: Option<Resumed>) -> Outcome {
        // Whoever ended between two engines is found by looking.
        let mut busy = resumed.is_some();
        match resumed {
            Some(resumed) => self.resume(resumed),
            None => self.feed(Input::Boot),
        }
        let kind = loop {
            self.publish();
            if let Some(kind) = self.exit {
                break kind;
            }
            if self.is_calm() {
                // From here on they wait for the next engine.
                let blocked = signals::block_all();
                match self.take_logs().await {
                    Ok(logs) => {
                        std::mem::forget(blocked);
                        let (left, baggage) = self.leave(logs, signals).await;
                        return Outcome::HandedOver(Box::new(left), baggage);
                    }
                    Err(error) => self.stay(&error),
                }
                continue;
            }
            let wake = self.wait(&mut signals, busy).await;
            if matches!(wake, Wake::Signal(Signal::CHLD)) {
                self.feed(Input::Os(Signal::CHLD));
            }
            // Exits first, whatever it was that woke us.
            busy = self.reap();
            match wake {
                Wake::Signal(Signal::CHLD) | Wake::Busy => {}
                Wake::Signal(signal) => self.feed(Input::Os(signal)),
                Wake::News(news) => self.news_backlog.push_back(news),
                Wake::Swept(input) => self.take_swept(input),
                Wake::Loaded(outcome) => self.loaded(*outcome),
                Wake::Announced(announcement) => self.announced(announcement),
                Wake::Request(envelope) => self.request(envelope),
                Wake::Tapped(tapped) => busy |= self.take_tapped(tapped),
                Wake::Happened(Happened::Told(told)) => self.take_told(told),
                Wake::Happened(Happened::Gone(Gone { pid, status })) => {
                    self.feed(Input::Exited { pid, status });
                }
                Wake::Deadline => self.forget_abandoned(),
            }
            busy |= self.take_news();
            busy |= self.take_requests();
            self.feed(Input::Tick);
        };
        self.effects.shut_down();
        // The next incarnation makes the cgroups that this one removes.
        self.spawner.finish(PATIENCE);
        if let Some(link) = self.link {
            link.end(clock::now().mono);
        }
        Outcome::Ended { kind, next: self.next.map(Box::new), serials: self.core.serials() }
    }

    /// Waits for something to happen; when `busy`, only looks whether something did.
    async fn wait(&mut self, signals: &mut Signals, busy: bool) -> Wake {
        let now = clock::now().mono;
        let link = self.link.as_ref().and_then(Link::deadline);
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        let deadline = [self.core.next_deadline(), link, leaving].into_iter().flatten().min();
        let deadline = deadline.map(|at| at - now);
        let loaded = async {
            match &mut self.loaded {
                Some(outcome) => outcome.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            signal = signals.next() => Wake::Signal(signal),
            Some(news) = self.news.recv() => Wake::News(news),
            Some(input) = self.swept.recv() => Wake::Swept(input),
            outcome = loaded => Wake::Loaded(Box::new(
                outcome.unwrap_or_else(|_| Err("reading it was interrupted".to_owned()))
            )),
            Some(announcement) = self.announcements.recv() => Wake::Announced(announcement),
            Some(envelope) = self.requests.recv(), if self.leaving.is_none() => {
                Wake::Request(envelope)
            }
            Some(tapped) = self.tapped.recv() => Wake::Tapped(tapped),
            happened = self.effects.happened() => Wake::Happened(happened),
            () = tokio::task::yield_now(), if busy => Wake::Busy,
            () = tokio::time::sleep(deadline.unwrap_or(Duration::MAX)), if deadline.is_some() => {
                Wake::Deadline
            }
        }
    }

    /// Gives the core an input, and carries out what follows from it.
    fn feed(&mut self, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            for action in self.core.handle(input, clock::now()) {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        if self.is_for_the_next(&action) {
            return self.held.push(action);
        }
        match action {
            Action::Spawn { key, generation, .. } if self.effects.must_look_first(key) => {
                self.inputs.push_back(Input::Occupied { key, generation });
            }
            Action::Spawn { key, generation, spec, logs } => {
                self.sweeps.remove(&key);
                self.sweeper.stop(key);
                let spawn = Action::Spawn { key, generation, spec, logs };
                self.when_written(spawn);
            }
            Action::Signal { key, generation, pid, signal, scope, token } => {
                let outcome = self.effects.signal(key, pid, signal, scope);
                self.inputs.push_back(Input::Signalled { key, generation, token, outcome });
            }
            Action::Sweep { key, generation, sweep } => {
                self.sweeps.insert(key, (generation, sweep));
                if let Some(leftovers) = self.effects.leftovers(key, generation) {
                    self.sweeper.sweep(key, generation, leftovers, sweep);
                } else {
                    let left = Leftovers::default();
                    self.inputs.push_back(Input::Swept { key, generation, left });
                }
            }
            Action::WriteStdin { token, key, data } => {
                let outcome = self.effects.write_stdin(key, data).map(|()| Reply::Done);
                self.outbox_replies.push((token, outcome));
            }
            deliver @ Action::Deliver { .. } => self.when_written(deliver),
            Action::Ended { key, generation } => {
                if let Some(name) = self.effects.ended(key, generation) {
                    self.spawner.ended(key, generation, name);
                }
            }
            Action::CreateLogs { spec, logs } => self.spawner.create_logs(spec, logs),
            Action::TrySocket(spec) => self.spawner.try_socket(spec),
            Action::Forget(key) => {
                self.sweeps.remove(&key);
                self.effects.forget(key);
                self.spawner.look();
            }
            Action::ReopenLogs => self.effects.reopen_logs(),
            Action::LoadForRestart => self.load_for_restart(),
            Action::Publish(event) => self.outbox_events.push(event),
            Action::Log(record) => self.effects.log(record),
            Action::Reply { token, outcome } => self.outbox_replies.push((token, outcome)),
            Action::HandOver { token } => self.begin_to_leave(token),
            Action::Exit(kind) => self.exit = Some(kind),
        }
    }

    fn load_for_restart(&mut self) {
        let (done, outcome) = oneshot::channel();
        let loader = Arc::clone(&self.loader);
        tokio::task::spawn_blocking(move || {
            let _ = done.send(loader()); // the engine may have ended
        });
        self.loaded = Some(outcome);
    }

    /// Lets readers see what changed in this turn, then tells who waits for it: whoever has an
    /// answer sees its effect.
    fn publish(&mut self) {
        self.sweeper.flush();
        self.write_down();
        for action in std::mem::take(&mut self.unwritten) {
            self.carry_out_written(action);
        }
        for (key, generation, bytes) in self.confirmed.drain(..) {
            self.effects.logs().confirm(key, generation, bytes);
        }
        let snapshot = self.core.take_snapshot();
        let changed = snapshot.is_some();
        if let Some(snapshot) = snapshot {
            self.snapshots.send_replace(snapshot);
        }
        self.events.tidy();
        for event in self.outbox_events.drain(..) {
            self.events.tell(event);
        }
        for (token, outcome) in self.outbox_replies.drain(..) {
            if let Some(reply) = self.waiting.remove(&token) {
                let _ = reply.send(outcome); // the client may have gone
            }
        }
        let starting = self.spawner.in_flight();
        if starting == 0
            && self.front_ends_up
            && let Some(on_ready) = self.on_ready.take()
        {
            on_ready();
        }
        if let Some(link) = &mut self.link {
            let scene = Scene {
                snapshot: &self.snapshots.borrow(),
                changed,
                starting,
                ready: self.on_ready.is_none(),
                stops: &|| self.core.stops(),
            };
            link.turn(&scene, clock::now().mono);
        }
    }
}
