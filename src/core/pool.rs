//! A pool of event listeners: the events that wait, and who has which (C-349 to C-354).
//!
//! An event is with one listener of a pool at a time. It leaves the pool when a listener says that
//! it is done with it, or when the queue overflows, and then it is counted.

pub mod queue;
mod recovery;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{Action, Generation, Run};
use super::check;
use super::key::ProcKey;
use super::listener::{Heard, Listener};
use super::turn::Turn;
use crate::model::event_type::EventType;
use crate::model::listener::ListenerState;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::snapshot::PoolSnapshot;
use crate::model::spec::{Autorestart, EventLength, ListenerPool, ProcessSpec};
use crate::model::time::Mono;
use queue::{Message, Queue, Queued};
pub use recovery::PoolLeft;

/// How long a listener's last words are waited for after its end; and its end, after its last words.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How long a listener that breaks the protocol again and again stays in UNKNOWN at most.
pub const STRIKES_MAX: u32 = 60;

/// A pool at work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pool {
    name: Arc<str>,
    settings: ListenerPool,
    queue: Queue,
    next_serial: u64,
    dropped: u64,
    sessions: Vec<Session>,
    /// How often each listener broke the protocol since it was last done with an event.
    strikes: BTreeMap<ProcKey, u32>,
}

/// One run of a listener, until its last words are heard.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    run: Run,
    name: ProcessName,
    /// Whether it may be started again when it breaks the protocol.
    restartable: bool,
    listener: Listener,
    /// The event that it has.
    event: Option<Queued>,
    /// It is not known yet whether all of the event was written to it.
    doubtful: bool,
    /// How many bytes of its words were heard, where they are numbered.
    heard: u64,
    /// Words that were heard and may be in its pipe still. It gets no event until they are not: what
    /// is in the pipe of a daemon that was killed can be told from an answer then.
    unconfirmed: Vec<u8>,
    /// Its stdin is closed.
    deaf: bool,
    /// Its process ended.
    exited: bool,
    /// All its words were heard.
    silent: bool,
    /// When it is given up, with one of the two.
    judged_at: Option<Mono>,
    /// When it is started again because it broke the protocol.
    restart_at: Option<Mono>,
}

impl Session {
    /// A line about it, with the name that upstream uses.
    fn say(&self, level: Level, text: &str, turn: &mut Turn) {
        let text = format!("{}: {text}", self.name.process);
        turn.say(Record::about(level, &self.name, text));
    }
}

impl Pool {
    /// A pool that saw nothing yet.
    #[must_use]
    pub fn new(name: Arc<str>, settings: ListenerPool) -> Self {
        Self {
            name,
            settings,
            queue: Queue::default(),
            next_serial: 0,
            dropped: 0,
            sessions: Vec::new(),
            strikes: BTreeMap::new(),
        }
    }

    /// Whether it subscribes to this type, or to one above it (C-412).
    #[must_use]
    pub fn wants(&self, event_type: EventType) -> bool {
        self.settings.events.iter().any(|&wanted| event_type.is_a(wanted))
    }

    /// Goes on with other settings and other members. What waits, waits on.
    pub fn change(&mut self, settings: ListenerPool, members: &[ProcKey], turn: &mut Turn) {
        self.settings = settings;
        self.strikes.retain(|key, _| members.contains(key));
        let leaves = |session: &mut Session| !members.contains(&session.run.key);
        let left: Vec<Session> = self.sessions.extract_if(.., leaves).collect();
        for event in left.into_iter().filter_map(|session| session.event) {
            self.take_back(event, turn);
        }
    }

    /// Takes an event in.
    pub fn accept(&mut self, message: Arc<Message>, turn: &mut Turn) {
        let pool_serial = self.next_serial;
        self.next_serial += 1;
        self.store(Queued { message, pool_serial, failures: 0, due: turn.now.mono }, turn);
    }

