//! `avail`, `reread`, `update`, `add` and `remove`.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::super::client::{CallError, Client, Outcome};
use super::super::progress::Bar;
use super::super::render::{self, exit};
use super::super::session::{Failure, Session};
use super::no_arguments;
use crate::ctl::client::Action;
use crate::model::fault::FaultKind;

/// Groups that `update` stops at the same time.
const AT_ONCE: usize = 256;

/// `avail` (C-259).
pub(super) async fn avail(session: &mut Session, args: &str) -> Result<(), Failure> {
    if !no_arguments(session, "avail", args)? {
        return Ok(());
    }
    let client = session.client().await?;
    match client.configuration().await {
        Ok(processes) => {
            for process in &processes {
                session.out.line(&render::configured(process))?;
            }
        }
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::ShutdownState => {
            fail(session, "ERROR: supervisor shutting down")?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// `reread` (C-260).
pub(super) async fn reread(session: &mut Session, args: &str) -> Result<(), Failure> {
    if !no_arguments(session, "reread", args)? {
        return Ok(());
    }
    let client = session.client().await?;
    match client.reread().await {
        Ok(changes) => session.out.bytes(render::changes(&changes).as_bytes())?,
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::ShutdownState => {
            fail(session, "ERROR: supervisor shutting down")?;
        }
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::CantReread => {
            fail(session, &format!("ERROR: {fault}"))?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// `add GROUP...` (C-264).
pub(super) async fn add(session: &mut Session, args: &str) -> Result<(), Failure> {
    for name in args.split_whitespace() {
        let client = session.client().await?;
        match client.add_group(name).await {
            Ok(()) => session.out.line(&format!("{name}: added process group"))?,
            Err(CallError::Fault(fault)) => match fault.kind {
                FaultKind::ShutdownState => fail(session, "ERROR: shutting down")?,
                FaultKind::AlreadyAdded => {
                    session.out.line("ERROR: process group already active")?;
                }
                FaultKind::BadName => no_such(session, name)?,
                _ => return Err(CallError::Fault(fault).into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `remove GROUP...` (C-265).
pub(super) async fn remove(session: &mut Session, args: &str) -> Result<(), Failure> {
    for name in args.split_whitespace() {
        let client = session.client().await?;
        match client.remove_group(name).await {
            Ok(()) => session.out.line(&format!("{name}: removed process group"))?,
            Err(CallError::Fault(fault)) => match fault.kind {
                FaultKind::StillRunning => {
                    fail(session, &format!("ERROR: process/group still running: {name}"))?;
                }
                FaultKind::BadName => no_such(session, name)?,
                _ => return Err(CallError::Fault(fault).into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn no_such(session: &mut Session, name: &str) -> Result<(), Failure> {
    fail(session, &format!("ERROR: no such process/group: {name}"))
}

fn fail(session: &mut Session, line: &str) -> Result<(), Failure> {
    session.out.line(line)?;
    session.exit = exit::GENERIC;
    Ok(())
}

/// `update [GROUP...]` (C-261 to C-263): groups that are gone, then those that changed, then new
/// ones. The stops of all groups are under way at the same time; what is printed is in
/// upstream's order.
pub(super) async fn update(session: &mut Session, args: &str) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut changes = match client.reread().await {
        Ok(changes) => changes,
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::ShutdownState => {
            return fail(session, "ERROR: already shutting down");
        }
        Err(error) => return Err(error.into()),
    };
    let mut wanted: Vec<&str> = Vec::new();
    for name in args.split_whitespace() {
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    if !wanted.is_empty() && !wanted.contains(&"all") {
        let processes = client.processes().await?;
        for name in &wanted {
            let known = processes.iter().any(|process| *process.name.group == **name)
                || changes.added.iter().any(|added| added == name);
            if !known {
                fail(session, &format!("ERROR: no such group: {name}"))?;
            }
        }
        for list in [&mut changes.added, &mut changes.changed, &mut changes.removed] {
            list.retain(|name| wanted.contains(&name.as_str()));
        }
    }
    let bar = Bar::new("update", changes.removed.len() + changes.changed.len());
    let mut stops = at_once(changes.removed, |group| stop(&*client, group));
    while let Some((group, stopped)) = stops.next().await {
        let failed = stopped?.iter().any(|outcome| outcome.code == FaultKind::Failed.code());
        session.out.line(&format!("{group}: stopped"))?;
        if !failed && remove_stopped(session, &*client, &group).await? {
            session.out.line(&format!("{group}: removed process group"))?;
        } else if failed {
            fail(session, &format!("{group}: has problems; not removing"))?;
        }
        bar.step(|| session.out.flush())?;
    }
    let mut updates = at_once(changes.changed, |group| replace(&*client, group));
    while let Some((group, updated)) = updates.next().await {
        match updated {
            Ok(()) => {
                session.out.line(&format!("{group}: stopped"))?;
                session.out.line(&format!("{group}: updated process group"))?;
            }
            Err(CallError::Fault(fault))
                if matches!(fault.kind, FaultKind::StillRunning | FaultKind::Failed) =>
            {
                fail(session, &format!("{group}: has problems; not removing"))?;
            }
            Err(error) => return Err(error.into()),
        }
        bar.step(|| session.out.flush())?;
    }
    for group in changes.added {
        client.add_group(&group).await?;
        session.out.line(&format!("{group}: added process group"))?;
    }
    Ok(())
}

/// Asks for many groups at the same time; the answers come in the order of the groups.
fn at_once<F: Future>(
    groups: Vec<String>,
    ask: impl Fn(String) -> F,
) -> impl stream::Stream<Item = F::Output> + Unpin {
    Box::pin(stream::iter(groups).map(ask).buffered(AT_ONCE))
}

/// Stops a group.
async fn stop(client: &dyn Client, group: String) -> (String, Result<Vec<Outcome>, CallError>) {
    let stopped = client.act_on_group(&Action::Stop, &group).await;
    (group, stopped)
}

/// Replaces what changed in a group. What is configured as before runs on, which upstream's
/// three steps (stop, remove, add) do not allow.
async fn replace(client: &dyn Client, group: String) -> (String, Result<(), CallError>) {
    let updated = client.update_group(&group).await;
    (group, updated)
}

/// Removes a group that was just stopped; whether that could be done. Where upstream dies of
/// `STILL_RUNNING` with all the other groups undone, ours says so and goes on.
async fn remove_stopped(
    session: &mut Session,
    client: &dyn Client,
    group: &str,
) -> Result<bool, Failure> {
    match client.remove_group(group).await {
        Ok(()) => Ok(true),
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::StillRunning => {
            fail(session, &format!("{group}: has problems; not removing"))?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
