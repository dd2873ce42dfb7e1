//! `org.supervisord.Supervisor1.Process`: a delegation for each method.

use std::path::PathBuf;

use zbus::{OwnedFd, Variant};

use super::call::{Answer, Call, Options, channel, last_bytes, wait};
use super::dispatch::Context;
use super::error::Failure;
use super::types::{Bytes, ProcessRow};
use super::{follow, path};
use crate::api::describe::describe;
use crate::api::{Api, Named};
use crate::model::name::ProcessName;
use crate::model::snapshot::ProcessSnapshot;
use crate::model::time::{Now, Wall};

pub(super) async fn call(
    context: &Context,
    name: ProcessName,
    member: &str,
    call: Call<'_>,
) -> Answer {
    let api = &context.api;
    let name = Named::from(name);
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
        _ => return None,
    })
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

fn micros(wall: Wall) -> u64 {
    u64::try_from(wall.0.as_micros()).unwrap_or(u64::MAX)
}

fn file(path: Option<&PathBuf>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}
