//! From what happens to the pools of event listeners.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::action::{Action, Heard, Input, Run};
use super::pool::Pool;
use super::pool::queue::Message;
use super::process::Process;
use super::supervisor::Supervisor;
use super::ticks::Ticks;
use super::turn::Turn;
use crate::model::event::{Event, Output, Period, Published};
use crate::model::snapshot::Channel;
use crate::model::spec::ProcessSpec;
use crate::model::state::ProcessState;

/// The counters that go on when the daemon starts again in the same process (C-340).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Serials {
    /// The next serial of an event that a pool gets.
    pub listeners: u64,
    /// The next serial of any event.
    pub published: u64,
}

impl Supervisor {
    /// The counters as they are now.
    #[must_use]
    pub fn serials(&self) -> Serials {
        self.serials
    }

    /// Tells of the periods that began. Before anything else in a turn, so that nobody is told of
    /// one that began before they asked.
    pub(super) fn pass_ticks(&mut self, turn: &mut Turn) {
        for event in self.ticks.pass(turn.now) {
            if let Event::Tick { period, .. } = event
                && self.wants_tick(period)
            {
                turn.publish(event);
            }
        }
    }

    fn wants_tick(&self, period: Period) -> bool {
        let event_type = period.event_type();
        self.ticks.is_wanted(period) || self.pools.values().any(|pool| pool.wants(event_type))
    }

    /// A child was made: its channels are heard from now on, and it may be a listener.
    pub(super) fn listen_to(&mut self, run: Run) {
        let Some(spec) = self.processes.get(&run.key).map(|p| Arc::clone(p.spec())) else { return };
        self.outlet.opened(run, channels(&spec));
        if let Some(pool) = self.pools.get_mut(&spec.name.group) {
            pool.joined(run, &spec);
        }
    }

    /// A child ended.
    pub(super) fn listener_exited(&mut self, run: Run, turn: &mut Turn) {
        self.with_pool(run, turn, Pool::exited);
    }

    /// A program wrote something.
    pub(super) fn heard(&mut self, input: Input, turn: &mut Turn) {
        let Input::Heard { run, channel, pid, what } = input else { return };
        let log: fn(Output) -> Event = match what {
            Heard::Protocol(data) => {
                return self.with_pool(run, turn, |pool, run, turn| pool.hear(run, &data, turn));
            }
            Heard::Words { ordinal, data } => {
                return self.with_pool(run, turn, |pool, run, turn| {
                    pool.hear_words(run, ordinal, &data, turn);
                });
            }
            Heard::Taken => return self.with_pool(run, turn, |pool, run, _| pool.taken(run)),
            Heard::End => {
                self.outlet.closed(run);
                if channel == Channel::Stdout {
                    self.with_pool(run, turn, Pool::silent);
                }
                return;
            }
            Heard::Log(_) => Event::ProcessLog,
            Heard::Communication(_) => Event::ProcessCommunication,
        };
        let (Heard::Log(data) | Heard::Communication(data)) = what else { return };
        let Some(process) = self.processes.get(&run.key) else { return };
        let name = process.spec().name.clone();
        // What happened before in this turn comes before.
        self.tell(turn);
        let event = self.number(log(Output { name, pid, channel, data }), turn);
        if !self.pools.is_empty() {
            self.outlet.push_output(event, run, turn.now.mono);
        }
    }

    /// An event could not be written to a listener.
    pub(super) fn undelivered(&mut self, run: Run, serial: u64, turn: &mut Turn) {
        self.with_pool(run, turn, |pool, run, turn| pool.undelivered(run, serial, turn));
    }

    /// All of an event was written to a listener.
    pub(super) fn delivered(&mut self, run: Run, serial: u64) {
        let Some(process) = self.processes.get(&run.key) else { return };
        if let Some(pool) = self.pools.get_mut(&process.spec().name.group) {
            pool.delivered(run, serial);
        }
    }

    /// Begins again what was under way when an earlier daemon was killed.
    pub(super) fn taken_back(&mut self, turn: &mut Turn) {
        for key in self.processes.keys().copied().collect::<Vec<_>>() {
            self.with(key, turn, Process::taken_back);
        }
        for pool in self.pools.values_mut() {
            pool.taken_back(turn);
        }
    }

    /// The runs of listeners that words may be found of, in the pipes that an earlier daemon left.
    #[must_use]
    pub fn listeners(&self) -> Vec<Run> {
        self.pools.values().flat_map(Pool::runs).collect()
    }

