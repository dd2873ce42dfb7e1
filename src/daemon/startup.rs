//! From the command line to a running daemon (C-118): every step that can fail for a reason
//! that a person has to mend comes before the daemon goes to the background, and before it
//! touches anything of an instance that runs already.

use std::path::Path;
use std::sync::Arc;

use nix::sys::resource::rlim_t;
use nix::unistd::geteuid;

use super::error::{StartError, refused, usage};
use super::incarnation::{self, Parts};
use super::recovery::{self, Found, Head, Legacy, Watch};
use super::upgrade::{self, Daemon, FileLeft, State};
use crate::api::Upgrades;
use crate::config::settings::{Access, HttpAddress, MainLog, Settings};
use crate::config::{self, Host, Overrides};
use crate::core::action::ExitKind;
use crate::core::supervisor::Serials;
use crate::http::listen::{self, Listeners};
use crate::http::sessions::Sessions;
use crate::model::message::{Field, Kind};
use crate::model::paths;
use crate::model::record::{Level, Record};
use crate::runtime::cgroups;
use crate::runtime::checkpoint::Memories;
use crate::runtime::command::Inheritance;
use crate::runtime::driver::{Loader, Outcome};
use crate::runtime::handover::{Baggage, EngineLeft};
use crate::runtime::keep::{Keep, Name};
use crate::runtime::logs::{self, LogHandle, LogPlane, Surroundings};
use crate::runtime::recover::recover;
use crate::sys::cgroup::Tree;
use crate::sys::daemonize::{self, Ready};
use crate::sys::pidfile::{self, PidFile, PidFileError};
use crate::sys::socket::{BindError, Listener};
use crate::sys::{clock, limits, signals, subreaper, user};
use crate::systemd::journal;
use crate::systemd::link::Link;
use crate::systemd::listen::{Activated, Handed};
use crate::systemd::notify::Manager;

/// Reads the configuration and says what is wrong with it, or that nothing is.
pub fn test_configuration(overrides: &Overrides) -> Result<(), StartError> {
    let settings = load(overrides)?;
    let certificates = listen::check_certificates(&settings.servers, &[]);
    for warning in certificates.map_err(|error| usage(&error))? {
        super::say(&format!("{}: {warning}\n", Level::Warn.tag()));
    }
    for note in settings.notes.iter().filter(|note| note.level <= Level::Warn) {
        super::say(&format!("{}: {}\n", note.level.tag(), note.text));
    }
    super::say(&format!(
        "The configuration {} is valid: {} groups, {} processes.\n",
        settings.daemon.config_file.display(),
        settings.groups.len(),
        settings.groups.iter().map(|group| group.processes.len()).sum::<usize>(),
    ));
    Ok(())
}

/// Starts the daemon and runs it to its end.
pub fn run(overrides: Overrides, mut handed: Handed, manager: &Manager) -> Result<(), StartError> {
    let (legacy, names) = recovery::look(std::mem::take(&mut handed.kept));
    let lost = match legacy {
        Legacy::Nothing => None,
        Legacy::Lost(why) => Some(why),
        Legacy::Found(found) => match take_back(*found, &mut handed, manager) {
            Ok(outcome) => return outcome,
            Err(why) => Some(why),
        },
    };
    start(overrides, handed, manager, lost, &names)
}

/// Starts with nothing. What an earlier daemon left that is `lost` is ended first; what was kept of
/// it, by these names, is not kept any longer.
fn start(
    mut overrides: Overrides,
    handed: Handed,
    manager: &Manager,
    lost: Option<String>,
    names: &[Name],
) -> Result<(), StartError> {
    if !names.is_empty() {
        // A socket that is kept listens: it would look as if somebody answered there.
        let keep = Keep::start(manager.store(), manager.keeps());
        for &name in names {
            keep.remove(name);
        }
        keep.settle();
    }
    let settings = load(&overrides)?;
    // Found once: a later reload reads the same file, wherever the daemon is then (C-416).
    overrides.config_file = Some(settings.daemon.config_file.to_string_lossy().into_owned());
    overrides.base = Some(super::host().cwd());
    let daemon = &settings.daemon;

    pidfile::check_free(&daemon.pidfile).map_err(|error| StartError::Running(error.to_string()))?;
    limits::set_store_aside(manager.keeps());
    let mut records =
        limits::ensure_minimums(daemon.minfds, daemon.minprocs).map_err(|error| usage(&error))?;
    let nofile = limits::raise_open_files().ok();
    let activated = take_sockets(handed, &mut records);
    let servers = open_servers(&settings, activated, &mut records)?;
    let bus = bind_bus(&settings, &mut records)?;
    let manager = manager.clone();
    let (sessions, memories) = (Sessions::default(), None);
    let prepared = Prepared {
        overrides,
        records,
        nofile,
        bus,
        cgroups: None,
        servers,
        sessions,
        manager,
        memories,
    };
    prepared.go_to_work(settings, lost)
}

