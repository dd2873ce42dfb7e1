//! The use cases over an engine that answers by a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use imbl::OrdMap;
use tokio::sync::{mpsc, watch};

use super::{Api, Identity, Named, Outcome, Parts, Upgrades, bounds};
use crate::core::request::{Reply, Request, Scope};
use crate::model::fault::{Fault, FaultKind};
use crate::model::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::record::Level;
use crate::model::signal::Signal;
use crate::model::snapshot::{GroupSnapshot, LogPaths};
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::spec::{
    Autorestart, GroupSpec, KillMode, LogFile, LogSpec, ProcessKind, ProcessSpec,
};
use crate::model::state::{DaemonState, ProcessState};
use crate::model::time::Now;
use crate::runtime::handle::{EngineHandle, Envelope};
use crate::runtime::happenings::Happenings;
use crate::runtime::logs::{LogHandle, LogPlane, MainLogPlan, MainTarget};

fn log() -> LogSpec {
    LogSpec {
        file: LogFile::None,
        maxbytes: 0,
        backups: 0,
        capture_maxbytes: 0,
        events_enabled: false,
        syslog: false,
    }
}

/// A stopped process.
pub(crate) fn process(group: &str, name: &str) -> ProcessSnapshot {
    let spec = ProcessSpec {
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
        stdout: log(),
        stderr: log(),
    };
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
        spawn_error: Arc::from(""),
        left: 0,
        logs: Arc::new(LogPaths::default()),
        listener: None,
    }
}

/// A log plane that has stopped.
fn no_logs() -> LogHandle {
    let plan = MainLogPlan {
        target: MainTarget::None,
        maxbytes: 0,
        backups: 0,
        level: Level::Info,
        copy_to_stdout: false,
    };
    LogPlane::start(&plan).unwrap().0.handle()
}

type Asked = Arc<Mutex<Vec<Request>>>;
type Answer = Result<Reply, Fault>;
type Script = fn(&Request) -> Answer;

/// An api over an engine that answers by the script and remembers what it was asked.
fn api(state: DaemonState, processes: Vec<ProcessSnapshot>, script: Script) -> (Api, Asked) {
    let groups: OrdMap<Arc<str>, Arc<GroupSnapshot>> = processes
        .iter()
        .map(|process| {
            let spec = GroupSpec {
                name: process.spec.name.group.clone(),
                priority: 999,
                listener: None,
                processes: vec![process.spec.clone()],
            };
            (spec.name.clone(), Arc::new(GroupSnapshot { spec: Arc::new(spec), pool: None }))
        })
        .collect();
    let configured = groups.values().map(|g| g.spec.clone()).collect();
    let snapshot = Snapshot {
        state,
        processes: processes.into_iter().map(|p| (p.spec.name.clone(), Arc::new(p))).collect(),
        groups,
        configured: Arc::new(configured),
    };
    let (requests, mut incoming) = mpsc::channel::<Envelope>(8);
    let (_, snapshots) = watch::channel(Arc::new(snapshot));
    let asked = Asked::default();
    let remembered = asked.clone();
    tokio::spawn(async move {
        while let Some(Envelope { request, reply }) = incoming.recv().await {
            let answer = script(&request);
            remembered.lock().unwrap().push(request);
            let _ = reply.send(answer);
        }
    });
    let parts = Parts {
        engine: EngineHandle::new(requests, snapshots, Happenings::new(8)),
        logs: no_logs(),
        main_log: None,
        load: Arc::new(|| Err("line 3 is wrong".to_owned())),
        resolve: Arc::new(|spec| match &*spec.name.process {
            "broken" => Err(Fault::new(FaultKind::NoFile, "can't find command 'x'")),
            _ => Ok(()),
        }),
        clock: Now::default,
        identity: Identity {
            identifier: "supervisor".to_owned(),
            pid: 1,
            config_file: "/etc/supervisord.conf".into(),
            upgrades: Upgrades::default(),
        },
    };
    (Api::new(parts), asked)
}

const DONE: Script = |_| Ok(Reply::Done);

fn named(text: &str) -> Named {
    Named::parse(text).unwrap()
}

