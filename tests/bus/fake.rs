//! An engine that answers by a script, and the endpoints over it.

use std::cell::Cell;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imbl::OrdMap;
use supervisor::api::{Api, Identity, Parts, Upgrades};
use supervisor::core::request::{Changes, ProcessResult, Reply, Request, Scope};
use supervisor::dbus::endpoint::{Bus, Endpoints, Options};
use supervisor::dbus::proxy::{ManagerProxy, connect_p2p, manager};
use supervisor::http::sessions::{Logins, Sessions};
use supervisor::model::event::{Event, Published};
use supervisor::model::fault::{Fault, FaultKind};
use supervisor::model::key::ProcKey;
use supervisor::model::name::ProcessName;
use supervisor::model::record::Record;
use supervisor::model::signal::Signal;
use supervisor::model::snapshot::{GroupSnapshot, LogPaths, ProcessSnapshot, Snapshot};
use supervisor::model::spec::{
    Autorestart, GroupSpec, KillMode, LogFile, LogSpec, ProcessKind, ProcessSpec,
};
use supervisor::model::state::{DaemonState, ProcessState};
use supervisor::model::time::{Mono, Now, Wall};
use supervisor::runtime::handle::{Announcement, EngineHandle, Envelope};
use supervisor::runtime::happenings::Happenings;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc, watch};
use zbus::Connection;

use super::broker::open_dir;
use super::logs::Plane;

pub const MANAGER: &str = "/org/supervisord/Supervisor1";
pub const WEB: &str = "/org/supervisord/Supervisor1/process/web/web";
pub const G: &str = "/org/supervisord/Supervisor1/group/g";

/// The whole front end over a scripted engine.
pub struct World {
    pub asked: Arc<Mutex<Vec<Request>>>,
    /// Requests about the process `slow` wait for a permit.
    pub release: Arc<Semaphore>,
    /// How many such requests wait now, or did.
    pub waiting: watch::Receiver<usize>,
    pub said: Arc<Mutex<Vec<Record>>>,
    pub plane: Plane,
    /// What the engine was let know.
    pub announced: mpsc::UnboundedReceiver<Announcement>,
    said_so_far: watch::Sender<usize>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: Happenings,
    told: AtomicU64,
    endpoints: Option<Endpoints>,
    dir: TempDir,
}

impl World {
    /// Processes `web`, `g:a`, `g:slow`, and an endpoint on a socket and, perhaps, a bus.
    pub fn start(bus: Option<Bus>) -> Self {
        Self::of(bus, &[("web", "web"), ("g", "a"), ("g", "slow")])
    }

    pub fn of(bus: Option<Bus>, names: &[(&str, &str)]) -> Self {
        let dir = open_dir();
        let plane = Plane::start(dir.path());
        let (snapshots, receiver) = watch::channel(Arc::new(snapshot(names, &plane)));
        let (requests, incoming) = mpsc::channel(64);
        let events = Happenings::new(64);
        let asked = Arc::<Mutex<Vec<Request>>>::default();
        let release = Arc::new(Semaphore::new(0));
        let (announcements, announced) = mpsc::unbounded_channel();
        let (counting, waiting) = watch::channel(0);
        tokio::spawn(engine(incoming, asked.clone(), release.clone(), counting));
        let api = Api::new(Parts {
            engine: EngineHandle::new(requests, receiver, events.clone())
                .with_announcements(announcements),
            logs: plane.logs(),
            main_log: Some(plane.main_log()),
            load: Arc::new(|| Err("the file is gone".to_owned())),
            resolve: Arc::new(|_| Ok(())),
            clock,
            identity: Identity {
                identifier: "supervisor".to_owned(),
                pid: std::process::id(),
                config_file: "/etc/supervisor/supervisord.conf".into(),
                upgrades: Upgrades::default(),
            },
        });
        let said = Arc::<Mutex<Vec<Record>>>::default();
        let said_so_far = watch::Sender::new(0);
        let (lines, count) = (said.clone(), said_so_far.clone());
        let endpoints = Endpoints::start(Options {
            api,
            uid: nix::unistd::getuid().as_raw(),
            socket: Some(UnixListener::bind(dir.path().join("own.bus")).unwrap()),
            bus,
            logins: Logins {
                sessions: Sessions::default(),
                servers: vec!["http://127.0.0.1:9001".to_owned()],
            },
            log: Arc::new(move |record| {
                lines.lock().unwrap().push(record);
                count.send_modify(|count| *count += 1);
            }),
        })
        .unwrap();
        let endpoints = Some(endpoints);
        Self {
            asked,
            release,
            waiting,
            said,
            plane,
            announced,
            said_so_far,
            snapshots,
            events,
            told: AtomicU64::new(0),
            endpoints,
            dir,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("own.bus")
    }

    /// A client without a broker.
    pub async fn connect(&self) -> Connection {
        connect_p2p(&self.socket()).await.unwrap()
    }

    /// The manager, for a client without a broker.
    pub async fn manager(&self) -> ManagerProxy<'static> {
        manager(&self.connect().await).await.unwrap()
    }

