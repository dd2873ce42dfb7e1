//! A machine that has nothing but a configuration.

use std::io;
use std::path::Path;

use crate::config::Host;
use crate::model::spec::Account;

/// The configuration.
pub(super) const MAIN: &str = "/etc/s.conf";
/// Where the files are that it may include.
const DIRECTORY: &str = "/etc/d";

/// The files of the configuration, in a world with root and a user.
pub(super) struct Machine<'a>(Vec<&'a [u8]>);

impl<'a> Machine<'a> {
    /// The files that lines apart from each other that are a `\0`.
    pub(super) fn with(bytes: &'a [u8]) -> Self {
        let mut files = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(3).position(|window| window == b"\n\0\n") {
            files.push(&rest[..=at]);
            rest = &rest[at + 3..];
        }
        files.push(rest);
        Self(files)
    }

    fn file(&self, path: &Path) -> Option<&'a [u8]> {
        let at = match path.to_str()? {
            MAIN => 0,
            other => other.strip_prefix(DIRECTORY)?.strip_prefix('/')?.parse().ok()?,
        };
        self.0.get(at).copied()
    }
}

fn accounts() -> [Account; 2] {
    let account = |name: &str, id| Account { name: name.to_owned(), uid: id, gid: id };
    [account("root", 0), account("user", 1000)]
}

impl Host for Machine<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.file(path).map(<[u8]>::to_vec).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let names = (1..self.0.len()).map(|number| number.to_string());
        if directory == Path::new(DIRECTORY) { names.collect() } else { Vec::new() }
    }

    fn exists(&self, path: &Path) -> bool {
        self.file(path).is_some() || self.is_dir(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        ["/", "/etc", DIRECTORY, "/tmp"].iter().any(|known| path == Path::new(known))
    }

    fn cwd(&self) -> String {
        "/etc".to_owned()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![variable("A", "a"), variable("PERCENT", "%(here)s %"), variable("HOME", "/root")]
    }

    fn hostname(&self) -> String {
        "node".to_owned()
    }

    fn user_by_name(&self, name: &str) -> Option<Account> {
        accounts().into_iter().find(|account| account.name == name)
    }

    fn user_by_id(&self, uid: u32) -> Option<Account> {
        accounts().into_iter().find(|account| account.uid == uid)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        self.user_by_name(name).map(|account| account.gid)
    }

    fn group_exists(&self, gid: u32) -> bool {
        accounts().iter().any(|account| account.gid == gid)
    }

    fn home(&self, user: Option<&str>) -> Option<String> {
        let account = self.user_by_name(user.unwrap_or("root"))?;
        Some(format!("/{}", account.name))
    }

    fn temp_dir(&self) -> String {
        "/tmp".to_owned()
    }

    fn uid(&self) -> u32 {
        0
    }
}