    /// A listener was started.
    pub fn joined(&mut self, run: Run, spec: &ProcessSpec) {
        self.sessions.push(Session {
            run,
            name: spec.name.clone(),
            restartable: spec.autorestart != Autorestart::Never,
            listener: Listener::default(),
            event: None,
            doubtful: false,
            heard: 0,
            unconfirmed: Vec::new(),
            deaf: false,
            exited: false,
            silent: false,
            judged_at: None,
            restart_at: None,
        });
    }

    /// A listener ended. It is judged when its last words are heard, which may be an answer.
    pub fn exited(&mut self, run: Run, turn: &mut Turn) {
        let Some(session) = self.session(run) else { return };
        session.exited = true;
        session.restart_at = None;
        if session.silent {
            self.judge(run, turn);
        } else {
            session.judged_at = Some(turn.now.mono + PATIENCE);
        }
    }

    /// Nothing more comes from a listener: it is about to be reported dead, or will never answer.
    pub fn silent(&mut self, run: Run, turn: &mut Turn) {
        let Some(session) = self.session(run) else { return };
        session.silent = true;
        session.unconfirmed = Vec::new();
        if session.exited {
            self.judge(run, turn);
        } else {
            session.judged_at = Some(turn.now.mono + PATIENCE);
        }
    }

    /// A listener said something.
    pub fn hear(&mut self, run: Run, mut data: &[u8], turn: &mut Turn) {
        while !data.is_empty() {
            let Some(session) = self.session(run) else { return };
            let before = session.listener.state();
            let (taken, heard) = session.listener.hear(data);
            data = &data[taken..];
            if let Some(heard) = heard {
                self.heard(run, before, &heard, turn);
            }
        }
    }

    fn heard(&mut self, run: Run, before: ListenerState, heard: &Heard, turn: &mut Turn) {
        let Some(session) = self.session(run) else { return };
        match heard {
            Heard::Ready | Heard::Chatter => {}
            Heard::Processed => session.say(Level::Debug, "event was processed", turn),
            Heard::Rejected => session.say(Level::Warn, "event was rejected", turn),
            Heard::BadResult(line) => {
                session.say(Level::Warn, &format!("bad result line: '{line}'"), turn);
            }
        }
        let change = format!("{before} -> {}", session.listener.state());
        session.say(Level::Debug, &change, turn);
        match heard {
            Heard::Ready => {}
            Heard::Processed => {
                session.event = None;
                self.strikes.remove(&run.key);
            }
            Heard::Rejected => self.give_back(run, turn),
            Heard::BadResult(_) | Heard::Chatter => self.broken(run, turn),
        }
    }

    /// An event could not be written to a listener: others get it, and this one gets no more until
    /// it was started again (C-350).
    pub fn undelivered(&mut self, run: Run, serial: u64, turn: &mut Turn) {
        let Some(session) = self.session(run) else { return };
        session.deaf = true;
        if session.event.as_ref().is_none_or(|event| event.message.serial != serial) {
            return; // it was answered all the same
        }
        let text = format!(
            "epipe occurred while sending event {serial} to listener {}, listener state unchanged",
            session.name.process
        );
        turn.say(Record::about(Level::Debug, &session.name, text));
        session.listener.gets_event_back();
        if let Some(event) = session.event.take() {
            self.take_back(event, turn);
        }
    }

    /// Sends what may be sent, oldest first, each to the first listener that can take it (C-349).
    pub fn dispatch(
        &mut self,
        members: &[ProcKey],
        is_running: impl Fn(Run) -> bool,
        identifier: &str,
        turn: &mut Turn,
    ) {
        while self.queue.first().is_some_and(|event| event.due <= turn.now.mono) {
            let takes = |session: &Session| {
                session.listener.state() == ListenerState::Ready
                    && !session.deaf
                    && !session.silent
                    && session.unconfirmed.is_empty()
                    && is_running(session.run)
            };
            let place = |run: Run| members.iter().position(|&key| key == run.key);
            let free = self.sessions.iter_mut().filter(|session| takes(session));
            let Some(session) = free.min_by_key(|session| place(session.run)) else { return };
            let Some(event) = self.queue.pop() else { return };
            let message = &event.message;
            let text =
                format!("event {} sent to listener {}", message.serial, session.name.process);
            turn.say(Record::about(Level::Debug, &session.name, text));
            let data = written(&event, &self.name, self.settings.event_length, identifier);
            turn.act(Action::Deliver { run: session.run, serial: message.serial, data });
            session.listener.gets_event();
            session.event = Some(event);
            session.doubtful = true;
        }
    }

