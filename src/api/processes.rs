//! Start, stop, signal, stdin, and events of clients (C-300 to C-306, C-317, C-318).

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{Api, bad_name, bounds};
use crate::core::request::{ProcessResult, Reply, Request, Scope};
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::{ProcessName, Target};
use crate::model::signal::Signal;
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::state::ProcessState;

/// A process or group as a client named it: faults tell back what the client wrote.
#[derive(Debug, Clone)]
pub struct Named {
    target: Target,
    text: String,
}

impl Named {
    /// Reads `name`, `group:name`, `group:*` and `group:` (C-226).
    ///
    /// # Errors
    /// BAD_NAME when it is too long to be a name.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self { target: bounds::target(text)?, text: text.to_owned() })
    }

    /// Reads a name that must be of one process.
    ///
    /// # Errors
    /// BAD_NAME when it names a group.
    pub fn parse_process(text: &str) -> Result<Self, Fault> {
        match Self::parse(text)? {
            Self { target: Target::Group(_), .. } => Err(bad_name(text)),
            named => Ok(named),
        }
    }

    /// What is meant.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How the client wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<ProcessName> for Named {
    fn from(name: ProcessName) -> Self {
        Self { text: name.to_string(), target: Target::Process(name) }
    }
}

/// What a request by name came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// One process: it was done.
    Done,
    /// A group: a result for each process.
    Results(Vec<ProcessResult>),
}

impl Api {
    /// Starts a process, or what is not running in a group (C-300).
    ///
    /// # Errors
    /// In the order of the checks: SHUTDOWN_STATE, BAD_NAME, NO_FILE and NOT_EXECUTABLE,
    /// ALREADY_STARTED, FAILED, SPAWN_ERROR, ABNORMAL_TERMINATION.
    pub async fn start(&self, name: Named, wait: bool) -> Result<Outcome, Fault> {
        self.gate()?;
        let scope = self.scope(&name)?;
        let refused = self.refused(&scope).await;
        self.act(&name, Request::Start { scope, wait, refused }).await
    }

