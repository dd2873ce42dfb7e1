//! Makes children on a thread of its own. A spawn suspends the thread that asks for it until the
//! child has called `execve`, and a slow disk makes that long: the engine does not wait for it.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::sync::mpsc as async_mpsc;

use super::channels::{Channels, OpenFiles};
use super::command::{self, Inheritance};
use super::logs::{LogHandle, create_auto_log};
use crate::core::action::Generation;
use crate::core::key::ProcKey;
use crate::model::record::{Level, Record};
use crate::model::snapshot::{Channel, LogPaths};
use crate::model::spawn::SpawnError;
use crate::model::spec::{LogFile, ProcessSpec};
use crate::sys::spawn::Spawned;

/// What all spawns have in common.
#[derive(Debug)]
pub struct SpawnContext {
    /// The environment and limits that children start from.
    pub inheritance: Arc<Inheritance>,
    /// Remove ANSI escapes from child logs.
    pub strip_ansi: bool,
    /// Where failures are logged that have no process to show them.
    pub log: LogHandle,
}

/// What the thread does, in the order in which it is asked: everything here may wait for a disk.
enum Job {
    CreateLogs(Arc<ProcessSpec>, Arc<LogPaths>),
    Spawn(SpawnJob),
}

struct SpawnJob {
    key: ProcKey,
    generation: Generation,
    spec: Arc<ProcessSpec>,
    logs: Arc<LogPaths>,
}

/// What the thread reports, once for each thing that it was asked.
#[derive(Debug)]
pub enum News {
    /// AUTO logs were created.
    LogsCreated,
    /// A spawn is done.
    Spawn(Box<SpawnNews>),
}

/// What became of a spawn.
#[derive(Debug)]
pub struct SpawnNews {
    /// For which process.
    pub key: ProcKey,
    /// Which spawn.
    pub generation: Generation,
    /// Where the child's output goes.
    pub channels: Channels,
    /// The child and its open logs, or why there is none.
    pub outcome: Result<(Spawned, OpenFiles), SpawnError>,
}

/// Hands spawns to the thread, and counts those that are under way.
#[derive(Debug)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
    in_flight: usize,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn start(context: SpawnContext) -> io::Result<(Self, async_mpsc::UnboundedReceiver<News>)> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (reports, news) = async_mpsc::unbounded_channel();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for job in queue {
                let news = match job {
                    Job::CreateLogs(spec, logs) => {
                        create_logs(&spec, &logs, &context.log);
                        News::LogsCreated
                    }
                    Job::Spawn(job) => News::Spawn(Box::new(job.carry_out(&context))),
                };
                if reports.send(news).is_err() {
                    return; // the engine ended
                }
            }
        })?;
        Ok((Self { jobs, in_flight: 0 }, news))
    }

    /// Asks for a child.
    pub fn submit(
        &mut self,
        key: ProcKey,
        generation: Generation,
        spec: Arc<ProcessSpec>,
        logs: Arc<LogPaths>,
    ) {
        self.push(Job::Spawn(SpawnJob { key, generation, spec, logs }));
    }

    /// Creates the AUTO logs of a process that became active (C-136).
    pub fn create_logs(&mut self, spec: Arc<ProcessSpec>, logs: Arc<LogPaths>) {
        if spec.stdout.file == LogFile::Auto || spec.stderr.file == LogFile::Auto {
            self.push(Job::CreateLogs(spec, logs));
        }
    }

    fn push(&mut self, job: Job) {
        self.in_flight += 1;
        // The thread ends only after this sender is dropped.
        let _ = self.jobs.send(job);
    }

    /// How many things were asked for and not reported yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// A report was taken in.
    pub fn settled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

impl SpawnJob {
    fn carry_out(self, context: &SpawnContext) -> SpawnNews {
        let Self { key, generation, spec, logs } = self;
        let channels = Channels::new(&spec, &logs, context.strip_ansi);
        let outcome = make_child(&spec, &channels, context);
        SpawnNews { key, generation, channels, outcome }
    }
}

fn make_child(
    spec: &ProcessSpec,
    channels: &Channels,
    context: &SpawnContext,
) -> Result<(Spawned, OpenFiles), SpawnError> {
    let resolved = command::resolve(spec, &context.inheritance)?;
    let files = channels.open()?;
    Ok((resolved.start()?, files))
}

/// A failure is only logged here; it fails the start of the process, too.
fn create_logs(spec: &ProcessSpec, logs: &LogPaths, log: &LogHandle) {
    for (plan, channel) in [(&spec.stdout, Channel::Stdout), (&spec.stderr, Channel::Stderr)] {
        if plan.file == LogFile::Auto
            && let Some(path) = logs.of(channel)
            && let Err(error) = create_auto_log(path)
        {
            let text = format!("could not create log file {}: {error}", path.display());
            log.record(Record::about(Level::Error, &spec.name, text));
        }
    }
}
