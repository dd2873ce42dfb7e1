//! `start`, `stop`, `restart` and `signal`.

use super::super::client::{Action, CallError, Client, Outcome};
use super::super::progress::{self, Scope};
use super::super::render::{self, exit};
use super::super::session::{Failure, Session};
use super::usage;
use crate::model::fault::FaultKind;
use crate::model::name::Target;

/// `start` (C-245 to C-250).
pub(super) async fn start(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let names: Vec<&str> = args.split_whitespace().collect();
    if names.is_empty() {
        let error = "Error: start requires a process name";
        return usage(session, "start", error, exit::INVALID_ARGS);
    }
    act(session, &*client, &Action::Start, &names).await
}

/// `stop` (C-251).
pub(super) async fn stop(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let names: Vec<&str> = args.split_whitespace().collect();
    if names.is_empty() {
        let error = "Error: stop requires a process name";
        return usage(session, "stop", error, exit::GENERIC);
    }
    act(session, &*client, &Action::Stop, &names).await
}

/// `restart` (C-252).
pub(super) async fn restart(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let names: Vec<&str> = args.split_whitespace().collect();
    if names.is_empty() {
        let error = "Error: restart requires a process name";
        return usage(session, "restart", error, exit::GENERIC);
    }
    act(session, &*client, &Action::Stop, &names).await?;
    act(session, &*client, &Action::Start, &names).await
}

/// `signal` (C-253).
pub(super) async fn signal(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let mut words = args.split_whitespace();
    let signal = words.next().unwrap_or_default();
    let names: Vec<&str> = words.collect();
    if names.is_empty() {
        let error = "Error: signal requires a signal name and a process name";
        return usage(session, "signal", error, exit::GENERIC);
    }
    act(session, &*client, &Action::Signal(signal.to_owned()), &names).await
}

/// Acts on the names one after the other, each waited for; `all` anywhere is everything (C-226).
async fn act(
    session: &mut Session,
    client: &dyn Client,
    action: &Action,
    names: &[&str],
) -> Result<(), Failure> {
    if names.contains(&"all") {
        let work = client.act_on_all(action);
        let outcomes = progress::watch(client, action, Scope::All, work).await?;
        return outcomes.iter().try_for_each(|outcome| report(session, action, outcome));
    }
    for &name in names {
        match Target::parse(name) {
            Target::Group(group) => act_on_group(session, client, action, &group).await?,
            Target::Process(process) => match client.act_on_process(action, name).await {
                Ok(()) => {
                    let code = FaultKind::Success.code();
                    let outcome = Outcome { name: process, code, text: String::new() };
                    report(session, action, &outcome)?;
                }
                Err(CallError::Fault(fault)) => {
                    let text = fault.to_string();
                    let outcome = Outcome { name: process, code: fault.kind.code(), text };
                    report(session, action, &outcome)?;
                }
                Err(error) => return Err(error.into()),
            },
        }
        // The next name may take its time.
        session.out.flush()?;
    }
    Ok(())
}

async fn act_on_group(
    session: &mut Session,
    client: &dyn Client,
    action: &Action,
    group: &str,
) -> Result<(), Failure> {
    let work = client.act_on_group(action, group);
    match progress::watch(client, action, Scope::Group(group), work).await {
        Ok(outcomes) => outcomes.iter().try_for_each(|outcome| report(session, action, outcome)),
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::BadName => {
            session.out.line(&format!("{group}: ERROR (no such group)"))?;
            // C-247, C-251
            session.exit =
                if *action == Action::Start { exit::INVALID_ARGS } else { exit::GENERIC };
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints what became of one process and sets the exit code.
fn report(session: &mut Session, action: &Action, outcome: &Outcome) -> Result<(), Failure> {
    let Some(line) = render::outcome(action, outcome) else {
        let (code, name, text) = (outcome.code, outcome.name.to_string(), outcome.text.clone());
        return Err(Failure::UnknownResult { code, name, text });
    };
    session.out.line(&line)?;
    let ignored = match action {
        Action::Start => Some(FaultKind::AlreadyStarted),
        Action::Stop => Some(FaultKind::NotRunning),
        Action::Signal(_) => None,
    };
    if let Some(code) = render::exit_of_fault(outcome.code, ignored) {
        session.exit = code;
    }
    Ok(())
}
