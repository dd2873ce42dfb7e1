//! What visitors ask for, and what became of it (C-330, C-331, C-439).

use std::fmt;
use std::time::Duration;

use chrono::Local;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout;

use super::form::Form;
use crate::api::{Api, Named, Outcome};
use crate::core::request::ProcessResult;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::Target;

/// How long a form waits for what it asked for; what takes longer goes on.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many processes are acted on at the same time.
const AT_ONCE: usize = 16;
/// How many problems a message tells.
const TOLD: usize = 3;

/// What can be done to a process, or to all of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it if it runs, and start it.
    Restart,
    /// Empty its logs.
    ClearLog,
    /// Send it this signal.
    Signal(String),
}

impl Deed {
    /// Reads the name of a deed; `signal` is for the one that needs it.
    #[must_use]
    pub fn parse(name: &str, signal: Option<&str>) -> Option<Self> {
        Some(match name {
            "start" => Self::Start,
            "stop" => Self::Stop,
            "restart" => Self::Restart,
            "clearlog" => Self::ClearLog,
            "signal" => Self::Signal(signal?.to_owned()),
            _ => return None,
        })
    }

    /// What one does: `start`.
    fn verb(&self) -> String {
        match self {
            Self::Start => "start".to_owned(),
            Self::Stop => "stop".to_owned(),
            Self::Restart => "restart".to_owned(),
            Self::ClearLog => "clear the logs of".to_owned(),
            Self::Signal(signal) => format!("send signal {signal} to"),
        }
    }

    /// What was done: `started`.
    #[must_use]
    pub fn done(&self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
            Self::ClearLog => "cleared",
            Self::Signal(_) => "signalled",
        }
    }

    /// Does it to a process, or to all of `group:*`; what became of each when it is more than one.
    ///
    /// # Errors
    /// The fault of the one process, or of the request.
    pub async fn carry_out(
        &self,
        api: &Api,
        name: &str,
        wait: bool,
    ) -> Result<Vec<ProcessResult>, Fault> {
        let named = Named::parse(name)?;
        let outcome = match (self, named.target().clone()) {
            (Self::Start, _) => api.start(named, wait).await?,
            (Self::Stop, _) => api.stop(named, wait).await?,
            (Self::Signal(signal), _) => api.signal(named, signal).await?,
            (Self::Restart, Target::Group(group)) => {
                Outcome::Results(api.restart_group(&group, wait).await?)
            }
            (Self::Restart, Target::Process(_)) => {
                api.restart_process(named, wait).await.map(|()| Outcome::Done)?
            }
            (Self::ClearLog, Target::Group(group)) => {
                Outcome::Results(api.clear_group_logs(&group).await?)
            }
            (Self::ClearLog, Target::Process(_)) => {
                api.clear_process_logs(&named).await.map(|()| Outcome::Done)?
            }
        };
        Ok(match outcome {
            Outcome::Done => Vec::new(),
            Outcome::Results(results) => results,
        })
    }
}

/// What a form asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Nothing but the page.
    Refresh,
    /// Stop everything.
    StopAll,
    /// Stop everything, and start everything.
    RestartAll,
    /// Stop everything, and end the daemon.
    Shutdown,
    /// Stop everything, and start again with the configuration read afresh.
    Reload,
    /// Read the configuration again, and apply what changed in it.
    Update,
    /// Do something to a process, or to all of a group.
    One(Deed, String),
    /// Do something to several of them.
    Several(Deed, Vec<String>),
    /// Write this line to the standard input of a process.
    Write(String, String),
}

impl Wish {
    /// What a form asks for; none when nobody knows what that would be.
    #[must_use]
    pub fn of(form: &Form) -> Option<Self> {
        Some(match form.get("action")? {
            "refresh" => Self::Refresh,
            "stopall" => Self::StopAll,
            "restartall" => Self::RestartAll,
            "shutdown" => Self::Shutdown,
            "reload" => Self::Reload,
            "update" => Self::Update,
            "stdin" => {
                Self::Write(form.get("processname")?.to_owned(), form.get("text")?.to_owned())
            }
            deed => {
                let deed = Deed::parse(deed, form.get("signal"))?;
                if let Some(name) = form.get("processname") {
                    Self::One(deed, name.to_owned())
                } else {
                    let names: Vec<_> = form.all("selected").map(str::to_owned).collect();
                    (!names.is_empty()).then_some(Self::Several(deed, names))?
                }
            }
        })
    }

