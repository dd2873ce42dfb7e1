//! The engine's link to the service manager: tells it what [`Herald`] decides, and gives signs of
//! life.

use sd_notify::NotifyState;

use super::herald::{Herald, Scene};
use super::notify::{Manager, Notifier, message};
use super::watchdog::Watchdog;
use crate::model::time::Mono;

/// The link of one engine.
#[derive(Debug)]
pub struct Link {
    herald: Herald,
    watchdog: Option<Watchdog>,
    notifier: Notifier,
}

impl Link {
    /// A link for a daemon that starts, or that starts again in the same process; none when there
    /// is no service manager.
    #[must_use]
    pub fn new(manager: &Manager, restarted: bool, now: Mono) -> Option<Self> {
        let main_pid = manager.main_pid().filter(|_| !restarted);
        Some(Self {
            herald: Herald::new(restarted, main_pid),
            watchdog: manager.watchdog().map(|patience| Watchdog::new(patience, now)),
            notifier: manager.notifier()?,
        })
    }

    /// A change of the configuration begins.
    pub fn reload_begins(&mut self) {
        self.herald.reload_begins();
    }

    /// A change of the configuration ended.
    pub fn reload_ends(&mut self) {
        self.herald.reload_ends();
    }

    /// Tells what there is to tell at the end of a turn of the engine.
    pub fn turn(&mut self, scene: &Scene<'_>, now: Mono) {
        self.notifier.flush(now);
        for message in self.herald.look(scene, now) {
            self.notifier.send(message, now);
        }
        if self.watchdog.as_mut().is_some_and(|watchdog| watchdog.is_due(now)) {
            self.notifier.send(message(&[NotifyState::Watchdog]), now);
        }
    }

    /// The engine ends: the last sign of life until there is another, or none.
    pub fn end(mut self, now: Mono) {
        if self.watchdog.is_some() {
            self.notifier.send(message(&[NotifyState::Watchdog]), now);
        }
    }

    /// When there is something to tell although nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let watchdog = self.watchdog.map(|watchdog| watchdog.next());
        [self.herald.deadline(), watchdog, self.notifier.retry_at()].into_iter().flatten().min()
    }
}
