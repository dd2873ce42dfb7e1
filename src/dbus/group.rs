//! `org.supervisord.Supervisor1.Group`: a delegation for each method.

use zbus::{OwnedObjectPath, Variant};

use super::call::{Answer, Call, Options, wait};
use super::error::Failure;
use super::manager::rows;
use super::path;
use super::types::Bytes;
use crate::api::Api;
use crate::model::snapshot::{GroupSnapshot, Snapshot};

pub(super) async fn call(api: &Api, group: &str, member: &str, call: Call<'_>) -> Answer {
    match member {
        "Start" => {
            let options: Options = call.args()?;
            call.reply(&rows(api.start_group(group, wait(options)?).await?))
        }
        "Stop" => {
            let options: Options = call.args()?;
            call.reply(&rows(api.stop_group(group, wait(options)?).await?))
        }
        "Restart" => {
            let options: Options = call.args()?;
            call.reply(&rows(api.restart_group(group, wait(options)?).await?))
        }
        "Signal" => {
            let signal: String = call.args()?;
            call.reply(&rows(api.signal_group(group, &signal).await?))
        }
        "SendStdin" => {
            let Bytes(data) = call.args()?;
            call.reply(&rows(api.send_group_stdin(group, &data).await?))
        }
        "ClearLogs" => call.reply(&rows(api.clear_group_logs(group).await?)),
        _ => Err(Failure::unknown_method(member)),
    }
}

/// A property of a group.
pub(super) fn property(
    snapshot: &Snapshot,
    group: &GroupSnapshot,
    name: &str,
) -> Option<Variant<'static>> {
    Some(match name {
        "Name" => group.spec.name.as_ref().to_owned().into(),
        "Priority" => group.spec.priority.into(),
        "Processes" => {
            let members = snapshot.members(&group.spec.name);
            let paths: Vec<OwnedObjectPath> =
                members.map(|process| path::process(&process.spec.name)).collect();
            paths.into()
        }
        "EventsQueued" => group.pool.map_or(0, |pool| pool.queued).into(),
        "EventsDropped" => group.pool.map_or(0, |pool| pool.dropped).into(),
        _ => return None,
    })
}