    /// Waits for a line of the daemon's log that holds the text.
    pub async fn hears(&self, text: &str) {
        self.hears_after(0, text).await;
    }

    /// The same, not counting the first lines.
    pub async fn hears_after(&self, first: usize, text: &str) {
        let mut count = self.said_so_far.subscribe();
        let there =
            |lines: &[Record]| lines.iter().skip(first).any(|line| line.text.contains(text));
        tokio::time::timeout(Duration::from_secs(20), async {
            while !there(&self.said.lock().unwrap()) {
                count.changed().await.unwrap();
            }
        })
        .await
        .unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.said.lock().unwrap()));
    }

    /// Waits until the bus was tried.
    pub async fn settled(&self) {
        self.endpoints.as_ref().unwrap().settled().await;
    }

    /// Waits until so many requests about `slow` wait.
    pub async fn held(&self, count: usize) {
        self.waiting.clone().wait_for(|waiting| *waiting >= count).await.unwrap();
    }

    /// Publishes a changed picture.
    pub fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.snapshots.borrow());
        change(&mut snapshot);
        self.snapshots.send_replace(Arc::new(snapshot));
    }

    /// Publishes what happened.
    pub fn tell(&self, event: Event) {
        let serial = self.told.fetch_add(1, Ordering::Relaxed);
        let at = Wall(Duration::from_micros(1_763_803_500_000_007));
        self.events.tell(Arc::new(Published { serial, at, event }));
    }

    pub async fn stop(&mut self, patience: Duration) {
        self.endpoints.take().unwrap().stop(patience).await;
    }
}

thread_local! {
    /// Whether looking at the clock panics: a bug as it might be anywhere.
    pub static CLOCK_IS_BROKEN: Cell<bool> = const { Cell::new(false) };
}

fn clock() -> Now {
    assert!(!CLOCK_IS_BROKEN.get(), "the clock is broken");
    Now { mono: Mono(Duration::from_secs(3661)), wall: Wall(Duration::from_secs(2_000_000_000)) }
}

/// The script: `slow` waits until it is released.
async fn engine(
    mut incoming: mpsc::Receiver<Envelope>,
    asked: Arc<Mutex<Vec<Request>>>,
    release: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
) {
    while let Some(Envelope { request, reply }) = incoming.recv().await {
        asked.lock().unwrap().push(request.clone());
        let (release, waiting) = (release.clone(), waiting.clone());
        tokio::spawn(async move {
            if let Request::Start { scope: Scope::Process(name), .. }
            | Request::Stop { scope: Scope::Process(name), .. } = &request
                && &*name.process == "slow"
            {
                waiting.send_modify(|count| *count += 1);
                release.acquire().await.unwrap().forget();
            }
            let _ = reply.send(answer(&request));
        });
    }
}

