//! The scenarios, by subject. Each names the rows it covers.

mod clients;
mod command_line;
mod commands;
mod config_errors;
mod config_values;
mod events;
mod events_delivery;
mod events_output;
mod fcgi;
mod fcgi_application;
mod flags;
mod groups;
mod http;
mod logs;
mod rpc;
mod shell;
mod spawning;
mod startup;
mod states;
mod syslog;
mod tools;
