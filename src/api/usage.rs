//! What programs use of the machine.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Api;
use crate::model::snapshot::ProcessSnapshot;
use crate::sys::cgroup::file_name;
use crate::sys::tree;
pub use crate::sys::tree::Member;
pub use crate::sys::usage::Usage;

/// How long the kernel may take to tell of the processes of a program.
const PATIENCE: Duration = Duration::from_secs(3);

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

impl Api {
    /// The processes that make a program now, its main process first, and whether there are more
    /// than are told; none while it does not run. What takes too long is left out.
    pub async fn members(&self, process: &ProcessSnapshot) -> (Vec<Member>, bool) {
        if process.pid <= 0 {
            return (Vec::new(), false);
        }
        // Held until the looking has ended: what hangs in the kernel takes few threads.
        let permit = Arc::clone(&self.inner.looking).acquire_owned();
        let (pid, name) = (process.pid, file_name(&process.spec.name));
        let looking = async move {
            let permit = permit.await;
            let looked = spawn_blocking(move || {
                let _permit = permit;
                tree::of(pid, &name)
            });
            looked.await.unwrap_or_default()
        };
        timeout(PATIENCE, looking).await.unwrap_or((Vec::new(), true))
    }
}

fn usage(process: &ProcessSnapshot) -> Usage {
    if process.pid <= 0 {
        return Usage::default();
    }
    crate::sys::usage::of(process.pid, &file_name(&process.spec.name))
}
