//! File systems that fail: small ones, that can be full or read-only, and one that hangs.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A small file system in memory, unmounted at the end.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of this size, as `64k`.
    ///
    /// # Panics
    /// When it cannot: that takes root.
    pub fn mount(at: &Path, size: &str) -> Self {
        super::require_root();
        fs::create_dir_all(at).expect("a directory");
        let size = format!("size={size}");
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some(&*size)).expect("a tmpfs");
        Self(at.to_owned())
    }

    /// Lets nobody write any more, or everybody again.
    pub fn set_read_only(&self, read_only: bool) {
        let flags = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
        let none: Option<&str> = None;
        mount(none, &self.0, none, flags | MsFlags::MS_REMOUNT, none).expect("nobody writes");
    }

    /// Takes all of its room.
    pub fn fill(&self) {
        let mut file = File::create(self.join("filler")).expect("room for a name");
        let written = std::io::copy(&mut std::io::repeat(0), &mut file);
        let error = written.expect_err("it is full some time");
        assert_eq!(error.raw_os_error(), Some(Errno::ENOSPC as i32));
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.join("filler")).expect("it was filled");
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// A file system that never answers: its server is this process, which does not read the
/// questions. At the end whoever waits gets an error.
pub struct HungDisk {
    at: PathBuf,
    server: Option<File>,
}

impl HungDisk {
    /// Mounts one over a directory.
    ///
    /// # Panics
    /// When it cannot: that takes root and FUSE.
    pub fn mount(at: &Path) -> Self {
        super::require_root();
        let server = File::options().read(true).write(true).open("/dev/fuse").expect("FUSE");
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
        mount(Some("hung"), at, Some("fuse"), MsFlags::empty(), Some(&*options)).expect("FUSE");
        Self { at: at.to_owned(), server: Some(server) }
    }
}

impl Drop for HungDisk {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}