    /// What is in the pipe of a listener whose daemon was killed. Before anything else is heard.
    pub fn found_words(&mut self, run: Run, in_pipe: &[u8]) {
        for pool in self.pools.values_mut() {
            pool.found_words(run, in_pipe);
        }
    }

    /// The pool that a run belongs to.
    fn with_pool(
        &mut self,
        run: Run,
        turn: &mut Turn,
        work: impl FnOnce(&mut Pool, Run, &mut Turn),
    ) {
        let Some(process) = self.processes.get(&run.key) else { return };
        let group = &process.spec().name.group;
        if let Some(pool) = self.pools.get_mut(group) {
            work(pool, run, turn);
            self.view.touch(run.key);
            self.view.touch_group(group);
        }
    }

    /// Tells everybody what happened so far in this turn: before a pool comes or goes, so that it
    /// hears what happened while it was there.
    pub(super) fn tell(&mut self, turn: &mut Turn) {
        for (event, after) in std::mem::take(&mut turn.events) {
            let event = self.number(event, turn);
            if !self.pools.is_empty() {
                self.outlet.push(event, after, turn.now.mono);
            }
        }
        while let Some(event) = self.outlet.pop(turn.now.mono) {
            self.offer(&event, turn);
        }
    }

    fn number(&mut self, event: Event, turn: &mut Turn) -> Arc<Published> {
        let serial = self.serials.published;
        self.serials.published += 1;
        let published = Arc::new(Published { serial, at: turn.now.wall, event });
        turn.act(Action::Publish(Arc::clone(&published)));
        published
    }

    /// Gives an event to every pool that wants it, once (C-353, C-412). It has a serial only when
    /// one does (C-340).
    fn offer(&mut self, event: &Published, turn: &mut Turn) {
        let event_type = event.event.event_type();
        let mut message = None;
        for (name, pool) in &mut self.pools {
            if !pool.wants(event_type) {
                continue;
            }
            let message = message.get_or_insert_with(|| {
                let serial = self.serials.listeners;
                self.serials.listeners += 1;
                Arc::new(Message { serial, event_type, payload: event.event.payload() })
            });
            pool.accept(Arc::clone(message), turn);
            self.view.touch_group(name);
        }
    }

    /// Lets the pools do what is to be done, and plans when they are looked after again.
    pub(super) fn serve_pools(&mut self, turn: &mut Turn) {
        self.tell(turn);
        let mut broken = Vec::new();
        for (name, pool) in &mut self.pools {
            if pool.sessions_due().is_some_and(|at| at <= turn.now.mono) {
                broken.extend(pool.pass_time(turn));
                self.view.touch_group(name);
            }
        }
        for run in broken {
            self.view.touch(run.key);
            self.with(run.key, turn, |process, _, turn| {
                if process.is_current(run.generation) && turn.accepting {
                    process.restart_listener(turn);
                }
            });
        }
        self.tell(turn);
        for (name, pool) in &mut self.pools {
            let Some(group) = self.groups.get(name) else { continue };
            let processes = &self.processes;
            let sent = turn.actions.len();
            pool.dispatch(
                &group.members,
                |run| is_running(processes.get(&run.key), run),
                &self.identifier,
                turn,
            );
            for action in &turn.actions[sent..] {
                if let Action::Deliver { run, .. } = action {
                    self.view.touch(run.key);
                    self.view.touch_group(name);
                }
            }
        }
        let now = turn.now;
        let pools = self.pools.values().filter_map(|pool| pool.deadline(now.mono)).min();
        let tick = Ticks::deadline(now, |period| self.wants_tick(period));
        self.events_at = [pools, tick, self.outlet.deadline()].into_iter().flatten().min();
    }

    /// Whether a pool has something to tell, or may have soon, and somebody to tell it to.
    pub(super) fn is_telling(&self, group: &str) -> bool {
        let is_running = |run: Run| is_running(self.processes.get(&run.key), run);
        self.pools.get(group).is_some_and(|pool| {
            pool.is_at_work(is_running)
                || (!self.outlet.is_empty() && pool.has_listener(is_running))
        })
    }
}

fn is_running(process: Option<&Process>, run: Run) -> bool {
    process.is_some_and(|p| p.state() == ProcessState::Running && p.is_current(run.generation))
}

/// How many channels of a process are heard.
fn channels(spec: &ProcessSpec) -> u8 {
    u8::from(spec.is_heard(Channel::Stdout)) + u8::from(spec.is_heard(Channel::Stderr))
}
