//! `org.supervisord.Supervisor1.Manager`: a delegation for each method.

use zbus::{OwnedFd, Variant};

use super::call::{Answer, Call, Options, channel, last_bytes, no_options, process, wait};
use super::dispatch::Context;
use super::error::Failure;
use super::process::micros;
use super::types::{Bytes, ConfigurationRow, GroupRow, ProcessRow, ResultRow, UpdateRow};
use super::{configuration, follow, path};
use crate::api::{API_VERSION, Api, VERSION};
use crate::core::request::ProcessResult;
use crate::http::sessions::{Grant, LINK};
use crate::http::visitor::Role;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::state::ProcessState;

pub(super) async fn call(context: &Context, api: &Api, member: &str, call: Call<'_>) -> Answer {
    match member {
        "ListProcesses" => call.reply(&list_processes(api)),
        "GetProcessInfo" => {
            let name: String = call.args()?;
            call.reply(&(ProcessRow::of(api, &*api.process(&name)?),))
        }
        "ListGroups" => call.reply(&list_groups(api)),
        "ListConfiguration" => call.reply(&list_configuration(api)),
        "DescribeConfiguration" => call.reply(&configuration::describe(api)),
        "GetProcess" => {
            let name: String = call.args()?;
            call.reply(&path::process(&api.process(&name)?.spec.name))
        }
        "GetGroup" => {
            let name: String = call.args()?;
            call.reply(&path::group(&api.group(&name)?.spec.name))
        }
        "StartProcess" => {
            let (name, options): (String, Options) = call.args()?;
            api.start(process(&name)?, wait(options)?).await?;
            call.done()
        }
        "StartGroup" => {
            let (group, options): (String, Options) = call.args()?;
            call.reply(&rows(api.start_group(&group, wait(options)?).await?))
        }
        "StartAll" => {
            let options: Options = call.args()?;
            call.reply(&rows(api.start_all(wait(options)?).await?))
        }
        "StopProcess" => {
            let (name, options): (String, Options) = call.args()?;
            api.stop(process(&name)?, wait(options)?).await?;
            call.done()
        }
        "StopGroup" => {
            let (group, options): (String, Options) = call.args()?;
            call.reply(&rows(api.stop_group(&group, wait(options)?).await?))
        }
        "StopAll" => {
            let options: Options = call.args()?;
            call.reply(&rows(api.stop_all(wait(options)?).await?))
        }
        "RestartProcess" => {
            let (name, options): (String, Options) = call.args()?;
            api.restart_process(process(&name)?, wait(options)?).await?;
            call.done()
        }
        "RestartGroup" => {
            let (group, options): (String, Options) = call.args()?;
            call.reply(&rows(api.restart_group(&group, wait(options)?).await?))
        }
        "RestartAll" => {
            let options: Options = call.args()?;
            call.reply(&rows(api.restart_all(wait(options)?).await?))
        }
        "SignalProcess" => {
            let (name, signal): (String, String) = call.args()?;
            api.signal(process(&name)?, &signal).await?;
            call.done()
        }
        "SignalGroup" => {
            let (group, signal): (String, String) = call.args()?;
            call.reply(&rows(api.signal_group(&group, &signal).await?))
        }
        "SignalAll" => {
            let signal: String = call.args()?;
            call.reply(&rows(api.signal_all(&signal).await?))
        }
        "SendProcessStdin" => {
            let (name, Bytes(data)): (String, Bytes) = call.args()?;
            api.send_stdin(process(&name)?, data).await?;
            call.done()
        }
        "SendGroupStdin" => {
            let (group, Bytes(data)): (String, Bytes) = call.args()?;
            call.reply(&rows(api.send_group_stdin(&group, &data).await?))
        }
        "SendRemoteEvent" => {
            let (kind, data): (String, String) = call.args()?;
            api.send_remote_event(&kind, &data).await?;
            call.done()
        }
        "ReadProcessLog" => {
            let (name, stream, offset, length): (String, String, i64, i64) = call.args()?;
            let (name, stream) = (process(&name)?, channel(&stream)?);
            call.reply(&Bytes(api.read_process_log(&name, stream, offset, length).await?))
        }
        "TailProcessLog" => {
            let (name, stream, offset, length): (String, String, i64, i64) = call.args()?;
            let (name, stream) = (process(&name)?, channel(&stream)?);
            let (data, size, overflow) =
                api.tail_process_log(&name, stream, offset, length).await?;
            call.reply(&(Bytes(data), size, overflow))
        }
        "FollowProcessLog" => {
            let (name, stream, options): (String, String, Options) = call.args()?;
            let (name, stream) = (process(&name)?, channel(&stream)?);
            let slot = context.followers.slot()?;
            let log = api.follow_process_log(&name, stream, last_bytes(options)?).await?;
            call.reply(&OwnedFd::from(follow::hand_over(log, slot)?))
        }
        "ClearProcessLogs" => {
            let name: String = call.args()?;
            api.clear_process_logs(&process(&name)?).await?;
            call.done()
        }
        "ClearGroupLogs" => {
            let group: String = call.args()?;
            call.reply(&rows(api.clear_group_logs(&group).await?))
        }
        "ClearAllProcessLogs" => call.reply(&rows(api.clear_all_process_logs().await?)),
        "ReadLog" => {
            let (offset, length): (i64, i64) = call.args()?;
            call.reply(&Bytes(api.read_log(offset, length).await?))
        }
        "TailLog" => {
            let (offset, length): (i64, i64) = call.args()?;
            let (data, size, overflow) = api.tail_log(offset, length).await?;
            call.reply(&(Bytes(data), size, overflow))
        }
        "FollowLog" => {
            let options: Options = call.args()?;
            let slot = context.followers.slot()?;
            let log = api.follow_log(last_bytes(options)?).await?;
            call.reply(&OwnedFd::from(follow::hand_over(log, slot)?))
        }
        "ClearLog" => {
            api.clear_log().await?;
            call.done()
        }
        "Reread" => {
            let changes = api.reread().await?;
            call.reply(&(changes.added, changes.changed, changes.removed))
        }
        "AddGroup" => {
            let name: String = call.args()?;
            api.add_group(&name).await?;
            call.done()
        }
        "RemoveGroup" => {
            let name: String = call.args()?;
            api.remove_group(&name).await?;
            call.done()
        }
        "UpdateGroup" => {
            let name: String = call.args()?;
            api.update_group(&name).await?;
            call.done()
        }
        "Update" => {
            let (groups, options): (Vec<String>, Options) = call.args()?;
            no_options(&options)?;
            let rows: Vec<_> =
                api.update(&groups).await?.into_iter().map(UpdateRow::from).collect();
            call.reply(&rows)
        }
        "Shutdown" => {
            api.shutdown().await?;
            call.done()
        }
        "Upgrade" => {
            api.upgrade().await?;
            call.done()
        }
        "Restart" => {
            api.restart().await?;
            call.done()
        }
        "CreateLogin" => {
            let links = create_login(context, &call, Role::Act).await?;
            call.reply(&(links, LINK.as_secs()))
        }
        "CreateReadOnlyLogin" => {
            let links = create_login(context, &call, Role::Read).await?;
            call.reply(&(links, LINK.as_secs()))
        }
        "Subscribe" => {
            context.signals.subscribe();
            call.done()
        }
        "Unsubscribe" => {
            context.signals.unsubscribe();
            call.done()
        }
        _ => Err(Failure::unknown_method(member)),
    }
}

