//! The service manager: notifications, the watchdog, sockets that it opened for us, the journal.
#![forbid(unsafe_code)]

pub mod fdstore;
pub mod herald;
pub mod journal;
pub mod link;
pub mod listen;
pub mod notify;
pub mod status;
pub mod watchdog;
