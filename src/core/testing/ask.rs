//! What tests ask a simulated world for, and what they see of it.

use std::collections::BTreeMap;

use super::{Delivery, Sent, World};
use crate::core::action::{Heard, Input};
use crate::core::process::Process;
use crate::core::request::{Reply, Request, Scope, Token};
use crate::model::event::Event;
use crate::model::fault::Fault;
use crate::model::name::Target;
use crate::model::signal::Signal;
use crate::model::snapshot::Channel;
use crate::model::state::ProcessState;
use crate::model::time::Now;

impl World {
    /// Asks for something; the answer is under the token.
    pub fn ask(&mut self, request: Request) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.give(Input::Request { token, request });
        token
    }

    /// Asks for something that is answered at once.
    pub fn answer(&mut self, request: Request) -> Result<Reply, Fault> {
        let token = self.ask(request);
        self.reply(token).expect("an answer at once")
    }

    /// Waiting start; `g:*` is a group and `*` is all.
    pub fn start(&mut self, name: &str) -> Token {
        self.ask(Request::Start { scope: scope(name), wait: true, refused: BTreeMap::new() })
    }

    /// Start without waiting.
    pub fn start_nowait(&mut self, name: &str) -> Result<Reply, Fault> {
        let refused = BTreeMap::new();
        self.answer(Request::Start { scope: scope(name), wait: false, refused })
    }

    /// Waiting stop.
    pub fn stop(&mut self, name: &str) -> Token {
        self.ask(Request::Stop { scope: scope(name), wait: true })
    }

    /// Stop without waiting.
    pub fn stop_nowait(&mut self, name: &str) -> Result<Reply, Fault> {
        self.answer(Request::Stop { scope: scope(name), wait: false })
    }

    /// Sends a signal on request.
    pub fn signal(&mut self, name: &str, signal: Signal) -> Token {
        self.ask(Request::Signal { scope: scope(name), signal })
    }

    /// The answer to a request, when there is one.
    pub fn reply(&self, token: Token) -> Option<Result<Reply, Fault>> {
        self.replies.get(&token).cloned()
    }

    /// The daemon receives a signal.
    pub fn os(&mut self, signal: Signal) {
        self.give(Input::Os(signal));
    }

    /// A process by name.
    pub fn process(&self, name: &str) -> &Process {
        let mut processes = self.core.processes();
        processes.find(|p| p.spec().name.to_string() == name).expect("such a process")
    }

    /// The state of a process.
    pub fn state(&self, name: &str) -> ProcessState {
        self.process(name).state()
    }

    /// The pid of a process.
    pub fn pid(&self, name: &str) -> i32 {
        self.process(name).pid()
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The lines logged since the last call.
    pub fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// The lines logged since the last call, without details (DEBG and below).
    pub fn lines_above_debug(&mut self) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| !line.starts_with("DEBG") && !line.starts_with("BLAT"));
        lines
    }

    /// The events published since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The states that a process entered since the last call for any process.
    pub fn path(&mut self) -> Vec<ProcessState> {
        let states = self.events().into_iter().filter_map(|event| match event {
            Event::ProcessState { to, .. } => Some(to),
            _ => None,
        });
        states.collect()
    }

    /// The signals sent since the last call.
    pub fn signals(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.signals)
    }

    /// The names of the processes that were signalled since the last call, in order.
    pub fn signalled(&mut self) -> Vec<String> {
        self.signals().into_iter().map(|sent| sent.name).collect()
    }

    /// The names of the processes that were spawned since the last call, in order.
    pub fn spawned(&mut self) -> Vec<String> {
        std::mem::take(&mut self.spawned)
    }

    /// The events sent to listeners since the last call.
    pub fn deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.delivered)
    }

    /// A listener says something.
    pub fn says(&mut self, name: &str, text: &str) {
        self.writes(name, Heard::Protocol(text.as_bytes().to_vec()));
    }

    /// An event cannot be written to a listener.
    pub fn loses(&mut self, delivery: &Delivery) {
        self.watch.lost(delivery.run);
        self.give(Input::Undelivered { run: delivery.run, serial: delivery.serial });
    }

    /// A program writes something to its stdout.
    pub fn writes(&mut self, name: &str, what: Heard) {
        let process = self.process(name);
        let (run, pid) = (process.run(), process.pid());
        if let Heard::Protocol(data) = &what {
            self.watch.said(run, data);
        }
        self.give(Input::Heard { run, channel: Channel::Stdout, pid, what });
    }

    /// Requests that were not answered.
    pub fn unanswered(&self) -> usize {
        self.watch.unanswered()
    }

    /// Forgets the lines so far.
    pub fn forget_lines(&mut self) {
        self.lines.clear();
    }

    /// Forgets lines, events, signals and spawns so far.
    pub fn forget_notes(&mut self) {
        self.lines.clear();
        self.events.clear();
        self.signals.clear();
        self.spawned.clear();
        self.delivered.clear();
        self.sweeps.clear();
        self.others.clear();
    }
}

/// Reads `name`, `group:name`, `group:*` and `*`.
pub fn scope(text: &str) -> Scope {
    match Target::parse(text) {
        _ if text == "*" => Scope::All,
        Target::Process(name) => Scope::Process(name),
        Target::Group(group) => Scope::Group(group),
    }
}
