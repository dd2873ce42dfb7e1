//! Who a request that was let in comes from, and what they may do.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use tokio_rustls::rustls::crypto::ring;

use super::auth::same;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Read,
    /// Look, and change things.
    Act,
}

/// Somebody who was let in. The server puts it into the extensions of the request.
#[derive(Clone)]
pub struct Visitor {
    /// What they may do.
    pub role: Role,
    /// Who they are, for the log: a user name, or empty when nobody asked.
    pub name: Arc<str>,
    token: Arc<str>,
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name, .. } = self;
        f.debug_struct("Visitor").field("role", role).field("name", name).finish_non_exhaustive()
    }
}

impl Visitor {
    /// Somebody of this name. `scope` tells visitors apart who have the same one: the server, or
    /// the session they come with.
    #[must_use]
    pub fn new(role: Role, name: &str, scope: &str) -> Self {
        let token = token(&[scope, name]).unwrap_or_default();
        Self { role, name: name.into(), token: token.into() }
    }

    /// Whether they may change things.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.role == Role::Act
    }

    /// What a form or a script of our own pages sends along, and no other site can know (C-439).
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether this is their token. Without random numbers there is none, and nobody has it.
    #[must_use]
    pub fn owns(&self, token: &str) -> bool {
        !self.token.is_empty() && same(self.token.as_bytes(), token.as_bytes())
    }
}

/// A keyed hash of these words. The key is the process's own and lives as long, so that pages
/// stay good through a restart of the configuration. None when the system has no random numbers.
fn token(words: &[&str]) -> Option<String> {
    static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        ring::default_provider().secure_random.fill(&mut key).is_ok().then_some(key)
    });
    let mut mac = <Blake2sMac256 as KeyInit>::new_from_slice(key.as_ref()?).ok()?;
    for word in words {
        mac.update(&word.len().to_le_bytes());
        mac.update(word.as_bytes());
    }
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        let _ = write!(hex, "{byte:02x}"); // a String takes everything
    }
    Some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_owner_alone() {
        // C-439
        let bob = Visitor::new(Role::Act, "bob", "[inet_http_server]");
        assert!(bob.owns(bob.token()) && bob.token().len() == 64);
        assert!(bob.owns(Visitor::new(Role::Act, "bob", "[inet_http_server]").token()));
        for (name, scope) in [("eve", "[inet_http_server]"), ("bob", "s"), ("", "")] {
            assert!(!bob.owns(Visitor::new(Role::Act, name, scope).token()));
        }
        let (one, other) = (Visitor::new(Role::Act, "b", "a"), Visitor::new(Role::Act, "", "ab"));
        assert_ne!(one.token(), other.token());
        assert!(!bob.owns("") && !bob.owns(&bob.token()[1..]));
        assert!(!format!("{bob:?}").contains(bob.token()));
    }

    #[test]
    fn who_reads_does_not_act() {
        assert!(Visitor::new(Role::Act, "", "").may_act());
        assert!(!Visitor::new(Role::Read, "", "").may_act());
    }
}
