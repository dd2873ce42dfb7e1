//! Makes children on a thread of its own. A spawn suspends the thread that asks for it until the
//! child has called `execve`, and a slow disk makes that long: the engine does not wait for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc as async_mpsc, oneshot};

use super::cgroups::{Cgroups, Place};
use super::channels::{Channels, OpenFiles};
use super::command::{self, Inheritance};
use super::fcgi::Sockets;
use super::handover::{Baggage, SocketOf, SpawnerLeft};
use super::keep::{Keep, Kept, Name};
use super::logs::{LogHandle, create_auto_log};
use crate::core::action::{Generation, Run};
use crate::core::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::snapshot::{Channel, LogPaths};
use crate::model::spawn::SpawnError;
use crate::model::spec::{KillMode, LogFile, ProcessKind, ProcessSpec};
use crate::sys::cgroup::Tree;
use crate::sys::leftovers::{Family, Leftovers};
use crate::sys::spawn::{Files, Spawned, Stdio};

/// What all spawns have in common.
#[derive(Debug)]
pub struct SpawnContext {
    /// The environment and limits that children start from.
    pub inheritance: Arc<Inheritance>,
    /// Remove ANSI escapes from child logs.
    pub strip_ansi: bool,
    /// Where failures are logged that have no process to show them.
    pub log: LogHandle,
    /// Where programs have cgroups of their own, if anywhere.
    pub cgroups: Option<Arc<Tree>>,
    /// What keeps descriptors for the next daemon.
    pub keep: Keep,
}

/// What the thread does, in the order in which it is asked: everything here may wait for a disk.
enum Job {
    CreateLogs(Arc<ProcessSpec>, Arc<LogPaths>),
    /// Open the socket of a FastCGI program, and close it.
    TrySocket(Arc<ProcessSpec>),
    Spawn(SpawnJob),
    /// A program is gone: remove its cgroup, and close its socket if nobody has it any more.
    Ended {
        key: ProcKey,
        generation: Generation,
        name: ProcessName,
    },
    /// Look which cgroups of programs that are gone became empty.
    Look,
    /// Give everything away, and end.
    HandOver(Baggage, oneshot::Sender<(SpawnerLeft, Baggage)>),
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
    /// AUTO logs were created, or a socket was tried.
    Prepared,
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
    /// Where what the child leaves behind is to be looked for; none when that is left alone.
    pub leftovers: Option<Leftovers>,
    /// The socket that it has, if it is a FastCGI program.
    pub socket: Option<SocketOf>,
    /// What keeps its descriptors for the next daemon.
    pub kept: KeptFiles,
    /// The child and its open logs, or why there is none.
    pub outcome: Result<(Spawned, OpenFiles), SpawnError>,
}

/// What keeps the descriptors of a run for the next daemon.
#[derive(Debug, Default)]
pub struct KeptFiles {
    /// The child itself.
    pub process: Option<Kept>,
    /// Its stdin.
    pub stdin: Option<Kept>,
    /// Its stdout.
    pub stdout: Option<Kept>,
    /// Its stderr.
    pub stderr: Option<Kept>,
    /// The socket that it has.
    pub socket: Option<Kept>,
}

impl KeptFiles {
    /// Keeps the pipes of a child before it is made: it may write at once.
    fn of_pipes(keep: &Keep, run: Run, files: &Files) -> Self {
        let [stdin, stdout, stderr] = files.ours();
        let put = |name, pipe: Option<BorrowedFd<'_>>| keep.put(name, pipe?);
        Self {
            stdin: put(Name::Stdin(run), stdin),
            stdout: put(Name::Output(run, Channel::Stdout), stdout),
            stderr: put(Name::Output(run, Channel::Stderr), stderr),
            ..Self::default()
        }
    }
}

/// Hands spawns to the thread, and counts those that are under way.
#[derive(Debug)]
pub struct Spawner {
    jobs: mpsc::Sender<Job>,
    in_flight: usize,
    /// Whether there is anything to do for a program that is gone.
    has_cgroups: bool,
    /// The same of FastCGI programs.
    has_sockets: bool,
    /// Hangs up when the thread is done.
    done: mpsc::Receiver<()>,
}

