//! Passwords of HTTP servers that stand in the configuration as argon2 hashes (RFC 9106).

use argon2::password_hash::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};

/// What one verification may use, in KiB: RFC 9106's second recommendation.
pub const MAX_MEMORY: u32 = 64 * 1024;
/// How much memory one verification may go through, in KiB: memory times passes.
const MAX_WORK: u64 = 4 * MAX_MEMORY as u64;
/// How many lanes one verification may have.
const MAX_LANES: u32 = 16;

/// How hashes begin that are known elsewhere, and are nothing but passwords here.
const FOREIGN: [&str; 7] = ["$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$scrypt$"];

/// A password that nobody can read back.
#[derive(Debug)]
pub struct Hashed<'a> {
    hash: PasswordHash<'a>,
    argon2: Argon2<'static>,
}

impl Hashed<'_> {
    /// Whether this is the password. Takes up to a second of CPU and [`MAX_MEMORY`].
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        let Some((salt, expected)) = self.hash.salt.zip(self.hash.hash) else { return false };
        let mut salt_bytes = [0; 64];
        let Ok(salt) = salt.decode_b64(&mut salt_bytes) else { return false };
        let mut found = vec![0; expected.len()];
        if self.argon2.hash_password_into(given, salt, &mut found).is_err() {
            return false;
        }
        // Compared in constant time.
        argon2::password_hash::Output::new(&found).is_ok_and(|found| found == expected)
    }
}

/// Whether a password is given by its hash, which [`parse`] reads.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    text.starts_with("$argon2")
}

/// Whether it looks like a hash of a kind that is not known.
pub(crate) fn looks_foreign(text: &str) -> bool {
    FOREIGN.iter().any(|prefix| text.starts_with(prefix))
}

/// Reads a hash as `argon2 -e` prints it: `$argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$HASH`.
///
/// # Errors
/// What is wrong with it, without the hash: it may be in a log that others read.
pub fn parse(text: &str) -> Result<Hashed<'_>, String> {
    let hint = "use what `argon2 SALT -id -e` prints";
    let hash = PasswordHash::new(text)
        .map_err(|error| format!("the argon2 hash cannot be read ({error}): {hint}"))?;
    let algorithm = Algorithm::try_from(hash.algorithm).map_err(|_| {
        format!("the hash is of an unknown kind: argon2id, argon2i or argon2d, {hint}")
    })?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(format!("the argon2 hash has no salt or no hash in it: {hint}"));
    }
    let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
    let version =
        version.map_err(|_| format!("the version of the argon2 hash is not 19: {hint}"))?;
    let params = Params::try_from(&hash).map_err(|error| {
        format!("the parameters of the argon2 hash are wrong ({error}): {hint}")
    })?;
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let work = u64::from(memory) * u64::from(passes);
    if memory > MAX_MEMORY || work > MAX_WORK || lanes > MAX_LANES {
        return Err(format!(
            "the argon2 hash costs too much for every login (m={memory},t={passes},p={lanes}): at \
             most m={MAX_MEMORY}, m times t {MAX_WORK}, and p={MAX_LANES}; m=19456,t=2,p=1 is good"
        ));
    }
    Ok(Hashed { hash, argon2: Argon2::new(algorithm, version, params) })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of argon2(1): printf secret | argon2 somesalt -id -t 2 -k 256 -e
    const SECRET: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$pGAgPgkJ+esPqBoW9JTt6WhwKYDSed0z8JpcGysy3V0";

    fn error(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn the_hash_of_a_password_matches_it_alone() {
        let hashed = parse(SECRET).unwrap();
        assert!(hashed.matches(b"secret"));
        for wrong in [&b""[..], b"Secret", b"secret ", SECRET.as_bytes()] {
            assert!(!hashed.matches(wrong));
        }
    }

    #[test]
    fn what_is_no_hash_is_told_without_showing_it() {
        for (text, part) in [
            ("$argon2id$", "cannot be read"),
            ("$argon2x$v=19$m=256,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA", "unknown kind"),
            ("$argon2id$v=19$m=256,t=2,p=1", "no salt or no hash"),
            ("$argon2id$v=20$m=256,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA", "is not 19"),
            ("$argon2id$v=19$m=1,t=2,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA", "are wrong"),
        ] {
            let error = error(text);
            assert!(error.contains(part), "{error}");
            assert!(error.contains("argon2 SALT -id -e") && !error.contains("c29t"), "{error}");
        }
    }

    #[test]
    fn a_hash_that_would_keep_the_machine_busy_is_refused() {
        for costs in ["m=65537,t=1,p=1", "m=65536,t=5,p=1", "m=256,t=4000000,p=1", "m=256,t=1,p=17"]
        {
            let error =
                error(&format!("$argon2id$v=19${costs}$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA"));
            assert!(error.contains(&format!("too much for every login ({costs})")), "{error}");
        }
        parse("$argon2id$v=19$m=65536,t=4,p=4$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA").unwrap();
    }
}
