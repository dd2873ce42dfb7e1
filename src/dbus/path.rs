//! Object paths: names escaped into them, and read back.

use std::sync::Arc;

use zbus::{ObjectPath, OwnedObjectPath};

use super::types::MANAGER_PATH;
use crate::model::name::ProcessName;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// The manager.
    Manager,
    /// A group, that may or may not exist.
    Group(Arc<str>),
    /// A process, that may or may not exist.
    Process(ProcessName),
    /// No object: a node above objects, there for a walk down the tree.
    Above(Node),
}

/// A node that only has nodes below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A node above the manager, with the one name below it.
    Root(&'static str),
    /// `.../group`.
    Groups,
    /// `.../process`.
    Processes,
    /// `.../process/<group>`.
    ProcessesOf(Arc<str>),
}

impl Object {
    /// Reads a path; none when there can be nothing at it.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let Some(below) = path.strip_prefix(MANAGER_PATH) else { return above(path) };
        let mut parts = below.split('/');
        if parts.next() != Some("") {
            return None;
        }
        Some(match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (None, ..) => Self::Manager,
            (Some("group"), None, ..) => Self::Above(Node::Groups),
            (Some("group"), Some(group), None, _) => Self::Group(unescape(group)?.into()),
            (Some("process"), None, ..) => Self::Above(Node::Processes),
            (Some("process"), Some(group), None, _) => {
                Self::Above(Node::ProcessesOf(unescape(group)?.into()))
            }
            (Some("process"), Some(group), Some(name), None) => {
                Self::Process(ProcessName::new(unescape(group)?, unescape(name)?))
            }
            _ => return None,
        })
    }
}

/// The nodes above the manager, each with the name of the next.
fn above(path: &str) -> Option<Object> {
    let below = if path == "/" {
        MANAGER_PATH.strip_prefix('/')?
    } else {
        MANAGER_PATH.strip_prefix(path)?.strip_prefix('/')?
    };
    below.split('/').next().map(|next| Object::Above(Node::Root(next)))
}

/// The object of a group.
#[must_use]
pub fn group(name: &str) -> OwnedObjectPath {
    owned(format!("{MANAGER_PATH}/group/{}", escape(name)))
}

/// The object of a process.
#[must_use]
pub fn process(name: &ProcessName) -> OwnedObjectPath {
    owned(format!("{MANAGER_PATH}/process/{}/{}", escape(&name.group), escape(&name.process)))
}

fn owned(path: String) -> OwnedObjectPath {
    ObjectPath::try_from(path).expect("escaped names make valid paths").into()
}

/// Escapes one part of a path as systemd does: every byte other than an ASCII letter or digit,
/// and a leading digit, becomes `_` and two lower-case hexadecimal digits; nothing is `_`.
#[must_use]
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    let mut escaped = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('_');
            for nibble in [byte >> 4, byte & 15] {
                escaped.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
    }
    escaped
}

/// Reads what [`escape`] wrote; none for anything that it does not write, so that an object has
/// one path only.
#[must_use]
pub fn unescape(escaped: &str) -> Option<String> {
    if escaped == "_" {
        return Some(String::new());
    }
    let mut name = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        name.push(if byte == b'_' { hex(rest.next()?)? << 4 | hex(rest.next()?)? } else { byte });
    }
    let name = String::from_utf8(name).ok()?;
    (escape(&name) == escaped).then_some(name)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_escaped_as_systemd_escapes_bus_labels() {
        for (name, escaped) in [
            ("web", "web"),
            ("", "_"),
            ("web_1", "web_5f1"),
            ("1web", "_31web"),
            ("ü.x", "_c3_bc_2ex"),
        ] {
            assert_eq!(escape(name), escaped);
            assert_eq!(unescape(escaped).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_escaping_does_not_write_is_no_path() {
        for wrong in ["", "_5F", "_6", "_61", "1web", "__", "_zz", "web_c3", "_ff"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(group in ".*", name in ".*") {
            let process_name = ProcessName::new(group.as_str(), name.as_str());
            let path = process(&process_name);
            prop_assert_eq!(Object::parse(path.as_str()), Some(Object::Process(process_name)));
            let path = super::group(&group);
            prop_assert_eq!(Object::parse(path.as_str()), Some(Object::Group(group.into())));
        }
    }

    #[test]
    fn a_walk_down_the_tree_reaches_the_objects() {
        let at = |path: &str| Object::parse(path);
        assert_eq!(at("/"), Some(Object::Above(Node::Root("org"))));
        assert_eq!(at("/org"), Some(Object::Above(Node::Root("supervisord"))));
        assert_eq!(at("/org/supervisord"), Some(Object::Above(Node::Root("Supervisor1"))));
        assert_eq!(at("/org/supervisord/Supervisor1"), Some(Object::Manager));
        assert_eq!(at("/org/supervisord/Supervisor1/group"), Some(Object::Above(Node::Groups)));
        assert_eq!(
            at("/org/supervisord/Supervisor1/process/g"),
            Some(Object::Above(Node::ProcessesOf("g".into())))
        );
        for wrong in ["/org/super", "/or", "/org/supervisord/Supervisor12", "/x"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
        assert_eq!(at("/org/supervisord/Supervisor1/process/a/b/c"), None);
    }
}
