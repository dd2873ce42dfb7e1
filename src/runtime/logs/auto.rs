//! AUTO logs: files in `childlogdir` that supervisord names, and removes at its next start
//! (C-135, C-136).

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use crate::model::record::{Level, Record};

/// Creates an empty AUTO log, for its owner alone. It must not exist: nobody can put a file or a
/// link of his own in its place, whatever directory it is in (C-136).
///
/// # Errors
/// What the system says.
pub fn create_auto_log(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map(drop)
}

/// Removes the AUTO logs that an earlier run with this identifier left, rotated ones too, and
/// nothing else: the name is matched to its end and literally (C-135, C-419). What goes wrong is
/// returned as warnings.
#[must_use]
pub fn clean_auto_logs(childlogdir: &Path, identifier: &str) -> Vec<Record> {
    let Ok(entries) = fs::read_dir(childlogdir) else {
        return vec![Record::new(Level::Warn, "Could not clear childlog dir")];
    };
    let mut warnings = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| is_auto_name(name, identifier));
        if ours && entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
            let path = entry.path();
            if fs::remove_file(&path).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
                let text = format!("Failed to clean up '{}'", path.display());
                warnings.push(Record::new(Level::Warn, text));
            }
        }
    }
    warnings
}

/// Whether a name is `x---IDENTIFIER-y.log`, perhaps with a dot and up to four digits behind it.
fn is_auto_name(name: &str, identifier: &str) -> bool {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count().min(4);
    let marker = format!("---{identifier}-");
    (0..=digits).any(|n| {
        let rest = &name[..name.len() - n];
        let Some(stem) = rest.strip_suffix('.').unwrap_or(rest).strip_suffix(".log") else {
            return false;
        };
        stem.match_indices(&marker).any(|(at, _)| {
            let unique = &stem[at + marker.len()..];
            at > 0 && !unique.is_empty() && !unique.contains(char::is_whitespace)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_auto_log_is_private_and_takes_no_place() {
        // C-136
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web-stderr---supervisor-abcdefgh.log");
        create_auto_log(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create_auto_log(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &link).unwrap();
        assert_eq!(create_auto_log(&link).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn only_auto_files_of_this_identifier_are_cleaned_up() {
        // C-135, C-419
        let dir = tempfile::tempdir().unwrap();
        let gone = ["web-stdout---a.b-x1234567.log", "w---a.b-y.log.1", "w---a.b-y.log.1234"];
        let kept = [
            "w---a.b-y.logXYZ",
            "w---a.b-y.log.12345",
            "w---axb-y.log",
            "w---other-y.log",
            "---a.b-y.log",
            "w---a.b-y z.log",
            "w---a.b-.log",
            "w.log",
        ];
        for name in gone.iter().chain(&kept) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("d---a.b-y.log")).unwrap();
        assert_eq!(clean_auto_logs(dir.path(), "a.b"), []);
        for name in gone {
            assert!(!dir.path().join(name).exists(), "{name}");
        }
        for name in kept {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        let warnings = clean_auto_logs(&dir.path().join("missing"), "a.b");
        assert_eq!(warnings[0].text, "Could not clear childlog dir");
    }
}
