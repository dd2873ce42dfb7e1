//! Who is logged in where `auth=login`: links that open a session once, and the sessions.
//!
//! Whoever may do something over D-Bus may make a link for a session that may do no more. Of links
//! and cookies only hashes are kept. Sessions are the process's own: they survive a restart of the
//! configuration and a hot upgrade; a crash, those that were open at the start.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blake2::{Blake2s256, Digest};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::rustls::crypto::ring;
use warp::http::HeaderMap;
use warp::http::header::COOKIE;

use super::auth::same;
use super::listen::Listeners;
use super::visitor::{self, Role, Visitor};
use crate::config::settings::{Access, HttpAddress, HttpServer};

/// How long a link is good.
pub const LINK: Duration = Duration::from_secs(60);
/// How long a session lasts at the most.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a session lasts that nobody uses; an open stream is use.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// How many links there are at the same time; a further one takes the place of the oldest.
const MAX_LINKS: usize = 16;
/// How many sessions there are; a further one takes the place of that unused for longest.
const MAX_SESSIONS: usize = 64;

/// A hash of a link or of a cookie. They are random, so no key and no salt is needed.
type Hash = [u8; 32];

fn hash(secret: &str) -> Hash {
    Blake2s256::digest(secret.as_bytes()).into()
}

/// So many random bytes in hexadecimal; none when the system has no random numbers.
fn random<const BYTES: usize>() -> Option<String> {
    let mut bytes = [0; BYTES];
    ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

/// What a link gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// Who made the link, for the log.
    pub name: Arc<str>,
}

#[derive(Debug)]
struct Link {
    hash: Hash,
    grant: Grant,
    until: Instant,
}

#[derive(Debug)]
struct Session {
    hash: Hash,
    /// Opened over TLS, and good for nothing else.
    secure: bool,
    grant: Grant,
    until: Instant,
    used: Arc<Mutex<Instant>>,
    /// Dropped with the session.
    open: watch::Sender<()>,
}

