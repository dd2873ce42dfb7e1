//! A directory of one test.

use std::fs;
use std::path::{Path, PathBuf};

/// A directory that is removed when its test ends; `KEEP_SCRATCH=1` keeps it for a look.
pub struct Scratch {
    dir: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty directory, world readable (other users' programs run in it) and with a path
    /// short enough for sockets.
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::Builder::new().prefix("sv-").tempdir_in("/tmp").expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = dir.path().to_owned();
        if std::env::var_os("KEEP_SCRATCH").is_some() {
            eprintln!("keeping {}", path.display());
            let _ = dir.keep();
            return Self { dir: None, path };
        }
        Self { dir: Some(dir), path }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file, making the directories above it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().expect("inside the directory")).expect("directories");
        fs::write(&path, contents).expect("a file");
        path
    }

    /// Writes an executable script.
    pub fn script(&self, name: &str, contents: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
        path
    }

    /// A file's text; a missing file is empty.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.join(name)).unwrap_or_default()).into_owned()
    }

    /// The names in a directory of it, sorted.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.join(dir))
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
