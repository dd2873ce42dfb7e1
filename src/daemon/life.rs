//! One incarnation of the daemon after the other, until a shutdown: restarts and hot upgrades come in
//! between.

use std::path::Path;
use std::sync::Arc;

use nix::sys::resource::rlim_t;

use super::error::{StartError, refused, usage};
use super::incarnation::{self, Parts};
use super::recovery::{self, Watch};
use super::sockets::{exposure, move_bus, move_servers, remove_bus};
use super::upgrade::Daemon;
use crate::api::Upgrades;
use crate::config::settings::{MainLog, Settings};
use crate::config::{self, Overrides};
use crate::core::action::ExitKind;
use crate::core::supervisor::Serials;
use crate::http::listen::{self, Listeners};
use crate::http::sessions::Sessions;
use crate::model::message::{Field, Kind};
use crate::model::record::{Level, Record};
use crate::runtime::cgroups;
use crate::runtime::checkpoint::Memories;
use crate::runtime::command::Inheritance;
use crate::runtime::driver::{Loader, Outcome};
use crate::runtime::handover::{Baggage, EngineLeft};
use crate::runtime::keep::Name;
use crate::runtime::logs::{self, LogHandle, LogPlane, Surroundings};
use crate::sys::cgroup::Tree;
use crate::sys::daemonize::{self, Ready};
use crate::sys::pidfile::{self, PidFile, PidFileError};
use crate::sys::socket::Listener;
use crate::sys::{clock, signals, subreaper, user};
use crate::systemd::journal;
use crate::systemd::link::Link;
use crate::systemd::notify::Manager;

/// What an incarnation goes on with instead of a start.
pub(super) struct Resumed {
    pub(super) engine: EngineLeft,
    pub(super) baggage: Baggage,
    /// The daemon before was killed: this is another process, with another pid file.
    pub(super) killed: bool,
    pub(super) pidfile: Option<PidFile>,
    pub(super) upgrades: Upgrades,
    /// What was kept and is of no use.
    pub(super) forgotten: Vec<Name>,
}

/// What was made ready before the daemon went to the background.
pub(super) struct Prepared {
    pub(super) overrides: Overrides,
    pub(super) records: Vec<Record>,
    /// The limit of open files before the daemon raised its own.
    pub(super) nofile: Option<(rlim_t, rlim_t)>,
    pub(super) bus: Option<Listener>,
    /// Where programs have cgroups of their own, if anywhere.
    pub(super) cgroups: Option<Arc<Tree>>,
    /// The sockets of the HTTP servers, and those that the service manager opened for them. They
    /// stay open through restarts.
    pub(super) servers: Listeners,
    /// Who is logged in there. They survive restarts and upgrades: whoever asks for one on the web
    /// page wants to go on there.
    pub(super) sessions: Sessions,
    /// The service manager.
    pub(super) manager: Manager,
    /// Where an earlier program wrote its state down.
    pub(super) memories: Option<Memories>,
}

impl Prepared {
    pub(super) fn go_to_work(
        mut self,
        settings: Settings,
        lost: Option<String>,
    ) -> Result<(), StartError> {
        let daemon = &settings.daemon;
        // Before the daemon becomes a user who may not move it.
        let mut place = Vec::new();
        self.cgroups = cgroups::settle(daemon.user.as_ref(), &mut place);
        if let Some(why) = lost {
            let text = format!(
                "the daemon before was killed, and its programs are ended and started anew: {why}"
            );
            self.records.push(Record::new(Level::Warn, text));
            recovery::forget(self.cgroups.as_deref()).map_err(StartError::Failed)?;
        }
        let note = user::drop_privileges(daemon.user.as_ref()).map_err(|error| usage(&error))?;
        self.records.extend(note);
        self.records.extend(exposure(&settings));
        // Behind the lines that upstream begins with, too.
        self.records.extend(place);
        check_main_log(&settings)?;
        let mut ready = None;
        if !daemon.nodaemon {
            let line = "daemonizing the supervisord process";
            self.records.push(Record::new(Level::Info, line));
            let daemonized = daemonize::daemonize(daemon.directory.as_deref(), daemon.umask)
                .map_err(|error| StartError::Failed(error.to_string()))?;
            self.records.extend(daemonized.note);
            ready = Some(daemonized.ready);
        }
        let mut bus = self.bus.take();
        let outcome = self.live(settings, &mut bus, ready, None);
        remove_bus(bus);
        outcome
    }

