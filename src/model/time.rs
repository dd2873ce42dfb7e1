//! Two clocks, two types: what is scheduled uses [`Mono`], what is shown uses [`Wall`].
//!
//! Nothing is ever scheduled on the wall clock, so setting the clock cannot hang or hurry a
//! process (upstream rebases its timers by hand instead: C-168, C-190).

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the monotonic clock, as the time since an arbitrary origin (the boot).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Mono(pub Duration);

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, rhs: Duration) -> Mono {
        Mono(self.0.saturating_add(rhs))
    }
}

impl Sub for Mono {
    type Output = Duration;
    /// The time from `rhs` to `self`; zero when `rhs` is later.
    fn sub(self, rhs: Mono) -> Duration {
        self.0.saturating_sub(rhs.0)
    }
}

/// A point on the wall clock, as the time since 1970-01-01 00:00 UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Wall(pub Duration);

impl Wall {
    /// Whole seconds since the epoch.
    #[must_use]
    pub fn secs(self) -> u64 {
        self.0.as_secs()
    }
}

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For scheduling.
    pub mono: Mono,
    /// For showing.
    pub wall: Wall,
}