/// Goes on where a daemon stopped that was killed.
///
/// # Errors
/// Why that cannot be; nothing has been done then but to settle.
fn take_back(
    found: Found,
    handed: &mut Handed,
    manager: &Manager,
) -> Result<Result<(), StartError>, String> {
    let Found { head, sockets: mut baggage, pieces, mut kept, memories } = found;
    let Head { version, overrides, settings, bus, servers, sessions, upgrades, .. } = head;
    let daemon = &settings.daemon;
    if let Err(error) = pidfile::check_free(&daemon.pidfile) {
        return Ok(Err(StartError::Running(error.to_string())));
    }
    let mut place = Vec::new();
    let tree = cgroups::settle(daemon.user.as_ref(), &mut place);
    let tree = tree.ok_or("there are no cgroups to find its programs in")?;
    let mut programs = Baggage::default();
    let recovered = recover(&pieces, &mut kept, &tree, daemon.strip_ansi, &mut programs)?;
    recovery::end_all(recovered.unknown.iter().map(|name| tree.dir_of(name)).collect())?;

    let count = recovered.engine.supervisor.processes().filter(|p| p.pid() != 0).count();
    let text = format!(
        "supervisord {version} was killed; {} goes on with the {count} programs that it left",
        env!("CARGO_PKG_VERSION")
    );
    let mut records = vec![Record::new(Level::Warn, text)];
    limits::set_store_aside(manager.keeps());
    match limits::ensure_minimums(daemon.minfds, daemon.minprocs) {
        Ok(notes) => records.extend(notes),
        Err(error) => records.push(Record::new(Level::Critical, error.to_string())),
    }
    let nofile = limits::raise_open_files().ok();
    let mut servers = Listeners::adopt(servers, &mut baggage).unwrap_or_else(|error| {
        let text = format!("the sockets of the servers are opened anew: {error}");
        records.push(Record::new(Level::Warn, text));
        Listeners::new(std::mem::take(&mut handed.sockets))
    });
    move_servers(&mut servers, &settings, &mut records);
    let bus = bus.and_then(|FileLeft { path, slot, identity }| {
        Some(Listener::adopt(baggage.take(slot).ok()?, &path, identity))
    });
    let mut bus = match bus.map_or_else(|| bind_bus(&settings, &mut records), |bus| Ok(Some(bus))) {
        Ok(bus) => bus,
        Err(error) => return Ok(Err(error)),
    };
    match user::drop_privileges(daemon.user.as_ref()) {
        Ok(note) => records.extend(note),
        Err(error) => return Ok(Err(usage(&error))),
    }
    records.extend(place);
    let resumed = Resumed {
        engine: recovered.engine,
        baggage: programs,
        killed: true,
        pidfile: None,
        upgrades: Upgrades { done: upgrades, ..Upgrades::default() },
        forgotten: kept.into_keys().collect(),
    };
    let prepared = Prepared {
        overrides,
        records,
        nofile,
        bus: None,
        cgroups: Some(tree),
        servers,
        sessions: Sessions::adopt(sessions),
        manager: manager.clone(),
        memories: Some(memories),
    };
    let outcome = prepared.live(settings, &mut bus, None, Some(resumed));
    remove_bus(bus);
    Ok(outcome)
}

