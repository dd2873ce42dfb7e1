//! The root filesystems that machines boot from, made once and kept: Debian as mmdebstrap makes
//! it, and on top of it layers with something installed.
//!
//! They are in `$SUPERVISOR_BOOT_CACHE`, by default `target/boot`. Several tests, and several
//! checkouts, may use one cache at the same time: who makes something holds a lock, and who uses
//! a layer holds it shared, so that nobody sweeps it away underneath.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a machine has besides the minimal Debian. polkitd is here since most machines have it; ss
/// and curl look at the web port.
const PACKAGES: &str =
    "systemd,systemd-sysv,dbus,polkitd,libpam-systemd,procps,iproute2,curl,bash-completion";

/// Goes into the name of a root: counted up when what is in it changes.
const EDITION: u32 = 2;

/// Where a root has Debian's own `supervisor` and all that it depends on, as .deb files, for the
/// upgrade from it: machines have no network.
pub const DEBIANS_OWN: &str = "/srv/debian";

/// The releases of Debian that the package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12, systemd 252.
    Bookworm,
    /// Debian 13, systemd 257.
    Trixie,
}

impl Suite {
    /// As Debian's archive names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// A directory tree that machines have below their own writable layer; in use while this lives.
pub struct Layer {
    /// The trees, topmost first, as overlayfs wants its `lowerdir`.
    pub trees: Vec<PathBuf>,
    /// Keeps each of them from being swept away.
    used: Vec<File>,
}

/// Where everything is kept.
pub fn cache() -> PathBuf {
    let dir = std::env::var_os("SUPERVISOR_BOOT_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/boot"), PathBuf::from);
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    dir.canonicalize().expect("a directory that was just made")
}

/// Says what is missing on this machine for booting others.
///
/// # Panics
/// When something is missing: such a test never passes silently.
pub fn require() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "tests on a booted system mount filesystems and start containers: run `make test` as \
         root, best in a virtual machine or a container of its own (or leave them out with \
         `cargo nextest run -E 'not binary(booted)'`)"
    );
    let needed = [
        ("mmdebstrap", "mmdebstrap"),
        ("systemd-nspawn", "systemd-container"),
        ("nsenter", "util-linux"),
        ("unshare", "util-linux"),
        ("setpriv", "util-linux"),
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(program, _)| !dirs.iter().any(|dir| dir.join(program).exists()))
        .map(|(_, package)| *package)
        .collect();
    assert!(
        missing.is_empty(),
        "tests on a booted system need more: `make deps` as root, or `apt-get install {}`",
        missing.join(" ")
    );
}

/// Debian with nothing of ours.
pub fn base(suite: Suite) -> Layer {
    require();
    let dir = cache().join(format!("{}-{EDITION}", suite.name()));
    let used = made_once(&dir, |new| bootstrap(suite, new));
    Layer { trees: vec![dir], used: vec![used] }
}

/// `below` with something installed: `install` gets the directory that becomes the top layer, and
/// runs unless a layer of this name is there. A name is for ever: what differs has another one.
pub fn upon(below: Layer, name: &str, install: impl FnOnce(&Path)) -> Layer {
    let dir = cache().join(name);
    let mine = made_once(&dir, install);
    let mut trees = vec![dir];
    let mut held = vec![mine];
    trees.extend(below.trees);
    held.extend(below.used);
    Layer { trees, used: held }
}

/// A short name for the contents of a file.
pub fn fingerprint(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Not cryptographic, and need not be: it tells one build of ours from the next.
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    format!("{:016x}", hasher.finish())
}

/// Opens a lock file, which stays: removing it would let two processes hold "the" lock.
fn lock_file(path: &Path) -> File {
    let mut options = File::options();
    let file = options.create(true).append(true).open(path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lock_of(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// The directory, made by `make` under another name first, so that it is whole or absent; and
/// a lock that is held shared for its use.
fn made_once(dir: &Path, make: impl FnOnce(&Path)) -> File {
    let used = lock_file(&lock_of(dir));
    used.lock_shared().expect("a lock");
    if dir.exists() {
        return used;
    }
    // Others may come to the same conclusion: whoever gets the lock first makes it.
    used.unlock().expect("a lock");
    used.lock().expect("a lock");
    if !dir.exists() {
        let mut name = dir.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                panic!("{}: {error}", new.display())
            }
            _ => {}
        }
        make(&new);
        fs::rename(&new, dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    }
    // A lock cannot be turned from exclusive to shared without letting go; nobody sweeps a layer
    // in between, since only a maker of its successor does, and we have the newest.
    used.unlock().expect("a lock");
    used.lock_shared().expect("a lock");
    used
}

/// Removes what nobody uses: layers whose name starts with `prefix`, except `keep`.
pub fn sweep(prefix: &str, keep: &str) {
    let Ok(entries) = fs::read_dir(cache()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(layer) = name.strip_suffix(".lock") else { continue };
        if !layer.starts_with(prefix) || layer == keep {
            continue;
        }
        let lock = lock_file(&entry.path());
        match lock.try_lock() {
            Ok(()) => {
                let _ = fs::remove_dir_all(cache().join(layer));
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => panic!("{}: {error}", entry.path().display()),
        }
    }
}

/// Makes a minimal Debian; takes most of a minute, and the network.
fn bootstrap(suite: Suite, dir: &Path) {
    eprintln!("making a root filesystem of {}: this takes a minute, once", suite.name());
    let download = format!(
        "chroot \"$1\" sh -c 'mkdir -p {DEBIANS_OWN}/partial && apt-get -qq -y --download-only \
         --no-install-recommends -o Dir::Cache::archives={DEBIANS_OWN} install supervisor && \
         rm -r {DEBIANS_OWN}/partial {DEBIANS_OWN}/lock'"
    );
    let output = Command::new("mmdebstrap")
        .args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"])
        .arg(format!("--include={PACKAGES}"))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .arg(format!("--customize-hook={download}"))
        .arg(suite.name())
        .arg(dir)
        .output()
        .expect("mmdebstrap");
    assert!(
        output.status.success(),
        "mmdebstrap could not make {} (it needs the network):\n{}",
        suite.name(),
        String::from_utf8_lossy(&output.stderr)
    );
    // An empty machine-id: each machine makes its own.
    fs::write(dir.join("etc/machine-id"), "").expect("a machine-id");
    // No login on the console, and nothing that goes to the network by itself.
    for unit in ["console-getty.service", "apt-daily.timer", "apt-daily-upgrade.timer"] {
        let link = dir.join("etc/systemd/system").join(unit);
        let _ = fs::remove_file(&link);
        symlink("/dev/null", &link).expect("a mask");
    }
}
