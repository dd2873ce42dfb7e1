//! Plain data that every layer speaks: names, states, times, faults, snapshots. No behaviour
//! beyond what the data itself means, no input or output.
#![forbid(unsafe_code)]

pub mod event;
pub mod event_type;
pub mod exit;
pub mod fault;
pub mod key;
pub mod listener;
pub mod message;
pub mod name;
pub mod paths;
pub mod record;
pub mod signal;
pub mod snapshot;
pub mod spawn;
pub mod spec;
pub mod state;
pub mod text;
pub mod time;
