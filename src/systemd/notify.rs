//! Notifications to the service manager, as sd_notify(3) defines them. Without `NOTIFY_SOCKET`
//! nothing is sent.

use sd_notify::NotifyState;

/// Tells the service manager something. That it cannot be told is not our problem: it set the
/// socket up.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Everything is up.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The line that `systemctl status` shows.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The shutdown has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}
