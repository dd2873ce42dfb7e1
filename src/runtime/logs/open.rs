//! Opens log files of every kind: regular files, and what a name such as `/dev/stdout` leads to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::statfs::fstatfs;

use crate::sys::failpoint;

/// Opens a log to write at its end, and creates it if it is not there: with mode 0600 and without
/// following a symbolic link when `private`, else as the umask says (C-379).
///
/// Never waits: a fifo without a reader is opened for both directions, and what a device name
/// leads to is opened anew, so that O_NONBLOCK stays this process's own affair (C-377).
///
/// # Errors
/// What the system says of the path.
pub fn open_log(path: &Path, private: bool) -> io::Result<File> {
    let (mode, extra) = if private { (0o600, libc::O_NOFOLLOW) } else { (0o666, 0) };
    failpoint::before_on("open", path)?;
    let open = |configure: fn(&mut OpenOptions) -> &mut OpenOptions| {
        let mut options = OpenOptions::new();
        configure(&mut options)
            .mode(mode)
            .custom_flags(extra | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(path)
    };
    let error = match open(|options| options.append(true).create(true)) {
        Ok(file) => return Ok(file),
        Err(error) => error,
    };
    match error.raw_os_error() {
        // A device that cannot append.
        Some(libc::ESPIPE | libc::EINVAL) => open(|options| options.write(true)),
        // A socket cannot be opened by name, and a pipe that root made not by others; a fifo
        // wants a reader.
        Some(libc::ENXIO | libc::EACCES | libc::EPERM) => {
            if let Some(own) = own_descriptor(path) {
                duplicate(own)
            } else if fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo()) {
                open(|options| options.read(true).write(true))
            } else {
                Err(error)
            }
        }
        _ => Err(error),
    }
}

/// Whether the name stands for something else that is already open, so that renaming or
/// truncating it would be wrong even when that is a regular file (C-377).
pub(super) fn is_device_name(path: &Path) -> bool {
    let mut path = path.to_path_buf();
    // As many links as the kernel follows is more than enough.
    for _ in 0..40 {
        if names_descriptor(&path) {
            return true;
        }
        let Ok(target) = fs::read_link(&path) else { return false };
        path = path.parent().map_or_else(PathBuf::new, Path::to_path_buf).join(target);
    }
    false
}

/// File systems whose other side is a program or another machine: FUSE, NFS, SMB, CIFS, 9P, Ceph,
/// AFS, Coda, OrangeFS, Lustre, GPFS and what virtual machines share.
const DISTANT: [u32; 16] = [
    0x6573_5546,
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x0102_1997,
    0x00C3_6400,
    0x5346_414F,
    0x6B41_4653,
    0x7375_7245,
    0x2003_0528,
    0x0BD0_0BD0,
    0x4750_4653,
    0xAAD7_AAEA,
    0x786F_4256,
    0xBACB_ACBC,
];

/// Whether writes to the file may wait for another program or machine. Who waits there for a splice
/// holds the pipe as well, and whoever writes into that cannot be killed.
pub(super) fn may_hang(file: &File) -> bool {
    fstatfs(file).is_ok_and(|meta| {
        // How wide it is differs from machine to machine.
        let kind = meta.filesystem_type().0.to_le_bytes();
        DISTANT.iter().any(|distant| kind.starts_with(&distant.to_le_bytes()))
    })
}

fn names_descriptor(path: &Path) -> bool {
    matches!(path.to_str(), Some("/dev/stdin" | "/dev/stdout" | "/dev/stderr"))
        || path.starts_with("/dev/fd")
        || (path.starts_with("/proc") && path.iter().any(|part| part == "fd"))
}

/// Which of its own standard descriptors the path names.
fn own_descriptor(path: &Path) -> Option<u8> {
    match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(1),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(2),
        _ => None,
    }
}

fn duplicate(descriptor: u8) -> io::Result<File> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let own = if descriptor == 1 { stdout.as_fd() } else { stderr.as_fd() };
    Ok(own.try_clone_to_owned()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_private_log_is_for_its_owner_and_follows_no_link() {
        // C-136, C-379
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auto.log");
        open_log(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let link = dir.path().join("link.log");
        symlink(&path, &link).unwrap();
        assert_eq!(open_log(&link, true).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert!(open_log(&link, false).is_ok());
    }

    #[test]
    fn a_log_is_appended_to() {
        // C-379
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "old ").unwrap();
        open_log(&path, false).unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old new");
    }

    #[test]
    fn a_fifo_without_a_reader_does_not_hang_the_start() {
        // C-375
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        open_log(&path, false).unwrap().write_all(b"x").unwrap();
    }

    #[test]
    fn names_of_open_descriptors_are_known_through_links() {
        // C-377
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("access.log");
        symlink("/dev/stdout", &link).unwrap();
        for path in ["/dev/stdout", "/dev/fd/5", "/proc/self/fd/1", link.to_str().unwrap()] {
            assert!(is_device_name(Path::new(path)), "{path}");
        }
        for path in ["/dev/shm/a.log", "/var/log/fd/a.log", "relative.log"] {
            assert!(!is_device_name(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_missing_directory_says_so() {
        // upstream issues 629, 1143, 445
        let error = open_log(Path::new("/nonexistent/dir/a.log"), false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
