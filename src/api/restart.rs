//! Stop, then start. Without waiting, the start is queued behind the stop (C-425).

use std::collections::BTreeMap;

use super::{Api, Named};
use crate::core::request::{ProcessResult, Request};
use crate::model::fault::{Fault, FaultKind};

impl Api {
    /// Stops a process if it runs, then starts it. A process whose command cannot be executed is
    /// left as it is.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME, NO_FILE, NOT_EXECUTABLE, ALREADY_STARTED (by somebody else
    /// meanwhile), FAILED, SPAWN_ERROR, ABNORMAL_TERMINATION.
    pub async fn restart_process(&self, name: Named, wait: bool) -> Result<(), Fault> {
        self.gate()?;
        let scope = self.scope(&name)?;
        if let Some((_, fault)) = self.refused(&scope).await.pop_first() {
            return Err(fault);
        }
        match self.act(&name, Request::Stop { scope: scope.clone(), wait }).await {
            Ok(_) | Err(Fault { kind: FaultKind::NotRunning, .. }) => {}
            Err(fault) => return Err(fault),
        }
        let start = Request::Start { scope, wait, refused: BTreeMap::new() };
        self.act(&name, start).await.map(drop)
    }

    /// Stops what runs in a group, then starts all of it: what became of the starts.
    ///
    /// # Errors
    /// SHUTDOWN_STATE, BAD_NAME.
    pub async fn restart_group(
        &self,
        group: &str,
        wait: bool,
    ) -> Result<Vec<ProcessResult>, Fault> {
        self.stop_group(group, wait).await?;
        self.start_group(group, wait).await
    }

    /// Stops everything that runs, then starts everything: what became of the starts.
    ///
    /// # Errors
    /// SHUTDOWN_STATE.
    pub async fn restart_all(&self, wait: bool) -> Result<Vec<ProcessResult>, Fault> {
        self.stop_all(wait).await?;
        self.start_all(wait).await
    }
}
