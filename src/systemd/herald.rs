//! What the service manager is told, and when: which phase the daemon is in, one line about it,
//! and how much longer a phase takes than the unit's limits allow for. Decides only, so that tests
//! move its clock; [`super::link`] sends.
//!
//! A phase is told at once, a line about it at most once a second and only when it changed. When
//! nothing happens nothing wakes up.

use std::collections::HashMap;
use std::time::Duration;

use sd_notify::NotifyState;

use super::notify::message;
use super::status::{self, Doing};
use crate::model::key::ProcKey;
use crate::model::snapshot::Snapshot;
use crate::model::state::DaemonState;
use crate::model::time::Mono;

/// The least time between two lines.
const QUIET: Duration = Duration::from_secs(1);
/// How far ahead more time is asked for: an engine that hangs is not waited for longer.
const STEP: Duration = Duration::from_secs(60);
/// What a phase may take beyond what is known: SIGKILL, reaping, the next group, writing logs out.
const SLACK: Duration = Duration::from_secs(20);

/// What the engine sees.
pub struct Scene<'a> {
    /// The newest picture of everything.
    pub snapshot: &'a Snapshot,
    /// It is newer than at the last look.
    pub changed: bool,
    /// Spawns that are under way.
    pub starting: usize,
    /// Everything that starts with the daemon was spawned, and the front ends are open.
    pub ready: bool,
    /// The processes that were told to stop, and when each is killed.
    pub stops: &'a dyn Fn() -> Vec<(ProcKey, Mono)>,
}

/// What the service manager believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Ready,
    Reloading,
    Stopping,
}

/// Decides what to tell.
#[derive(Debug)]
pub struct Herald {
    main_pid: Option<u32>,
    told: Told,
    doing: Option<Doing>,
    /// Changes of the configuration that are under way.
    reloads: usize,
    starting: usize,
    /// Something was spawned since more time was asked for.
    progress: bool,
    line: String,
    dirty: bool,
    quiet_until: Mono,
    /// When each process that is stopping is killed; as it was at first, because SIGKILL is sent
    /// again and again to one that does not die, and nobody should wait for that.
    stops: HashMap<ProcKey, Mono>,
    /// Until when the service manager waits.
    granted: Option<Mono>,
    refresh_at: Option<Mono>,
}

impl Herald {
    /// For a daemon that starts, or that starts again in the same process: then the service
    /// manager takes it for one that reloads. `main_pid` is told when the service manager knows
    /// another one.
    #[must_use]
    pub fn new(restarted: bool, main_pid: Option<u32>) -> Self {
        Self {
            main_pid,
            told: if restarted { Told::Reloading } else { Told::Nothing },
            doing: None,
            reloads: 0,
            starting: 0,
            progress: false,
            line: String::new(),
            dirty: false,
            quiet_until: Mono::default(),
            stops: HashMap::new(),
            granted: None,
            refresh_at: None,
        }
    }

    /// A change of the configuration begins.
    pub fn reload_begins(&mut self) {
        self.reloads += 1;
    }

    /// A change of the configuration ended.
    pub fn reload_ends(&mut self) {
        self.reloads = self.reloads.saturating_sub(1);
    }

    /// The messages to send now.
    pub fn look(&mut self, scene: &Scene<'_>, now: Mono) -> Vec<String> {
        let doing = match scene.snapshot.state {
            DaemonState::Shutdown | DaemonState::Fatal => Doing::Stopping,
            DaemonState::Restarting => Doing::Restarting,
            DaemonState::Running if !scene.ready => Doing::Starting,
            DaemonState::Running if self.reloads > 0 => Doing::Reloading,
            DaemonState::Running => Doing::Working,
        };
        let entered = self.doing != Some(doing);
        self.doing = Some(doing);
        if self.starting != scene.starting {
            self.starting = scene.starting;
            self.progress = true;
            self.dirty = true;
        }
        self.dirty |= scene.changed;
        let speak = entered || (self.dirty && now >= self.quiet_until);
        if !speak && self.refresh_at.is_none_or(|at| now < at) {
            return Vec::new();
        }

        let mut messages = Vec::new();
        let mut states = self.phase(doing, now, &mut messages);
        let more = self.extension(doing, entered, scene, now);
        if speak {
            self.dirty = false;
            self.quiet_until = now + QUIET;
            let line = status::summary(doing, scene.snapshot);
            if line != self.line {
                self.line = line;
                states.push(NotifyState::Status(&self.line));
            }
        }
        states.extend(more.map(NotifyState::ExtendTimeoutUsec));
        if !states.is_empty() {
            messages.push(message(&states));
        }
        messages
    }

    /// When to look again although nothing happened.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let line = self.dirty.then_some(self.quiet_until);
        [line, self.refresh_at].into_iter().flatten().min()
    }

    /// What the service manager must know of a phase.
    fn phase(
        &mut self,
        doing: Doing,
        now: Mono,
        messages: &mut Vec<String>,
    ) -> Vec<NotifyState<'static>> {
        let mut states = Vec::new();
        // A daemon in the background speaks for a process that waits for it.
        states.extend(self.main_pid.take().map(NotifyState::MainPid));
        let told = match (self.told, doing) {
            (Told::Stopping, _) | (_, Doing::Stopping) => Told::Stopping,
            (told, Doing::Starting) => told,
            (_, Doing::Working) => Told::Ready,
            (_, Doing::Reloading | Doing::Restarting) => Told::Reloading,
        };
        if told == self.told {
            return states;
        }
        match told {
            Told::Nothing => {}
            Told::Ready => states.push(NotifyState::Ready),
            Told::Reloading => {
                if self.told == Told::Nothing && doing == Doing::Reloading {
                    states.push(NotifyState::Ready);
                    messages.push(message(&states));
                    states.clear();
                }
                let micros = i128::try_from(now.0.as_micros()).unwrap_or(i128::MAX);
                states.extend([NotifyState::Reloading, NotifyState::MonotonicUsec(micros)]);
            }
            Told::Stopping => states.push(NotifyState::Stopping),
        }
        self.told = told;
        states
    }

    /// The microseconds that the service manager is asked to wait from now on, when it might not
    /// wait long enough otherwise.
    fn extension(
        &mut self,
        doing: Doing,
        entered: bool,
        scene: &Scene<'_>,
        now: Mono,
    ) -> Option<u32> {
        self.refresh_at = None;
        let until = match doing {
            Doing::Working => {
                self.stops.clear();
                self.granted = None;
                return None;
            }
            // As long as it gets on. Until the first second is over the unit's own limit does.
            Doing::Starting if entered || !self.progress => return None,
            Doing::Starting if self.granted.is_some_and(|granted| granted >= now + STEP) => {
                return None;
            }
            Doing::Starting => {
                self.progress = false;
                now + STEP
            }
            Doing::Reloading | Doing::Restarting | Doing::Stopping => {
                let known = std::mem::take(&mut self.stops);
                let first = |(key, at)| (key, known.get(&key).copied().unwrap_or(at));
                self.stops = (scene.stops)().into_iter().map(first).collect();
                let end = self.stops.values().copied().max().filter(|&end| end > now)?;
                self.refresh_at = (end > now + STEP).then(|| now + STEP);
                end.min(now + STEP)
            }
        } + SLACK;
        // A second more or less is not worth a message.
        if self.granted.is_some_and(|granted| granted + Duration::from_secs(1) >= until) {
            return None;
        }
        self.granted = Some(until);
        u32::try_from((until - now).as_micros()).ok()
    }
}

#[cfg(test)]
mod tests;
