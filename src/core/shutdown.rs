//! Stopping everything, in order, for a shutdown or a restart (C-147 to C-153).

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::action::{Action, ExitKind};
use super::key::ProcKey;
use super::process::Process;
use super::supervisor::Supervisor;
use super::turn::Turn;
use crate::model::message::{Field, Kind};
use crate::model::record::{Level, Record};
use crate::model::signal::Signal;
use crate::model::state::DaemonState;
use crate::model::time::Mono;

/// How often the log says what is waited for (C-150).
pub const REPORT_EVERY: Duration = Duration::from_secs(3);

/// How long listeners have for the last events before they are told to stop (C-356, better).
pub const LAST_EVENTS: Duration = Duration::from_secs(2);

/// The progress of a shutdown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shutdown {
    /// What follows it.
    pub kind: ExitKind,
    /// Groups that were not told to stop yet; the last one is next (C-147).
    pub groups: Vec<Arc<str>>,
    /// The group that is stopping now.
    pub current: Option<Arc<str>>,
    /// When the log says next what is waited for.
    pub report_at: Mono,
    /// Until when the next group may tell events before it is stopped: it is a pool of listeners.
    pub telling_until: Option<Mono>,
}

impl Shutdown {
    /// When it wants to be looked after at the latest.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        self.telling_until.map_or(self.report_at, |until| until.min(self.report_at))
    }
}

impl Supervisor {
    /// The processes that were told to stop, and when each, with what it left behind, gets SIGKILL
    /// at the latest.
    #[must_use]
    pub fn stops(&self) -> Vec<(ProcKey, Mono)> {
        let stopping = |key: ProcKey| Some((key, self.processes.get(&key)?.stops_by()?));
        self.deadlines.iter().filter_map(|&(_, key)| stopping(key)).collect()
    }

    /// A signal to the daemon itself (C-139 to C-146).
    pub(super) fn os_signal(&mut self, signal: Signal, turn: &mut Turn) {
        match signal {
            Signal::TERM | Signal::INT | Signal::QUIT => {
                let text = format!("received {signal} indicating exit request");
                let line = Record::new(Level::Warn, text).of(Kind::ShutdownRequested);
                turn.say(line.with(Field::Signal, signal));
                self.begin_shutdown(ExitKind::Shutdown, turn);
            }
            Signal::HUP if self.state == DaemonState::Shutdown => turn.log(
                Level::Warn,
                format!("ignored {signal} indicating restart request (shutdown in progress)"),
            ),
            Signal::HUP => {
                let text = format!("received {signal} indicating restart request");
                let line = Record::new(Level::Warn, text).of(Kind::RestartRequested);
                turn.say(line.with(Field::Signal, signal));
                if self.state == DaemonState::Running {
                    turn.act(Action::LoadForRestart);
                }
            }
            Signal::USR1 => {
                turn.log(Level::Info, format!("received {signal} indicating upgrade request"));
                if self.state == DaemonState::Running {
                    turn.act(Action::HandOver { token: None });
                }
            }
            Signal::USR2 => {
                turn.log(Level::Info, format!("received {signal} indicating log reopen request"));
                turn.act(Action::ReopenLogs);
            }
            Signal::CHLD => {
                turn.log(Level::Debug, format!("received {signal} indicating a child quit"));
            }
            other => turn.log(Level::Blather, format!("received {other} indicating nothing")),
        }
    }

    /// The configuration for a restart was read, or has errors: then all stays as it is (C-415).
    pub(super) fn restart_loaded(&mut self, outcome: Result<(), String>, turn: &mut Turn) {
        match outcome {
            _ if self.state != DaemonState::Running => {}
            Ok(()) => self.begin_shutdown(ExitKind::Restart, turn),
            Err(error) => {
                let text = format!("not restarting, the configuration has errors: {error}");
                let line = Record::new(Level::Critical, text).of(Kind::ConfigurationRefused);
                turn.say(line.with(Field::Error, error));
            }
        }
    }

    /// Stops the next group when the one before it is stopped, and ends when all are (C-147 to
    /// C-150).
    pub(super) fn advance_shutdown(&mut self, turn: &mut Turn) {
        let Some(mut shutdown) = self.shutdown.take() else { return };
        while shutdown.current.as_deref().is_none_or(|group| self.is_group_stopped(group)) {
            if let Some(next) = shutdown.groups.last()
                && self.is_telling(next)
            {
                let now = turn.now.mono;
                if *shutdown.telling_until.get_or_insert(now + LAST_EVENTS) > now {
                    break;
                }
            }
            shutdown.telling_until = None;
            let Some(group) = shutdown.groups.pop() else {
                turn.act(Action::Exit(shutdown.kind));
                return;
            };
            // Highest priority number first, ties in reverse order (C-148).
            for key in self.members_by_priority(&group).into_iter().rev() {
                self.with(key, turn, |process, _, turn| process.shut_down(turn));
            }
            shutdown.current = Some(group);
        }
        if turn.now.mono >= shutdown.report_at {
            let text = format!("waiting for {} to die", self.unstopped().join(", "));
            turn.log(Level::Info, text);
            shutdown.report_at = turn.now.mono + REPORT_EVERY;
        }
        self.shutdown = Some(shutdown);
    }

    /// A process in UNKNOWN counts as stopped: it cannot be told to stop (C-188).
    fn is_group_stopped(&self, group: &str) -> bool {
        let members = self.groups.get(group).map_or(&[][..], |group| &group.members);
        let mut processes = members.iter().filter_map(|key| self.processes.get(key));
        processes.all(Process::is_at_rest)
    }

    /// The names of the processes that are not stopped, in the order of activation.
    fn unstopped(&self) -> Vec<&str> {
        self.processes
            .values()
            .filter(|process| !process.is_at_rest())
            .map(|process| &*process.spec().name.process)
            .collect()
    }
}
