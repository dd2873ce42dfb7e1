//! One HTTP request after the other, each on a connection of its own: a server may close one that
//! is idle at any time, and a call must not be sent twice because of that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::tls;

/// The port of `http://` when the URL names none.
const HTTP_PORT: u16 = 80;
/// The port of `https://`.
const HTTPS_PORT: u16 = 443;
/// How many bytes an answer may have: more than any log that is worth reading at once.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

/// Host (lower case, without user) and port of what follows `http:` in a URL; none where it names
/// no port.
#[must_use]
pub fn host_and_port(rest: &str) -> (String, Option<u16>) {
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // The colons of an IPv6 address are inside its brackets.
    let end = authority.find(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[end..].rsplit_once(':') {
        Some((host, port)) => (&authority[..end + host.len()], port.parse().ok()),
        None => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (bare.to_ascii_lowercase(), port)
}

/// Where a server is, and how to get in.
#[derive(Clone)]
pub struct Server {
    place: Place,
    /// User name and password, as the header has them.
    credentials: Option<HeaderValue>,
}

#[derive(Clone)]
enum Place {
    Unix(String),
    Inet { host: String, port: u16, tls: Option<TlsConnector> },
}

impl Server {
    /// The server of a `unix://` or `http://` URL, or of an `https://` URL when there is TLS.
    /// Credentials are sent when both are known (C-239).
    #[must_use]
    pub fn new(url: &str, credentials: Option<(&str, &str)>, tls: Option<TlsConnector>) -> Self {
        let place = match url.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("unix://") => {
                Place::Unix(url[7..].to_owned())
            }
            _ => {
                let rest = url.split_once(':').map_or("", |(_, rest)| rest);
                let (host, port) = host_and_port(rest);
                let host = if host.is_empty() { "localhost".to_owned() } else { host };
                let usual = if tls.is_some() { HTTPS_PORT } else { HTTP_PORT };
                Place::Inet { host, port: port.unwrap_or(usual), tls }
            }
        };
        let credentials = credentials.and_then(|(username, password)| {
            let encoded = STANDARD.encode(format!("{username}:{password}"));
            let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Self { place, credentials }
    }

    /// Whether somebody listens, and is who it should be.
    ///
    /// # Errors
    /// Nobody does, this user may not connect, or it is somebody else.
    pub async fn probe(&self) -> io::Result<()> {
        match &self.place {
            Place::Unix(path) => UnixStream::connect(path).await.map(drop),
            Place::Inet { host, port, tls: None } => {
                TcpStream::connect((host.as_str(), *port)).await.map(drop)
            }
            Place::Inet { host, port, tls: Some(tls) } => {
                tls::connect(tls, host, *port).await.map(drop)
            }
        }
    }

    /// Sends a request; the head of the answer, and what follows it.
    ///
    /// # Errors
    /// The connection fails.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> io::Result<Response<Incoming>> {
        let host = match &self.place {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Inet { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Inet { host, port, .. } => format!("{host}:{port}"),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("supervisorctl/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "text/xml");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "text/xml");
        }
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, credentials);
        }
        let request = request.body(body).map_err(io::Error::other)?;
        match &self.place {
            Place::Unix(path) => send(UnixStream::connect(path).await?, request).await,
            Place::Inet { host, port, tls: None } => {
                send(TcpStream::connect((host.as_str(), *port)).await?, request).await
            }
            Place::Inet { host, port, tls: Some(tls) } => {
                send(tls::connect(tls, host, *port).await?, request).await
            }
        }
    }
}

async fn send<S>(stream: S, request: Request<String>) -> io::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(hung_up)?;
    // It ends with the answer; what is wrong with it shows there.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(hung_up)
}

/// What a failure of the connection means.
fn hung_up(error: hyper::Error) -> io::Error {
    let kind =
        if error.is_parse() { io::ErrorKind::InvalidData } else { io::ErrorKind::ConnectionReset };
    io::Error::new(kind, error)
}

/// The whole body of an answer.
///
/// # Errors
/// The connection breaks, or the answer has no end.
pub async fn whole(mut body: Incoming) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(part) = std::future::poll_fn(|cx| poll_part(&mut body, cx)).await? {
        if bytes.len() + part.len() > MAX_ANSWER {
            return Err(io::Error::other("the answer has no end"));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn poll_part(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(Ok(None)),
            Some(Err(error)) => return Poll::Ready(Err(hung_up(error))),
            Some(Ok(frame)) => {
                // Trailers mean nothing here.
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Ok(Some(data)));
                }
            }
        }
    }
}

/// The body of an endless answer as it comes. That the server ends the connection is its end.
#[derive(Debug)]
pub struct Stream {
    body: Incoming,
    /// What was read and not taken yet.
    ahead: Bytes,
}

impl Stream {
    /// Reads this body.
    #[must_use]
    pub fn new(body: Incoming) -> Self {
        Self { body, ahead: Bytes::new() }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ahead.is_empty() {
            match ready!(poll_part(&mut self.body, cx)) {
                Ok(Some(part)) => self.ahead = part,
                Ok(None) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
        let count = self.ahead.len().min(buffer.remaining());
        let part = self.ahead.split_to(count);
        buffer.put_slice(&part);
        Poll::Ready(Ok(()))
    }
}

/// What Python calls an answer of this status.
#[must_use]
pub fn protocol_error(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    format!("<ProtocolError for 127.0.0.1/RPC2: {} {reason}>", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read() {
        assert_eq!(host_and_port("//LocalHost:9001/x"), ("localhost".into(), Some(9001)));
        assert_eq!(host_and_port("//u:p@h"), ("h".into(), None));
        assert_eq!(host_and_port("//:9001"), (String::new(), Some(9001)));
        assert_eq!(host_and_port("//[::1]:9001"), ("::1".into(), Some(9001)));
        assert_eq!(host_and_port("//[::1]"), ("::1".into(), None));
    }

    #[test]
    fn credentials_are_never_shown() {
        // C-239
        let server = Server::new("http://h", Some(("bob", "secret")), None);
        let credentials = server.credentials.unwrap();
        assert_eq!(credentials, "Basic Ym9iOnNlY3JldA==");
        assert!(!format!("{credentials:?}").contains("Ym9i"));
    }
}
