//! `fg`: the output of a process on the screen, the keyboard as its input (C-270).

use std::time::Duration;

use futures_util::StreamExt as _;

use super::super::client::{CallError, Client, Log};
use super::super::render::{self, BANNER, exit};
use super::super::session::{Failure, Session};
use super::help;
use super::logs::LogReader;
use crate::model::fault::FaultKind;
use crate::model::snapshot::Channel;
use crate::model::state::ProcessState;

/// At the end: how long the log must be silent until nothing more is expected.
const SILENCE: Duration = Duration::from_millis(100);

/// `fg NAME`.
pub(super) async fn fg(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let names: Vec<&str> = args.split_whitespace().collect();
    let name = match names[..] {
        [name] => name,
        [] => {
            refuse(session, "ERROR: no process name supplied")?;
            return help::topic(session, "fg");
        }
        _ => return refuse(session, "ERROR: too many process names supplied"),
    };
    // Before the process is looked at: no change can fall between.
    let mut changes = client.state_changes().await?;
    let process = match client.process(name).await {
        Ok(process) => process,
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::BadName => {
            return refuse(session, "ERROR: bad process name supplied");
        }
        Err(CallError::Fault(fault)) => {
            session.out.line(&format!("ERROR: {}", render::raw_fault(&fault)))?;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if process.state != ProcessState::Running {
        return refuse(session, "ERROR: process not running");
    }
    let mut interrupts = session.claim_interrupts()?;
    session.out.line(BANNER)?;
    session.out.flush()?;

    let mut stdout = open(&*client, name, Channel::Stdout).await?;
    let mut stderr = open(&*client, name, Channel::Stderr).await?;
    let last_words = loop {
        tokio::select! {
            // Output first: what the process said before it ended comes before its end.
            biased;
            chunk = stdout.next() => print(session, chunk)?,
            chunk = stderr.next() => print(session, chunk)?,
            _ = interrupts.recv() => break None,
            change = changes.next() => match change {
                Some(change) if change.name == process.name
                    && change.to != Some(ProcessState::Running) =>
                {
                    break Some("Process got killed".to_owned());
                }
                Some(_) => {}
                // The daemon is gone.
                None => break None,
            },
            line = session.lines.next() => {
                let Some(mut line) = line? else { break None };
                line.push(b'\n');
                match client.send_stdin(name, &line).await {
                    Ok(()) => {}
                    Err(CallError::Fault(fault)) if fault.kind == FaultKind::NotRunning => {
                        break Some("Process got killed".to_owned());
                    }
                    Err(CallError::Fault(fault)) => {
                        break Some(format!("ERROR: {}", render::raw_fault(&fault)));
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    };
    for reader in [&mut stdout, &mut stderr] {
        while let Ok(Ok(Some(bytes))) = tokio::time::timeout(SILENCE, reader.next()).await {
            session.out.bytes(bytes)?;
        }
    }
    if let Some(words) = last_words {
        session.out.line(&words)?;
    }
    session.out.line("Exiting foreground")?;
    Ok(())
}

fn refuse(session: &mut Session, error: &str) -> Result<(), Failure> {
    session.out.line(error)?;
    session.exit = exit::GENERIC;
    Ok(())
}

/// A channel of a process; silent when it has no log.
async fn open(client: &dyn Client, name: &str, channel: Channel) -> Result<LogReader, Failure> {
    match client.follow_log(Log::Process(name, channel)).await {
        Ok(stream) => Ok(LogReader::new(Some(stream))),
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::NoFile => Ok(LogReader::new(None)),
        Err(error) => Err(error.into()),
    }
}

fn print(session: &mut Session, chunk: std::io::Result<Option<&[u8]>>) -> Result<(), Failure> {
    if let Some(bytes) = chunk? {
        session.out.bytes(bytes)?;
        session.out.flush()?;
    }
    Ok(())
}
