//! Who may use a server: user name and password (C-324, C-325), or nobody who was not let in.

use std::fmt;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use sha1::{Digest, Sha1};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_rustls::rustls::crypto::ring;
use warp::http::HeaderMap;
use warp::http::header::AUTHORIZATION;

use super::visitor::{Role, Visitor};
use crate::config::password;
use crate::config::settings::Access;

/// How long the answer to a wrong password takes.
pub const WRONG_PASSWORD: Duration = Duration::from_secs(1);

/// How long a password that is an argon2 hash in the configuration need not be hashed again after
/// it was right: a client that polls would cost a processor.
const REMEMBER: Duration = Duration::from_secs(60);

/// How many may wait for a password to be hashed.
const MAX_WAITING: usize = 32;

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
    /// Too many wait to have theirs looked at.
    Busy,
}

/// Who stands at the door of one server.
#[derive(Debug)]
pub struct Gate {
    access: Access,
    /// Where the password is an argon2 hash.
    remembered: Option<Remembered>,
}

impl Gate {
    /// A gate for those who may use the server.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let is_hash =
            matches!(&access, Access::Basic { password, .. } if password::is_hash(password));
        Self { access, remembered: is_hash.then(Remembered::new) }
    }

    /// Who may use the server.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Who comes through this gate of a server.
    #[must_use]
    pub fn visitor(&self, section: &str) -> Visitor {
        let name = match &self.access {
            Access::Basic { username, .. } => username,
            Access::Open | Access::Login => "",
        };
        Visitor::new(Role::Act, name, section)
    }

    /// Looks at the credentials of a request. Takes the same time whatever is wrong with them.
    pub async fn judge(&self, headers: &HeaderMap) -> Verdict {
        let (username, password) = match &self.access {
            Access::Open => return Verdict::Welcome,
            Access::Login => return Verdict::Anonymous,
            Access::Basic { username, password } => (username, password),
        };
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
        let is_password = match &self.remembered {
            None => password_is(password, given),
            Some(remembered) if is_user && remembered.knows(given, Instant::now()) => true,
            Some(remembered) => {
                let Some(is_right) = matches_hash(password, given).await else {
                    return Verdict::Busy;
                };
                if is_user && is_right {
                    remembered.learn(given, Instant::now());
                }
                is_right
            }
        };
        if is_user & is_password { Verdict::Welcome } else { Verdict::Wrong }
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

/// Whether this is the password of an argon2 hash; none when too many others wait to know. One
/// at a time in the whole daemon, on a thread of its own: so much memory and one processor are the
/// most that guessing can take.
async fn matches_hash(configured: &str, given: &[u8]) -> Option<bool> {
    /// Those who wait, and the one whose turn it is.
    static QUEUE: Semaphore = Semaphore::const_new(1 + MAX_WAITING);
    static TURN: Semaphore = Semaphore::const_new(1);
    let place = QUEUE.try_acquire().ok()?;
    let turn = TURN.acquire().await.ok()?;
    let (configured, given) = (configured.to_owned(), given.to_vec());
    let verified = spawn_blocking(move || {
        // Kept until it is done, even if nobody wants to know any more.
        let _kept = (place, turn);
        password::parse(&configured).is_ok_and(|hashed| hashed.matches(&given))
    });
    // A panic lets nobody in.
    Some(verified.await.unwrap_or(false))
}

/// The password that was right a short time ago, as a keyed hash of it.
struct Remembered {
    /// None when the system has no random numbers: then nothing is remembered.
    key: Option<[u8; 32]>,
    last: Mutex<Option<([u8; 32], Instant)>>,
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered")
    }
}

impl Remembered {
    fn new() -> Self {
        let mut key = [0; 32];
        let is_random = ring::default_provider().secure_random.fill(&mut key).is_ok();
        Self { key: is_random.then_some(key), last: Mutex::default() }
    }

    fn hash(&self, given: &[u8]) -> Option<[u8; 32]> {
        let mut mac = <Blake2sMac256 as KeyInit>::new_from_slice(self.key.as_ref()?).ok()?;
        mac.update(given);
        Some(mac.finalize().into_bytes().into())
    }

