//! What becomes of processes, while somebody waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, LocalBoxStream};
use zbus::{MatchRule, MessageStream};

use super::super::client::{CallError, StateChange};
use super::BusClient;
use crate::dbus::proxy::ProcessStateChanged;
use crate::dbus::types::{MANAGER, ProcessRow};
use crate::model::name::ProcessName;
use crate::model::state::ProcessState;

/// How often the states of processes are looked at where the bus tells us no signals.
const LOOKS: Duration = Duration::from_secs(1);

/// The states and pids of processes.
pub(in crate::ctl) type States = BTreeMap<ProcessName, (Option<ProcessState>, u32)>;

impl BusClient {
    /// What changes from now on, as the daemon tells it.
    pub(super) async fn told(&self) -> Result<LocalBoxStream<'static, StateChange>, CallError> {
        let mut signals = self.signals().await.map_err(|error| self.failure(error))?;
        self.ask::<_, ()>("Subscribe", &()).await?;
        // Taken in as they come: a full queue of signals would hold up the answers behind them.
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = signals.next().await {
                if let Some(change) = state_change(message)
                    && sender.send(change).is_err()
                {
                    return;
                }
            }
        });
        let changes = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|change| (change, receiver))
        });
        Ok(changes.boxed_local())
    }

    /// The signals of the manager. Not those of its proxy: that one asks a broker who owns the
    /// name, and there may be none.
    async fn signals(&self) -> zbus::Result<MessageStream> {
        let proxy = self.manager.inner();
        let mut rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path(proxy.path().to_owned())
            .interface(MANAGER)
            .member("ProcessStateChanged");
        if proxy.connection().is_bus() {
            rule = rule.sender(proxy.destination().to_owned());
        }
        MessageStream::for_match_rule(rule.build()?, proxy.connection(), None).await
    }

    /// What changes from now on, seen by looking: the signals of the system bus are root's.
    pub(super) async fn looks(&self) -> Result<LocalBoxStream<'static, StateChange>, CallError> {
        let client = Self::new(self.url.clone(), self.manager.clone(), self.asking);
        let before = states(client.ask("ListProcesses", &()).await?);
        let seen = stream::unfold((client, before), async |(client, mut before)| {
            tokio::time::sleep(LOOKS).await;
            let after = states(client.ask("ListProcesses", &()).await.ok()?);
            let changes = differences(&before, &after);
            before = after;
            Some((stream::iter(changes), (client, before)))
        });
        Ok(seen.flatten().boxed_local())
    }
}

fn state_change(message: zbus::Message) -> Option<StateChange> {
    let signal = ProcessStateChanged::from_message(message)?;
    let args = signal.args().ok()?;
    Some(StateChange {
        name: ProcessName::new(args.group, args.name),
        to: ProcessState::ALL.into_iter().find(|state| state.name() == args.to),
    })
}

fn states(rows: Vec<ProcessRow>) -> States {
    let entry = |row: ProcessRow| {
        let state = ProcessState::from_code(row.state);
        (ProcessName::new(row.group, row.name), (state, row.pid))
    };
    rows.into_iter().map(entry).collect()
}

/// What happened between two looks at the processes.
pub(in crate::ctl) fn differences(before: &States, after: &States) -> Vec<StateChange> {
    // One that is gone, or another one by now, was in no state in between.
    let ended = before.iter().filter(|(name, (_, pid))| {
        after.get(name).is_none_or(|(_, now)| *pid != 0 && *now != 0 && now != pid)
    });
    let ended = ended.map(|(name, _)| StateChange { name: name.clone(), to: None });
    let changed = after.iter().filter(|(name, now)| before.get(name) != Some(now));
    let changed = changed.map(|(name, (to, _))| StateChange { name: name.clone(), to: *to });
    ended.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, state: ProcessState, pid: u32) -> ProcessRow {
        ProcessRow {
            group: name.to_owned(),
            name: name.to_owned(),
            state: state.code(),
            description: String::new(),
            pid,
            start: 0,
            stop: 0,
            exit_status: 0,
            spawn_error: String::new(),
            path: zbus::ObjectPath::from_static_str_unchecked("/").into(),
        }
    }

    #[test]
    fn looks_see_what_signals_would_have_told() {
        use ProcessState::{Running, Stopped};
        let first = vec![row("a", Running, 1), row("b", Running, 2), row("c", Running, 3)];
        let first = states(first);
        let change = |name: &str, to| StateChange { name: ProcessName::new(name, name), to };
        // `a` stopped, `b` ended and runs again, `c` is no more, and `d` is new.
        let second = vec![row("a", Stopped, 0), row("b", Running, 9), row("d", Stopped, 0)];
        let second = states(second);
        assert_eq!(
            differences(&first, &second),
            [
                change("b", None),
                change("c", None),
                change("a", Some(Stopped)),
                change("b", Some(Running)),
                change("d", Some(Stopped)),
            ]
        );
        assert_eq!(differences(&second, &second), []);
    }
}
