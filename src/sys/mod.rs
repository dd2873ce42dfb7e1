//! Linux system calls: the only place with unsafe code.

pub mod clock;
pub mod pidfd;
pub mod reap;
pub mod signals;
pub mod spawn;
#[cfg(test)]
pub(crate) mod testing;
pub mod user;
