//! The service manager: notifications, and later watchdog, sockets and journal.
#![forbid(unsafe_code)]

pub mod notify;