    /// One incarnation after the other, until a shutdown.
    pub(super) fn live(
        self,
        mut settings: Settings,
        bus: &mut Option<Listener>,
        mut ready: Option<Ready>,
        mut resumed: Option<Resumed>,
    ) -> Result<(), StartError> {
        let Self {
            overrides,
            mut records,
            nofile,
            cgroups,
            mut servers,
            sessions,
            manager,
            memories,
            ..
        } = self;
        // They are for the engine alone, which unblocks them in its own thread.
        let _blocked = signals::block_all();
        // What is installed there at an upgrade is what goes on.
        let program = std::env::current_exe().ok();
        signals::ignore_sigpipe()
            .map_err(|errno| refused(&errno.into(), "could not ignore SIGPIPE"))?;
        if let Err(errno) = subreaper::adopt_orphans() {
            let text = format!("orphans of programs go to init, not to supervisord: {errno}");
            records.push(Record::new(Level::Debug, text));
        }
        let inheritance = Arc::new(Inheritance::new(std::env::vars_os(), nofile));
        let command_line = overrides.clone();
        let loader: Loader = Arc::new(move || {
            config::load(&command_line, &super::host()).map_err(|errors| errors.to_string())
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| refused(&error, "could not start an event loop"))?;

        let mut watch = match &cgroups {
            // A child that nobody knows of is found there.
            Some(_) => Watch::start(&manager, memories)
                .map_err(|error| refused(&error, "could not keep the state"))?,
            None => None,
        };
        let keep = watch.as_ref().map(|watch| watch.keep().clone()).unwrap_or_default();
        let mut restarted = false;
        let mut serials = Serials::default();
        let mut upgrades_so_far = Upgrades::default();
        loop {
            let around = Surroundings { careful: keep.is_on(), ..Surroundings::default() };
            let (plane, tapped) =
                LogPlane::start_in(&incarnation::main_log_plan(&settings), around)
                    .map_err(|error| refused(&error, "could not start the log"))?;
            let log = plane.handle();
            let mut first = false;
            let (left, held, mut upgrades) = if let Some(resumed) = resumed.take() {
                for note in std::mem::take(&mut records) {
                    log.record(note);
                }
                let Resumed { engine, baggage, killed, mut pidfile, upgrades, forgotten } = resumed;
                for name in forgotten {
                    keep.remove(name);
                }
                first = killed;
                if killed {
                    pidfile = write_pid_file(&settings.daemon.pidfile, &log)?;
                }
                (Some((engine, baggage)), pidfile, upgrades)
            } else {
                announce(&settings, std::mem::take(&mut records), &log);
                let held = write_pid_file(&settings.daemon.pidfile, &log)?;
                (None, held, std::mem::take(&mut upgrades_so_far))
            };
            let checkpoint = match &mut watch {
                None => None,
                Some(watch) => {
                    let daemon = recovery::Daemon {
                        overrides: &overrides,
                        settings: &settings,
                        bus: bus.as_ref(),
                        servers: &servers,
                        sessions: &sessions,
                        upgrades: upgrades.done,
                    };
                    let begun = watch.begin(&daemon);
                    Some(begun.map_err(|error| refused(&error, "could not keep the state"))?)
                }
            };
            let again = restarted || (left.is_some() && !first);
            let parts = Parts {
                plane,
                tapped,
                inheritance: Arc::clone(&inheritance),
                cgroups: cgroups.clone(),
                bus: bus.as_ref().map(Listener::socket),
                servers: &servers,
                sessions: sessions.clone(),
                loader: Arc::clone(&loader),
                restart_loader: restart_loader(&loader, &settings.daemon.pidfile, &servers),
                ready: ready.take(),
                link: Link::new(&manager, again, clock::now().mono),
                serials,
                keep: keep.clone(),
                checkpoint,
                left,
                upgrades: upgrades.clone(),
            };
            restarted = true;
            let previous = settings.clone();
            let outcome =
                runtime.block_on(incarnation::live(settings, parts)).map_err(StartError::Failed)?;
            let (kind, next) = match outcome {
                Outcome::Ended { kind, next, serials: so_far } => {
                    serials = so_far;
                    (kind, next)
                }
                Outcome::HandedOver(engine, baggage) => {
                    settings = previous;
                    let daemon = Daemon {
                        overrides: &overrides,
                        settings: &settings,
                        nofile,
                        cgroups: cgroups.as_deref(),
                        manager: &manager,
                        bus: bus.as_ref(),
                        pidfile: held.as_ref(),
                        servers: &servers,
                        sessions: &sessions,
                        upgrades: upgrades.done,
                        memories: watch.as_ref().map(Watch::memories),
                    };
                    let (error, engine, baggage) =
                        daemon.replace(program.as_deref(), *engine, baggage);
                    records.push(Record::new(Level::Error, format!("not upgraded: {error}")));
                    upgrades.failed = upgrades.failed.saturating_add(1);
                    upgrades.error = Some(error.into());
                    let forgotten = Vec::new();
                    resumed = Some(Resumed {
                        engine,
                        baggage,
                        killed: false,
                        pidfile: held,
                        upgrades,
                        forgotten,
                    });
                    continue;
                }
            };
            upgrades_so_far = upgrades;
            if let Some(Err(error)) = held.map(PidFile::remove) {
                super::say(&format!("could not remove the pid file: {error}\n"));
            }
            match kind {
                ExitKind::Restart => {
                    // A daemon that was killed between reading it and this has forgotten it.
                    let next = next.map(|next| *next).or_else(|| loader().ok());
                    settings = next.unwrap_or(previous);
                }
                ExitKind::Shutdown => {
                    for note in servers.close() {
                        super::say(&format!("{}\n", note.text));
                    }
                    if let Some(watch) = watch {
                        watch.end();
                    }
                    return Ok(());
                }
            }
            // Upstream goes through this again at a restart (C-391).
            match user::drop_privileges(settings.daemon.user.as_ref()) {
                Ok(note) => records.extend(note),
                Err(error) => records.push(Record::new(Level::Critical, error.to_string())),
            }
            move_bus(bus, &settings, &mut records);
            move_servers(&mut servers, &settings, &mut records);
            records.extend(exposure(&settings));
        }
    }
}

/// Reads the configuration for a restart, and looks whether a daemon could start with it: nothing
/// is stopped for one that could not (C-415).
fn restart_loader(loader: &Loader, pidfile: &Path, servers: &Listeners) -> Loader {
    let (loader, current) = (Arc::clone(loader), pidfile.to_owned());
    let (held, certificates) = (servers.addresses(), servers.certificates());
    Arc::new(move || {
        let settings = loader()?;
        check_main_log(&settings).map_err(|error| error.text().to_owned())?;
        let pidfile = &settings.daemon.pidfile;
        if *pidfile != current {
            pidfile::check_free(pidfile).map_err(|error| error.to_string())?;
        }
        listen::check_certificates(&settings.servers, &certificates)
            .map_err(|error| error.to_string())?;
        listen::check(&settings.servers, &held).map_err(|error| error.to_string())?;
        Ok(settings)
    })
}

/// Writes the pid file, and holds it so that no second instance uses it (C-130).
fn write_pid_file(path: &Path, log: &LogHandle) -> Result<Option<PidFile>, StartError> {
    let created = PidFile::create(path);
    if let Err(error @ PidFileError::Held { .. }) = &created {
        return Err(StartError::Running(error.to_string()));
    }
    if let Some(error) = created.as_ref().map_or_else(Some, PidFile::problem) {
        log.record(Record::new(Level::Critical, error.to_string()));
    }
    let text = format!("supervisord started with pid {}", std::process::id());
    let record = Record::new(Level::Info, text).of(Kind::DaemonStarted);
    log.record(record.with(Field::Pid, std::process::id()));
    Ok(created.ok())
}

/// The log is opened in the background; that it can be is found out here (C-120).
fn check_main_log(settings: &Settings) -> Result<(), StartError> {
    match &settings.daemon.logfile {
        MainLog::Path(path) => logs::open_log(path, false).map(drop).map_err(|error| {
            refused(&error, &format!("could not open the log file {}", path.display()))
        }),
        MainLog::Journal => {
            let socket = journal::socket_path();
            let what = "could not log to the journal (logfile=journal) at";
            journal::check(&socket)
                .map_err(|error| refused(&error, &format!("{what} {}", socket.display())))
        }
        MainLog::Syslog => Ok(()),
    }
}

/// Logs what could not be logged before there was a log.
fn announce(settings: &Settings, records: Vec<Record>, log: &LogHandle) {
    let daemon = &settings.daemon;
    for record in settings.notes.iter().cloned().chain(records) {
        log.record(record);
    }
    if daemon.nodaemon && daemon.directory.is_some() {
        let text = "directory= has no effect in the foreground";
        log.record(Record::new(Level::Warn, text));
    }
}