    /// Starts what is not running in a group (C-301).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME.
    pub async fn start_group(&self, group: &str, wait: bool) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        let scope = self.group_scope(group)?;
        let refused = self.refused(&scope).await;
        self.act_on_many(Request::Start { scope, wait, refused }).await
    }

    /// Starts everything that is not running (C-301).
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn start_all(&self, wait: bool) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        let refused = self.refused(&Scope::All).await;
        self.act_on_many(Request::Start { scope: Scope::All, wait, refused }).await
    }

    /// Stops a process, or what runs in a group (C-303).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, NOT_RUNNING, FAILED.
    pub async fn stop(&self, name: Named, wait: bool) -> Result<Outcome, Fault> {
        self.gate()?;
        let scope = self.scope(&name)?;
        self.act(&name, Request::Stop { scope, wait }).await
    }

    /// Stops what runs in a group (C-304).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME.
    pub async fn stop_group(&self, group: &str, wait: bool) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        let scope = self.group_scope(group)?;
        // A group that is gone from the configuration is stopped to be removed, the first step of
        // an update by single calls.
        let is_configured = self.snapshot().configured.iter().any(|spec| &*spec.name == group);
        let _reloading = (wait && !is_configured).then(|| self.engine().reloading());
        self.act_on_many(Request::Stop { scope, wait }).await
    }

    /// Stops everything that runs (C-304).
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn stop_all(&self, wait: bool) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        self.act_on_many(Request::Stop { scope: Scope::All, wait }).await
    }

    /// Sends a signal, by name or number, to a process or to what runs in a group (C-305). In a
    /// group a bad signal is the result of each process, as upstream has it.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, BAD_SIGNAL, NOT_RUNNING, FAILED.
    pub async fn signal(&self, name: Named, signal: &str) -> Result<Outcome, Fault> {
        self.gate()?;
        let scope = self.scope(&name)?;
        match (&scope, parse_signal(signal)) {
            (_, Ok(signal)) => self.act(&name, Request::Signal { scope, signal }).await,
            (Scope::Process(_), Err(fault)) => Err(fault),
            (_, Err(fault)) => Ok(Outcome::Results(self.refuse_signal(&scope, &fault))),
        }
    }

    /// Sends a signal to what runs in a group (C-306).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME.
    pub async fn signal_group(
        &self,
        group: &str,
        signal: &str,
    ) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        let scope = self.group_scope(group)?;
        self.signal_many(scope, signal).await
    }

    /// Sends a signal to everything that runs (C-306).
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn signal_all(&self, signal: &str) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        self.signal_many(Scope::All, signal).await
    }

    /// Writes to the stdin of a process (C-317).
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_ARGUMENTS for too much at once, BAD_NAME, NOT_RUNNING, NO_FILE.
    pub async fn send_stdin(&self, name: Named, data: Vec<u8>) -> Result<(), Fault> {
        self.gate()?;
        bounds::at_most("data", data.len(), bounds::MAX_STDIN)?;
        match self.scope(&name)? {
            Scope::Process(process) => {
                self.act(&name, Request::Stdin { name: process, data }).await.map(drop)
            }
            _ => Err(bad_name(&name.text)),
        }
    }

    /// Writes to the stdin of what runs in a group, with a result for each.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_ARGUMENTS for too much at once, BAD_NAME.
    pub async fn send_group_stdin(
        &self,
        group: &str,
        data: &[u8],
    ) -> Result<Vec<ProcessResult>, Fault> {
        self.gate()?;
        bounds::at_most("data", data.len(), bounds::MAX_STDIN)?;
        let scope = self.group_scope(group)?;
        let mut results = Vec::new();
        for (name, process) in in_scope(&self.snapshot(), &scope) {
            if process.pid == 0 || process.state == ProcessState::Stopping {
                continue;
            }
            let request = Request::Stdin { name: name.clone(), data: data.to_owned() };
            let outcome = self.ask(request).await.map(drop);
            results.push(ProcessResult::new(name, outcome));
        }
        Ok(results)
    }

    /// Sends an event of the client's own (C-318); as upstream, also while the daemon stops
    /// (C-288).
    ///
    /// # Errors
    /// BAD_ARGUMENTS for too much at once; SHUTDOWN_STATE when the engine is gone.
    pub async fn send_remote_event(&self, kind: &str, data: &str) -> Result<(), Fault> {
        bounds::at_most("an event", kind.len() + data.len(), bounds::MAX_EVENT)?;
        let (kind, data) = (kind.to_owned(), data.to_owned());
        self.ask(Request::RemoteEvent { kind, data }).await.map(drop)
    }

    async fn signal_many(&self, scope: Scope, signal: &str) -> Result<Vec<ProcessResult>, Fault> {
        match parse_signal(signal) {
            Ok(signal) => self.act_on_many(Request::Signal { scope, signal }).await,
            Err(fault) => Ok(self.refuse_signal(&scope, &fault)),
        }
    }

    fn refuse_signal(&self, scope: &Scope, fault: &Fault) -> Vec<ProcessResult> {
        in_scope(&self.snapshot(), scope)
            .into_iter()
            .filter(|(_, process)| process.state.is_signallable())
            .map(|(name, _)| ProcessResult::new(name, Err(fault.clone())))
            .collect()
    }

    /// What a name stands for now.
    pub(super) fn scope(&self, name: &Named) -> Result<Scope, Fault> {
        let snapshot = self.snapshot();
        match &name.target {
            Target::Process(process) if snapshot.processes.contains_key(process) => {
                Ok(Scope::Process(process.clone()))
            }
            Target::Group(group) if snapshot.groups.contains_key(group) => {
                Ok(Scope::Group(group.clone()))
            }
            _ => Err(bad_name(&name.text)),
        }
    }

    /// A group by its name alone.
    pub(super) fn group_scope(&self, group: &str) -> Result<Scope, Fault> {
        self.group(group).map(|found| Scope::Group(found.spec.name.clone()))
    }

    /// The processes that a start would try, and whose commands cannot be executed.
    pub(super) async fn refused(&self, scope: &Scope) -> BTreeMap<ProcessName, Fault> {
        let mut tried = in_scope(&self.snapshot(), scope);
        if !matches!(scope, Scope::Process(_)) {
            tried.retain(|(_, process)| !process.state.is_running());
        }
        // Closed only with the api itself; without a permit nothing worse happens than a thread
        // more.
        let _permit = self.inner.resolving.acquire().await;
        let resolve = self.inner.parts.resolve.clone();
        let found = spawn_blocking(move || {
            tried
                .into_iter()
                .filter_map(|(name, process)| Some((name, resolve(&process.spec).err()?)))
                .collect()
        });
        // A panic while looking refuses nobody: the spawn itself will tell.
        found.await.unwrap_or_default()
    }

    /// Asks the engine, and tells faults about the name as the client wrote it.
    pub(super) async fn act(&self, name: &Named, request: Request) -> Result<Outcome, Fault> {
        match self.ask(request).await {
            Ok(Reply::Results(results)) => Ok(Outcome::Results(results)),
            Ok(_) => Ok(Outcome::Done),
            Err(mut fault) => {
                if let Target::Process(process) = &name.target
                    && fault.detail == process.to_string()
                {
                    fault.detail.clone_from(&name.text);
                }
                Err(fault)
            }
        }
    }

    async fn act_on_many(&self, request: Request) -> Result<Vec<ProcessResult>, Fault> {
        match self.ask(request).await? {
            Reply::Results(results) => Ok(results),
            Reply::Done | Reply::Changes(_) => Ok(Vec::new()),
        }
    }
}

/// The processes of a scope, in the order in which something is done to many.
pub(super) fn in_scope(
    snapshot: &Snapshot,
    scope: &Scope,
) -> Vec<(ProcessName, Arc<ProcessSnapshot>)> {
    match scope {
        Scope::Process(name) => {
            snapshot.processes.get(name).map(|p| (name.clone(), p.clone())).into_iter().collect()
        }
        Scope::Group(group) => {
            let mut members: Vec<_> =
                snapshot.members(group).map(|p| (p.spec.name.clone(), p.clone())).collect();
            members.sort_by_key(|(_, process)| process.spec.priority);
            members
        }
        Scope::All => super::by_priority(snapshot),
    }
}

fn parse_signal(text: &str) -> Result<Signal, Fault> {
    Signal::parse(text).map_err(|_| Fault::new(FaultKind::BadSignal, bounds::shortened(text)))
}
