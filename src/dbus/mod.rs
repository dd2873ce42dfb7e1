//! The control interface `org.supervisord.Supervisor1` on D-Bus. The contract is the file
//! `dbus/org.supervisord.Supervisor1.xml`.

pub mod contract;
pub mod error;
pub mod path;
pub mod proxy;
pub mod types;