impl Spawner {
    /// Starts the thread, which goes on with what another one left.
    ///
    /// # Errors
    /// When it cannot be made, or something of what was left is missing.
    pub fn start(
        context: SpawnContext,
        left: Option<(SpawnerLeft, &mut Baggage)>,
    ) -> io::Result<(Self, async_mpsc::UnboundedReceiver<News>)> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (reports, news) = async_mpsc::unbounded_channel();
        let (done_in, done) = mpsc::channel();
        let has_cgroups = context.cgroups.is_some();
        let mut cgroups = Cgroups::new(context.cgroups.clone(), context.log.clone());
        let mut sockets = Sockets::new(context.log.clone());
        if let Some((left, baggage)) = left {
            sockets.adopt(left.sockets, baggage)?;
            left.cgroups.into_iter().for_each(|name| cgroups.ended(name));
        }
        let has_sockets = !sockets.is_empty();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            let _done = done_in;
            while let Some(job) = next(&queue, &mut cgroups) {
                let news = match job {
                    Job::CreateLogs(spec, logs) => {
                        create_logs(&spec, &logs, &context.log);
                        News::Prepared
                    }
                    Job::TrySocket(spec) => {
                        sockets.try_out(&spec);
                        News::Prepared
                    }
                    Job::Spawn(job) => {
                        News::Spawn(Box::new(job.carry_out(&context, &mut cgroups, &mut sockets)))
                    }
                    Job::Ended { key, generation, name } => {
                        sockets.release(key, generation);
                        cgroups.ended(name);
                        continue;
                    }
                    Job::Look => {
                        cgroups.look();
                        continue;
                    }
                    Job::HandOver(mut baggage, reply) => {
                        let left = SpawnerLeft {
                            sockets: sockets.hand_over(&mut baggage),
                            cgroups: cgroups.hand_over(),
                        };
                        let _ = reply.send((left, baggage)); // then the daemon ends
                        return;
                    }
                };
                let _ = reports.send(news); // the engine may have ended
            }
            cgroups.look();
        })?;
        Ok((Self { jobs, in_flight: 0, has_cgroups, has_sockets, done }, news))
    }

    /// Asks for a child.
    pub fn submit(
        &mut self,
        key: ProcKey,
        generation: Generation,
        spec: Arc<ProcessSpec>,
        logs: Arc<LogPaths>,
    ) {
        self.has_sockets |= matches!(spec.kind, ProcessKind::FastCgi(_));
        self.push(Job::Spawn(SpawnJob { key, generation, spec, logs }));
    }

    /// Creates the AUTO logs of a process that became active (C-136).
    pub fn create_logs(&mut self, spec: Arc<ProcessSpec>, logs: Arc<LogPaths>) {
        if spec.stdout.file == LogFile::Auto || spec.stderr.file == LogFile::Auto {
            self.push(Job::CreateLogs(spec, logs));
        }
    }

    /// Looks whether the socket of a FastCGI program can be opened (C-399).
    pub fn try_socket(&mut self, spec: Arc<ProcessSpec>) {
        self.push(Job::TrySocket(spec));
    }

    /// A program is gone: its cgroup goes, too, and its socket if it was the last that had it.
    /// Nothing is reported.
    pub fn ended(&self, key: ProcKey, generation: Generation, name: ProcessName) {
        if self.has_cgroups || self.has_sockets {
            let _ = self.jobs.send(Job::Ended { key, generation, name }); // as in `push`
        }
    }

    /// Something was removed from the configuration; what it left may be gone now.
    pub fn look(&self) {
        if self.has_cgroups {
            let _ = self.jobs.send(Job::Look); // as in `push`
        }
    }

    /// Lets the thread do what it was asked for, put everything into the baggage, and end.
    pub async fn hand_over(&self, baggage: Baggage) -> (SpawnerLeft, Baggage) {
        let (reply, left) = oneshot::channel();
        match self.jobs.send(Job::HandOver(baggage, reply)) {
            // What it has taken with it when it ends will be missed by whoever comes next.
            Ok(()) => left.await.unwrap_or_default(),
            Err(mpsc::SendError(Job::HandOver(baggage, _))) => (SpawnerLeft::default(), baggage),
            Err(_) => Default::default(),
        }
    }

    /// Lets the thread do what it was asked for, and end; waits so long for that.
    pub fn finish(self, patience: Duration) {
        let Self { jobs, done, .. } = self;
        drop(jobs);
        // It hangs up, or a disk hangs: then nothing more is to be had from it.
        let _ = done.recv_timeout(patience);
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
    fn carry_out(
        self,
        context: &SpawnContext,
        cgroups: &mut Cgroups,
        sockets: &mut Sockets,
    ) -> SpawnNews {
        let Self { key, generation, spec, logs } = self;
        let channels = Channels::new(&spec, &logs, context.strip_ansi);
        let run = Run { key, generation };
        let mut kept = KeptFiles::default();
        let socket = sockets.share(&spec, key, generation);
        let of = socket.as_ref().ok().and_then(|socket| Some(socket.as_ref()?.of.clone()));
        let outcome = socket.and_then(|socket| {
            let job = ChildJob { spec: &spec, channels: &channels, run, context };
            job.make(socket.map(|socket| socket.fd), &mut kept, cgroups)
        });
        if outcome.is_err() {
            sockets.release(key, generation);
        }
        let own = || Some(context.cgroups.as_ref()?.dir_of(&spec.name));
        let leftovers = match &outcome {
            _ if spec.killmode == KillMode::Process => None,
            Ok((child, _, false)) => Some(Leftovers::Family(Family::new(child.pid))),
            _ => own().map(Leftovers::Cgroup),
        };
        let outcome = outcome.map(|(child, files, _)| (child, files));
        SpawnNews { key, generation, channels, leftovers, socket: of, kept, outcome }
    }
}

