//! A control group for each program, below the daemon's own.
//!
//! Only in a version 2 hierarchy, and only where that part of it was given to the daemon
//! ([`place`] finds out): a control group that is not ours is its owner's to divide. The daemon
//! itself then goes to `supervisord` below its own cgroup, because one with processes in it cannot
//! hand resource controllers down, and each program to one named as people write the program
//! ([`file_name`]).
#![allow(unsafe_code)]

mod delegation;
#[cfg(test)]
mod tests;
mod tree;

pub use delegation::{Place, place};
pub(super) use delegation::{directories, own_path};
pub use tree::{Refusal, Tree, file_name};

/// The cgroup of the daemon itself, below what it was given.
pub const OWN: &str = "supervisord";