    /// Carries out what is due; answers with the listeners that are to be started again.
    pub fn pass_time(&mut self, turn: &mut Turn) -> Vec<Run> {
        let now = turn.now.mono;
        let due = |at: Option<Mono>| at.is_some_and(|at| at <= now);
        let judged = self.sessions.iter().filter(|session| due(session.judged_at));
        let judged: Vec<Run> = judged.map(|session| session.run).collect();
        for run in judged {
            self.judge(run, turn);
        }
        let restarted = self.sessions.iter_mut().filter(|session| due(session.restart_at));
        restarted
            .map(|session| {
                session.restart_at = None;
                session.run
            })
            .collect()
    }

    /// When something is due next: a session, or an event that may be sent again.
    #[must_use]
    pub fn deadline(&self, now: Mono) -> Option<Mono> {
        let retry = self.queue.first().map(|event| event.due).filter(|&due| due > now);
        self.sessions_due().into_iter().chain(retry).min()
    }

    /// When [`Self::pass_time`] has something to do.
    #[must_use]
    pub fn sessions_due(&self) -> Option<Mono> {
        self.sessions.iter().flat_map(|s| [s.judged_at, s.restart_at]).flatten().min()
    }

    /// Whether there is something to tell, and a listener that may still take it in.
    #[must_use]
    pub fn is_at_work(&self, is_running: impl Fn(Run) -> bool) -> bool {
        let events = !self.queue.is_empty() || self.sessions.iter().any(|s| s.event.is_some());
        let listens = |session: &Session| {
            session.listener.state() != ListenerState::Unknown
                && !session.deaf
                && is_running(session.run)
        };
        events && self.sessions.iter().any(listens)
    }

    /// The pool is no longer active.
    pub fn leave(self, turn: &mut Turn) {
        let unanswered = self.sessions.iter().filter(|session| session.event.is_some()).count();
        let left = self.queue.len() + unanswered;
        if left > 0 {
            let text = format!("pool {} is removed with {left} events that wait in it", self.name);
            turn.log(Level::Info, text);
        }
    }

    /// Whether some listener could take an event that is still to come.
    #[must_use]
    pub fn has_listener(&self, is_running: impl Fn(Run) -> bool) -> bool {
        let listens =
            |session: &Session| session.listener.state() != ListenerState::Unknown && !session.deaf;
        self.sessions.iter().any(|session| listens(session) && is_running(session.run))
    }

    /// The state of the protocol with the newest run of a listener.
    #[must_use]
    pub fn state_of(&self, key: ProcKey) -> Option<ListenerState> {
        let session = self.sessions.iter().rev().find(|session| session.run.key == key)?;
        (!session.exited).then(|| session.listener.state())
    }

    /// What readers see.
    #[must_use]
    pub fn snapshot(&self) -> PoolSnapshot {
        let sent = self.sessions.iter().filter(|session| session.event.is_some()).count();
        PoolSnapshot { queued: self.queue.len() as u64, sent: sent as u64, dropped: self.dropped }
    }

    /// Whether it fits to its group, with spawns up to this generation and serials below this.
    ///
    /// # Errors
    /// What does not.
    pub fn check(
        &self,
        name: &str,
        members: &[ProcKey],
        generation: Generation,
        serials: u64,
    ) -> Result<(), String> {
        if *self.name != *name {
            return Err(format!("it is {} too", self.name));
        }
        if self.next_serial >= check::MOST || self.dropped >= check::MOST {
            return Err("a counter is at its end".to_owned());
        }
        self.queue.check(self.next_serial, serials)?;
        let mut runs = BTreeSet::new();
        for session in &self.sessions {
            let (run, wrong) = (session.run, |what| Err(format!("{}: {what}", session.name)));
            if !members.contains(&run.key) || run.generation > generation || !runs.insert(run) {
                return wrong("it is no listener of the pool");
            }
            if session.event.is_some() != (session.listener.state() == ListenerState::Busy) {
                return wrong("it has an event and owes no answer, or owes one and has none");
            }
            if let Some(event) = &session.event {
                event.check(self.next_serial, serials)?;
            }
            session.listener.check().or_else(wrong)?;
        }
        Ok(())
    }