/// A child that is to be made.
struct ChildJob<'a> {
    spec: &'a ProcessSpec,
    channels: &'a Channels,
    run: Run,
    context: &'a SpawnContext,
}

impl ChildJob<'_> {
    /// The child, its open logs, and whether it is in a cgroup of its own.
    fn make(
        self,
        socket: Option<Arc<OwnedFd>>,
        kept: &mut KeptFiles,
        cgroups: &mut Cgroups,
    ) -> Result<(Spawned, OpenFiles, bool), SpawnError> {
        let Self { spec, channels, run, context } = self;
        let mut resolved = command::resolve(spec, &context.inheritance)?;
        let files = channels.open()?;
        resolved.plan.cgroup = match cgroups.make(spec) {
            Place::Own(dir) => Some(Arc::new(dir)),
            Place::Shared => None,
            Place::Occupied => return Err(SpawnError::Occupied),
        };
        // From here on it runs, or this spawn is over: names are not used twice.
        let kept_socket = socket.as_ref().map(|fd| context.keep.put(Name::Socket(run), fd.as_fd()));
        if let Some(socket) = socket {
            resolved.plan.stdin = Stdio::Fd(socket);
        }
        let pipes = resolved.open_files()?;
        *kept = KeptFiles::of_pipes(&context.keep, run, &pipes);
        kept.socket = kept_socket.flatten();
        let mut started = resolved.start_with(pipes);
        if let Err((SpawnError::Cgroup { errno }, pipes)) = started {
            cgroups.failed(&spec.name, Some(io::Error::from_raw_os_error(errno.0)));
            resolved.plan.cgroup = None;
            started = resolved.start_with(pipes);
        } else if started.is_err() {
            cgroups.failed(&spec.name, None);
        }
        let child = started.map_err(|(error, _)| error)?;
        let pidfd = child.pidfd.as_ref();
        kept.process = pidfd.and_then(|pidfd| context.keep.put(Name::Process(run), pidfd.as_fd()));
        if context.keep.is_full_for_the_first_time() {
            let text = "the service manager keeps no more descriptors (FileDescriptorStoreMax=): \
                        what programs write while supervisord is down may be lost";
            context.log.record(Record::about(Level::Warn, &spec.name, text));
        }
        Ok((child, files, resolved.plan.cgroup.is_some()))
    }
}

/// The next job; none when there will be no more. Meanwhile cgroups are looked after.
fn next(queue: &mpsc::Receiver<Job>, cgroups: &mut Cgroups) -> Option<Job> {
    loop {
        match cgroups.patience() {
            None => return queue.recv().ok(),
            Some(patience) => match queue.recv_timeout(patience) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => cgroups.look(),
            },
        }
    }
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
