//! What the scripts of our pages ask for: JSON by POST, with the token in a header (C-439).

use serde::{Deserialize, Serialize};
use warp::http::HeaderMap;
use warp::http::header::CONTENT_TYPE;

use super::acts::{self, Deed, Wish};
use crate::api::{Api, Named};
use crate::http::visitor::Visitor;
use crate::model::fault::{Fault, FaultKind};

/// What is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The action: as in forms, or `stdin`.
    action: String,
    /// The processes, or `group:*` for all of a group.
    #[serde(default)]
    names: Vec<String>,
    /// The signal to send.
    #[serde(default)]
    signal: Option<String>,
    /// What to write to stdin.
    #[serde(default)]
    text: Option<String>,
}

/// What became of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In a word, for a person.
    pub message: String,
    /// What failed: the name, and why.
    pub failed: Vec<(String, String)>,
}

/// Whether this is a call that one of our pages makes for somebody who may.
#[must_use]
pub fn is_ours(headers: &HeaderMap, visitor: &Visitor) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = text(CONTENT_TYPE.as_str()).is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    is_json && visitor.may_act() && text("x-csrf-token").is_some_and(|token| visitor.owns(token))
}

impl Call {
    /// What is asked for, for the log. What goes to a program's stdin is nobody's business.
    #[must_use]
    pub fn line(&self) -> String {
        match self.wish() {
            Some(wish) => wish.to_string(),
            None => format!("{} {}", self.action, self.names.join(", ")),
        }
    }

    /// What it wishes for; none when nobody knows, or it is about stdin.
    #[must_use]
    pub fn wish(&self) -> Option<Wish> {
        Some(match self.action.as_str() {
            "stopall" => Wish::StopAll,
            "restartall" => Wish::RestartAll,
            "shutdown" => Wish::Shutdown,
            "reload" => Wish::Reload,
            "update" => Wish::Update,
            deed => Wish::Several(Deed::parse(deed, self.signal.as_deref())?, self.names.clone()),
        })
    }

    /// Does it; none when nobody knows what that would be. Starts and stops are not waited for:
    /// the page sees what becomes of them.
    pub async fn carry_out(&self, api: &Api) -> Option<Report> {
        if self.action == "stdin" {
            return Some(self.write(api).await);
        }
        Some(match self.wish()? {
            Wish::Several(deed, names) => several(api, &deed, &names).await,
            Wish::StopAll => all(api.stop_all(false).await.map(drop), "All are being stopped"),
            Wish::RestartAll => {
                all(api.restart_all(false).await.map(drop), "All are being restarted")
            }
            wish => told(wish.grant(api).await),
        })
    }

    async fn write(&self, api: &Api) -> Report {
        let text = self.text.clone().unwrap_or_default().into_bytes();
        let mut report = Report { message: "Sent".to_owned(), ..Report::default() };
        for name in &self.names {
            let sent = match Named::parse_process(name) {
                Ok(named) => api.send_stdin(named, text.clone()).await,
                Err(fault) => Err(fault),
            };
            if let Err(fault) = sent {
                report.failed.push((name.clone(), why(&fault)));
            }
        }
        report
    }
}

/// What is wrong, for somebody who sees what it is about.
fn why(fault: &Fault) -> String {
    match fault.kind {
        FaultKind::NotRunning => "not running".to_owned(),
        FaultKind::BadName => "no such process".to_owned(),
        FaultKind::BadSignal => "no such signal".to_owned(),
        FaultKind::ShutdownState => "supervisord is shutting down".to_owned(),
        FaultKind::Failed if !fault.detail.is_empty() => fault.detail.clone(),
        _ => acts::problem(fault),
    }
}

fn told(message: String) -> Report {
    // What went wrong is marked in upstream's way.
    match message.strip_prefix("ERROR: ") {
        Some(why) => failed(why),
        None => Report { message, failed: Vec::new() },
    }
}

fn failed(why: &str) -> Report {
    Report { message: String::new(), failed: vec![(String::new(), why.to_owned())] }
}

fn all(outcome: Result<(), Fault>, message: &str) -> Report {
    match outcome {
        Ok(()) => told(message.to_owned()),
        Err(fault) => failed(&why(&fault)),
    }
}

async fn several(api: &Api, deed: &Deed, names: &[String]) -> Report {
    let results = acts::each(api, deed, names, false).await;
    let all = results.len();
    let failed: Vec<_> = results
        .into_iter()
        .filter_map(|(name, outcome)| Some((name, why(&outcome.err()?))))
        .collect();
    let done = all - failed.len();
    let what = if done == 1 && all == 1 { names.concat() } else { format!("{done} of {all}") };
    let message = match deed {
        _ if done == 0 => String::new(),
        Deed::Start => format!("Starting {what}"),
        Deed::Stop => format!("Stopping {what}"),
        Deed::Restart => format!("Restarting {what}"),
        Deed::ClearLog => format!("Cleared the logs of {what}"),
        Deed::Signal(signal) => format!("Sent {signal} to {what}"),
    };
    Report { message, failed }
}
