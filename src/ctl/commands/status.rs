//! `status` and `pid`.

use super::super::client::{CallError, ProcessInfo};
use super::super::render::{self, exit};
use super::super::session::{Failure, Session};
use crate::model::fault::FaultKind;
use crate::model::name::Target;

/// `status [names]` (C-240, C-241).
pub(super) async fn status(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else {
        session.exit = exit::STATUS_UNKNOWN;
        return Ok(());
    };
    let processes = client.processes().await?;
    let names: Vec<&str> = args.split_whitespace().collect();
    let mut shown: Vec<&ProcessInfo> = Vec::new();
    if names.is_empty() || names.contains(&"all") {
        shown.extend(&processes);
    } else {
        for name in names {
            let target = Target::parse(name);
            let before = shown.len();
            shown.extend(processes.iter().filter(|process| match &target {
                Target::Group(group) => process.name.group == *group,
                Target::Process(wanted) => process.name == *wanted,
            }));
            if shown.len() == before {
                session.out.line(&match target {
                    Target::Group(group) => format!("{group}: ERROR (no such group)"),
                    Target::Process(_) => format!("{name}: ERROR (no such process)"),
                })?;
                session.exit = exit::STATUS_UNKNOWN;
            }
        }
    }
    session.out.bytes(render::statuses(&shown).as_bytes())?;
    if shown.iter().any(|process| process.state.is_stopped()) {
        session.exit = exit::STATUS_NOT_RUNNING;
    }
    Ok(())
}

/// `pid [names]` (C-244).
pub(super) async fn pid(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let names: Vec<&str> = args.split_whitespace().collect();
    if names.is_empty() {
        let pid = client.pid().await?;
        session.out.line(&pid.to_string())?;
    } else if names.contains(&"all") {
        for process in client.processes().await? {
            session.out.line(&process.pid.to_string())?;
        }
    } else {
        for name in names {
            match client.process(name).await {
                Ok(process) => {
                    session.out.line(&process.pid.to_string())?;
                    if process.pid == 0 {
                        session.exit = exit::NOT_RUNNING;
                    }
                }
                Err(CallError::Fault(fault)) if fault.kind == FaultKind::BadName => {
                    session.out.line(&format!("No such process {name}"))?;
                    session.exit = exit::GENERIC;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
