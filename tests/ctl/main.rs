//! The real supervisorctl against a daemon made of a script.

mod configuration;
mod control;
mod failures;
mod fake;
mod flags;
mod foreground;
mod logs;
mod run;
mod server;
mod shell;
mod terminal;
