//! TLS of `[inet_http_server]`: certificates and keys, from their files to a handshake.
//!
//! The files are read where the sockets are opened: before the daemon gives root up, and again at
//! a restart. They are looked at once a second at most when somebody connects, so that a renewed
//! certificate is served without a restart; one that cannot be used changes nothing but the log.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use warp::http::StatusCode;

use super::page;
use super::wire::Wire;
use crate::config::settings::TlsFiles;
use crate::model::record::{Level, Record};

/// How long a client may take for the handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// How long a new connection waits for the disk, before it gets the certificate that was.
const DISK: Duration = Duration::from_millis(500);
/// How big such a file may be: hundreds of certificates.
const MAX_FILE: u64 = 1024 * 1024;
/// How much of what is no TLS is read before the connection closes.
const MAX_PLAIN: u64 = 64 * 1024;
/// What somebody reads who comes without TLS.
const PLAIN: &str = "This server speaks HTTPS only: use https://...\n";

/// Where lines for the daemon's log go.
type Log = Arc<dyn Fn(Record) + Send + Sync>;

/// Why a server has no certificate.
#[derive(Debug, Error)]
#[error("[{section}] {option}={}: {why}", path.display())]
pub struct TlsError {
    section: String,
    option: &'static str,
    path: PathBuf,
    #[source]
    why: Box<Why>,
}

impl TlsError {
    /// Whether it is for the rights of the daemon, which may have had more when it began.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(&*self.why, Why::Unreadable(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum Why {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is no regular file")]
    NoFile,
    #[error("is too big for a file of certificates")]
    TooBig,
    #[error("is no proper PEM file: {0}")]
    Pem(String),
    #[error("there is no certificate in it (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("there is no private key in it (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    #[error(
        "the private key has a passphrase, which nobody is there to give: write it without one \
         (openssl pkey), readable by its owner only"
    )]
    Passphrase,
    #[error("the private key cannot be used: {0}")]
    BadKey(rustls::Error),
    #[error("the first certificate cannot be used: {0}")]
    BadCertificate(rustls::Error),
    #[error("is not the key of the certificate in {}", .0.display())]
    Mismatch(PathBuf),
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What can be seen of a file without reading it: device, inode, size, and times of change.
type Stamp = (u64, u64, u64, [i64; 4]);

fn stamp_of(file: &Metadata) -> Stamp {
    let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
    (file.dev(), file.ino(), file.size(), times)
}

/// What can be seen of both files; nothing of one that is not there.
fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    let stamp = |path: &Path| std::fs::metadata(path).ok().map(|file| stamp_of(&file));
    [stamp(&files.certificate), stamp(&files.key)]
}

/// Opens and reads a file that should be small and ordinary; anything else keeps nobody waiting.
fn read(path: &Path) -> Result<(Vec<u8>, Metadata), Why> {
    let file: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Why::NoFile);
    }
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(Why::TooBig);
    }
    Ok((text, metadata))
}

/// The certificates in a PEM file, at least one.
///
/// # Errors
/// It has none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Why> {
    let (text, _) = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| Why::Pem(error.to_string()))?;
    if found.is_empty() { Err(Why::NoCertificate) } else { Ok(found) }
}

/// The certificate that is served now.
struct Current(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A certificate with its key, and what should be said of them.
struct Loaded {
    pair: CertifiedKey,
    warnings: Vec<String>,
}

/// Reads both files.
fn load(section: &str, files: &TlsFiles) -> Result<Loaded, TlsError> {
    let failed = |option, path: &Path, why| TlsError {
        section: section.to_owned(),
        option,
        path: path.to_owned(),
        why: Box::new(why),
    };
    let of_certificate = |why| failed("tls_certificate", &files.certificate, why);
    let of_key = |why| failed("tls_key", &files.key, why);
    let chain = certificates(&files.certificate).map_err(of_certificate)?;
    let Some(first) = chain.first() else { return Err(of_certificate(Why::NoCertificate)) };
    let parsed = ParsedCertificate::try_from(first);
    let parsed = parsed.map_err(|error| of_certificate(Why::BadCertificate(error)))?;
    let mut warnings: Vec<String> = is_not_valid_now(&parsed, UnixTime::now())
        .map(|why| format!("[{section}] tls_certificate={}: {why}", files.certificate.display()))
        .into_iter()
        .collect();

    let (text, metadata) = read(&files.key).map_err(of_key)?;
    if metadata.mode() & 0o006 != 0 {
        warnings.push(format!(
            "[{section}] tls_key={}: every user of this machine can get at this key: chmod o= it, \
             and think about a new one",
            files.key.display()
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
        of_key(match error {
            _ if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") => {
                Why::Passphrase
            }
            rustls::pki_types::pem::Error::NoItemsFound => Why::NoKey,
            error => Why::Pem(error.to_string()),
        })
    })?;
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let pair = pair.map_err(|error| {
        of_key(match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Why::Mismatch(files.certificate.clone())
            }
            error => Why::BadKey(error),
        })
    })?;
    Ok(Loaded { pair, warnings })
}

/// Looks whether a certificate is valid now, as far as its dates go. Found out with the check
/// that clients make, which looks at the dates before it looks for somebody to trust.
///
/// # Errors
/// It has expired, or is not valid yet.
pub(crate) fn check_dates(
    certificate: &ParsedCertificate<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    use CertificateError as Error;
    let nobody = RootCertStore::empty();
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    let checked =
        verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], now, algorithms);
    match checked {
        Err(rustls::Error::InvalidCertificate(
            Error::Expired
            | Error::ExpiredContext { .. }
            | Error::NotValidYet
            | Error::NotValidYetContext { .. },
        )) => checked,
        _ => Ok(()),
    }
}

