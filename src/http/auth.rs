//! Who may use a server: user name and password (C-324, C-325), or nobody who was not let in.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};
use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;

use crate::config::settings::Access;

/// How long the answer to a wrong password takes.
pub const WRONG_PASSWORD: Duration = Duration::from_secs(1);

/// How often failed logins are told, at most.
const TELL: Duration = Duration::from_secs(1);

/// Padding or not: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a server thinks of a request's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may come in.
    Welcome,
    /// It gave none, or none of a kind that is known.
    Anonymous,
    /// It gave wrong ones.
    Wrong,
    /// It gave something that nobody can read.
    Malformed,
}

/// Looks at the credentials of a request. Takes the same time whatever is wrong with them.
#[must_use]
pub fn judge(access: &Access, headers: &HeaderMap) -> Verdict {
    match access {
        Access::Open => Verdict::Welcome,
        Access::Login => Verdict::Anonymous,
        Access::Basic { username, password } => {
            let Some(header) = headers.get(AUTHORIZATION) else { return Verdict::Anonymous };
            let Ok(header) = header.to_str() else { return Verdict::Malformed };
            let (scheme, credentials) = header.trim().split_once(' ').unwrap_or((header, ""));
            if !scheme.eq_ignore_ascii_case("basic") {
                return Verdict::Anonymous;
            }
            let Ok(decoded) = BASE64.decode(credentials.trim()) else { return Verdict::Malformed };
            let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
                return Verdict::Malformed;
            };
            let (name, given) = (&decoded[..colon], &decoded[colon + 1..]);
            // Both are looked at, so that time does not tell which one was wrong.
            let is_user = same(username.as_bytes(), name);
            let is_password = password_is(password, given);
            if is_user & is_password { Verdict::Welcome } else { Verdict::Wrong }
        }
    }
}

/// Whether this is the password: as it is configured, or by its SHA-1 in lower-case hexadecimal
/// behind `{SHA}` (C-325).
fn password_is(configured: &str, given: &[u8]) -> bool {
    let Some(hash) = configured.strip_prefix("{SHA}") else {
        return same(configured.as_bytes(), given);
    };
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(given) {
        let _ = write!(hex, "{byte:02x}"); // a String takes everything
    }
    same(hash.as_bytes(), hex.as_bytes())
}

/// Compares in a time that depends on the length of `given` alone.
fn same(secret: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(secret.len() != given.len());
    for (at, byte) in given.iter().enumerate() {
        let expected = if secret.is_empty() { 0 } else { secret[at % secret.len()] };
        difference |= black_box(byte ^ expected);
    }
    black_box(difference) == 0
}

/// Counts failed logins, and says when to tell of them: a flood of guesses is no flood of lines.
#[derive(Debug, Default)]
pub struct Failures {
    state: Mutex<(Option<Instant>, u64)>,
}

impl Failures {
    /// One more. How many were not told before it, when it is time to tell.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, silent) = &mut *state;
        if told.is_some_and(|told| now.saturating_duration_since(told) < TELL) {
            *silent += 1;
            return None;
        }
        *told = Some(now);
        Some(std::mem::take(silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(password: &str, header: Option<&[u8]>) -> Verdict {
        let access = Access::Basic { username: "bob".to_owned(), password: password.to_owned() };
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.try_into().unwrap());
        }
        judge(&access, &headers)
    }

    fn basic(credentials: &str) -> Vec<u8> {
        format!("Basic {}", BASE64.encode(credentials)).into_bytes()
    }

    #[test]
    fn user_and_password_must_both_be_right() {
        // C-324, C-440
        let tried = |credentials: &str| verdict("s:e c", Some(&basic(credentials)));
        assert_eq!(tried("bob:s:e c"), Verdict::Welcome);
        for wrong in ["bob:", "bob:s:e", "bob:s:e cs:e c", "bo:s:e c", ":s:e c", "bob:S:e c", ":"] {
            assert_eq!(tried(wrong), Verdict::Wrong, "{wrong}");
        }
        assert_eq!(verdict("", Some(&basic("bob:"))), Verdict::Welcome);
        assert_eq!(verdict("", Some(&basic("bob:x"))), Verdict::Wrong);
        assert_eq!(verdict("ä", Some(&basic("bob:ä"))), Verdict::Welcome);
    }

    #[test]
    fn a_password_may_be_hashed() {
        // C-325: the SHA-1 of "thepassword"
        let hash = "{SHA}82ab876d1387bfafe46cc1c8a2ef074eae50cb1d";
        let tried = |password: &str| verdict(hash, Some(&basic(&format!("bob:{password}"))));
        assert_eq!(tried("thepassword"), Verdict::Welcome);
        assert_eq!(tried("Thepassword"), Verdict::Wrong);
        assert_eq!(tried(&hash[5..]), Verdict::Wrong, "the hash is not the password");
        let upper = hash.to_uppercase();
        assert_eq!(verdict(&upper, Some(&basic("bob:thepassword"))), Verdict::Wrong);
    }

    #[test]
    fn the_scheme_is_known_in_any_case_and_others_are_not() {
        // C-324, C-437
        let encoded = BASE64.encode("bob:x");
        for scheme in ["Basic", "basic", "BASIC"] {
            let header = format!("{scheme}  {encoded} ");
            assert_eq!(verdict("x", Some(header.trim().as_bytes())), Verdict::Welcome);
        }
        let unpadded = format!("basic {}", encoded.trim_end_matches('='));
        assert_eq!(verdict("x", Some(unpadded.as_bytes())), Verdict::Welcome);
        assert_eq!(verdict("x", None), Verdict::Anonymous);
        assert_eq!(verdict("x", Some(b"Bearer abc")), Verdict::Anonymous);
        for bad in [&b"Basic !!!"[..], b"Basic Ym9i", b"Basic \xff"] {
            assert_eq!(verdict("x", Some(bad)), Verdict::Malformed);
        }
    }

    #[test]
    fn an_open_server_asks_nobody_and_a_login_lets_nobody_in() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, basic("bob:x").as_slice().try_into().unwrap());
        assert_eq!(judge(&Access::Open, &headers), Verdict::Welcome);
        assert_eq!(judge(&Access::Login, &headers), Verdict::Anonymous);
    }

    #[test]
    fn failures_are_told_once_a_second() {
        let failures = Failures::default();
        let start = Instant::now();
        assert_eq!(failures.count(start), Some(0));
        assert_eq!(failures.count(start), None);
        assert_eq!(failures.count(start + TELL / 2), None);
        assert_eq!(failures.count(start + TELL), Some(2));
        assert_eq!(failures.count(start + TELL * 2), Some(0));
    }
}
