//! What programs use of the machine.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::Api;
use crate::model::snapshot::ProcessSnapshot;
use crate::sys::cgroup::file_name;
pub use crate::sys::usage::Usage;

impl Api {
    /// What these processes use now, in their order; of those that do not run nothing is known.
    pub async fn usage(&self, processes: Vec<Arc<ProcessSnapshot>>) -> Vec<Usage> {
        let count = processes.len();
        // Closed only with the api itself.
        let _permit = self.inner.measuring.acquire().await;
        let measured =
            spawn_blocking(move || processes.iter().map(|process| usage(process)).collect());
        // A panic while looking: nothing is known.
        measured.await.unwrap_or_else(|_| vec![Usage::default(); count])
    }
}

fn usage(process: &ProcessSnapshot) -> Usage {
    if process.pid <= 0 {
        return Usage::default();
    }
    crate::sys::usage::of(process.pid, &file_name(&process.spec.name))
}
