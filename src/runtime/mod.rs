//! Carries out what the core decides.

pub mod handle;
