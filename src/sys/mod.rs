//! Linux system calls: the only place with unsafe code.

pub mod cgroup;
pub mod clock;
pub mod companion;
pub mod daemonize;
pub mod failpoint;
pub mod fcgi;
pub mod handover;
pub mod host;
pub mod inherited;
pub mod leftovers;
pub mod limits;
pub mod pidfd;
pub mod pidfile;
pub mod procfs;
pub mod reap;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod subreaper;
pub mod tcp;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;
pub mod usage;
pub mod user;
pub mod watch;
