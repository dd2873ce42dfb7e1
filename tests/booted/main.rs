//! The .deb on Debian with systemd as PID 1: installed, used, upgraded and removed as an
//! administrator would, on each release of Debian that it is for.
//!
//! `make test` builds the package first; `SUPERVISOR_DEB` names another one. Needs root,
//! mmdebstrap and systemd-container, and, the first time, the network.

mod access;
mod bus;
mod change;
mod cleanup;
mod endings;
mod install;
mod journal;
mod login;
mod machine;
mod numbers;
mod recovery;
mod remove;
mod rootfs;
mod service;
#[path = "../support/mod.rs"]
mod support;
mod upgrade;
mod web;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use machine::{DEB, Machine};
use rootfs::Suite;

/// Makes each of the functions named, which take a [`Suite`], a test on both releases.
macro_rules! on_each_suite {
    ($($name:ident),+ $(,)?) => {
        mod bookworm {
            $(#[test] fn $name() { super::$name(crate::Suite::Bookworm); })+
        }
        mod trixie {
            $(#[test] fn $name() { super::$name(crate::Suite::Trixie); })+
        }
    };
}
pub(crate) use on_each_suite;

/// Programs that run on most machines here: three processes.
const PROGRAMS: &str = "[program:worker]
command=sleep inf
process_name=%(program_name)s_%(process_num)s
numprocs=2
[program:mail]
command=sleep 1000 ; posts what the shop has to say
";

/// The package under test.
fn deb() -> PathBuf {
    if let Some(given) = std::env::var_os("SUPERVISOR_DEB") {
        let path = PathBuf::from(given);
        return path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = tree.join("target/deb/supervisor.deb");
    let made = path.metadata().and_then(|file| file.modified());
    let made = made.unwrap_or_else(|error| {
        panic!("{}: {error}; `make deb` builds what these tests install", path.display())
    });
    // A test of yesterday's package would say nothing about the tree.
    for part in ["src", "dbus", "debian", "packaging", "systemd", "Cargo.toml"] {
        if let Some(newer) = newer_than(&tree.join(part), made) {
            panic!("{} is newer than {}: `make deb` again", newer.display(), path.display());
        }
    }
    path
}

/// A file in a tree that was written after a time, if there is one.
fn newer_than(path: &Path, time: SystemTime) -> Option<PathBuf> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a directory of the source");
        return entries.flatten().find_map(|entry| newer_than(&entry.path(), time));
    }
    let written = path.metadata().and_then(|file| file.modified());
    written.is_ok_and(|written| written > time).then(|| path.to_owned())
}

/// A machine without the package; it is at [`DEB`].
fn bare(suite: Suite) -> Machine {
    Machine::boot(rootfs::base(suite), &deb())
}

/// A machine on which the package was installed, and which has booted since.
fn installed(suite: Suite) -> Machine {
    let deb = deb();
    let kind = format!("installed-{}-", suite.name());
    let name = format!("{kind}{}", rootfs::fingerprint(&deb));
    let layer = rootfs::upon(rootfs::base(suite), &name, |dir| {
        let machine = Machine::boot(rootfs::base(suite), &deb);
        machine.ok(&format!("apt-get -qq -y install {DEB}"));
        machine.keep(dir);
    });
    rootfs::sweep(&kind, &name);
    Machine::boot(layer, &deb)
}