#[tokio::test]
async fn a_name_is_looked_up_before_anything_else() {
    // C-300, C-303, C-305, C-317
    let (api, asked) = api(DaemonState::Running, vec![process("g", "web")], DONE);
    for wrong in ["web", "g:other", "other:*", "g:web:x", ""] {
        let bad = Err(Fault::new(FaultKind::BadName, wrong));
        assert_eq!(api.start(named(wrong), true).await, bad);
        assert_eq!(api.stop(named(wrong), true).await, bad);
        assert_eq!(api.signal(named(wrong), "NOSUCH").await, bad);
        assert_eq!(api.send_stdin(named(wrong), Vec::new()).await, bad.map(drop));
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn commands_are_looked_at_before_the_engine_is_asked() {
    // C-300, C-301
    let mut up = process("up", "broken");
    up.state = ProcessState::Running;
    let all = vec![process("g", "broken"), process("h", "fine"), up];
    let (api, asked) = api(DaemonState::Running, all, DONE);
    api.start(named("g:broken"), false).await.unwrap();
    api.start_all(true).await.unwrap();
    api.start(named("up:broken"), true).await.unwrap();
    let seen: Vec<Vec<String>> = asked
        .lock()
        .unwrap()
        .iter()
        .map(|request| match request {
            Request::Start { refused, .. } => refused.keys().map(ToString::to_string).collect(),
            _ => Vec::new(),
        })
        .collect();
    // One process is looked at whatever its state, of many only those that would be tried.
    assert_eq!(seen, [["g:broken"], ["g:broken"], ["up:broken"]]);
}

#[tokio::test]
async fn a_group_form_acts_on_the_group() {
    // C-300, C-303, C-305
    let results = |_: &Request| Ok(Reply::Results(Vec::new()));
    let (api, asked) = api(DaemonState::Running, vec![process("g", "web")], results);
    for text in ["g:*", "g:"] {
        assert_eq!(api.start(named(text), true).await, Ok(Outcome::Results(Vec::new())));
    }
    let scope = Scope::Group("g".into());
    let start = Request::Start { scope, wait: true, refused: BTreeMap::new() };
    assert_eq!(*asked.lock().unwrap(), [start.clone(), start]);
    // For stdin and logs there is no group form.
    let fault = api.send_stdin(named("g:*"), Vec::new()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadName);
}

#[tokio::test]
async fn a_fault_tells_the_name_as_it_was_written() {
    // C-286
    let refuse = |_: &Request| Err(Fault::new(FaultKind::AlreadyStarted, "web"));
    let (api, _) = api(DaemonState::Running, vec![process("web", "web")], refuse);
    let fault = api.start(named("web:web"), true).await.unwrap_err();
    assert_eq!(fault.to_string(), "ALREADY_STARTED: web:web");
}

#[tokio::test]
async fn a_bad_signal_is_told_before_the_state() {
    // C-305, C-306
    let mut up = process("g", "up");
    up.state = ProcessState::Running;
    let all = vec![up, process("g", "web")];
    let (api, asked) = api(DaemonState::Running, all, DONE);
    let fault = api.signal(named("g:web"), "NOSUCH").await.unwrap_err();
    assert_eq!(fault, Fault::new(FaultKind::BadSignal, "NOSUCH"));
    let results = api.signal_all("NOSUCH").await.unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].description, "BAD_SIGNAL: NOSUCH");
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn while_the_daemon_stops_everything_that_acts_is_refused() {
    // C-288
    for state in [DaemonState::Shutdown, DaemonState::Restarting] {
        let (api, _) = api(state, vec![process("g", "web")], DONE);
        let refused = Fault::from(FaultKind::ShutdownState);
        let name = || named("g:web");
        assert_eq!(api.start(name(), true).await, Err(refused.clone()));
        assert_eq!(api.start_all(true).await, Err(refused.clone()));
        assert_eq!(api.stop_group("g", true).await, Err(refused.clone()));
        assert_eq!(api.signal_all("HUP").await, Err(refused.clone()));
        assert_eq!(api.reread().await, Err(refused.clone()));
        assert_eq!(api.shutdown().await, Err(refused.clone()));
        assert_eq!(api.restart().await, Err(refused.clone()));
        assert_eq!(api.read_log(0, 0).await, Err(refused.clone()));
        assert_eq!(api.clear_all_process_logs().await, Err(refused.clone()));
        // Except events of clients, and what only looks.
        assert_eq!(api.send_remote_event("kind", "data").await, Ok(()));
        assert!(api.process("g:web").is_ok());
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_changes_nothing() {
    // C-297, C-415
    let (api, asked) = api(DaemonState::Running, Vec::new(), DONE);
    let fault = Fault::new(FaultKind::CantReread, "line 3 is wrong");
    assert_eq!(api.reread().await, Err(fault.clone()));
    assert_eq!(api.restart().await, Err(fault));
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn too_much_at_once_is_refused() {
    // C-409
    let (api, asked) = api(DaemonState::Running, vec![process("g", "web")], DONE);
    let data = vec![b'x'; bounds::MAX_STDIN + 1];
    let fault = api.send_stdin(named("g:web"), data).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadArguments);
    let data = "x".repeat(bounds::MAX_EVENT);
    let fault = api.send_remote_event("kind", &data).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadArguments);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn many_are_handled_by_priority_then_by_name() {
    // C-216, C-217
    let mut first = process("z", "first");
    Arc::make_mut(&mut first.spec).priority = 1;
    let all = [process("z", "a"), first, process("b", "x")];
    let snapshot = Snapshot {
        state: DaemonState::Running,
        processes: all.into_iter().map(|p| (p.spec.name.clone(), Arc::new(p))).collect(),
        groups: OrdMap::new(),
        configured: Arc::default(),
    };
    let order: Vec<_> = super::by_priority(&snapshot).iter().map(|(n, _)| n.to_string()).collect();
    assert_eq!(order, ["b:x", "z:first", "z:a"]);
}
