//! When a log is rotated, where a write is cut for it, and which files move (C-373, C-374).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// More rotated files than anybody keeps: a bound for loops over a configured number.
const MOST_BACKUPS: u32 = 9_999;

/// The rotation of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rotation {
    maxbytes: u64,
    backups: u32,
}

/// What to do with the next piece of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Write this many of its bytes to the file as it is.
    Write(usize),
    /// Rotate first.
    Rotate,
}

impl Rotation {
    /// No rotation at all.
    pub const NEVER: Self = Self { maxbytes: 0, backups: 0 };

    /// Rotate at `maxbytes` bytes and keep `backups` files. Nothing or less than nothing is never
    /// (C-375, C-432) and none.
    #[must_use]
    pub fn new(maxbytes: i64, backups: i64) -> Self {
        let maxbytes = u64::try_from(maxbytes).unwrap_or(0);
        let backups = u32::try_from(backups.max(0)).unwrap_or(u32::MAX).min(MOST_BACKUPS);
        Self { maxbytes, backups }
    }

    /// Whether a file of `size` bytes is full.
    #[must_use]
    pub fn is_due(self, size: u64) -> bool {
        self.maxbytes > 0 && size >= self.maxbytes
    }

    /// How many bytes a file of `size` bytes still takes.
    #[must_use]
    pub fn room(self, size: u64) -> u64 {
        if self.maxbytes == 0 { u64::MAX } else { self.maxbytes.saturating_sub(size) }
    }

    /// Where to cut a stream of bytes: a file is filled to the last byte and never over.
    #[must_use]
    pub fn cut(self, size: u64, data: &[u8]) -> Cut {
        match usize::try_from(self.room(size)).unwrap_or(usize::MAX) {
            0 => Cut::Rotate,
            room => Cut::Write(data.len().min(room)),
        }
    }

    /// Where to cut text made of whole lines: a line that does not fit goes to the next file,
    /// unless no file could hold it.
    #[must_use]
    pub fn cut_lines(self, size: u64, data: &[u8]) -> Cut {
        match self.cut(size, data) {
            Cut::Write(n) if n < data.len() => match data[..n].iter().rposition(|&b| b == b'\n') {
                Some(end) => Cut::Write(end + 1),
                None if size > 0 => Cut::Rotate,
                None => Cut::Write(n),
            },
            whole => whole,
        }
    }

    /// Whether rotating keeps the old content; if not, the file is truncated in place.
    #[must_use]
    pub fn keeps_backups(self) -> bool {
        self.backups > 0
    }

    /// The renames that free the name of the file, in the order they are made, up to the first
    /// number that is not in use: what is older than a gap stays where it is.
    pub fn renames(
        self,
        path: &Path,
        is_used: impl Fn(&Path) -> bool,
    ) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        let is_free = |n: &u32| !is_used(&numbered(path, *n));
        let last = (1..self.backups).find(is_free).unwrap_or(self.backups);
        (0..last).rev().map(move |n| (numbered(path, n), numbered(path, n + 1)))
    }
}

/// The name of the `n`-th rotated file; 0 is the file itself.
#[must_use]
pub fn numbered(path: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return path.to_path_buf();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_filled_to_the_last_byte() {
        // C-373, better: never over maxbytes
        let rotation = Rotation::new(10, 2);
        assert_eq!(rotation.cut(0, b"abc"), Cut::Write(3));
        assert_eq!(rotation.cut(8, b"abc"), Cut::Write(2));
        assert_eq!(rotation.cut(10, b"abc"), Cut::Rotate);
        assert_eq!(rotation.cut(99, b"abc"), Cut::Rotate);
        assert!(rotation.is_due(10) && !rotation.is_due(9));
    }

    #[test]
    fn whole_lines_stay_whole_when_a_file_can_hold_them() {
        let rotation = Rotation::new(10, 2);
        assert_eq!(rotation.cut_lines(0, b"ab\ncd\n"), Cut::Write(6));
        assert_eq!(rotation.cut_lines(5, b"ab\ncdef\n"), Cut::Write(3));
        assert_eq!(rotation.cut_lines(5, b"abcdef\n"), Cut::Rotate);
        assert_eq!(rotation.cut_lines(0, b"a line that is too long\n"), Cut::Write(10));
        assert_eq!(rotation.cut_lines(10, b"x\n"), Cut::Rotate);
    }

    #[test]
    fn zero_and_negative_sizes_never_rotate() {
        // C-375, C-432
        for maxbytes in [0, -1, i64::MIN] {
            let rotation = Rotation::new(maxbytes, 10);
            assert!(!rotation.is_due(u64::MAX));
            assert_eq!(rotation.cut(u64::MAX, b"abc"), Cut::Write(3));
        }
    }

    #[test]
    fn renames_go_from_the_oldest_to_the_file_itself() {
        // C-374
        let moves = |backups, used: &[&str]| -> Vec<_> {
            Rotation::new(1, backups)
                .renames(Path::new("/l/a"), |path| used.contains(&path.to_str().unwrap()))
                .map(|(from, to)| format!("{} {}", from.display(), to.display()))
                .collect()
        };
        let all = ["/l/a.1", "/l/a.2", "/l/a.3"];
        assert_eq!(moves(3, &all), ["/l/a.2 /l/a.3", "/l/a.1 /l/a.2", "/l/a /l/a.1"]);
        assert_eq!(moves(9, &all).len(), 4);
        assert_eq!(moves(i64::MAX, &["/l/a.1", "/l/a.3"]), ["/l/a.1 /l/a.2", "/l/a /l/a.1"]);
        assert_eq!(moves(3, &[]), ["/l/a /l/a.1"]);
        assert!(moves(0, &all).is_empty() && moves(-5, &all).is_empty());
    }
}
