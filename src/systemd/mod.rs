//! The service manager: notifications, the watchdog and sockets that it opened for us.
#![forbid(unsafe_code)]

pub mod herald;
pub mod link;
pub mod listen;
pub mod notify;
pub mod status;
pub mod watchdog;
