//! Names of files that follow from other names.

use std::path::{Path, PathBuf};

/// The socket of the peer-to-peer bus, beside the pid file: `<pidfile without .pid>.bus`.
#[must_use]
pub fn bus_socket(pidfile: &Path) -> PathBuf {
    let mut name = pidfile.file_name().unwrap_or_default().to_os_string();
    if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".pid")) {
        name = stem.to_owned().into();
    }
    name.push(".bus");
    pidfile.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bus_is_beside_the_pid_file() {
        assert_eq!(
            bus_socket(Path::new("/run/supervisord.pid")),
            Path::new("/run/supervisord.bus")
        );
        assert_eq!(bus_socket(Path::new("/run/sv")), Path::new("/run/sv.bus"));
        assert_eq!(bus_socket(Path::new("/run/a.b")), Path::new("/run/a.b.bus"));
    }
}
