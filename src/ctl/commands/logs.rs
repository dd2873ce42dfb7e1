//! `tail`, `maintail` and `clear`.

use tokio::io::AsyncReadExt as _;

use super::super::client::{CallError, Client, Log, LogStream};
use super::super::output::Output;
use super::super::render::{self, BANNER, exit};
use super::super::session::{Failure, Session, complain};
use super::usage;
use crate::config::py::repr;
use crate::model::fault::{Fault, FaultKind, IN_JOURNAL};
use crate::model::name::Target;
use crate::model::snapshot::Channel;

/// What is shown without `-N`.
const DEFAULT_BYTES: i64 = 1600;

/// How much of a log is wanted.
enum Part {
    /// `-f`
    Follow,
    /// So many bytes from the end.
    Last(i64),
}

/// `tail [-N|-f] NAME [stdout|stderr]` (C-254 to C-256).
pub(super) async fn tail(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let mut words: Vec<&str> = args.split_whitespace().collect();
    match words.len() {
        0 => return usage(session, "tail", "Error: too few arguments", exit::GENERIC),
        1..=3 => {}
        _ => return usage(session, "tail", "Error: too many arguments", exit::GENERIC),
    }
    let modifier = words[0].starts_with('-').then(|| words.remove(0));
    let (name, channel) = match words[..] {
        [] => return complain_about(session, "Error: tail requires process name"),
        [name] => (name, Channel::Stdout),
        [name, .., channel] => match channel.to_lowercase().as_str() {
            "stdout" => (name, Channel::Stdout),
            "stderr" => (name, Channel::Stderr),
            other => {
                let error = format!("Error: bad channel {}", repr(other));
                return complain_about(session, &error);
            }
        },
    };
    let Some(part) = modifier.map_or(Some(Part::Last(DEFAULT_BYTES)), read_modifier) else {
        let error = format!("Error: bad argument {}", modifier.unwrap_or_default());
        return complain_about(session, &error);
    };
    show(session, &*client, Log::Process(name, channel), part).await
}

/// `maintail [-N|-f]` (C-257).
pub(super) async fn maintail(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let words: Vec<&str> = args.split_whitespace().collect();
    let part = match words[..] {
        [] => Some(Part::Last(DEFAULT_BYTES)),
        [word] if word.starts_with('-') => read_modifier(word),
        [_] => None,
        _ => return usage(session, "maintail", "Error: too many arguments", exit::GENERIC),
    };
    let Some(part) = part else {
        return complain_about(session, &format!("Error: bad argument {}", words[0]));
    };
    show(session, &*client, Log::Main, part).await
}

fn complain_about(session: &mut Session, error: &str) -> Result<(), Failure> {
    session.out.line(error)?;
    session.exit = exit::GENERIC;
    Ok(())
}

/// `-f` or `-N`.
fn read_modifier(word: &str) -> Option<Part> {
    match word.strip_prefix('-')? {
        "f" => Some(Part::Follow),
        number => number.parse().ok().map(Part::Last),
    }
}

