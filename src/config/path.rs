//! Paths as text, by the rules of Python's `posixpath`: nothing is looked up, symbolic links
//! are not followed (C-006).

use super::host::Host;

/// Everything before the last slash, without trailing slashes; empty when there is none.
pub(crate) fn dirname(path: &str) -> &str {
    let head = path.rfind('/').map_or("", |at| &path[..=at]);
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head } else { trimmed }
}

/// `path` below `base`, or `path` itself when it is absolute.
pub(crate) fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') || base.is_empty() {
        path.to_owned()
    } else if base.ends_with('/') {
        format!("{base}{path}")
    } else {
        format!("{base}/{path}")
    }
}

/// Removes empty parts, `.` and `..`; a double slash at the start stays.
pub(crate) fn normalize(path: &str) -> String {
    let root = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if root.is_empty() && joined.is_empty() { ".".to_owned() } else { format!("{root}{joined}") }
}

/// The normalized absolute path, seen from `base`.
pub(crate) fn absolute(base: &str, path: &str) -> String {
    normalize(&join(base, path))
}

/// Replaces a leading `~` or `~user` by the home directory, when there is one.
pub(crate) fn expand_user(host: &dyn Host, path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (user, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.home((!user.is_empty()).then_some(user)) {
        None => path.to_owned(),
        Some(home) => {
            let whole = format!("{}{tail}", home.trim_end_matches('/'));
            if whole.is_empty() { "/".to_owned() } else { whole }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryHost;
    use super::*;

    #[test]
    fn paths_are_taken_apart_and_put_together_as_text() {
        // C-001, C-006
        assert_eq!(dirname("/usr/bin/supervisord"), "/usr/bin");
        assert_eq!(dirname("supervisord"), "");
        assert_eq!(dirname("/x"), "/");
        assert_eq!(dirname("a//b"), "a");
        assert_eq!(join("/etc", "x"), "/etc/x");
        assert_eq!(join("", "x"), "x");
        assert_eq!(join("/etc", "/x"), "/x");
        assert_eq!(normalize("/a/./b//../c/"), "/a/c");
        assert_eq!(normalize("//a"), "//a");
        assert_eq!(normalize("/../a"), "/a");
        assert_eq!(normalize("../../a"), "../../a");
        assert_eq!(normalize(""), ".");
        assert_eq!(absolute("/w", "a/../b"), "/w/b");
    }

    #[test]
    fn a_tilde_is_a_home_directory_when_there_is_one() {
        // C-051, C-052
        let host = MemoryHost::new().user("bob", 1000, 1000).variable("HOME", "/home/me/");
        assert_eq!(expand_user(&host, "~/x"), "/home/me/x");
        assert_eq!(expand_user(&host, "~"), "/home/me");
        assert_eq!(expand_user(&host, "~bob/x"), "/home/bob/x");
        assert_eq!(expand_user(&host, "~eve/x"), "~eve/x");
        assert_eq!(expand_user(&host, "a~"), "a~");
    }
}
