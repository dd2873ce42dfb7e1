//! TLS of `https://` URLs: who is trusted, and what it means when somebody is not.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, RootCertStore,
    SignatureScheme,
};

use super::unreachable::Reason;
use crate::http::tls::{certificates, check_dates};

/// Whom an `https://` server has to be vouched for by: found out when the first one is asked.
#[derive(Default)]
pub struct Trust {
    file: Option<PathBuf>,
    connector: OnceCell<TlsConnector>,
}

impl Trust {
    /// The certificates in a file, else the authorities that this machine trusts.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file, connector: OnceCell::new() }
    }

    /// What connects to servers that are trusted.
    ///
    /// # Errors
    /// Why nobody is.
    pub fn connector(&self) -> Result<&TlsConnector, (Reason, String)> {
        if let Some(known) = self.connector.get() {
            return Ok(known);
        }
        let made = connector(self.file.as_deref())?;
        Ok(self.connector.get_or_init(|| made))
    }
}

fn connector(file: Option<&Path>) -> Result<TlsConnector, (Reason, String)> {
    let trusted = match file {
        Some(file) => named(file).map_err(|why| format!("{}: {why}", file.display())),
        None => machines_own(),
    };
    let trusted = trusted.map_err(|text| {
        let class = "<class 'ssl.SSLError'>".to_owned();
        let hint = "https:// needs to know whom to trust: name a file of certificates with \
                    --tls-ca, or tls_ca in [supervisorctl]";
        (Reason::Other { class, text }, hint.to_owned())
    })?;
    Ok(TlsConnector::from(Arc::new(trusted)))
}

/// The authorities of the machine; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
fn machines_own() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
        return Err(format!("this machine trusts no certificate authority{why}"));
    }
    configure(verifier(roots)?)
}

/// Nobody but whom a file names.
fn named(file: &Path) -> Result<ClientConfig, String> {
    let named = certificates(file).map_err(|why| why.to_string())?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(named.iter().cloned());
    if usable == 0 {
        return Err("there is no certificate in it that can be used".to_owned());
    }
    configure(Arc::new(Named { servers: named, issuers: verifier(roots)? }))
}

fn verifier(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.build().map_err(|error| error.to_string())
}

fn configure(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]).map_err(|e| e.to_string())?;
    // The verifier is rustls's own, but for certificates that the user has named.
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Trusts what a file names: issuers of certificates, and certificates of servers themselves. A
/// self-signed one mostly calls itself an authority, which rustls takes from no server.
#[derive(Debug)]
struct Named {
    servers: Vec<CertificateDer<'static>>,
    issuers: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.servers.iter().any(|known| known == end_entity) {
            let issuers = &self.issuers;
            let (names, ocsp) = (server_name, ocsp_response);
            return issuers.verify_server_cert(end_entity, intermediates, names, ocsp, now);
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        check_dates(&certificate, now)?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.issuers.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.issuers.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issuers.supported_verify_schemes()
    }
}

/// Connects to a server and makes sure that it is this one.
///
/// # Errors
/// Nobody listens, or it is somebody else: [`failure`] says who.
pub async fn connect(
    connector: &TlsConnector,
    host: &str,
    port: u16,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        let text = format!("{host:?} is no name that a certificate could be for");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    connector.connect(name, TcpStream::connect((host, port)).await?).await
}

/// A failure of TLS as messages show it: its class, its text, and what to do.
#[must_use]
pub fn failure(error: &io::Error) -> Option<(String, String, String)> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let (text, hint) = match inner {
        rustls::Error::InvalidCertificate(certificate) => {
            let (what, hint) = distrust(certificate);
            let class = "<class 'ssl.SSLCertVerificationError'>".to_owned();
            return Some((class, format!("certificate verify failed: {what}"), hint));
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => (
            "what answers is no TLS".to_owned(),
            "is it a server without tls_certificate? Then its URL begins with http://".to_owned(),
        ),
        rustls::Error::AlertReceived(alert) => (
            format!("the server refused the handshake: {alert:?}"),
            "its log may say more with loglevel=trace".to_owned(),
        ),
        other => (other.to_string(), "TLS with the server failed".to_owned()),
    };
    Some(("<class 'ssl.SSLError'>".to_owned(), text, hint))
}

/// What is wrong with the certificate of a server, and what to do about it.
fn distrust(error: &CertificateError) -> (String, String) {
    use CertificateError as Error;
    let (what, hint) = match error {
        Error::UnknownIssuer => (
            "nobody who is trusted has issued it",
            "name the certificate of the issuer, or the server's own, with --tls-ca, or tls_ca in \
             [supervisorctl]",
        ),
        Error::BadSignature => (
            "it is not signed by the issuer that it names",
            "is the issuer's certificate that is trusted here an old one?",
        ),
        Error::Expired | Error::ExpiredContext { .. } => {
            ("it has expired", "renew it on the server, or set the clock of this machine")
        }
        Error::NotValidYet | Error::NotValidYetContext { .. } => {
            ("it is not valid yet", "is the clock of this machine right?")
        }
        Error::NotValidForName => ("it is for another name", "use the name that it is for"),
        Error::NotValidForNameContext { expected, presented } => {
            let others = match presented.as_slice() {
                [] => "it names no host at all (subjectAltName)".to_owned(),
                names => format!("it is for {}", names.join(", ")),
            };
            let asked = expected.to_str();
            return (
                format!("it is not for {asked}: {others}"),
                "use the name that it is for".to_owned(),
            );
        }
        other => return (other.to_string(), "the server has to serve another one".to_owned()),
    };
    (what.to_owned(), hint.to_owned())
}
