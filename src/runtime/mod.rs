//! Carries out what the core decides.

pub mod cgroups;
pub mod channels;
pub mod checkpoint;
pub mod command;
pub mod driver;
pub mod effects;
pub mod fcgi;
mod foundling;
pub mod fuzzing;
pub mod handle;
pub mod handover;
pub mod happenings;
pub mod keep;
pub mod leftovers;
pub mod logs;
pub mod recover;
mod signals;
pub mod spawner;
pub mod stdin;
