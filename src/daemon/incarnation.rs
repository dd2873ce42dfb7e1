//! One life of the daemon between two configurations: the log plane, the engine and the front
//! ends, from start to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::api::{self, Api, Upgrades};
use crate::config::settings::{MainLog, Settings};
use crate::core::supervisor::{self, Serials, Supervisor};
use crate::dbus::endpoint::{Bus, Endpoints, Options};
use crate::http::sessions::{Logins, Sessions};
use crate::http::{self, Listeners, Servers};
use crate::model::record::{Level, Record};
use crate::runtime::checkpoint::Checkpoint;
use crate::runtime::command::{self, Inheritance};
use crate::runtime::driver::{self, Loader, Outcome};
use crate::runtime::effects::Effects;
use crate::runtime::handle::{Announcement, EngineHandle};
use crate::runtime::handover::{Baggage, EngineLeft};
use crate::runtime::keep::Keep;
use crate::runtime::leftovers::Sweeper;
use crate::runtime::logs::{self, LogHandle, LogPlane, MainLogPlan, MainTarget, Tapped};
use crate::runtime::spawner::{SpawnContext, Spawner};
use crate::sys::cgroup::Tree;
use crate::sys::clock;
use crate::sys::daemonize::Ready;
use crate::systemd::link::Link;

/// How long a bus that does not answer may hold the start up.
const BUS_PATIENCE: Duration = Duration::from_secs(5);
/// How long what hangs may hold the end up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The daemon's own log, as configured.
pub fn main_log_plan(settings: &Settings) -> MainLogPlan {
    let daemon = &settings.daemon;
    MainLogPlan {
        target: match &daemon.logfile {
            MainLog::Syslog => MainTarget::Syslog,
            MainLog::Journal => MainTarget::Journal,
            MainLog::Path(path) => MainTarget::File(path.clone()),
        },
        maxbytes: daemon.logfile_maxbytes,
        backups: daemon.logfile_backups,
        level: daemon.loglevel,
        copy_to_stdout: daemon.nodaemon && !daemon.silent,
    }
}

/// What an incarnation stands on.
pub struct Parts<'a> {
    /// The log plane, made for it.
    pub plane: LogPlane,
    /// What it hears of the output of programs.
    pub tapped: mpsc::UnboundedReceiver<Tapped>,
    /// What children have from the daemon.
    pub inheritance: Arc<Inheritance>,
    /// Where programs have cgroups of their own, if anywhere.
    pub cgroups: Option<Arc<Tree>>,
    /// The socket of the peer-to-peer bus.
    pub bus: Option<&'a UnixListener>,
    /// The sockets of the HTTP servers.
    pub servers: &'a Listeners,
    /// Who is logged in there.
    pub sessions: Sessions,
    /// Reads the configuration again.
    pub loader: Loader,
    /// Reads it for a restart, and refuses what a daemon could not start with.
    pub restart_loader: Loader,
    /// Tells the process in the foreground that the daemon is up.
    pub ready: Option<Ready>,
    /// The link to the service manager.
    pub link: Option<Link>,
    /// Where the counters of events go on.
    pub serials: Serials,
    /// What keeps descriptors for the next daemon, and where the state is written down for it.
    pub keep: Keep,
    /// None where nothing is kept.
    pub checkpoint: Option<Checkpoint>,
    /// What another engine left, to go on with instead of a start.
    pub left: Option<(EngineLeft, Baggage)>,
    /// What there is to say of upgrades.
    pub upgrades: Upgrades,
}

