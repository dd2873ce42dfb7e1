//! What a configuration needs to know of the machine. Everything outside the text comes through
//! [`Host`]; the real one is `sys::host::RealHost`, tests have one in memory.

use std::io;
use std::path::Path;

use crate::model::spec::Account;

/// The only window from `config` to the world.
pub trait Host {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names in a directory, without `.` and `..`, in any order; none when it cannot be read.
    fn list(&self, directory: &Path) -> Vec<String>;

    /// Whether there is something at this path, following symbolic links.
    fn exists(&self, path: &Path) -> bool;

    /// Whether there is a directory at this path, following symbolic links.
    fn is_dir(&self, path: &Path) -> bool;

    /// The working directory, absolute.
    fn cwd(&self) -> String;

    /// The environment variables. What is not UTF-8 is shown as well as possible.
    fn variables(&self) -> Vec<(String, String)>;

    /// The node name of `uname` (C-043).
    fn hostname(&self) -> String;

    /// The user of this name.
    fn user_by_name(&self, name: &str) -> Option<Account>;

    /// The user of this id.
    fn user_by_id(&self, uid: u32) -> Option<Account>;

    /// The id of the group of this name.
    fn group_by_name(&self, name: &str) -> Option<u32>;

    /// Whether there is a group of this id.
    fn group_exists(&self, gid: u32) -> bool;

    /// The home directory of this user; of the caller (`$HOME`, else the password database)
    /// when no name is given.
    fn home(&self, user: Option<&str>) -> Option<String>;

    /// The directory for temporary files (C-059).
    fn temp_dir(&self) -> String;

    /// The user id of this process.
    fn uid(&self) -> u32;
}