async fn show(
    session: &mut Session,
    client: &dyn Client,
    log: Log<'_>,
    part: Part,
) -> Result<(), Failure> {
    let bytes = match part {
        Part::Follow => return follow(session, client, log).await,
        Part::Last(bytes) => bytes,
    };
    match client.read_log(log, bytes.saturating_neg()).await {
        Ok(data) => {
            session.out.bytes(&data)?;
            session.out.line("")?;
        }
        Err(CallError::Fault(fault)) => {
            let Some(problem) = log_problem(&fault) else {
                return Err(CallError::Fault(fault).into());
            };
            let name = match log {
                Log::Main => "supervisord",
                Log::Process(name, _) => name,
            };
            let hint = elsewhere(&fault).map_or_else(String::new, |hint| format!(": {hint}"));
            session.out.line(&format!("{name}: ERROR ({problem}{hint})"))?;
            session.exit = exit::GENERIC;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn log_problem(fault: &Fault) -> Option<&'static str> {
    match fault.kind {
        FaultKind::NoFile => Some("no log file"),
        FaultKind::Failed => Some("unknown error reading log"),
        FaultKind::BadName => Some("no such process name"),
        _ => None,
    }
}

/// Where to look instead of a file.
fn elsewhere(fault: &Fault) -> Option<&str> {
    let at = fault.detail.find(IN_JOURNAL)?;
    (fault.kind == FaultKind::NoFile).then(|| &fault.detail[at..])
}

/// Follows a log until Ctrl-C, the end of the daemon, or that of our reader (C-256).
async fn follow(session: &mut Session, client: &dyn Client, log: Log<'_>) -> Result<(), Failure> {
    let mut interrupts = session.claim_interrupts()?;
    session.out.line(BANNER)?;
    session.out.flush()?;
    let mut reader = match client.follow_log(log).await {
        Ok(stream) => LogReader::new(Some(stream)),
        Err(CallError::Fault(fault)) => {
            // The exit code stays, as upstream's does.
            complain(&cannot_read(client.url(), log, &fault));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let closed = Output::closed();
    tokio::pin!(closed);
    loop {
        tokio::select! {
            chunk = reader.next() => match chunk? {
                Some(bytes) => {
                    session.out.bytes(bytes)?;
                    session.out.flush()?;
                }
                None => return Ok(()),
            },
            _ = interrupts.recv() => {
                session.out.line("")?;
                return Ok(());
            }
            () = &mut closed => return Ok(()),
        }
    }
}

/// What upstream's log reader writes to standard error, and the reason.
fn cannot_read(url: &str, log: Log<'_>, fault: &Fault) -> String {
    let path = match log {
        Log::Main => "/mainlogtail".to_owned(),
        Log::Process(name, channel) => format!("/logtail/{name}/{}", channel.name()),
    };
    let status = match fault.kind {
        FaultKind::BadName => 404,
        FaultKind::NoFile => 410,
        _ => 500,
    };
    let reason = log_problem(fault).map_or_else(|| fault.to_string(), str::to_owned);
    let hint = elsewhere(fault).map_or_else(String::new, |hint| format!(": {hint}"));
    format!("{url}{path} Cannot read, status code {status} ({reason}{hint})\n")
}

/// Reads what a log stream has; a stream that ended, or is not there, stays silent.
pub(super) struct LogReader {
    stream: Option<LogStream>,
    buffer: Vec<u8>,
}

impl LogReader {
    pub(super) fn new(stream: Option<LogStream>) -> Self {
        Self { stream, buffer: vec![0; 64 * 1024] }
    }

    /// The next bytes; none at the end. Never when there is no stream. Safe to cancel.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        let Some(stream) = &mut self.stream else { return std::future::pending().await };
        let count = stream.read(&mut self.buffer).await?;
        if count == 0 {
            self.stream = None;
            return Ok(None);
        }
        Ok(Some(&self.buffer[..count]))
    }
}

/// `clear NAME...` (C-258).
pub(super) async fn clear(session: &mut Session, args: &str) -> Result<(), Failure> {
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    let names: Vec<&str> = args.split_whitespace().collect();
    if names.is_empty() {
        let error = "Error: clear requires a process name";
        return usage(session, "clear", error, exit::GENERIC);
    }
    if names.contains(&"all") {
        for outcome in client.clear_all().await? {
            report(session, &outcome.name.to_string(), outcome.code, &outcome.text)?;
        }
        return Ok(());
    }
    for name in names {
        let shown = match Target::parse(name) {
            Target::Process(process) => process.to_string(),
            // Upstream shows `g:None` (C-443).
            Target::Group(group) => format!("{group}:*"),
        };
        match client.clear(name).await {
            Ok(()) => report(session, &shown, FaultKind::Success.code(), "")?,
            Err(CallError::Fault(fault)) => {
                report(session, &shown, fault.kind.code(), &fault.to_string())?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn report(session: &mut Session, name: &str, code: i32, text: &str) -> Result<(), Failure> {
    let Some(line) = render::cleared(name, code) else {
        return Err(Failure::UnknownResult { code, name: name.into(), text: text.into() });
    };
    session.out.line(&line)?;
    if let Some(code) = render::exit_of_fault(code, None) {
        session.exit = code;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_numbers_or_f() {
        // C-254, C-255
        assert!(matches!(read_modifier("-f"), Some(Part::Follow)));
        assert!(matches!(read_modifier("-100"), Some(Part::Last(100))));
        assert!(matches!(read_modifier("--5"), Some(Part::Last(-5))));
        for bad in ["-", "-x", "-1k", "-ff"] {
            assert!(read_modifier(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_followed_is_told_on_one_line() {
        // C-256, C-447
        let fault = Fault::new(FaultKind::BadName, "x");
        assert_eq!(
            cannot_read("dbus:system", Log::Process("x", Channel::Stderr), &fault),
            "dbus:system/logtail/x/stderr Cannot read, status code 404 (no such process name)\n"
        );
    }
}
