//! `org.supervisord.Supervisor1.Process`: a delegation for each method.

use std::path::PathBuf;

use zbus::{OwnedFd, Variant};

use super::call::{Answer, Call, Options, channel, interval, last_bytes, wait};
use super::dispatch::Context;
use super::error::Failure;
use super::types::{Bytes, ProcessRow};
use super::watch::Watch;
use super::{follow, path};
use crate::api::describe::describe;
use crate::api::{Api, Named, Usage};
use crate::model::listener::ListenerState;
use crate::model::name::ProcessName;
use crate::model::snapshot::ProcessSnapshot;
use crate::model::spec::Autorestart;
use crate::model::time::{Now, Wall};

pub(super) async fn call(
    context: &Context,
    api: &Api,
    process: ProcessName,
    member: &str,
    call: Call<'_>,
) -> Answer {
    let name = Named::from(process.clone());
    match member {
        "Start" => {
            let options: Options = call.args()?;
            api.start(name, wait(options)?).await?;
            call.done()
        }
        "Stop" => {
            let options: Options = call.args()?;
            api.stop(name, wait(options)?).await?;
            call.done()
        }
        "Restart" => {
            let options: Options = call.args()?;
            api.restart_process(name, wait(options)?).await?;
            call.done()
        }
        "Signal" => {
            let signal: String = call.args()?;
            api.signal(name, &signal).await?;
            call.done()
        }
        "SendStdin" => {
            let Bytes(data) = call.args()?;
            api.send_stdin(name, data).await?;
            call.done()
        }
        "ReadLog" => {
            let (stream, offset, length): (String, i64, i64) = call.args()?;
            let stream = channel(&stream)?;
            call.reply(&Bytes(api.read_process_log(&name, stream, offset, length).await?))
        }
        "TailLog" => {
            let (stream, offset, length): (String, i64, i64) = call.args()?;
            let stream = channel(&stream)?;
            let (data, size, overflow) =
                api.tail_process_log(&name, stream, offset, length).await?;
            call.reply(&(Bytes(data), size, overflow))
        }
        "WatchLog" => {
            let (stream, options): (String, Options) = call.args()?;
            let watch = Watch {
                whom: call.sender(),
                process,
                channel: channel(&stream)?,
                interval: interval(options)?,
            };
            let slot = context.followers.slot()?;
            let (growth, key) = api.watch_process_log(&name, watch.channel)?;
            context.signals.watch(watch, growth, key, slot).await?;
            call.done()
        }
        "UnwatchLog" => {
            let stream: String = call.args()?;
            context.signals.unwatch(call.sender(), process, channel(&stream)?);
            call.done()
        }
        "FollowLog" => {
            let (stream, options): (String, Options) = call.args()?;
            let stream = channel(&stream)?;
            let slot = context.followers.slot()?;
            let log = api.follow_process_log(&name, stream, last_bytes(options)?).await?;
            call.reply(&OwnedFd::from(follow::hand_over(log, slot)?))
        }
        "ClearLogs" => {
            api.clear_process_logs(&name).await?;
            call.done()
        }
        _ => Err(Failure::unknown_method(member)),
    }
}

/// A property of a process.
pub(super) fn property(
    process: &ProcessSnapshot,
    now: Now,
    usage: Option<&Usage>,
    name: &str,
) -> Option<Variant<'static>> {
    Some(match name {
        "Name" => process.spec.name.process.as_ref().to_owned().into(),
        "Group" => process.spec.name.group.as_ref().to_owned().into(),
        "State" => process.state.name().into(),
        "StateCode" => process.state.code().into(),
        "Pid" => pid(process).into(),
        "StartTime" => start(process).into(),
        "StopTime" => stop(process).into(),
        "ExitStatus" => process.exit_code.unwrap_or(0).into(),
        "SpawnError" => process.spawn_error.as_ref().to_owned().into(),
        "Description" => describe(process, now).into(),
        "StdoutLog" => file(process.logs.stdout.as_ref()).into(),
        "StderrLog" => file(process.logs.stderr.as_ref()).into(),
        "ExitSignal" => process.exit_signal.map_or(0, |signal| signal.0).into(),
        "RestartCount" => process.restarts.into(),
        "LeftBehind" => process.left.into(),
        "Command" => process.spec.command.clone().into(),
        "Directory" => file(process.spec.directory.as_ref()).into(),
        "User" => {
            process.spec.user.as_ref().map(|user| user.name.clone()).unwrap_or_default().into()
        }
        "Priority" => process.spec.priority.into(),
        "Autostart" => process.spec.autostart.into(),
        "Autorestart" => autorestart(process.spec.autorestart).into(),
        "ListenerState" => process.listener.map_or("", ListenerState::name).into(),
        "ControlGroup" => file(usage?.control_group.as_ref()).into(),
        "CPUUsageNSec" => usage?.cpu_nsec.unwrap_or(UNKNOWN).into(),
        "MemoryCurrent" => usage?.memory.unwrap_or(UNKNOWN).into(),
        "TasksCurrent" => usage?.tasks.unwrap_or(UNKNOWN).into(),
        _ => return None,
    })
}

/// Whether this property is measured when it is asked for.
pub(super) fn is_measured(name: &str) -> bool {
    matches!(name, "ControlGroup" | "CPUUsageNSec" | "MemoryCurrent" | "TasksCurrent")
}

/// What a number is that nobody knows, as systemd has it.
const UNKNOWN: u64 = u64::MAX;

/// As in the configuration file.
pub(super) fn autorestart(value: Autorestart) -> &'static str {
    match value {
        Autorestart::Never => "false",
        Autorestart::Unexpected => "unexpected",
        Autorestart::Always => "true",
    }
}

impl ProcessRow {
    pub(super) fn of(api: &Api, process: &ProcessSnapshot) -> Self {
        Self {
            group: process.spec.name.group.as_ref().to_owned(),
            name: process.spec.name.process.as_ref().to_owned(),
            state: process.state.code(),
            description: api.describe(process),
            pid: pid(process),
            start: start(process),
            stop: stop(process),
            exit_status: process.exit_code.unwrap_or(0),
            spawn_error: process.spawn_error.as_ref().to_owned(),
            path: path::process(&process.spec.name),
        }
    }
}

fn pid(process: &ProcessSnapshot) -> u32 {
    u32::try_from(process.pid).unwrap_or(0)
}

fn start(process: &ProcessSnapshot) -> u64 {
    process.started.map_or(0, |(_, wall)| micros(wall))
}

fn stop(process: &ProcessSnapshot) -> u64 {
    process.stopped.map_or(0, micros)
}

pub(super) fn micros(wall: Wall) -> u64 {
    u64::try_from(wall.0.as_micros()).unwrap_or(u64::MAX)
}

fn file(path: Option<&PathBuf>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}
