//! Supervisor 5: a process control system for Linux.
//!
//! The layers, lowest first (`tests/layers.rs` holds them): [`model`] is plain data; [`config`],
//! [`core`] and [`sys`] are the configuration language, the pure state machine and the Linux
//! system calls; [`runtime`] and [`systemd`] carry out what the core decides; [`api`],
//! [`dbus`] and [`http`] are how the outside asks for something; [`daemon`] and [`ctl`] put it together.
//! `docs/architecture.md` tells the whole story.

pub mod api;
pub mod config;
pub mod core;
pub mod ctl;
pub mod daemon;
pub mod dbus;
pub mod http;
pub mod model;
pub mod pidproxy;
pub mod runtime;
pub mod sys;
pub mod systemd;
