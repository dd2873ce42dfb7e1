//! Makes configurations for tests.

use std::sync::Arc;

use crate::config::listener::DEFAULT_HANDLER;
use crate::model::event_type::EventType;
use crate::model::name::{ProcessName, Target};
use crate::model::signal::Signal;
use crate::model::spec::{
    Autorestart, EventLength, GroupSpec, KillMode, ListenerPool, LogFile, LogSpec, ProcessKind,
    ProcessSpec,
};

fn no_log() -> LogSpec {
    LogSpec {
        file: LogFile::None,
        maxbytes: 0,
        backups: 0,
        capture_maxbytes: 0,
        events_enabled: false,
        syslog: false,
    }
}

/// A process with the defaults of the configuration language, changed by `edit`.
pub fn process(name: &str, edit: impl FnOnce(&mut ProcessSpec)) -> Arc<ProcessSpec> {
    let name = match Target::parse(name) {
        Target::Process(name) => name,
        Target::Group(group) => ProcessName::new(group.clone(), group),
    };
    let mut spec = ProcessSpec {
        program: Arc::clone(&name.process),
        name,
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
        stdout: no_log(),
        stderr: no_log(),
    };
    edit(&mut spec);
    Arc::new(spec)
}

/// A group.
pub fn group(name: &str, priority: i64, processes: Vec<Arc<ProcessSpec>>) -> Arc<GroupSpec> {
    Arc::new(GroupSpec { name: name.into(), priority, listener: None, processes })
}

/// A program of one process, changed by `edit`: its group has its name and its priority.
pub fn program(name: &str, edit: impl FnOnce(&mut ProcessSpec)) -> Arc<GroupSpec> {
    let process = process(name, edit);
    group(name, process.priority, vec![process])
}

/// A pool of so many event listeners, `name:name_0` and so on, changed by `edit`.
pub fn listeners(
    name: &str,
    number: usize,
    events: &[EventType],
    edit: impl FnOnce(&mut ListenerPool),
) -> Arc<GroupSpec> {
    let process = |number| {
        process(&format!("{name}:{name}_{number}"), |spec| spec.kind = ProcessKind::EventListener)
    };
    let mut pool = ListenerPool {
        buffer_size: 1000,
        events: events.to_vec(),
        event_length: EventLength::Characters,
        result_handler: DEFAULT_HANDLER.to_owned(),
    };
    edit(&mut pool);
    Arc::new(GroupSpec {
        name: name.into(),
        priority: -1,
        listener: Some(pool),
        processes: (0..number).map(process).collect(),
    })
}

/// A program with all defaults.
pub fn plain(name: &str) -> Arc<GroupSpec> {
    program(name, |_| {})
}

/// A program that is not started with the daemon.
pub fn manual(name: &str) -> Arc<GroupSpec> {
    program(name, |spec| spec.autostart = false)
}
