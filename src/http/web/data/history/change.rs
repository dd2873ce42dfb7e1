//! A change of state, as the pages tell it.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::model::exit::ExitStatus;
use crate::model::state::ProcessState;

/// A change of the state of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Counts all changes of all processes, from 1 on.
    pub number: u64,
    /// When it was heard of, in milliseconds since the epoch.
    pub at: u64,
    /// The state it left; none where changes before this one were missed.
    #[serde(serialize_with = "maybe_state")]
    pub from: Option<ProcessState>,
    /// The state it entered.
    #[serde(serialize_with = "state")]
    pub to: ProcessState,
    /// Its pid; for the end of a child the one that it had; 0 for none.
    pub pid: i32,
    /// How its child ended: `exit status 2`, `terminated by SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "words")]
    pub ended: Option<ExitStatus>,
    /// Why it could not be started; empty where `ended` says it all.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: Arc<str>,
    /// How many times it was started again by itself since somebody started it.
    pub restarts: u32,
    /// Who asked for it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn state<S: Serializer>(state: &ProcessState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&state.name().to_lowercase())
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // serde's signature
fn maybe_state<S: Serializer>(from: &Option<ProcessState>, to: S) -> Result<S::Ok, S::Error> {
    match from {
        Some(from) => state(from, to),
        None => to.serialize_none(),
    }
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // serde's signature
fn words<S: Serializer>(ended: &Option<ExitStatus>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&ended.map(|ended| ended.to_string()).unwrap_or_default())
}
