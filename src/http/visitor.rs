//! Who a request that was let in comes from, and what they may do.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::crypto::ring;

use super::auth::same;

/// How many bytes a token has, and the key that it comes from.
const SIZE: usize = 32;

/// The key of all tokens. It is the process's own and lives as long, so that pages stay good through
/// a restart of the configuration, and an upgrade. None when the system has no random numbers.
static KEY: OnceLock<Option<Key>> = OnceLock::new();

/// What tokens come from.
pub type Key = [u8; SIZE];

/// The key of all tokens, for another program that goes on in this process.
#[must_use]
pub fn key() -> Option<Key> {
    *KEY.get_or_init(random)
}

/// Goes on with the key of another program, before there is a token.
pub fn adopt_key(key: Option<Key>) {
    let _ = KEY.set(key); // once there is a token it is too late, and pages have to be loaded again
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether they have logged in, and can log out.
    pub in_session: bool,
    token: Option<[u8; SIZE]>,
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
        Self { role, name: name.into(), in_session: false, token: token(&[scope, name]) }
    }

    /// Somebody who has logged in, with a session of this id.
    #[must_use]
    pub fn of_session(role: Role, name: &str, id: &str) -> Self {
        Self { in_session: true, ..Self::new(role, name, id) }
    }

    /// Whether they may change things.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.role == Role::Act
    }

    /// What a form or a script of our own pages sends along, and no other site can know (C-439).
    /// Another one each time: what comes back in compressed answers must not be guessed by their
    /// length. Empty when the system has no random numbers, and then nobody can act.
    #[must_use]
    pub fn token(&self) -> String {
        let Some((token, mask)) = self.token.zip(random()) else { return String::new() };
        hex(mask) + &hex(masked(token, mask))
    }

    /// Whether this is one of their tokens.
    #[must_use]
    pub fn owns(&self, token: &str) -> bool {
        let parts = token.split_at_checked(2 * SIZE);
        let parts = parts.and_then(|(mask, rest)| Some((unhex(mask)?, unhex(rest)?)));
        let Some((token, (mask, given))) = self.token.zip(parts) else { return false };
        same(&token, &masked(given, mask))
    }
}

/// A keyed hash of these words; none without a key.
fn token(words: &[&str]) -> Option<[u8; SIZE]> {
    let mut mac = <Blake2sMac256 as KeyInit>::new_from_slice(&key()?).ok()?;
    for word in words {
        mac.update(&word.len().to_le_bytes());
        mac.update(word.as_bytes());
    }
    Some(mac.finalize().into_bytes().into())
}

fn random() -> Option<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    ring::default_provider().secure_random.fill(&mut bytes).is_ok().then_some(bytes)
}

fn masked(mut bytes: [u8; SIZE], mask: [u8; SIZE]) -> [u8; SIZE] {
    bytes.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    bytes
}

fn hex(bytes: [u8; SIZE]) -> String {
    let mut hex = String::with_capacity(2 * SIZE);
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}"); // a String takes everything
    }
    hex
}

fn unhex(text: &str) -> Option<[u8; SIZE]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * SIZE {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = [0; SIZE];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(value(pair[0])? * 16 + value(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_owner_alone() {
        // C-439
        let bob = Visitor::new(Role::Act, "bob", "[inet_http_server]");
        let (one, other) = (bob.token(), bob.token());
        assert!(bob.owns(&one) && bob.owns(&other) && one != other);
        assert!(bob.owns(&Visitor::new(Role::Act, "bob", "[inet_http_server]").token()));
        for (name, scope) in [("eve", "[inet_http_server]"), ("bob", "s"), ("", "")] {
            assert!(!bob.owns(&Visitor::new(Role::Act, name, scope).token()));
        }
        let split = Visitor::new(Role::Act, "b", "a");
        assert!(!split.owns(&Visitor::new(Role::Act, "", "ab").token()));
        for wrong in ["", "0", &one[1..], &"0".repeat(128), &format!("{one}0"), &"é".repeat(64)] {
            assert!(!bob.owns(wrong), "{wrong}");
        }
        assert!(!format!("{bob:?}").contains("token"));
    }

    #[test]
    fn who_reads_does_not_act() {
        assert!(Visitor::new(Role::Act, "", "").may_act());
        assert!(!Visitor::new(Role::Read, "", "").may_act());
    }
}
