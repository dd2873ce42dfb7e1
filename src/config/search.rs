//! Where a configuration is looked for (C-001, C-002).

use super::host::Host;
use super::path::{dirname, join};

/// The paths that are tried, in order, as they are told to the user. They depend on where the
/// program is: `argv0` is not resolved.
#[must_use]
pub fn paths(argv0: &str) -> Vec<String> {
    let prefix = dirname(dirname(argv0));
    let mut paths = vec![join(prefix, "etc/supervisord.conf"), join(prefix, "supervisord.conf")];
    paths.extend(
        [
            "supervisord.conf",
            "etc/supervisord.conf",
            "/etc/supervisord.conf",
            "/etc/supervisor/supervisord.conf",
        ]
        .map(str::to_owned),
    );
    paths
}

/// The first of the paths that exists, seen from the directory `base`.
pub fn find(argv0: &str, base: &str, host: &dyn Host) -> Option<String> {
    paths(argv0).into_iter().find(|path| host.exists(join(base, path).as_ref()))
}

/// What to say when there is none (C-002).
#[must_use]
pub fn not_found(argv0: &str) -> String {
    format!(
        "No config file found at default paths ({}); use the -c option to specify a config file \
         at a different path",
        paths(argv0).join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryHost;
    use super::*;

    #[test]
    fn the_search_starts_beside_the_program() {
        // C-001, C-002
        let text = "(/usr/etc/supervisord.conf, /usr/supervisord.conf, supervisord.conf, \
                    etc/supervisord.conf, /etc/supervisord.conf, /etc/supervisor/supervisord.conf)";
        assert!(not_found("/usr/bin/supervisord").contains(text));
        assert_eq!(paths("supervisord")[..2], ["etc/supervisord.conf", "supervisord.conf"]);
        assert_eq!(paths("bin/supervisord")[..2], ["etc/supervisord.conf", "supervisord.conf"]);
        let host = MemoryHost::new()
            .file("/etc/supervisor/supervisord.conf", "")
            .file("/work/etc/supervisord.conf", "");
        assert_eq!(find("supervisord", "/work", &host).as_deref(), Some("etc/supervisord.conf"));
        let found = find("/usr/bin/supervisord", "/", &host);
        assert_eq!(found.as_deref(), Some("/etc/supervisor/supervisord.conf"));
        assert_eq!(find("x", "/", &MemoryHost::new()), None);
    }
}
