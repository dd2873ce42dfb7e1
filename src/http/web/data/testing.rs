//! A daemon for tests of what pages show: everything but the engine is real.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::api::{Api, Identity, Parts, Upgrades};
use crate::config::settings::Settings;
use crate::config::testing::load_text;
use crate::model::event::{Event, Published};
use crate::model::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::record::Level;
use crate::model::snapshot::{Channel, GroupSnapshot, LogPaths, ProcessSnapshot, Snapshot};
use crate::model::state::ProcessState;
use crate::model::time::{Mono, Now, Wall};
use crate::runtime::handle::{EngineHandle, Envelope};
use crate::runtime::happenings::Happenings;
use crate::runtime::logs::{ChannelKey, ChannelPlan, LogPlane, MainLogPlan, MainTarget, TapPlan};

thread_local! {
    /// The time of this test.
    static NOW: Mutex<Duration> = const { Mutex::new(Duration::from_secs(1000)) };
}

fn now() -> Now {
    let time = NOW.with(|now| *now.lock().unwrap());
    Now { mono: Mono(time), wall: Wall(time) }
}

/// Time passes.
pub fn pass(time: Duration) {
    NOW.with(|now| *now.lock().unwrap() += time);
}

/// A process that was never started.
pub fn process(group: &str, name: &str) -> ProcessSnapshot {
    let text = format!("[program:{name}]\ncommand=/bin/cat\n");
    let mut spec = (*load_text(&text).unwrap().groups[0].processes[0]).clone();
    spec.name = ProcessName::new(group, name);
    ProcessSnapshot {
        key: ProcKey(1),
        spec: Arc::new(spec),
        state: ProcessState::Stopped,
        pid: 0,
        started: None,
        stopped: None,
        exit_code: None,
        exit_signal: None,
        restarts: 0,
        spawn_error: "".into(),
        left: 0,
        logs: Arc::new(LogPaths::default()),
        listener: None,
    }
}

/// An active group of a configuration.
pub fn group(text: &str) -> Arc<GroupSnapshot> {
    Arc::new(GroupSnapshot { spec: load_text(text).unwrap().groups[0].clone(), pool: None })
}

/// The daemon, its engine played by the test.
pub struct World {
    pub api: Api,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: Happenings,
    plane: LogPlane,
    /// What is read when the configuration is read again.
    pub read: Arc<Mutex<Result<Settings, String>>>,
    _requests: mpsc::Receiver<Envelope>,
}

impl World {
    /// With these processes.
    pub fn new(processes: Vec<ProcessSnapshot>) -> Self {
        let mut snapshot = Snapshot::empty();
        for process in processes {
            snapshot.processes.insert(process.spec.name.clone(), Arc::new(process));
        }
        let plan = MainLogPlan {
            target: MainTarget::None,
            maxbytes: 0,
            backups: 0,
            level: Level::Info,
            copy_to_stdout: false,
        };
        let plane = LogPlane::start(&plan).unwrap().0;
        let (requests, incoming) = mpsc::channel(8);
        let snapshots = watch::Sender::new(Arc::new(snapshot));
        let events = Happenings::new(8);
        let read = Arc::new(Mutex::new(Err("line 3 is wrong".to_owned())));
        let load = Arc::clone(&read);
        let api = Api::new(Parts {
            engine: EngineHandle::new(requests, snapshots.subscribe(), events.clone()),
            logs: plane.handle(),
            main_log: None,
            load: Arc::new(move || load.lock().unwrap().clone()),
            resolve: Arc::new(|_| Ok(())),
            clock: now,
            identity: Identity {
                identifier: "supervisor".to_owned(),
                pid: 1,
                config_file: PathBuf::from("/etc/supervisord.conf"),
                upgrades: Upgrades::default(),
            },
        });
        Self { api, snapshots, events, plane, read, _requests: incoming }
    }

    /// The engine publishes another picture.
    pub fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.snapshots.send_modify(|snapshot| change(Arc::make_mut(snapshot)));
    }

    /// The engine tells of something; whether somebody listens.
    pub fn tell(&self, event: Event) -> bool {
        self.events.tell(Arc::new(Published { serial: 0, at: now().wall, event }))
    }

    /// A process writes to its log.
    pub fn write(&self, process: ProcKey, log: &Path, text: &str) {
        let plan = ChannelPlan {
            name: ProcessName::new("web", "web"),
            file: Some(log.to_owned()),
            auto: false,
            maxbytes: 0,
            backups: 0,
            syslog: false,
            journal: None,
            strip_ansi: false,
            tap: TapPlan::OFF,
        };
        let (reader, writer) = std::io::pipe().unwrap();
        let file = plan.open_file().unwrap();
        let key = ChannelKey { process, channel: Channel::Stdout };
        self.plane.handle().attach(key, 1, Arc::new(plan), file, (reader.into(), None), 42);
        (&writer).write_all(text.as_bytes()).unwrap();
    }
}
