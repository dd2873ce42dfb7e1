//! Which cgroup is the daemon's to divide, if any.

use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use serde::{Deserialize, Serialize};

use super::OWN;

/// A cgroup that was delegated to this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its directory.
    pub dir: PathBuf,
    /// Its name in `/proc/PID/cgroup`.
    pub path: PathBuf,
}

/// The cgroup that this process may divide; none when there is none.
///
/// It is its own when a manager marked it as delegated (systemd: `Delegate=yes`), when it belongs
/// to the daemon's user and the one above it does not, and in a container whose first process the
/// daemon is. It is the one above when the daemon was put into a cgroup below that
/// (`DelegateSubgroup=`), or went there itself.
#[must_use]
pub fn place() -> Option<Place> {
    let path = own_path(&fs::read("/proc/self/cgroup").ok()?)?;
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    // With namespaces, the same path may be another cgroup in another mount.
    let (dir, is_root) = directories(&mounts, &path).find(|(dir, _)| holds_us(dir))?;
    let own = Place { dir, path };
    let first = std::process::id() == 1;
    let given = if is_root {
        first.then_some(own)
    } else if is_marked(&own.dir) || is_boundary(&own.dir) {
        Some(own)
    } else {
        let above_is_root =
            || directories(&mounts, &own.above()?.path).next().map(|(_, root)| root);
        let is_given = is_marked(&own.above()?.dir) || (first && above_is_root() == Some(true));
        own.above().filter(|_| is_given && is_subgroup(&own.path))
    };
    given.filter(|given| writable(&given.dir))
}

impl Place {
    fn above(&self) -> Option<Self> {
        Some(Self { dir: self.dir.parent()?.to_owned(), path: self.path.parent()?.to_owned() })
    }
}

/// Whether the daemon was put into this cgroup below the one that was given to it. A supervisor
/// that is a program of another is in such a place too, and is to stay there.
fn is_subgroup(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == OWN) || started_by_systemd()
}

/// Whether systemd executed this very process (since systemd 248): `DelegateSubgroup=` came later.
fn started_by_systemd() -> bool {
    std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string())
}

/// The cgroup of this process in the hierarchy of version 2.
pub(in crate::sys) fn own_path(proc_cgroup: &[u8]) -> Option<PathBuf> {
    let line = proc_cgroup.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"0::"));
    let path = PathBuf::from(OsString::from_vec(line?.to_vec()));
    // Outside of what this process can see, or removed.
    let bad = path.starts_with("/..") || path.as_os_str().as_bytes().ends_with(b" (deleted)");
    (path.is_absolute() && !bad).then_some(path)
}

/// The directories that a cgroup may have, and whether it is the root of what is mounted there.
pub(in crate::sys) fn directories<'a>(
    mountinfo: &'a [u8],
    path: &'a Path,
) -> impl Iterator<Item = (PathBuf, bool)> + use<'a> {
    mountinfo.split(|&byte| byte == b'\n').filter_map(move |line| {
        // id, parent, device, root, mount point, options, any number of tags, "-", type, ...
        let mut words = line.split(|&byte| byte == b' ');
        let (root, point) = (words.nth(3)?, words.next()?);
        words.find(|&word| word == b"-")?;
        if words.next()? != b"cgroup2" {
            return None;
        }
        let below = path.strip_prefix(unescaped(root)).ok()?;
        let is_root = below.as_os_str().is_empty();
        let point = unescaped(point);
        Some((if is_root { point } else { point.join(below) }, is_root))
    })
}

/// Spaces and the like are octal in mountinfo.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(code) => (bytes.push(code), rest = &tail[3..]).0,
            None => (bytes.push(byte), rest = tail).0,
        }
    }
    OsString::from_vec(bytes).into()
}

fn holds_us(dir: &Path) -> bool {
    let own = std::process::id().to_string();
    fs::read_to_string(dir.join("cgroup.procs"))
        .is_ok_and(|list| list.lines().any(|pid| pid == own))
}

/// Whether systemd says that it leaves what is below to the service.
fn is_marked(dir: &Path) -> bool {
    // The first is there since systemd 251; only root can see the second.
    [c"user.delegate", c"trusted.delegate"].into_iter().any(|name| attribute_is_1(dir, name))
}

fn attribute_is_1(dir: &Path, name: &CStr) -> bool {
    let Ok(dir) = CString::new(dir.as_os_str().as_bytes()) else { return false };
    let mut value = [0u8; 4];
    // SAFETY: both strings end in a null, and the kernel writes at most the size that is given.
    let length = unsafe {
        libc::getxattr(dir.as_ptr(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    length == 1 && value[0] == b'1'
}

/// Whether it was handed to the daemon's user: it is that user's and the one above is not.
fn is_boundary(dir: &Path) -> bool {
    let owner = |dir: &Path| fs::metadata(dir).map(|found| found.uid()).ok();
    let own = geteuid();
    let above = dir.parent().and_then(owner);
    !own.is_root()
        && owner(dir) == Some(own.as_raw())
        && above.is_some_and(|above| above != own.as_raw())
}

fn writable(dir: &Path) -> bool {
    let file = dir.join("cgroup.procs");
    nix::unistd::eaccess(dir, nix::unistd::AccessFlags::W_OK).is_ok()
        && nix::unistd::eaccess(&file, nix::unistd::AccessFlags::W_OK).is_ok()
}
