//! Carries out what the core decides.

pub mod cgroups;
pub mod channels;
pub mod command;
pub mod driver;
pub mod effects;
pub mod fcgi;
pub mod fuzzing;
pub mod handle;
pub mod handover;
pub mod happenings;
pub mod leftovers;
pub mod logs;
mod signals;
pub mod spawner;
pub mod stdin;
