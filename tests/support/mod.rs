//! What the test binaries share: scratch directories, processes that are waited for by events,
//! a stand-in for the service manager, and the daemon under test.
//!
//! Nothing here sleeps to wait: exits come from pidfds, files from inotify, output from blocking
//! reads, readiness from a datagram.

// Every test binary compiles this module for itself and uses a part of it.
#![allow(dead_code)]

pub mod cgroup;
pub mod children;
pub mod daemon;
pub mod disk;
pub mod http;
pub mod journal;
pub mod manager;
pub mod notify;
pub mod process;
pub mod scratch;
pub mod terminal;
pub mod watch;

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far more than it needs on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Does something until it took less than `bound` once, and says that it is quick by itself: a single
/// attempt may be held up by whatever else the machine does.
///
/// # Panics
/// When each of many attempts took longer.
pub fn expect_quick(bound: Duration, mut attempt: impl FnMut()) {
    let mut fastest = Duration::MAX;
    for _ in 0..12 {
        let began = Instant::now();
        attempt();
        fastest = fastest.min(began.elapsed());
        if fastest < bound {
            return;
        }
    }
    panic!("the fastest of many took {fastest:?}");
}

/// Whether the tests run as root; what needs it calls [`require_root`].
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says loudly that a test cannot run without root.
///
/// # Panics
/// When the caller is not root: such a test never passes silently.
pub fn require_root() {
    assert!(is_root(), "this test changes users, so it has to run as root");
}
