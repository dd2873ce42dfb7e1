//! `version`, `shutdown`, `reload`, `upgrade` and `open`: what concerns supervisord itself.

use std::time::{Duration, Instant};

use super::super::args::split_scheme;
use super::super::client::{CallError, Upgrades};
use super::super::render::exit;
use super::super::session::{Failure, Session};
use super::super::unreachable::Reason;
use super::{no_arguments, status};
use crate::model::fault::FaultKind;

/// How long an upgrade may take.
const UPGRADE: Duration = Duration::from_secs(60);
/// How soon it is asked again whether it is over.
const AGAIN: Duration = Duration::from_millis(20);

/// `version` (C-268).
pub(super) async fn version(session: &mut Session, args: &str) -> Result<(), Failure> {
    if !no_arguments(session, "version", args)? {
        return Ok(());
    }
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let version = client.supervisor_version().await?;
    session.out.line(&version)?;
    Ok(())
}

/// `shutdown` (C-266).
pub(super) async fn shutdown(session: &mut Session, args: &str) -> Result<(), Failure> {
    if !no_arguments(session, "shutdown", args)? {
        return Ok(());
    }
    let question = "Really shut the remote supervisord process down y/N? ";
    if session.interactive && !session.confirm(question).await? {
        return Ok(());
    }
    let client = match session.client().await {
        Ok(client) => client,
        Err(Failure::Unreachable(error))
            if matches!(error.headline().reason, Reason::Refused | Reason::NoFile) =>
        {
            let last = error.headline();
            let line = format!("ERROR: {} {} (already shut down?)", last.url, last.reason);
            session.out.line(&line)?;
            session.exit = exit::GENERIC;
            session.explain(&error)?;
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    match client.shutdown().await {
        Ok(()) => session.out.line("Shut down")?,
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::ShutdownState => {
            session.out.line("ERROR: already shutting down")?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// `reload` (C-267).
pub(super) async fn reload(session: &mut Session, args: &str) -> Result<(), Failure> {
    if !no_arguments(session, "reload", args)? {
        return Ok(());
    }
    let question = "Really restart the remote supervisord process y/N? ";
    if session.interactive && !session.confirm(question).await? {
        return Ok(());
    }
    let client = session.client().await?;
    match client.restart().await {
        Ok(()) => session.out.line("Restarted supervisord")?,
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::ShutdownState => {
            session.out.line("ERROR: already shutting down")?;
            session.exit = exit::GENERIC;
        }
        // Ours looks at the configuration before it stops anything.
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::CantReread => {
            session.out.line(&format!("ERROR: {fault}"))?;
            session.exit = exit::GENERIC;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// `upgrade`: the daemon goes on as the program that is installed now.
pub(super) async fn upgrade(session: &mut Session, args: &str) -> Result<(), Failure> {
    if !no_arguments(session, "upgrade", args)? {
        return Ok(());
    }
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let begun = async {
        let before = client.upgrades().await?;
        client.upgrade().await.map(|()| before)
    };
    let before = match begun.await {
        Ok(before) => before,
        Err(CallError::Fault(fault)) => {
            session.out.line(&format!("ERROR: {fault}"))?;
            session.exit = exit::GENERIC;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    drop(client);
    let line = match after_upgrade(session, before.counts).await {
        Some(after) if after.error.is_empty() => {
            session
                .out
                .line(&format!("Upgraded supervisord {} to {}", before.version, after.version))?;
            return Ok(());
        }
        Some(after) => format!("ERROR: not upgraded: {}", after.error),
        None => "ERROR: supervisord does not answer since the upgrade began: look into its log"
            .to_owned(),
    };
    session.out.line(&line)?;
    session.exit = exit::GENERIC;
    Ok(())
}

/// Waits for who answers after an upgrade, worked it or not.
async fn after_upgrade(session: &mut Session, before: (u32, u32)) -> Option<Upgrades> {
    let until = Instant::now() + UPGRADE;
    while Instant::now() < until {
        session.disconnect().await;
        if let Ok(client) = session.client().await
            && let Ok(after) = client.upgrades().await
            && after.counts != before
        {
            return Some(after);
        }
        // It still stops to answer, or does not answer yet.
        tokio::time::sleep(AGAIN).await;
    }
    None
}

/// `open URL` (C-269).
pub(super) async fn open(session: &mut Session, args: &str) -> Result<(), Failure> {
    let known = |scheme: &str| matches!(scheme, "http" | "https" | "unix" | "dbus");
    if !split_scheme(args).is_some_and(|(scheme, _)| known(&scheme)) {
        session.out.line("ERROR: url must be http:// or unix://")?;
        session.exit = exit::GENERIC;
        return Ok(());
    }
    session.open(args.to_owned());
    let before = session.exit;
    status::status(session, "").await?;
    session.exit = before;
    Ok(())
}
