//! Makes system calls fail that do not fail on a healthy machine, for tests of the whole daemon. In
//! builds with debug assertions alone: in a release nothing of it is left.
//!
//! `SUPERVISOR_FAILPOINTS` is read once. It has entries with commas between them: `CALL:ERRNO:TIMES`
//! has the next so many calls fail, `CALL@PART:ERRNO:TIMES` those on paths with this part, and
//! `wall:SECONDS:READINGS` sets the wall clock on, or back, after so many readings.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

/// What comes before a system call: its failure, if it is to fail.
///
/// # Errors
/// What the call is to fail with.
#[inline]
pub fn before(call: &str) -> Result<(), Errno> {
    imp::before(call, None)
}

/// The same for a call on a file.
///
/// # Errors
/// What the call is to fail with.
#[inline]
pub fn before_on(call: &str, path: &Path) -> Result<(), Errno> {
    imp::before(call, Some(path))
}

/// What the wall clock shows instead.
#[inline]
pub(super) fn wall(time: Duration) -> Duration {
    imp::wall(time)
}

#[cfg(not(debug_assertions))]
mod imp {
    use super::{Duration, Errno, Path};

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "nothing is to be left")]
    pub(super) fn before(_: &str, _: Option<&Path>) -> Result<(), Errno> {
        Ok(())
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "nothing is to be left")]
    pub(super) fn wall(time: Duration) -> Duration {
        time
    }
}

#[cfg(debug_assertions)]
mod imp {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{Duration, Errno, Path};

    const VARIABLE: &str = "SUPERVISOR_FAILPOINTS";

    static ALL: LazyLock<Points> =
        LazyLock::new(|| Points::parse(&std::env::var(VARIABLE).unwrap_or_default()));

    #[derive(Default)]
    pub(super) struct Points {
        calls: Vec<Point>,
        clock: Option<Jump>,
    }

    struct Point {
        call: String,
        /// Of the path; empty is of every path, and of none.
        part: String,
        errno: Errno,
        left: AtomicU32,
    }

    struct Jump {
        seconds: i64,
        readings: AtomicU32,
    }

    /// Counts down; none when there is nothing left.
    fn count(left: &AtomicU32) -> Option<u32> {
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()
    }

    impl Points {
        /// Nonsense fails the test that wrote it.
        pub(super) fn parse(text: &str) -> Self {
            let mut points = Self::default();
            for entry in text.split(',').filter(|entry| !entry.is_empty()) {
                assert!(points.add(entry).is_some(), "{VARIABLE}: {entry}");
            }
            points
        }

        fn add(&mut self, entry: &str) -> Option<()> {
            let mut words = entry.splitn(3, ':');
            let (call, what, count) = (words.next()?, words.next()?, words.next()?);
            let count = AtomicU32::new(count.parse().ok()?);
            if call == "wall" {
                self.clock = Some(Jump { seconds: what.parse().ok()?, readings: count });
                return Some(());
            }
            let (call, part) = call.split_once('@').unwrap_or((call, ""));
            let all = (1..200).map(Errno::from_raw);
            let errno = all.into_iter().find(|errno| format!("{errno:?}") == what)?;
            let (call, part) = (call.to_owned(), part.to_owned());
            self.calls.push(Point { call, part, errno, left: count });
            Some(())
        }

        pub(super) fn before(&self, call: &str, path: Option<&Path>) -> Result<(), Errno> {
            let meant = |point: &&Point| {
                let path = path.map(Path::to_string_lossy).unwrap_or_default();
                point.call == call && path.contains(&point.part)
            };
            match self.calls.iter().filter(meant).find(|point| count(&point.left).is_some()) {
                Some(point) => Err(point.errno),
                None => Ok(()),
            }
        }

        pub(super) fn wall(&self, time: Duration) -> Duration {
            match &self.clock {
                Some(Jump { seconds, readings }) if count(readings).is_none() => {
                    let by = Duration::from_secs(seconds.unsigned_abs());
                    if *seconds < 0 { time.saturating_sub(by) } else { time + by }
                }
                _ => time,
            }
        }
    }

    pub(super) fn before(call: &str, path: Option<&Path>) -> Result<(), Errno> {
        ALL.before(call, path)
    }

    pub(super) fn wall(time: Duration) -> Duration {
        ALL.wall(time)
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::imp::Points;
    use super::*;

    #[test]
    fn so_many_calls_fail_and_then_no_more() {
        let points = Points::parse("open@a.log:EIO:1,pipe2:ENFILE:2,pipe2:ENOMEM:1");
        let pipes = (0..4).map(|_| points.before("pipe2", None));
        let (files, memory) = (Err(Errno::ENFILE), Err(Errno::ENOMEM));
        assert_eq!(pipes.collect::<Vec<_>>(), [files, files, memory, Ok(())]);
        let open = |path: &str| points.before("open", Some(Path::new(path)));
        assert_eq!(
            [open("/b.log"), open("/a.log"), open("/a.log")],
            [Ok(()), Err(Errno::EIO), Ok(())]
        );
        assert_eq!(before("pipe2"), Ok(()), "without the variable nothing fails");
    }

    #[test]
    fn the_clock_is_set_after_so_many_readings() {
        let (on, back) = (Points::parse("wall:60:1"), Points::parse("wall:-60:0"));
        let read = |points: &Points| points.wall(Duration::from_secs(100)).as_secs();
        assert_eq!([read(&on), read(&on), read(&on)], [100, 160, 160]);
        assert_eq!(read(&back), 40);
    }

    #[test]
    #[should_panic(expected = "SUPERVISOR_FAILPOINTS: pipe2:ENOTHING:1")]
    fn nonsense_is_told() {
        Points::parse("pipe2:ENOTHING:1");
    }
}
