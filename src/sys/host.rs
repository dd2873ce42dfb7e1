//! The machine itself, for the configuration.

use std::io;
use std::path::Path;

use nix::sys::utsname::uname;
use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access, getuid};

use crate::config::host::Host;
use crate::model::spec::Account;

/// Files, users and variables of this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RealHost;

fn account(user: User) -> Account {
    Account { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
}

/// What a look-up found. One that fails found nothing.
fn found<T>(lookup: nix::Result<Option<T>>) -> Option<T> {
    lookup.ok().flatten()
}

impl Host for RealHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn cwd(&self) -> String {
        // A directory that is gone has no name; relative paths then lead nowhere anyway.
        let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
        cwd.to_string_lossy().into_owned()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
    }

    fn hostname(&self) -> String {
        uname().map(|name| name.nodename().to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        found(User::from_name(name)).map(account)
    }

    fn user_by_id(&self, uid: u32) -> Option<Account> {
        found(User::from_uid(Uid::from_raw(uid))).map(account)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        found(Group::from_name(name)).map(|group| group.gid.as_raw())
    }

    fn group_exists(&self, gid: u32) -> bool {
        found(Group::from_gid(Gid::from_raw(gid))).is_some()
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        let user = match user {
            Some(name) => found(User::from_name(name)),
            None => match std::env::var("HOME") {
                Ok(home) => return Some(home),
                Err(_) => found(User::from_uid(getuid())),
            },
        };
        user.map(|user| user.dir.to_string_lossy().into_owned())
    }

    fn temp_dir(&self) -> String {
        let named =
            ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(|name| std::env::var(name).ok());
        let usual = ["/tmp", "/var/tmp", "/usr/tmp"].into_iter().map(str::to_owned);
        let usable = |path: &String| {
            let path = Path::new(path);
            path.is_dir() && access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
        };
        let mut candidates = named.filter(|path| !path.is_empty()).chain(usual);
        candidates.find(usable).unwrap_or_else(|| self.cwd())
    }

    fn uid(&self) -> u32 {
        getuid().as_raw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_its_files_are_there() {
        let host = RealHost;
        let root = host.user_by_id(0).unwrap();
        assert_eq!(host.user_by_name(&root.name), Some(root.clone()));
        assert!(host.group_exists(root.gid));
        assert!(host.home(Some(&root.name)).is_some());
        assert_eq!(host.user_by_name("no-such-user-here"), None);
        assert_eq!(host.home(Some("no-such-user-here")), None);
        assert!(host.is_dir("/".as_ref()) && host.exists("/".as_ref()));
        assert!(host.cwd().starts_with('/'));
        assert!(host.is_dir(host.temp_dir().as_ref()));
        assert!(!host.hostname().is_empty());
    }

    #[test]
    fn directories_are_listed_and_files_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.conf"), "x").unwrap();
        assert_eq!(RealHost.list(directory.path()), ["a.conf"]);
        assert_eq!(RealHost.read(&directory.path().join("a.conf")).unwrap(), b"x");
        assert_eq!(RealHost.list(&directory.path().join("none")), [""; 0]);
        let error = RealHost.read(directory.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
