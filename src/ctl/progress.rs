//! A bar on a terminal's standard error while an action waits for many processes. Never on
//! standard output, and never for what is quick.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::client::{Action, CallError, Client, Outcome};
use crate::model::name::ProcessName;
use crate::model::state::ProcessState;

/// Fewer processes than this need no bar.
const MANY: usize = 5;
/// What is done sooner needs no bar.
const QUICK: Duration = Duration::from_millis(400);

/// Which processes an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All.
    All,
    /// Those of one group.
    Group(&'a str),
}

/// Waits for `work`; meanwhile counts on a bar the processes that are done.
///
/// # Errors
/// Those of `work`; a bar that cannot be had is no error.
pub async fn watch(
    client: &dyn Client,
    action: &Action,
    scope: Scope<'_>,
    work: impl Future<Output = Result<Vec<Outcome>, CallError>>,
) -> Result<Vec<Outcome>, CallError> {
    let verb = match action {
        Action::Start => "starting",
        Action::Stop => "stopping",
        Action::Signal(_) => return work.await,
    };
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let (Ok(mut changes), Ok(processes)) = (client.state_changes().await, client.processes().await)
    else {
        return work.await;
    };
    let mut awaited: HashSet<ProcessName> = processes
        .into_iter()
        .filter(|process| match scope {
            Scope::All => true,
            Scope::Group(group) => *process.name.group == *group,
        })
        .filter(|process| process.state.is_stopped() == (*action == Action::Start))
        .map(|process| process.name)
        .collect();
    let bar = Bar::new(verb, awaited.len());
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(change) = changes.next() => {
                if is_done(action, change.to) && awaited.remove(&change.name) {
                    bar.0.inc(1);
                }
            }
        }
    }
}

fn is_done(action: &Action, state: Option<ProcessState>) -> bool {
    use ProcessState::{Exited, Fatal, Running, Stopped};
    match action {
        Action::Stop => matches!(state, Some(Stopped | Exited | Fatal)),
        _ => matches!(state, Some(Running | Exited | Fatal)),
    }
}

/// A bar on standard error; nothing where that is not a terminal or there is little to count.
/// Gone when dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar for `total` things.
    #[must_use]
    pub fn new(verb: &'static str, total: usize) -> Self {
        if total < MANY || !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        let template = "{msg} {wide_bar} {pos}/{len} {elapsed}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(verb);
        let later = bar.downgrade();
        tokio::spawn(async move {
            tokio::time::sleep(QUICK).await;
            if let Some(bar) = later.upgrade() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.tick();
            }
        });
        Self(bar)
    }

    /// One more is done; `print` writes while the bar is out of the way.
    ///
    /// # Errors
    /// Those of `print`.
    pub fn step(&self, print: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.0.inc(1);
        self.0.suspend(print)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_done_where_its_action_ends() {
        assert!(is_done(&Action::Start, Some(ProcessState::Running)));
        assert!(!is_done(&Action::Start, Some(ProcessState::Backoff)));
        assert!(is_done(&Action::Start, Some(ProcessState::Fatal)));
        assert!(is_done(&Action::Stop, Some(ProcessState::Stopped)));
        assert!(!is_done(&Action::Stop, Some(ProcessState::Stopping)));
        assert!(!is_done(&Action::Stop, None));
    }
}
