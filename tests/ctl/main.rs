//! The real supervisorctl against a daemon made of a script.

mod configuration;
mod control;
mod failures;
mod fake;
mod flags;
mod foreground;
mod logs;
mod real;
mod run;
mod server;
mod shell;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