/// Goes on where another program stopped in this process: nothing is made anew that it had.
pub fn go_on(left: upgrade::Legacy) -> Result<(), StartError> {
    let upgrade::Legacy { state, mut baggage, version } = left;
    let State { overrides, settings, nofile, cgroups, manager, bus, pidfile, .. } = state;
    let text = format!("supervisord {} goes on for {version}", env!("CARGO_PKG_VERSION"));
    let mut records = vec![Record::new(Level::Info, text)];
    let missing = |error| refused(&error, "could not go on for another program");
    let mut servers = Listeners::adopt(state.servers, &mut baggage).map_err(missing)?;
    // With their certificates, which are read again.
    move_servers(&mut servers, &settings, &mut records);
    let mut bus = match bus {
        Some(FileLeft { path, slot, identity }) => {
            Some(Listener::adopt(baggage.take(slot).map_err(missing)?, &path, identity))
        }
        None => None,
    };
    let pidfile = match pidfile {
        Some(FileLeft { path, slot, identity }) => {
            Some(PidFile::adopt(&path, baggage.take(slot).map_err(missing)?, identity))
        }
        None => None,
    };
    let memories = match state.memories {
        None => None,
        Some([first, second]) => {
            let taken =
                [baggage.take(first).map_err(missing)?, baggage.take(second).map_err(missing)?];
            Some(Memories::adopt(taken).map_err(missing)?.0)
        }
    };
    let resumed = Resumed {
        engine: state.engine,
        baggage,
        killed: false,
        pidfile,
        forgotten: Vec::new(),
        upgrades: Upgrades { done: state.upgrades.saturating_add(1), ..Upgrades::default() },
    };
    let cgroups = cgroups.map(|place| Arc::new(Tree::adopt(place)));
    let sessions = Sessions::adopt(state.sessions);
    let prepared = Prepared {
        overrides,
        records,
        nofile,
        bus: None,
        cgroups,
        servers,
        sessions,
        manager,
        memories,
    };
    let outcome = prepared.live(settings, &mut bus, None, Some(resumed));
    remove_bus(bus);
    outcome
}

/// What an incarnation goes on with instead of a start.
struct Resumed {
    engine: EngineLeft,
    baggage: Baggage,
    /// The daemon before was killed: this is another process, with another pid file.
    killed: bool,
    pidfile: Option<PidFile>,
    upgrades: Upgrades,
    /// What was kept and is of no use.
    forgotten: Vec<Name>,
}

/// What was made ready before the daemon went to the background.
struct Prepared {
    overrides: Overrides,
    records: Vec<Record>,
    /// The limit of open files before the daemon raised its own.
    nofile: Option<(rlim_t, rlim_t)>,
    bus: Option<Listener>,
    /// Where programs have cgroups of their own, if anywhere.
    cgroups: Option<Arc<Tree>>,
    /// The sockets of the HTTP servers, and those that the service manager opened for them. They
    /// stay open through restarts.
    servers: Listeners,
    /// Who is logged in there. They survive restarts and upgrades: whoever asks for one on the web
    /// page wants to go on there.
    sessions: Sessions,
    /// The service manager.
    manager: Manager,
    /// Where an earlier program wrote its state down.
    memories: Option<Memories>,
}

