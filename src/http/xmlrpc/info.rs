//! What is told of processes and of the configuration (C-307 to C-311).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::value::Value;
use crate::api::Api;
use crate::core::request::ProcessResult;
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::spec::{GroupSpec, LogFile, LogSpec, ProcessSpec};
use crate::model::time::Wall;

/// How a process is (C-307, C-308).
pub fn process(api: &Api, process: &ProcessSnapshot) -> Value {
    let name = &process.spec.name;
    let log = |path: Option<&PathBuf>| Value::Str(path.map(|path| shown(path)).unwrap_or_default());
    let started = process.started.map(|(_, wall)| wall.secs()).unwrap_or_default();
    let stopped = process.stopped.map(Wall::secs).unwrap_or_default();
    Value::of([
        ("name", (&*name.process).into()),
        ("group", (&*name.group).into()),
        ("start", time(started)),
        ("stop", time(stopped)),
        ("now", time(api.now().wall.secs())),
        ("state", process.state.code().into()),
        ("statename", process.state.name().into()),
        ("spawnerr", (&*process.spawn_error).into()),
        ("exitstatus", process.exit_code.unwrap_or_default().into()),
        ("logfile", log(process.logs.stdout.as_ref())),
        ("stdout_logfile", log(process.logs.stdout.as_ref())),
        ("stderr_logfile", log(process.logs.stderr.as_ref())),
        ("pid", process.pid.into()),
        ("description", api.describe(process).into()),
    ])
}

/// Seconds since the epoch, as far as 32 bits reach (C-308).
fn time(secs: u64) -> Value {
    Value::from(i32::try_from(secs).unwrap_or(i32::MAX))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The configuration as last read, by the names of the processes (C-310).
pub fn configuration(snapshot: &Snapshot) -> Value {
    let mut all: Vec<(&Arc<GroupSpec>, &Arc<ProcessSpec>)> = snapshot
        .configured
        .iter()
        .flat_map(|group| group.processes.iter().map(move |process| (group, process)))
        .collect();
    all.sort_by(|(_, one), (_, other)| one.name.process.cmp(&other.name.process));
    all.into_iter().map(|(group, process)| configured(snapshot, group, process)).collect()
}

fn configured(snapshot: &Snapshot, group: &Arc<GroupSpec>, process: &Arc<ProcessSpec>) -> Value {
    let none = || Value::from("none");
    let number = |number: i64| Value::Int(number);
    // Until the configuration is read again, what runs was made from it (C-311).
    let live = snapshot
        .processes
        .get(&process.name)
        .filter(|live| Arc::ptr_eq(&live.spec, process))
        .map(|live| &live.logs);
    let log = |spec: &LogSpec, live: Option<&PathBuf>| match (&spec.file, live) {
        (LogFile::None, _) => none(),
        (LogFile::Journal, _) => "journal".into(),
        (LogFile::Auto, None) => "auto".into(),
        (LogFile::Auto | LogFile::Path(_), Some(path)) | (LogFile::Path(path), None) => {
            Value::Str(shown(path))
        }
    };
    let stdout = log(&process.stdout, live.and_then(|logs| logs.stdout.as_ref()));
    let stderr = log(&process.stderr, live.and_then(|logs| logs.stderr.as_ref()));
    let mut members = vec![
        ("autostart", process.autostart.into()),
        ("directory", process.directory.as_deref().map_or_else(none, |path| shown(path).into())),
        ("uid", process.user.as_ref().map_or_else(none, |user| number(user.uid.into()))),
        ("command", process.command.as_str().into()),
        ("exitcodes", process.exitcodes.iter().copied().collect()),
        ("group", (&*group.name).into()),
        ("group_prio", number(group.priority)),
        ("inuse", snapshot.groups.contains_key(&group.name).into()),
        ("killasgroup", process.killasgroup.into()),
        ("name", (&*process.name.process).into()),
        ("process_prio", number(process.priority)),
        ("redirect_stderr", process.redirect_stderr.into()),
        ("startretries", number(process.startretries)),
        ("startsecs", number(process.startsecs)),
    ];
    members.extend(channel(&process.stdout, stdout, &STDOUT));
    members.push(("stopsignal", process.stopsignal.0.into()));
    members.push(("stopwaitsecs", number(process.stopwaitsecs)));
    members.extend(channel(&process.stderr, stderr, &STDERR));
    members.push(("serverurl", process.serverurl.as_deref().map_or_else(none, Value::from)));
    Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// What the members about a channel are called.
struct Names {
    capture: &'static str,
    events: &'static str,
    file: &'static str,
    backups: &'static str,
    maxbytes: &'static str,
    syslog: &'static str,
}

const STDOUT: Names = Names {
    capture: "stdout_capture_maxbytes",
    events: "stdout_events_enabled",
    file: "stdout_logfile",
    backups: "stdout_logfile_backups",
    maxbytes: "stdout_logfile_maxbytes",
    syslog: "stdout_syslog",
};

const STDERR: Names = Names {
    capture: "stderr_capture_maxbytes",
    events: "stderr_events_enabled",
    file: "stderr_logfile",
    backups: "stderr_logfile_backups",
    maxbytes: "stderr_logfile_maxbytes",
    syslog: "stderr_syslog",
};

fn channel(spec: &LogSpec, file: Value, names: &Names) -> [(&'static str, Value); 6] {
    [
        (names.capture, spec.capture_maxbytes.into()),
        (names.events, spec.events_enabled.into()),
        (names.file, file),
        (names.backups, spec.backups.into()),
        (names.maxbytes, spec.maxbytes.into()),
        (names.syslog, spec.syslog.into()),
    ]
}

/// What became of many (C-301).
pub fn results(results: Vec<ProcessResult>) -> Value {
    results
        .into_iter()
        .map(|result| {
            Value::of([
                ("name", (&*result.name.process).into()),
                ("group", (&*result.name.group).into()),
                ("status", result.status.code().into()),
                ("description", result.description.into()),
            ])
        })
        .collect()
}