    fn session(&mut self, run: Run) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.run == run)
    }

    /// A listener is given up: it ended and nothing more is heard of it, or it can say nothing and
    /// does not end.
    fn judge(&mut self, run: Run, turn: &mut Turn) {
        let Some(at) = self.sessions.iter().position(|session| session.run == run) else { return };
        if !self.sessions[at].exited {
            self.sessions[at].judged_at = None;
            if self.sessions[at].listener.state() != ListenerState::Unknown {
                self.sessions[at].listener.give_up();
                self.sessions[at].say(Level::Warn, "has closed its stdout", turn);
                self.broken(run, turn);
            }
            return;
        }
        let mut session = self.sessions.remove(at);
        if let Some(mut event) = session.event.take() {
            let serial = event.message.serial;
            let text = format!("ended without an answer to event {serial}, it is sent again");
            session.say(Level::Info, &text, turn);
            event.failed(turn.now.mono);
            self.take_back(event, turn);
        }
    }

    /// A listener broke the protocol: its event is for another, and it is started again. The more
    /// often in a row, the later (C-348, better).
    fn broken(&mut self, run: Run, turn: &mut Turn) {
        let Some(session) = self.sessions.iter_mut().find(|session| session.run == run) else {
            return;
        };
        session.say(
            Level::Warn,
            "has entered the UNKNOWN state and will no longer receive events, this usually \
             indicates the process violated the eventlistener protocol",
            turn,
        );
        if session.restartable && !session.exited {
            let strikes = self.strikes.entry(run.key).or_insert(0);
            *strikes = strikes.saturating_add(1).min(STRIKES_MAX);
            session.restart_at = Some(turn.now.mono + Duration::from_secs((*strikes).into()));
            let text = format!("is restarted in {strikes} s, to receive events again");
            session.say(Level::Info, &text, turn);
        }
        self.give_back(run, turn);
    }

    /// The event of a listener is to be sent again.
    fn give_back(&mut self, run: Run, turn: &mut Turn) {
        if let Some(mut event) = self.session(run).and_then(|session| session.event.take()) {
            event.failed(turn.now.mono);
            self.take_back(event, turn);
        }
    }

    fn take_back(&mut self, event: Queued, turn: &mut Turn) {
        let text = format!(
            "rebuffering event {} for pool {} (buf size={}, max={})",
            event.message.serial,
            self.name,
            self.queue.len(),
            self.settings.buffer_size
        );
        turn.log(Level::Debug, text);
        self.store(event, turn);
    }

    fn store(&mut self, event: Queued, turn: &mut Turn) {
        let limit = usize::try_from(self.settings.buffer_size).unwrap_or(usize::MAX).max(1);
        while let Some(oldest) = self.queue.overflowing(limit, &event.message) {
            self.dropped += 1;
            let text = format!(
                "pool {} event buffer overflowed, discarding event {} ({} so far)",
                self.name, oldest.message.serial, self.dropped
            );
            turn.log(Level::Error, text);
        }
        self.queue.put(event);
    }
}

/// The event as it is written to a listener: a header line and the payload (C-338, C-339).
fn written(event: &Queued, pool: &str, length: EventLength, identifier: &str) -> Vec<u8> {
    let Queued { message, pool_serial, .. } = event;
    let Message { serial, event_type, payload } = &**message;
    let length = match length {
        EventLength::Characters => payload.chars().count(),
        EventLength::Bytes => payload.len(),
    };
    format!(
        "ver:3.0 server:{identifier} serial:{serial} pool:{pool} poolserial:{pool_serial} \
         eventname:{event_type} len:{length}\n{payload}"
    )
    .into_bytes()
}