    /// Whether it ends all programs, so that it is asked for twice.
    #[must_use]
    pub fn is_grave(&self) -> bool {
        matches!(self, Self::Shutdown | Self::Reload)
    }

    /// Grants it, and says what became of it.
    pub async fn grant(&self, api: &Api) -> String {
        let granting = async {
            match self {
                Self::Refresh => refreshed(),
                Self::StopAll => match api.stop_all(true).await {
                    Ok(_) => format!("All stopped at {}", ctime()),
                    Err(fault) => unexpected(&fault),
                },
                Self::RestartAll => match api.restart_all(true).await {
                    Ok(_) => format!("All restarted at {}", ctime()),
                    Err(fault) => unexpected(&fault),
                },
                Self::Shutdown => match api.shutdown().await {
                    Ok(()) => "Supervisor is shutting down".to_owned(),
                    Err(fault) => unexpected(&fault),
                },
                Self::Reload => match api.restart().await {
                    Ok(()) => "Supervisor is restarting".to_owned(),
                    Err(fault) => format!("ERROR: {}", fault.detail),
                },
                Self::Update => update(api).await,
                Self::One(deed, name) => one(api, deed, name).await,
                Self::Several(deed, names) => several(api, deed, names).await,
                Self::Write(name, text) => write(api, name, text).await,
            }
        };
        let late = |_| format!("Not done yet, and going on: {self}");
        timeout(PATIENCE, granting).await.unwrap_or_else(late)
    }
}