    /// Whether this password was right a short time ago.
    fn knows(&self, given: &[u8], now: Instant) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = last.filter(|(_, since)| now.saturating_duration_since(*since) < REMEMBER);
        let Some(((known, _), hash)) = fresh.zip(self.hash(given)) else { return false };
        same(&known, &hash)
    }

    /// This password is right.
    fn learn(&self, given: &[u8], now: Instant) {
        if let Some(hash) = self.hash(given) {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((hash, now));
        }
    }
}

/// Compares in a time that depends on the length of `given` alone.
pub(super) fn same(secret: &[u8], given: &[u8]) -> bool {
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
    use futures_util::FutureExt as _;

    use super::*;

    /// Of "secret".
    const ARGON2: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                          pGAgPgkJ+esPqBoW9JTt6WhwKYDSed0z8JpcGysy3V0";

    fn argon2_gate() -> Gate {
        Gate::new(Access::Basic { username: "bob".to_owned(), password: ARGON2.to_owned() })
    }

    fn with(credentials: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, basic(credentials).as_slice().try_into().unwrap());
        headers
    }

    fn verdict(password: &str, header: Option<&[u8]>) -> Verdict {
        let access = Access::Basic { username: "bob".to_owned(), password: password.to_owned() };
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.try_into().unwrap());
        }
        judge(access, &headers)
    }

    fn judge(access: Access, headers: &HeaderMap) -> Verdict {
        let judged = Gate::new(access);
        judged.judge(headers).now_or_never().expect("these passwords need no thread")
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

    /// Those whose passwords are hashed wait in one queue, which is full during one of the tests.
    static QUEUED: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    #[tokio::test]
    async fn a_password_may_be_hashed_with_argon2() {
        let _queued = QUEUED.lock().await;
        let gate = argon2_gate();
        let knows = |password: &[u8]| {
            gate.remembered.as_ref().is_some_and(|known| known.knows(password, Instant::now()))
        };
        assert_eq!(gate.judge(&with("bob:Secret")).await, Verdict::Wrong);
        assert_eq!(gate.judge(&with(&format!("bob:{ARGON2}"))).await, Verdict::Wrong);
        assert_eq!(gate.judge(&with("eve:secret")).await, Verdict::Wrong);
        assert!(!knows(b"secret"), "a guess is not remembered, nor what another user gave");
        assert_eq!(gate.judge(&with("bob:secret")).await, Verdict::Welcome);
        // Without a thread, while it is remembered; and others do not profit from it.
        let again = gate.judge(&with("bob:secret")).now_or_never();
        assert_eq!(again, Some(Verdict::Welcome));
        assert!(knows(b"secret") && !knows(b"Secret"));
        assert_eq!(gate.judge(&with("bob:Secret")).await, Verdict::Wrong);
        assert_eq!(gate.judge(&with("eve:secret")).await, Verdict::Wrong);
    }

    #[test]
    fn a_right_password_is_forgotten_after_a_while() {
        let (remembered, now) = (Remembered::new(), Instant::now());
        assert!(!remembered.knows(b"secret", now));
        remembered.learn(b"secret", now);
        assert!(remembered.knows(b"secret", now + REMEMBER / 2) && !remembered.knows(b"s", now));
        assert!(!remembered.knows(b"secret", now + REMEMBER));
        assert!(!Remembered::new().knows(b"secret", now), "each server has a key of its own");
    }

    #[tokio::test]
    async fn only_so_many_wait_for_their_password_to_be_hashed() {
        let _queued = QUEUED.lock().await;
        let gate = argon2_gate();
        let guesses = with("bob:x");
        let mut asked: Vec<_> = (0..100).map(|_| Box::pin(gate.judge(&guesses))).collect();
        // Each asks once before any of them goes on: the first may be done by then, and its place
        // free again, but nobody else's.
        let at_once: Vec<_> = asked.iter_mut().map(|one| one.as_mut().now_or_never()).collect();
        let mut all = Vec::new();
        for (one, verdict) in asked.into_iter().zip(at_once) {
            all.push(match verdict {
                Some(verdict) => verdict,
                None => one.await,
            });
        }
        let count = |verdict| all.iter().filter(|found| **found == verdict).count();
        let (wrong, busy) = (count(Verdict::Wrong), count(Verdict::Busy));
        assert!((1..=2 + MAX_WAITING).contains(&wrong) && wrong + busy == 100, "{wrong} {busy}");
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
        assert_eq!(judge(Access::Open, &headers), Verdict::Welcome);
        assert_eq!(judge(Access::Login, &headers), Verdict::Anonymous);
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