/// Why clients will not take a certificate now, as far as its dates go.
fn is_not_valid_now(certificate: &ParsedCertificate<'_>, now: UnixTime) -> Option<&'static str> {
    use CertificateError as Error;
    match check_dates(certificate, now) {
        Ok(()) => None,
        Err(rustls::Error::InvalidCertificate(
            Error::NotValidYet | Error::NotValidYetContext { .. },
        )) => Some("the certificate is not valid yet, clients will refuse it"),
        Err(_) => Some("the certificate has expired, clients will refuse it"),
    }
}

/// Looks whether these files could be served, and what should be said of them.
///
/// # Errors
/// They cannot.
pub fn check(section: &str, files: &TlsFiles) -> Result<Vec<String>, TlsError> {
    load(section, files).map(|loaded| loaded.warnings)
}

/// What was last seen of the files.
#[derive(Debug)]
struct Seen {
    stamps: [Option<Stamp>; 2],
    looked: Option<Instant>,
    /// Somebody looks: one at a time, for a disk may hang.
    looking: bool,
}

/// The TLS of one server.
#[derive(Debug)]
pub struct Tls {
    section: String,
    files: TlsFiles,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    seen: Mutex<Seen>,
}

impl Tls {
    /// Reads certificate and key. With it comes what should be said of them.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn open(section: &str, files: &TlsFiles) -> Result<(Arc<Self>, Vec<String>), TlsError> {
        // Before they are read: what changes meanwhile is read again.
        let stamps = stamps(files);
        let Loaded { pair, warnings } = load(section, files)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(pair))));
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12]);
        let versions = versions.map_err(|error| TlsError {
            section: section.to_owned(),
            option: "tls_certificate",
            path: files.certificate.clone(),
            why: Box::new(Why::Setup(error)),
        })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = versions.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tls = Self {
            section: section.to_owned(),
            files: files.clone(),
            current,
            config: Arc::new(config),
            seen: Mutex::new(Seen { stamps, looked: None, looking: false }),
        };
        Ok((Arc::new(tls), warnings))
    }

    /// The files it is read from.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Shakes hands with a client; none when it is no client for TLS, and has been told so.
    ///
    /// # Errors
    /// The client wants something else, or went away.
    pub async fn accept(
        self: &Arc<Self>,
        stream: Wire,
        log: &Log,
    ) -> io::Result<Option<TlsStream<Wire>>> {
        let Some(first) = stream.first().await? else { return Ok(None) };
        // Methods of HTTP are capitals; no record of TLS begins with one.
        if first.is_ascii_uppercase() {
            tell_plainly(stream).await?;
            return Ok(None);
        }
        self.refresh(log).await;
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        acceptor.accept(stream).await.map(Some)
    }

    /// Reads the files again when they have changed, on a thread that a disk may hold up.
    async fn refresh(self: &Arc<Self>, log: &Log) {
        if !self.begin_to_look(Instant::now()) {
            return;
        }
        let (tls, log, (done, looked)) = (Arc::clone(self), Arc::clone(log), oneshot::channel());
        let thread = thread::Builder::new().name("tls-files".to_owned());
        let spawned = thread.spawn(move || {
            let records = tls.look();
            tls.seen().looking = false;
            let _ = done.send(()); // whoever waited may have gone on
            for record in records {
                log(record);
            }
        });
        match spawned {
            Ok(_) => drop(timeout(DISK, looked).await),
            Err(_) => self.seen().looking = false,
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Nothing that holds the lock can leave it half changed.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to look, and nobody does.
    fn begin_to_look(&self, now: Instant) -> bool {
        let mut seen = self.seen();
        let is_recent = |looked: Instant| now.saturating_duration_since(looked) < LOOK;
        if seen.looking || seen.looked.is_some_and(is_recent) {
            return false;
        }
        (seen.looking, seen.looked) = (true, Some(now));
        true
    }

    /// Takes over what changed. What there is to say of it comes back.
    fn look(&self) -> Vec<Record> {
        let stamps = stamps(&self.files);
        if std::mem::replace(&mut self.seen().stamps, stamps) == stamps {
            return Vec::new();
        }
        let section = &self.section;
        match load(section, &self.files) {
            Ok(Loaded { pair, warnings }) => {
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                let file = self.files.certificate.display();
                let text = format!("[{section}] serves the new certificate of {file}");
                let warnings = warnings.into_iter().map(|text| Record::new(Level::Warn, text));
                std::iter::once(Record::new(Level::Info, text)).chain(warnings).collect()
            }
            Err(error) => {
                let text = format!("{error}; the certificate that was read before is still served");
                vec![Record::new(Level::Warn, text)]
            }
        }
    }
}

/// Answers somebody who comes with plain HTTP.
async fn tell_plainly(mut stream: Wire) -> io::Result<()> {
    stream.write_all(&page::raw(StatusCode::BAD_REQUEST, "", PLAIN)).await?;
    stream.shutdown().await?;
    // What is left unread would take the answer back.
    copy(&mut stream.take(MAX_PLAIN), &mut sink()).await?;
    Ok(())
}