impl fmt::Display for Wish {
    /// As one asks for it: `stop web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh => f.write_str("refresh the page"),
            Self::StopAll => f.write_str("stop all programs"),
            Self::RestartAll => f.write_str("restart all programs"),
            Self::Shutdown => f.write_str("stop all programs and shut supervisord down"),
            Self::Reload => f.write_str("stop all programs and restart supervisord"),
            Self::Update => f.write_str("apply what changed in the configuration"),
            Self::One(deed, name) => write!(f, "{} {name}", deed.verb()),
            // What it is, is nobody's business.
            Self::Write(name, _) => write!(f, "write a line to the standard input of {name}"),
            Self::Several(deed, names) => {
                write!(
                    f,
                    "{} {}",
                    deed.verb(),
                    names.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ")
                )?;
                let more = names.len().saturating_sub(TOLD);
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

/// Does something to several processes: what became of each name, in their order.
pub async fn each(
    api: &Api,
    deed: &Deed,
    names: &[String],
    wait: bool,
) -> Vec<(String, Result<(), Fault>)> {
    let one = |name: String| async move {
        let outcome = deed.carry_out(api, &name, wait).await;
        let outcome = outcome.and_then(|results| first_failure(&results));
        (name, outcome)
    };
    stream::iter(names.to_vec()).map(one).buffered(AT_ONCE).collect().await
}

fn first_failure(results: &[ProcessResult]) -> Result<(), Fault> {
    let failed = results.iter().find(|result| result.status != FaultKind::Success);
    failed.map_or(Ok(()), |result| Err(Fault::new(result.status, result.name.to_string())))
}

async fn one(api: &Api, deed: &Deed, name: &str) -> String {
    let known = match Named::parse(name).map(|named| named.target().clone()) {
        Ok(Target::Process(process)) => api.snapshot().processes.contains_key(&process),
        Ok(Target::Group(group)) => api.snapshot().groups.contains_key(&group),
        Err(_) => false,
    };
    if !known {
        return format!("No such process named {name}");
    }
    let outcome = deed.carry_out(api, name, true).await;
    match (deed, outcome.and_then(|results| first_failure(&results))) {
        (Deed::ClearLog, Ok(())) => format!("Log for {name} cleared"),
        (_, Ok(())) => format!("Process {name} {}", deed.done()),
        (Deed::Start | Deed::Restart, Err(fault)) => {
            format!("ERROR: Process {name}: {}", problem(&fault))
        }
        (_, Err(fault)) => unexpected(&fault),
    }
}

async fn several(api: &Api, deed: &Deed, names: &[String]) -> String {
    let results = each(api, deed, names, true).await;
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(name, outcome)| {
            outcome.as_ref().err().map(|fault| format!("{name}: {}", problem(fault)))
        })
        .collect();
    let done = results.len() - failed.len();
    if failed.is_empty() {
        return format!("{done} of {done} {}", deed.done());
    }
    let (told, more) = (failed.iter().take(TOLD), failed.len().saturating_sub(TOLD));
    let told = told.cloned().collect::<Vec<_>>().join("; ");
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("ERROR: {done} of {} {}; {told}{more}", results.len(), deed.done())
}

async fn write(api: &Api, name: &str, text: &str) -> String {
    let sent = async {
        let named = Named::parse_process(name)?;
        api.send_stdin(named, format!("{text}\n").into_bytes()).await
    };
    match sent.await {
        Ok(()) => format!("Sent to {name}"),
        Err(fault) => format!("ERROR: Process {name}: {}", unexpected(&fault)),
    }
}

async fn update(api: &Api) -> String {
    match api.update(&[]).await {
        Ok(updated) if updated.is_empty() => "Nothing changed in the configuration".to_owned(),
        Ok(updated) => {
            let told = updated.iter().map(|updated| match &updated.outcome {
                Ok(()) => format!("{}: {} process group", updated.group, updated.change.name()),
                Err(fault) => format!("ERROR: {}: {fault}", updated.group),
            });
            told.collect::<Vec<_>>().join("; ")
        }
        Err(fault) if fault.kind == FaultKind::CantReread => format!("ERROR: {}", fault.detail),
        Err(fault) => unexpected(&fault),
    }
}

/// What is wrong, as upstream's page says it.
#[must_use]
pub fn problem(fault: &Fault) -> String {
    match fault.kind {
        FaultKind::NoFile => "no such file".to_owned(),
        FaultKind::NotExecutable => "file not executable".to_owned(),
        FaultKind::AlreadyStarted => "already started".to_owned(),
        FaultKind::SpawnError => "spawn error".to_owned(),
        FaultKind::AbnormalTermination => "abnormal termination".to_owned(),
        _ => unexpected(fault),
    }
}

/// A fault that the page has no words for.
#[must_use]
pub fn unexpected(fault: &Fault) -> String {
    format!("unexpected rpc fault [{}] {fault}", fault.kind.code())
}

/// That somebody looked again.
#[must_use]
pub fn refreshed() -> String {
    format!("Page refreshed at {}", ctime())
}

/// The local time as C's `ctime` writes it.
fn ctime() -> String {
    Local::now().format("%a %b %e %H:%M:%S %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(query: &str) -> Option<Wish> {
        Wish::of(&Form::new(query, b""))
    }

    #[test]
    fn a_form_says_what_it_wants() {
        // C-330
        assert_eq!(wish("action=refresh"), Some(Wish::Refresh));
        assert_eq!(wish("action=stopall&processname=a"), Some(Wish::StopAll));
        let stop = Wish::One(Deed::Stop, "g:a".to_owned());
        assert_eq!(wish("processname=g:a&action=stop"), Some(stop));
        let many = wish("action=signal&signal=HUP&selected=a&selected=b:*");
        let names = vec!["a".to_owned(), "b:*".to_owned()];
        assert_eq!(many, Some(Wish::Several(Deed::Signal("HUP".to_owned()), names)));
        for query in [
            "",
            "processname=a",
            "action=start",
            "action=dance&processname=a",
            "action=signal&processname=a",
        ] {
            assert_eq!(wish(query), None, "{query}");
        }
    }

    #[test]
    fn a_wish_can_be_read() {
        let said = |query| wish(query).unwrap().to_string();
        assert_eq!(said("action=clearlog&processname=a"), "clear the logs of a");
        assert_eq!(said("action=signal&signal=HUP&processname=a"), "send signal HUP to a");
        let five = "action=stop&selected=a&selected=b&selected=c&selected=d&selected=e";
        assert_eq!(said(five), "stop a, b, c and 2 more");
    }

    #[test]
    fn problems_have_upstreams_words() {
        // C-331
        let words = |kind| problem(&Fault::new(kind, "web"));
        assert_eq!(words(FaultKind::NoFile), "no such file");
        assert_eq!(words(FaultKind::NotExecutable), "file not executable");
        assert_eq!(words(FaultKind::AlreadyStarted), "already started");
        assert_eq!(words(FaultKind::SpawnError), "spawn error");
        assert_eq!(words(FaultKind::AbnormalTermination), "abnormal termination");
        assert_eq!(words(FaultKind::NotRunning), "unexpected rpc fault [70] NOT_RUNNING: web");
    }
}
