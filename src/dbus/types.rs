//! The structures of the contract, as both sides of the wire use them.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zbus::{OwnedObjectPath, Type, signature};

use crate::api::Updated;
use crate::core::request::ProcessResult;
use crate::model::fault::FaultKind;

/// Well-known name of the daemon.
pub const BUS_NAME: &str = "org.supervisord.Supervisor1";
/// Path of the manager object.
pub const MANAGER_PATH: &str = "/org/supervisord/Supervisor1";
/// Interface of the manager object.
pub const MANAGER: &str = "org.supervisord.Supervisor1.Manager";
/// Interface of a group object.
pub const GROUP: &str = "org.supervisord.Supervisor1.Group";
/// Interface of a process object.
pub const PROCESS: &str = "org.supervisord.Supervisor1.Process";
/// What the names of our errors begin with.
pub const ERROR_PREFIX: &str = "org.supervisord.Supervisor1.Error.";

/// One process in `ListProcesses`: `(ssisuttiso)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ProcessRow {
    /// Its group.
    pub group: String,
    /// Its name inside the group.
    pub name: String,
    /// The code of its state (C-169).
    pub state: i32,
    /// What `supervisorctl status` shows.
    pub description: String,
    /// Its pid, or 0.
    pub pid: u32,
    /// When it was last started: microseconds since the epoch, or 0.
    pub start: u64,
    /// When it last ended: microseconds since the epoch, or 0.
    pub stop: u64,
    /// Its last exit code; -1 after a death by signal.
    pub exit_status: i32,
    /// Why it could not be started, or empty.
    pub spawn_error: String,
    /// Its object.
    pub path: OwnedObjectPath,
}

/// One group in `ListGroups`: `(sxo)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// Order among groups; lower starts first.
    pub priority: i64,
    /// Its object.
    pub path: OwnedObjectPath,
}

/// One process in `ListConfiguration`: `(ssbbxx)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ConfigurationRow {
    /// Its group.
    pub group: String,
    /// Its name inside the group.
    pub name: String,
    /// Whether the group is active.
    pub active: bool,
    /// Whether it starts with the daemon.
    pub autostart: bool,
    /// Priority of the group.
    pub group_priority: i64,
    /// Priority of the process.
    pub process_priority: i64,
}

/// What became of one process of many: `(ssis)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ResultRow {
    /// Its group.
    pub group: String,
    /// Its name inside the group.
    pub name: String,
    /// 80 is success, others are fault codes (C-287).
    pub code: i32,
    /// `OK`, or the fault as text.
    pub text: String,
}

impl From<ProcessResult> for ResultRow {
    fn from(result: ProcessResult) -> Self {
        Self {
            group: result.name.group.as_ref().to_owned(),
            name: result.name.process.as_ref().to_owned(),
            code: result.status.code(),
            text: result.description,
        }
    }
}

/// What became of one group in `Update`: `(ssis)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct UpdateRow {
    /// Which group.
    pub group: String,
    /// `removed`, `changed` or `added`.
    pub change: String,
    /// 80 is success, others are fault codes (C-287).
    pub code: i32,
    /// `OK`, or the fault as text.
    pub text: String,
}

impl From<Updated> for UpdateRow {
    fn from(updated: Updated) -> Self {
        let (code, text) = match updated.outcome {
            Ok(()) => (FaultKind::Success.code(), "OK".to_owned()),
            Err(fault) => (fault.kind.code(), fault.to_string()),
        };
        let group = updated.group.as_ref().to_owned();
        Self { group, change: updated.change.name().to_owned(), code, text }
    }
}

/// An array of bytes, `ay`, moved at once instead of byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

impl Type for Bytes {
    const SIGNATURE: &'static zbus::Signature = &signature!("ay");
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor).map(Bytes)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
