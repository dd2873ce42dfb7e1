//! The D-Bus interface on a private bus with the shipped policy, and on a socket of its own; busctl
//! and gdbus are clients, and zbus.
//!
//! The engine behind it answers by a script, so that each test says what the engine would do. Tests
//! of the whole daemon are in `daemon.rs`.

mod access;
mod audit;
mod authority;
mod broker;
mod calls;
mod daemon;
mod documentation;
mod endpoints;
mod fake;
mod flood;
mod happenings;
mod introspection;
mod logs;
mod polkit;
mod polkitd;
mod signals;
#[path = "../support/mod.rs"]
mod support;
mod usage;
mod watches;