impl Session {
    fn used(&self) -> Instant {
        // Streams that are open hold it too.
        if Arc::strong_count(&self.used) > 1 { Instant::now() } else { *lock(&self.used) }
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.until || now >= self.used() + IDLE
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds a lock here can leave what it guards half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Book {
    links: Vec<Link>,
    sessions: Vec<Session>,
}

impl Book {
    fn sweep(&mut self) {
        let now = Instant::now();
        self.links.retain(|link| now < link.until);
        self.sessions.retain(|session| !session.is_over(now));
    }

    /// Where the session with this cookie is. All are compared, in the same time.
    fn find(&self, cookie: &str, secure: bool) -> Option<usize> {
        let wanted = hash(cookie);
        let found = |(at, session): (usize, &Session)| {
            (same(&session.hash, &wanted) && session.secure == secure).then_some(at)
        };
        self.sessions.iter().enumerate().fold(None, |known, session| known.or(found(session)))
    }
}

/// Links and sessions of a daemon.
#[derive(Clone)]
pub struct Sessions {
    book: Arc<Mutex<Book>>,
    /// What the cookie is called: cookies know no ports, and another daemon of this machine has
    /// one too.
    cookie: Arc<str>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

impl Default for Sessions {
    fn default() -> Self {
        let tag = random::<4>().unwrap_or_default();
        Self { book: Arc::default(), cookie: format!("supervisor-{tag}").into() }
    }
}

/// Links and sessions on their way to another program. Cookies and links are in it as hashes.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionsLeft {
    cookie: String,
    /// With which the tokens of open pages were made.
    key: Option<visitor::Key>,
    links: Vec<LinkLeft>,
    sessions: Vec<SessionLeft>,
}

#[derive(Debug, Serialize, Deserialize)]
struct LinkLeft {
    hash: Hash,
    grant: Grant,
    left: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
struct SessionLeft {
    hash: Hash,
    secure: bool,
    grant: Grant,
    left: Duration,
    unused: Duration,
}

/// A request of somebody who is logged in.
#[derive(Debug)]
pub struct Present {
    /// Who they are.
    pub visitor: Visitor,
    /// As long as this is there, the session is in use.
    pub stay: Stay,
}

/// That a session is in use.
#[derive(Debug)]
pub struct Stay {
    used: Arc<Mutex<Instant>>,
    open: watch::Receiver<()>,
    until: Instant,
}

impl Stay {
    /// Comes when the session ends.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut open, until) = (self.open.clone(), self.until);
        async move {
            tokio::select! {
                // Nothing is ever sent: it is closed.
                _ = open.changed() => {}
                () = sleep_until(until) => {}
            }
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        *lock(&self.used) = Instant::now();
    }
}

impl Sessions {
    /// What another program needs to know of them.
    #[must_use]
    pub fn share(&self) -> SessionsLeft {
        let mut book = lock(&self.book);
        book.sweep();
        let now = Instant::now();
        let link = |link: &Link| LinkLeft {
            hash: link.hash,
            grant: link.grant.clone(),
            left: link.until - now,
        };
        let session = |session: &Session| SessionLeft {
            hash: session.hash,
            secure: session.secure,
            grant: session.grant.clone(),
            left: session.until - now,
            unused: now - session.used(),
        };
        SessionsLeft {
            cookie: self.cookie.to_string(),
            key: visitor::key(),
            links: book.links.iter().map(link).collect(),
            sessions: book.sessions.iter().map(session).collect(),
        }
    }

    /// Goes on with those of another program, before the first request.
    #[must_use]
    pub fn adopt(left: SessionsLeft) -> Self {
        let SessionsLeft { cookie, key, links, sessions } = left;
        visitor::adopt_key(key);
        let now = Instant::now();
        let links = links.into_iter().map(|LinkLeft { hash, grant, left }| Link {
            hash,
            grant,
            until: now + left.min(LINK),
        });
        let sessions = sessions.into_iter().map(|session| {
            let SessionLeft { hash, secure, grant, left, unused } = session;
            Session {
                hash,
                secure,
                grant,
                until: now + left.min(LONGEST),
                used: Arc::new(Mutex::new(now.checked_sub(unused).unwrap_or(now))),
                open: watch::Sender::new(()),
            }
        });
        let book = Book { links: links.collect(), sessions: sessions.collect() };
        Self { book: Arc::new(Mutex::new(book)), cookie: cookie.into() }
    }

    /// Makes a link that gives this; none when the system has no random numbers.
    #[must_use]
    pub fn offer(&self, grant: Grant) -> Option<String> {
        let secret = random::<16>()?;
        let mut book = lock(&self.book);
        book.sweep();
        if book.links.len() >= MAX_LINKS {
            book.links.remove(0);
        }
        let until = Instant::now() + LINK;
        book.links.push(Link { hash: hash(&secret), grant, until });
        Some(secret)
    }

    /// Opens a session by a link, which is good no more: what the cookie is, and what it gives.
    /// None for a link that was used, is too old, or never was.
    #[must_use]
    pub fn open(&self, link: &str, secure: bool) -> Option<(String, Grant)> {
        let cookie = random::<32>()?;
        let wanted = hash(link);
        let mut book = lock(&self.book);
        book.sweep();
        let places = book.links.iter().enumerate();
        let found = places.fold(None, |known, (at, link)| {
            let is_it = same(&link.hash, &wanted);
            known.or(is_it.then_some(at))
        });
        let Link { grant, .. } = book.links.remove(found?);
        if book.sessions.len() >= MAX_SESSIONS {
            let sessions = book.sessions.iter().enumerate();
            let longest = sessions.min_by_key(|(_, session)| session.used()).map(|(at, _)| at);
            longest.map(|at| book.sessions.remove(at));
        }
        let now = Instant::now();
        book.sessions.push(Session {
            hash: hash(&cookie),
            secure,
            grant: grant.clone(),
            until: now + LONGEST,
            used: Arc::new(Mutex::new(now)),
            open: watch::Sender::new(()),
        });
        Some((cookie, grant))
    }

    /// Who sends these headers; none without a session.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap, secure: bool) -> Option<Present> {
        let mut book = lock(&self.book);
        book.sweep();
        let name = self.name(secure);
        let at = cookies(headers, &name).find_map(|cookie| book.find(cookie, secure))?;
        let Session { hash, grant, until, used, open, .. } = &book.sessions[at];
        let visitor = Visitor::of_session(grant.role, &grant.name, &hex(hash));
        let stay = Stay { used: Arc::clone(used), open: open.subscribe(), until: *until };
        Some(Present { visitor, stay })
    }

    /// Ends the session of these headers, and its streams.
    pub fn close(&self, headers: &HeaderMap, secure: bool) {
        let mut book = lock(&self.book);
        for cookie in cookies(headers, &self.name(secure)) {
            if let Some(at) = book.find(cookie, secure) {
                book.sessions.remove(at);
            }
        }
    }

    /// Whether there is a cookie of ours, of a session that may have ended.
    #[must_use]
    pub fn knows(&self, headers: &HeaderMap, secure: bool) -> bool {
        cookies(headers, &self.name(secure)).next().is_some()
    }

    /// What sets the cookie; an empty one takes it away.
    #[must_use]
    pub fn set_cookie(&self, cookie: &str, secure: bool) -> String {
        let age = if cookie.is_empty() { 0 } else { LONGEST.as_secs() };
        let only = if secure { "; Secure" } else { "" };
        let name = self.name(secure);
        format!("{name}={cookie}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{only}")
    }

    /// Over TLS the name says that nobody without TLS can have set it.
    fn name(&self, secure: bool) -> String {
        format!("{}{}", if secure { "__Host-" } else { "" }, self.cookie)
    }
}

/// The values of the cookies of this name.
fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(known, _)| known.trim() == name).map(|(_, value)| value.trim())
}

