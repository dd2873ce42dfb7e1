//! The control interface `org.supervisord.Supervisor1` on D-Bus. The contract is the file
//! `dbus/org.supervisord.Supervisor1.xml`; `dispatch` tells how calls are answered from it.

mod about;
mod appearance;
mod audit;
mod broker;
mod call;
mod caller;
mod configuration;
pub mod contract;
mod dispatch;
pub mod endpoint;
pub mod error;
mod follow;
mod group;
mod happening;
mod load;
mod manager;
pub mod path;
mod policy;
mod polkit;
mod process;
pub mod proxy;
mod publish;
mod session;
mod standard;
pub mod types;
mod watch;