/// A link that opens a session of the web page, at each server where one logs in.
async fn create_login(
    context: &Context,
    call: &Call<'_>,
    role: Role,
) -> Result<Vec<String>, Failure> {
    let logins = &context.logins;
    if logins.servers.is_empty() {
        let why = "no [inet_http_server] has auth=login";
        return Err(Fault::new(FaultKind::Failed, why).into());
    }
    let caller = context.callers.of(&call.header()).await?;
    let grant = Grant { role, name: format!("user {}", caller.uid).into() };
    logins.offer(grant).ok_or_else(|| Failure::failed("The system has no random numbers."))
}

/// A property of the manager.
pub(super) fn property(api: &Api, name: &str) -> Option<Variant<'static>> {
    let identity = api.identity();
    Some(match name {
        "Version" => VERSION.into(),
        "Upgrades" => api.identity().upgrades.done.into(),
        "FailedUpgrades" => api.identity().upgrades.failed.into(),
        "UpgradeError" => {
            api.identity().upgrades.error.as_deref().unwrap_or_default().to_owned().into()
        }
        "ApiVersion" => API_VERSION.into(),
        "Identification" => identity.identifier.clone().into(),
        "Pid" => identity.pid.into(),
        "ConfigurationFile" => identity.config_file.to_string_lossy().into_owned().into(),
        "LogFile" => api
            .log_file()
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default()
            .into(),
        "StartTime" => micros(api.started()).into(),
        "ProcessCount" => count(api, |_| true).into(),
        "RunningCount" => count(api, ProcessState::is_running).into(),
        "FailedCount" => count(api, |state| state == ProcessState::Fatal).into(),
        "State" => api.state().name().into(),
        "StateCode" => api.state().code().into(),
        _ => return None,
    })
}

fn count(api: &Api, of: impl Fn(ProcessState) -> bool) -> u32 {
    let count = api.snapshot().processes.values().filter(|process| of(process.state)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn list_processes(api: &Api) -> Vec<ProcessRow> {
    api.snapshot().processes.values().map(|process| ProcessRow::of(api, process)).collect()
}

fn list_groups(api: &Api) -> Vec<GroupRow> {
    api.snapshot()
        .groups
        .values()
        .map(|group| GroupRow {
            name: group.spec.name.as_ref().to_owned(),
            priority: group.spec.priority,
            path: path::group(&group.spec.name),
        })
        .collect()
}

fn list_configuration(api: &Api) -> Vec<ConfigurationRow> {
    api.configuration()
        .into_iter()
        .map(|configured| {
            let ProcessName { group, process } = &configured.process.name;
            ConfigurationRow {
                group: group.as_ref().to_owned(),
                name: process.as_ref().to_owned(),
                active: configured.active,
                autostart: configured.process.autostart,
                group_priority: configured.group.priority,
                process_priority: configured.process.priority,
            }
        })
        .collect()
}

pub(super) fn rows(results: Vec<ProcessResult>) -> Vec<ResultRow> {
    results.into_iter().map(ResultRow::from).collect()
}
