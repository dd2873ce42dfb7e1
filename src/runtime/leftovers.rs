//! Looks after what programs leave behind, on a thread of its own: the kernel may take its time
//! to kill many processes, and neither the engine nor a start waits for that.
//!
//! Each process has one task at most. It looks, says once what is left and once that nothing is,
//! and does meanwhile what the core decided: nothing, SIGTERM or SIGKILL. It is woken by the
//! kernel; only what is to end is also looked at again by the clock.

use std::collections::{HashMap, HashSet};
use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::core::action::{self, Generation, Input, Sweep};
use crate::core::key::ProcKey;
use crate::sys::leftovers::{Alarm, Leftovers, describe};
use crate::sys::watch::watch;

/// When what is to end is looked at again although nothing was heard: the kernel tells it up to
/// some milliseconds late. After the last one it goes on with that.
const LOOKS: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(500),
];

/// The least time between looks at what nobody waits for, however it changes.
const PACE: Duration = Duration::from_millis(100);

/// Looks by the clock at what does not die of SIGKILL before nothing more is done about it: a minute.
const MOST_KILLS: usize = 120;

/// Ended tasks are forgotten when there are more than so many.
const FEW_TASKS: usize = 64;

/// The way to the thread.
#[derive(Debug)]
pub struct Sweeper {
    jobs: mpsc::UnboundedSender<Job>,
    /// Handed over at the end of a turn: what ended is reaped by then.
    pending: Vec<Job>,
}

#[derive(Debug)]
struct Job {
    key: ProcKey,
    /// None ends what is under way.
    work: Option<(Generation, Leftovers, Sweep)>,
}

impl Sweeper {
    /// Starts the thread; its reports are inputs for the core.
    ///
    /// # Errors
    /// When it, or its event loop, cannot be made.
    pub fn start() -> io::Result<(Self, mpsc::UnboundedReceiver<Input>)> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (reports, news) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("leftovers".to_owned())
            .spawn(move || runtime.block_on(work(queue, reports)))?;
        Ok((Self { jobs, pending: Vec::new() }, news))
    }

    /// Looks after these leftovers of a process, instead of what was done before.
    pub fn sweep(
        &mut self,
        key: ProcKey,
        generation: Generation,
        leftovers: Leftovers,
        sweep: Sweep,
    ) {
        self.pending.push(Job { key, work: Some((generation, leftovers, sweep)) });
    }

    /// Nothing is to be done any more for a process that is started.
    pub fn stop(&mut self, key: ProcKey) {
        self.pending.push(Job { key, work: None });
    }

    /// Hands over what was asked for in this turn.
    pub fn flush(&mut self) {
        for job in self.pending.drain(..) {
            let _ = self.jobs.send(job); // the thread ends only after this
        }
    }
}

/// Until the engine has ended: then the tasks end with the event loop.
async fn work(mut queue: mpsc::UnboundedReceiver<Job>, reports: mpsc::UnboundedSender<Input>) {
    let mut tasks: HashMap<ProcKey, AbortHandle> = HashMap::new();
    let mut most = FEW_TASKS;
    while let Some(Job { key, work }) = queue.recv().await {
        if let Some(task) = tasks.remove(&key) {
            task.abort();
        }
        if let Some((generation, leftovers, sweep)) = work {
            let reports = reports.clone();
            let report = move |left| {
                let _ = reports.send(Input::Swept { key, generation, left }); // it may have ended
            };
            tasks.insert(key, tokio::spawn(attend(leftovers, sweep, report)).abort_handle());
            if tasks.len() >= most {
                tasks.retain(|_, task| !task.is_finished());
                most = FEW_TASKS.max(2 * tasks.len());
            }
        }
    }
}

async fn attend(mut leftovers: Leftovers, sweep: Sweep, report: impl Fn(action::Leftovers)) {
    let mut reported = false;
    let mut told = HashSet::new();
    let mut looks = 0;
    let mut paced = false;
    while looks < MOST_KILLS {
        // One that fails is as good as one that finds them all there still.
        let mut alarm = None;
        if let Ok(look) = leftovers.look() {
            if look.gone {
                report(action::Leftovers::default());
                return;
            }
            if !look.pids.is_empty() && !reported {
                reported = true;
                let count = u32::try_from(look.pids.len()).unwrap_or(u32::MAX);
                report(action::Leftovers { count, text: describe(&look.pids) });
            }
            match sweep {
                Sweep::Watch => {}
                Sweep::Terminate => leftovers.terminate(&look.pids, &mut told),
                // What cannot be killed now is tried again, and told of in the end.
                Sweep::Kill => leftovers.kill().unwrap_or_default(),
            }
            alarm = look.alarm;
        }
        let by_clock = match sweep {
            // Unless it cannot be heard of: then nobody knows more until it is asked for again.
            Sweep::Watch if reported => None,
            _ => Some(LOOKS[looks.min(LOOKS.len() - 1)]),
        };
        match (alarm, by_clock) {
            (Some(alarm), None) => {
                if paced {
                    sleep(PACE).await;
                }
                paced = true;
                ring(alarm).await;
            }
            (Some(alarm), Some(wait)) => tokio::select! {
                () = ring(alarm) => {}
                () = sleep(wait) => looks += 1,
            },
            (None, Some(wait)) => {
                sleep(wait).await;
                looks += 1;
            }
            (None, None) => return,
        }
    }
}

/// Waits until it is worth looking again; where that cannot be heard of, for ever.
async fn ring(alarm: Alarm) {
    let Alarm { fd, interest, pidfds: _pidfds } = alarm;
    let heard = match watch(fd, interest) {
        Ok(fd) => fd.ready(interest).await.is_ok(),
        Err(_) => false,
    };
    if !heard {
        std::future::pending::<()>().await;
    }
}