/// What a link is made with: the sessions, and the servers that it leads to.
#[derive(Debug, Clone)]
pub struct Logins {
    /// The sessions.
    pub sessions: Sessions,
    /// The URLs of the servers with `auth=login`, without a path.
    pub servers: Vec<String>,
}

impl Logins {
    /// Links to those of the servers that listen, for a browser on this machine.
    #[must_use]
    pub fn to(listeners: &Listeners, sessions: Sessions) -> Self {
        let bound = listeners.iter();
        let servers = bound.filter_map(|bound| url(bound.server(), bound.tls().is_some()));
        Self { sessions, servers: servers.collect() }
    }

    /// The link, as it is at each server; none when there is no random number.
    #[must_use]
    pub fn offer(&self, grant: Grant) -> Option<Vec<String>> {
        let secret = self.sessions.offer(grant)?;
        Some(self.servers.iter().map(|server| format!("{server}/login/{secret}")).collect())
    }
}

/// Where a browser on this machine finds a server with `auth=login`; none for others.
fn url(server: &HttpServer, secure: bool) -> Option<String> {
    let HttpAddress::Inet { host, port } = &server.address else { return None };
    if server.access != Access::Login {
        return None;
    }
    let scheme = if secure { "https" } else { "http" };
    let host = match host.as_str() {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        address if address.contains(':') => format!("[{address}]"),
        name => name.to_owned(),
    };
    Some(format!("{scheme}://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;

    fn grant(role: Role) -> Grant {
        Grant { role, name: "user 0".into() }
    }

    fn with(sessions: &Sessions, cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = format!("other=1; {}={cookie}", sessions.name(false));
        headers.insert(COOKIE, pair.parse().unwrap());
        headers
    }

    fn logged_in(sessions: &Sessions) -> HeaderMap {
        let link = sessions.offer(grant(Role::Act)).unwrap();
        with(sessions, &sessions.open(&link, false).unwrap().0)
    }

    fn is_known(sessions: &Sessions, headers: &HeaderMap) -> bool {
        sessions.of(headers, false).is_some()
    }

    #[test]
    fn links_lead_to_where_people_log_in() {
        let url_of = |host: &str, access, secure| {
            let address = HttpAddress::Inet { host: host.to_owned(), port: 9001 };
            let section = "inet_http_server".to_owned();
            url(&HttpServer { section, address, access, tls: None }, secure)
        };
        for (host, expected) in [
            ("", "http://127.0.0.1:9001"),
            ("0.0.0.0", "http://127.0.0.1:9001"),
            ("::", "http://[::1]:9001"),
            ("fe80::1", "http://[fe80::1]:9001"),
            ("db7", "http://db7:9001"),
        ] {
            assert_eq!(url_of(host, Access::Login, false).as_deref(), Some(expected));
        }
        assert_eq!(url_of("db7", Access::Login, true).as_deref(), Some("https://db7:9001"));
        assert_eq!(url_of("db7", Access::Open, true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_good_once_and_for_a_minute() {
        let sessions = Sessions::default();
        let (one, two) = (sessions.offer(grant(Role::Read)), sessions.offer(grant(Role::Act)));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(one.len() == 32 && one != two);
        assert!(sessions.open("", false).is_none() && sessions.open(&one[1..], false).is_none());
        assert_eq!(sessions.open(&one, false).unwrap().1, grant(Role::Read));
        assert!(sessions.open(&one, false).is_none());
        advance(LINK).await;
        assert!(sessions.open(&two, false).is_none());
        let many: Vec<_> = (0..20).map(|_| sessions.offer(grant(Role::Read)).unwrap()).collect();
        assert!(
            sessions.open(&many[0], false).is_none() && sessions.open(&many[19], false).is_some()
        );
        assert!(!format!("{:?}", lock(&sessions.book)).contains(&many[10]));
    }

    #[tokio::test(start_paused = true)]
    async fn another_program_knows_who_is_logged_in_and_for_how_long() {
        let sessions = Sessions::default();
        let (early, link) = (logged_in(&sessions), sessions.offer(grant(Role::Read)).unwrap());
        advance(IDLE / 2).await;
        let late = logged_in(&sessions);
        let text = serde_json::to_string(&sessions.share()).unwrap();
        let sessions = Sessions::adopt(serde_json::from_str(&text).unwrap());
        assert!(sessions.open(&link, false).is_none(), "it was too old");
        advance(IDLE / 2).await;
        assert!(!is_known(&sessions, &early) && is_known(&sessions, &late));
        let link = sessions.offer(grant(Role::Read)).unwrap();
        let text = serde_json::to_string(&sessions.share()).unwrap();
        let sessions = Sessions::adopt(serde_json::from_str(&text).unwrap());
        assert_eq!(sessions.open(&link, false).unwrap().1, grant(Role::Read));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_when_it_is_not_used_and_at_last_anyway() {
        let sessions = Sessions::default();
        let (used, unused) = (logged_in(&sessions), logged_in(&sessions));
        let mut hours = 0;
        while is_known(&sessions, &used) {
            advance(IDLE / 2).await;
            hours += 1;
        }
        assert_eq!(hours, 24, "12 hours");
        assert!(!is_known(&sessions, &unused));
        // An open stream is use, and ends with the session.
        let headers = logged_in(&sessions);
        let stay = sessions.of(&headers, false).unwrap().stay;
        advance(IDLE * 3).await;
        let stay_too = sessions.of(&headers, false).unwrap().stay;
        let ended = stay.ended();
        drop((stay, stay_too));
        advance(IDLE * 59 / 60).await;
        assert!(is_known(&sessions, &headers), "the hour began with the end of the stream");
        let began = Instant::now();
        ended.await;
        assert_eq!((Instant::now() - began).as_secs(), 8 * 3600 + 60);
        assert!(!is_known(&sessions, &headers));
    }

    #[tokio::test(start_paused = true)]
    async fn signing_out_ends_the_session_and_its_streams_alone() {
        let sessions = Sessions::default();
        let (mine, other) = (logged_in(&sessions), logged_in(&sessions));
        let stay = sessions.of(&mine, false).unwrap().stay;
        let ended = stay.ended();
        tokio::pin!(ended);
        assert!(ended.as_mut().now_or_never().is_none());
        sessions.close(&mine, false);
        ended.await;
        assert!(!is_known(&sessions, &mine) && is_known(&sessions, &other));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_and_cookies_are_a_sessions_own() {
        // C-439
        let sessions = Sessions::default();
        let visitor = |headers: &HeaderMap| sessions.of(headers, false).unwrap().visitor;
        let (one, other) = (logged_in(&sessions), logged_in(&sessions));
        assert!(visitor(&one).owns(&visitor(&one).token()) && visitor(&one).in_session);
        assert!(!visitor(&one).owns(&visitor(&other).token()));
        for _ in 0..MAX_SESSIONS {
            logged_in(&sessions);
        }
        assert_eq!(lock(&sessions.book).sessions.len(), MAX_SESSIONS);
        // Nobody chooses the cookie, and none of another kind counts.
        assert!(!is_known(&sessions, &with(&sessions, "chosen")));
        let headers = logged_in(&sessions);
        let mut moved = HeaderMap::new();
        let pair = headers[COOKIE].to_str().unwrap().replace("other=1; ", "__Host-");
        moved.insert(COOKIE, pair.parse().unwrap());
        assert!(sessions.knows(&moved, true) && sessions.of(&moved, true).is_none());
        assert_ne!(sessions.cookie, Sessions::default().cookie);
        let set = sessions.set_cookie("x", true);
        assert!(set.starts_with("__Host-supervisor-") && set.ends_with("; Secure"), "{set}");
        assert!(set.contains("=x; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{set}");
        assert!(sessions.set_cookie("", false).contains("=; Path=/; Max-Age=0; HttpOnly"));
    }
}
