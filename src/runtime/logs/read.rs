//! Reads logs for clients. Bytes: what they mean as text is for the edges to decide.
//!
//! These functions read a disk and may take their time: call them where that is allowed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

use crate::model::fault::{Fault, FaultKind};

/// Reads `length` bytes from `offset`, or to the end when `length` is 0; with a negative
/// `offset`, as many of the last bytes, and then `length` must be 0 (C-293, C-294, C-312).
///
/// # Errors
/// NO_FILE with the path, when there is no such file; BAD_ARGUMENTS; FAILED when it cannot be
/// read.
pub fn read(path: &Path, offset: i64, length: i64) -> Result<Vec<u8>, Fault> {
    let file = open_regular(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Fault::new(FaultKind::NoFile, path.display().to_string()),
        _ => FaultKind::Failed.into(),
    })?;
    if length < 0 || (offset < 0 && length != 0) {
        return Err(FaultKind::BadArguments.into());
    }
    let failed = |_| Fault::from(FaultKind::Failed);
    let size = file.metadata().map_err(failed)?.len();
    let (start, most) = match u64::try_from(offset) {
        Err(_) => (size.saturating_sub(offset.unsigned_abs()), offset.unsigned_abs()),
        Ok(start) if length == 0 => (start, u64::MAX),
        Ok(start) => (start, length.unsigned_abs()),
    };
    read_range(&file, start, most.min(size.saturating_sub(start))).map_err(failed)
}

/// What [`tail`] gives: the bytes, the size of the file, and whether it has more than
/// `offset + length` bytes.
pub type Tail = (Vec<u8>, i64, bool);

/// Reads the last `length` bytes. `offset` only decides whether there is anything to tell:
/// nothing when it is at or past the end (C-313, C-314). Without a file, nothing; of a file that
/// cannot be read, nothing and `offset` for its size.
#[must_use]
pub fn tail(path: &Path, offset: i64, length: i64) -> Tail {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return (Vec::new(), 0, false),
        Err(_) => return (Vec::new(), offset, false),
    };
    let tail = || -> io::Result<Tail> {
        let size = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        let overflow = size > offset.saturating_add(length);
        if length <= 0 || (!overflow && offset >= size) {
            return Ok((Vec::new(), size, overflow));
        }
        let most = length.min(size);
        let bytes = read_range(&file, (size - most).unsigned_abs(), most.unsigned_abs())?;
        Ok((bytes, size, overflow))
    };
    tail().unwrap_or_else(|_| (Vec::new(), offset, false))
}

/// Opens a file to read from where it pleases; what is no regular file is refused, not waited
/// for.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(ErrorKind::Unsupported, "not a regular file"))
    }
}

fn read_range(file: &File, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_bytes() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "0123456789").unwrap();
        file
    }

    #[test]
    fn a_log_is_read_from_either_end() {
        // C-294
        let file = ten_bytes();
        let text = |offset, length| {
            read(file.path(), offset, length).map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(text(0, 0).unwrap(), "0123456789");
        assert_eq!(text(4, 0).unwrap(), "456789");
        assert_eq!(text(4, 3).unwrap(), "456");
        assert_eq!(text(4, 99).unwrap(), "456789");
        assert_eq!(text(10, 0).unwrap(), "");
        assert_eq!(text(i64::MAX, 5).unwrap(), "");
        assert_eq!(text(-3, 0).unwrap(), "789");
        assert_eq!(text(-99, 0).unwrap(), "0123456789");
        assert_eq!(text(i64::MIN, 0).unwrap(), "0123456789");
        for (offset, length) in [(-3, 1), (-3, -1), (0, -1), (5, -5)] {
            assert_eq!(text(offset, length).unwrap_err().kind, FaultKind::BadArguments);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        // C-293, C-312
        let missing = Path::new("/nonexistent/a.log");
        assert_eq!(
            read(missing, 0, 0).unwrap_err(),
            Fault::new(FaultKind::NoFile, "/nonexistent/a.log")
        );
        assert_eq!(read(Path::new("/dev/tty"), 0, 0).unwrap_err().kind, FaultKind::Failed);
        assert_eq!(read(Path::new("/"), 0, 0).unwrap_err().kind, FaultKind::Failed);
        assert_eq!(tail(missing, 7, 9), (Vec::new(), 0, false));
        assert_eq!(tail(Path::new("/"), 7, 9), (Vec::new(), 7, false));
    }

    #[test]
    fn the_offset_of_a_tail_only_decides_whether_there_is_one() {
        // C-313, C-314
        let file = ten_bytes();
        let text = |offset, length| {
            let (bytes, size, overflow) = tail(file.path(), offset, length);
            (String::from_utf8(bytes).unwrap(), size, overflow)
        };
        assert_eq!(text(0, 100), ("0123456789".into(), 10, false));
        assert_eq!(text(5, 100), ("0123456789".into(), 10, false));
        assert_eq!(text(5, 3), ("789".into(), 10, true));
        assert_eq!(text(0, 10), ("0123456789".into(), 10, false));
        assert_eq!(text(7, 3), ("789".into(), 10, false));
        assert_eq!(text(10, 3), (String::new(), 10, false));
        assert_eq!(text(99, 3), (String::new(), 10, false));
        assert_eq!(text(0, 0), (String::new(), 10, true));
        assert_eq!(text(0, -4), (String::new(), 10, true));
        assert_eq!(text(i64::MAX, i64::MAX), (String::new(), 10, false));
    }
}
