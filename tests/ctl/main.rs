//! The real supervisorctl against a daemon made of a script.

#[path = "../bus/authority.rs"]
mod authority;
#[path = "../bus/broker.rs"]
// A part of it is used here.
#[allow(dead_code)]
mod broker;
mod bus;
mod configuration;
mod control;
mod failures;
mod fake;
mod flags;
mod foreground;
mod logs;
mod polkit;
mod real;
mod run;
mod server;
mod shell;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod web;
