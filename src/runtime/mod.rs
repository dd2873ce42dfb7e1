//! Carries out what the core decides.

pub mod command;
pub mod handle;
pub mod logs;