impl Prepared {
    fn go_to_work(mut self, settings: Settings, lost: Option<String>) -> Result<(), StartError> {
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
    fn live(
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

fn load(overrides: &Overrides) -> Result<Settings, StartError> {
    if overrides.config_file.is_none() && geteuid().is_root() {
        // C-004
        super::say(
            "Warning: supervisord runs as root and searches for its configuration file, in the \
             current directory too. Say with -c, and an absolute path, which one is meant.\n",
        );
    }
    config::load(overrides, &super::host()).map_err(|error| usage(&error))
}

/// The sockets of the service manager, and what there is to say of them.
fn take_sockets(handed: Handed, records: &mut Vec<Record>) -> Vec<Activated> {
    for socket in &handed.sockets {
        records.push(Record::new(Level::Info, format!("took over the socket {socket}")));
    }
    for error in &handed.errors {
        records.push(Record::new(Level::Warn, error.to_string()));
    }
    handed.sockets
}

/// Opens the sockets of the HTTP servers, before the daemon is somebody who may not (C-132, C-133,
/// C-336, C-337).
fn open_servers(
    settings: &Settings,
    activated: Vec<Activated>,
    records: &mut Vec<Record>,
) -> Result<Listeners, StartError> {
    let mut servers = Listeners::new(activated);
    let opened = servers.open(&settings.servers, account(settings));
    for path in opened.stale {
        super::say(&format!("Unlinking stale socket {}\n", path.display()));
    }
    let mut errors = opened.errors.iter().map(ToString::to_string);
    if let Some(first) = errors.next() {
        return Err(StartError::Usage(errors.fold(first, |all, next| format!("{all}\n{next}"))));
    }
    records.extend(opened.notes);
    Ok(servers)
}

/// Whom the daemon becomes.
fn account(settings: &Settings) -> Option<(u32, u32)> {
    settings.daemon.user.as_ref().map(|account| (account.uid, account.gid))
}

/// After a restart the servers are where the configuration has them now.
fn move_servers(servers: &mut Listeners, settings: &Settings, records: &mut Vec<Record>) {
    let opened = servers.open(&settings.servers, account(settings));
    records.extend(opened.stale.iter().map(|path| {
        Record::new(Level::Info, format!("Unlinking stale socket {}", path.display()))
    }));
    records.extend(opened.notes);
    records
        .extend(opened.errors.iter().map(|error| Record::new(Level::Critical, error.to_string())));
}

/// After a restart the socket is where its pid file is now.
fn move_bus(bus: &mut Option<Listener>, settings: &Settings, records: &mut Vec<Record>) {
    let path = paths::bus_socket(&settings.daemon.pidfile);
    if bus.as_ref().is_some_and(|bus| bus.path() == path) {
        return;
    }
    match bind_bus(settings, records) {
        Ok(Some(moved)) => remove_bus(bus.replace(moved)),
        Ok(None) => {}
        Err(error) => records.push(Record::new(Level::Critical, error.text())),
    }
}

fn remove_bus(bus: Option<Listener>) {
    if let Some(Err(error)) = bus.map(Listener::remove) {
        super::say(&format!("could not remove the control socket: {error}\n"));
    }
}

/// Binds the socket of the peer-to-peer bus beside the pid file, for the daemon's user and root
/// alone. That it cannot be made is no reason not to run; that another daemon answers there is.
fn bind_bus(
    settings: &Settings,
    records: &mut Vec<Record>,
) -> Result<Option<Listener>, StartError> {
    let path = paths::bus_socket(&settings.daemon.pidfile);
    let owner = settings.daemon.user.as_ref().map(|account| (account.uid, Some(account.gid)));
    match Listener::bind(&path, 0o700, owner) {
        Ok(listener) => Ok(Some(listener)),
        Err(BindError::InUse(_)) => Err(StartError::Running(format!(
            "Another supervisord is already running: it answers at {}.  Shut it down first, or \
             give this one a pidfile of its own.",
            path.display()
        ))),
        Err(error) => {
            let text =
                format!("no control socket, supervisorctl has to use the system bus: {error}");
            records.push(Record::new(Level::Warn, text));
            Ok(None)
        }
    }
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

/// What is open to whom (C-137).
fn exposure(settings: &Settings) -> Vec<Record> {
    let mut records = Vec::new();
    for server in &settings.servers {
        let section = &server.section;
        for interface in settings.rpcinterfaces.iter().filter(|interface| interface.builtin) {
            let text = format!("RPC interface '{}' initialized", interface.namespace);
            records.push(Record::new(Level::Info, text));
        }
        if server.access != Access::Open {
            continue;
        }
        let unprotected = match &server.address {
            // Its mode protects it.
            HttpAddress::Unix { mode, .. } => mode & 0o002 != 0,
            HttpAddress::Inet { .. } => true,
        };
        let level = if unprotected { Level::Critical } else { Level::Info };
        let text = format!("Server '{section}' running without any HTTP authentication checking");
        records.push(Record::new(level, text));
        if !listen::is_local(&server.address) {
            let text = format!(
                "[{section}] whoever reaches {} can run any command as the user of supervisord: \
                 set a username and a password, or listen on 127.0.0.1 only",
                server.address
            );
            records.push(Record::new(Level::Warn, text));
        }
    }
    records
}
