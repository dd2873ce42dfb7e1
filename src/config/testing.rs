//! A machine in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::flags::Overrides;
use super::host::Host;
use super::path;
use super::settings::Settings;
use crate::model::spec::Account;

/// Files, users and variables, as a test says.
#[derive(Debug, Clone)]
pub(crate) struct MemoryHost {
    files: BTreeMap<String, Vec<u8>>,
    directories: BTreeSet<String>,
    users: Vec<(Account, String)>,
    groups: Vec<(String, u32)>,
    variables: Vec<(String, String)>,
    uid: u32,
}

impl MemoryHost {
    /// A machine called `node`, working directory `/work`, root as the only user.
    pub(crate) fn new() -> Self {
        let mut host = Self {
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            users: Vec::new(),
            groups: Vec::new(),
            variables: Vec::new(),
            uid: 0,
        };
        for directory in ["/", "/work", "/tmp", "/etc"] {
            host = host.directory(directory);
        }
        host.user("root", 0, 0)
    }

    /// The same with a configuration at `/etc/s.conf`.
    pub(crate) fn with(text: &str) -> Self {
        Self::new().file("/etc/s.conf", text)
    }

    pub(crate) fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), text.as_ref().to_vec());
        self.directory(path::dirname(path))
    }

    pub(crate) fn directory(mut self, path: &str) -> Self {
        let mut path = path;
        while self.directories.insert(path.to_owned()) && path != "/" && !path.is_empty() {
            path = path::dirname(path);
        }
        self
    }

    pub(crate) fn user(mut self, name: &str, uid: u32, gid: u32) -> Self {
        let account = Account { name: name.to_owned(), uid, gid };
        self.users.push((account, format!("/home/{name}")));
        self.groups.push((name.to_owned(), gid));
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn running_as(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    fn key(&self, path: &Path) -> String {
        path::absolute(&self.cwd(), &path.to_string_lossy())
    }
}

impl Host for MemoryHost {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let missing =
            if self.is_dir(path) { io::ErrorKind::IsADirectory } else { io::ErrorKind::NotFound };
        self.files.get(&self.key(path)).cloned().ok_or(missing.into())
    }
    fn list(&self, directory: &Path) -> Vec<String> {
        let directory = self.key(directory);
        let below = |path: &&String| path::dirname(path) == directory && **path != directory;
        let names = self.files.keys().chain(&self.directories).filter(below);
        names.filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect()
    }
    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(&self.key(path)) || self.is_dir(path)
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.directories.contains(&self.key(path))
    }
    fn cwd(&self) -> String {
        "/work".to_owned()
    }
    fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }
    fn hostname(&self) -> String {
        "node".to_owned()
    }
    fn user_by_name(&self, name: &str) -> Option<Account> {
        self.users.iter().find(|(user, _)| user.name == name).map(|(user, _)| user.clone())
    }
    fn user_by_id(&self, uid: u32) -> Option<Account> {
        self.users.iter().find(|(user, _)| user.uid == uid).map(|(user, _)| user.clone())
    }
    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(group, _)| group == name).map(|&(_, gid)| gid)
    }
    fn group_exists(&self, gid: u32) -> bool {
        self.groups.iter().any(|&(_, id)| id == gid)
    }
    fn home(&self, user: Option<&str>) -> Option<String> {
        let home = self.variables.iter().find(|(name, _)| name == "HOME");
        if let (None, Some((_, home))) = (user, home) {
            return Some(home.clone());
        }
        let is_meant = |account: &Account| match user {
            Some(name) => account.name == name,
            None => account.uid == self.uid,
        };
        self.users.iter().find(|(user, _)| is_meant(user)).map(|(_, home)| home.clone())
    }
    fn temp_dir(&self) -> String {
        "/tmp".to_owned()
    }
    fn uid(&self) -> u32 {
        self.uid
    }
}

/// Loads a configuration that stands at `/etc/s.conf`.
pub(crate) fn load(host: &MemoryHost) -> Result<Settings, String> {
    let overrides =
        Overrides { config_file: Some("/etc/s.conf".to_owned()), ..Overrides::default() };
    super::load(&overrides, host).map_err(|errors| errors.to_string())
}

/// Loads a text after an empty `[supervisord]`.
pub(crate) fn load_text(text: &str) -> Result<Settings, String> {
    load(&MemoryHost::with(&format!("[supervisord]\n{text}")))
}

/// The errors of a text after an empty `[supervisord]`, one a line.
pub(crate) fn errors(text: &str) -> String {
    load_text(text).expect_err("the configuration is wrong")
}