fn answer(request: &Request) -> Result<Reply, Fault> {
    let results = || {
        let ok = ProcessResult::new(ProcessName::new("web", "web"), Ok(()));
        let fault = Fault::new(FaultKind::SpawnError, "g:a");
        Reply::Results(vec![ok, ProcessResult::new(ProcessName::new("g", "a"), Err(fault))])
    };
    match request {
        Request::Start { scope, .. }
        | Request::Stop { scope, .. }
        | Request::Signal { scope, .. } => match scope {
            Scope::Process(name) if &*name.process == "a" => {
                Err(Fault::new(FaultKind::NotRunning, name.to_string()))
            }
            Scope::Process(_) => Ok(Reply::Done),
            Scope::Group(_) | Scope::All => Ok(results()),
        },
        Request::Reread { .. } => Ok(Reply::Changes(Changes::default())),
        Request::AddGroup(name) => Err(Fault::new(FaultKind::AlreadyAdded, &**name)),
        Request::RemoveGroup(name) => Err(Fault::new(FaultKind::StillRunning, &**name)),
        _ => Ok(Reply::Done),
    }
}

fn snapshot(names: &[(&str, &str)], plane: &Plane) -> Snapshot {
    let mut snapshot = Snapshot {
        state: DaemonState::Running,
        processes: OrdMap::new(),
        groups: OrdMap::new(),
        configured: Arc::default(),
    };
    for (key, (group, name)) in names.iter().enumerate() {
        add(&mut snapshot, group, name, u32::try_from(key).unwrap(), plane.paths(name));
    }
    let configured = snapshot.groups.values().map(|group| group.spec.clone()).collect();
    snapshot.configured = Arc::new(configured);
    snapshot
}

/// Adds a running process, and its group if need be.
pub fn add(snapshot: &mut Snapshot, group: &str, name: &str, key: u32, logs: LogPaths) {
    let process = Arc::new(ProcessSnapshot {
        key: ProcKey(key),
        spec: Arc::new(spec(group, name)),
        state: ProcessState::Running,
        pid: 4242,
        started: Some((Mono(Duration::ZERO), Wall(Duration::from_secs(1_763_803_403)))),
        stopped: None,
        exit_code: None,
        exit_signal: None,
        restarts: 0,
        spawn_error: "".into(),
        left: 0,
        logs: Arc::new(logs),
        listener: None,
    });
    let mut members: Vec<_> = snapshot.members(group).map(|process| process.spec.clone()).collect();
    members.push(process.spec.clone());
    let group_spec =
        GroupSpec { name: group.into(), priority: 999, listener: None, processes: members };
    let found = GroupSnapshot { spec: Arc::new(group_spec), pool: None };
    snapshot.groups.insert(group.into(), Arc::new(found));
    snapshot.processes.insert(process.spec.name.clone(), process);
}

/// Changes one process of a picture.
pub fn alter(
    snapshot: &mut Snapshot,
    group: &str,
    name: &str,
    change: impl FnOnce(&mut ProcessSnapshot),
) {
    let name = ProcessName::new(group, name);
    let mut process = ProcessSnapshot::clone(&snapshot.processes[&name]);
    change(&mut process);
    snapshot.processes.insert(name, Arc::new(process));
}

fn spec(group: &str, name: &str) -> ProcessSpec {
    let log = LogSpec {
        file: LogFile::None,
        maxbytes: 0,
        backups: 0,
        capture_maxbytes: 0,
        events_enabled: false,
        syslog: false,
    };
    ProcessSpec {
        name: ProcessName::new(group, name),
        program: name.into(),
        kind: ProcessKind::Program,
        command: "/bin/cat".to_owned(),
        directory: None,
        umask: None,
        user: None,
        environment: Vec::new(),
        serverurl: None,
        server_url: None,
        priority: 999,
        autostart: true,
        autorestart: Autorestart::Unexpected,
        startsecs: 1,
        startretries: 3,
        exitcodes: vec![0],
        stopsignal: Signal::TERM,
        stopwaitsecs: 10,
        stopasgroup: false,
        killasgroup: false,
        killmode: KillMode::ControlGroup,
        redirect_stderr: false,
        stdout: log.clone(),
        stderr: log,
    }
}
