//! The two clocks.

use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::failpoint;
use crate::model::time::{Mono, Now, Wall};

/// Both clocks, read one after the other: `CLOCK_MONOTONIC` and `CLOCK_REALTIME`.
///
/// The monotonic clock stands still while the machine is suspended (`CLOCK_BOOTTIME` does not):
/// programs had no time meanwhile either, so none of theirs has run out afterwards.
///
/// A wall clock set before 1970 reads as 1970.
#[must_use]
pub fn now() -> Now {
    Now {
        mono: Mono(read(ClockId::CLOCK_MONOTONIC)),
        wall: Wall(failpoint::wall(read(ClockId::CLOCK_REALTIME))),
    }
}

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every Linux, and the buffer is ours: this cannot fail.
    let time = clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0));
    Duration::new(
        u64::try_from(time.tv_sec()).unwrap_or(0),
        u32::try_from(time.tv_nsec()).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_monotonic_clock_never_steps_back_and_the_wall_clock_is_the_systems() {
        let first = now();
        let second = now();
        assert!(second.mono >= first.mono);
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(system.abs_diff(second.wall.secs()) <= 1);
    }
}