/// Runs until a shutdown or a restart.
///
/// # Errors
/// What could not be made, for people.
pub async fn live(settings: Settings, parts: Parts<'_>) -> Result<Outcome, String> {
    let Parts {
        plane,
        tapped,
        inheritance,
        cgroups,
        bus,
        servers,
        sessions,
        loader,
        restart_loader,
        ready,
        link,
        serials,
        keep,
        checkpoint,
        left,
        upgrades,
    } = parts;
    let log = plane.handle();
    let namespaces = settings.rpcinterfaces.iter().filter(|interface| interface.builtin);
    let namespaces = namespaces.map(|interface| interface.namespace.clone()).collect();
    let daemon = settings.daemon;
    if !daemon.nocleanup && left.is_none() {
        for warning in logs::clean_auto_logs(&daemon.childlogdir, &daemon.identifier) {
            log.record(warning);
        }
    }
    let main_log = match daemon.logfile {
        MainLog::Path(path) => Some(path),
        MainLog::Syslog | MainLog::Journal => None,
    };
    let (supervisor, (unspawned, unfinished), mut baggage) = if let Some((left, baggage)) = left {
        let EngineLeft { supervisor, spawner, unfinished } = left;
        (supervisor.restored(), (Some(spawner), Some(unfinished)), baggage)
    } else {
        let identity = supervisor::Identity {
            identifier: daemon.identifier.clone(),
            childlogdir: daemon.childlogdir,
            seed: seed(),
            serials,
        };
        (Supervisor::new(identity, settings.groups), (None, None), Baggage::default())
    };
    let context = SpawnContext {
        inheritance: Arc::clone(&inheritance),
        strip_ansi: daemon.strip_ansi,
        log: log.clone(),
        cgroups,
        keep: keep.clone(),
    };
    let unspawned = unspawned.map(|left| (left, &mut baggage));
    let (spawner, news) = Spawner::start(context, unspawned)
        .map_err(|error| format!("could not start a thread: {error}"))?;
    let (sweeper, swept) =
        Sweeper::start().map_err(|error| format!("could not start a thread: {error}"))?;
    let (engine, done) = driver::start(driver::Parts {
        supervisor,
        spawner,
        news,
        tapped,
        effects: Effects::new(log.clone(), keep.clone()),
        sweeper,
        swept,
        loader: restart_loader,
        on_ready: Box::new(|| {
            if let Some(ready) = ready {
                ready.report();
            }
        }),
        link,
        left: unfinished.map(|left| (left, baggage)),
        checkpoint,
    })
    .map_err(|error| format!("could not start the engine: {error}"))?;

    let api = Api::new(api::Parts {
        engine: engine.clone(),
        logs: log.clone(),
        main_log,
        load: loader,
        resolve: Arc::new(move |spec| {
            command::check(spec, &inheritance).map_err(|error| error.fault())
        }),
        clock: clock::now,
        identity: api::Identity {
            identifier: daemon.identifier,
            pid: std::process::id(),
            config_file: daemon.config_file,
            upgrades,
        },
    });
    let logins = Logins::to(servers, sessions.clone());
    let servers = serve_http(servers, api.clone(), namespaces, sessions, &log);
    let endpoints = open_endpoints(api, bus, logins, &log);
    tokio::spawn(announce_front_ends(engine, endpoints.as_ref().map(Endpoints::settled)));
    let outcome = done.await.map_err(|_| "the engine ended unexpectedly".to_owned());
    if outcome.is_err() {
        keep.leave(); // the programs run on, and the next daemon takes them back
    }
    let endpoints = async {
        if let Some(endpoints) = endpoints {
            endpoints.stop(PATIENCE).await;
        }
    };
    let servers = async {
        if let Some(servers) = servers {
            servers.stop(PATIENCE).await;
        }
    };
    tokio::join!(endpoints, servers);
    if !plane.stop(PATIENCE) {
        crate::daemon::say("Some output of programs could not be written: the disk hangs\n");
    }
    outcome
}

/// Lets the engine know that the ways in are open: the sockets listen by now, and the name on the
/// bus is ours, or not to be had for now.
async fn announce_front_ends(engine: EngineHandle, bus: Option<impl Future<Output = ()>>) {
    if let Some(bus) = bus {
        // A bus that answers later is served later.
        let _ = timeout(BUS_PATIENCE, bus).await;
    }
    engine.announce(Announcement::FrontEndsUp);
}

/// Opens the ways in. Without them the daemon runs on: it can still be signalled.
fn open_endpoints(
    api: Api,
    bus: Option<&UnixListener>,
    logins: Logins,
    log: &LogHandle,
) -> Option<Endpoints> {
    let complain = |error| {
        log.record(Record::new(Level::Error, format!("could not open the D-Bus API: {error}")));
    };
    let uid = geteuid().as_raw();
    let log = log.clone();
    let socket = bus.map(UnixListener::try_clone).transpose().map_err(&complain).ok()?;
    let options = Options {
        api,
        uid,
        socket,
        bus: Some(Bus::of(uid)),
        logins,
        log: Arc::new(move |record| log.record(record)),
    };
    Endpoints::start(options).map_err(complain).ok()
}

/// Serves HTTP on the sockets that listen.
fn serve_http(
    listeners: &Listeners,
    api: Api,
    namespaces: Vec<String>,
    sessions: Sessions,
    log: &LogHandle,
) -> Option<Servers> {
    let lines = log.clone();
    let lines = Arc::new(move |record| lines.record(record));
    let options = http::Options { api, namespaces, sessions, log: lines };
    let complain = |error| {
        log.record(Record::new(Level::Error, format!("could not serve HTTP: {error}")));
    };
    Servers::start(listeners, &options).map_err(complain).ok()
}

/// Something that differs from run to run.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
