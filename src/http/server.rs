//! Accepts connections and carries each request to its route, or shows it the door.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::Local;
use futures_util::FutureExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{self, sleep, sleep_until, timeout};
use tower_service::Service;
use warp::http::{Request, Response as HyperResponse, StatusCode};
use warp::reply::Response;

use super::auth::{Failures, Gate};
use super::browser::Names;
use super::door::{self, Admitted, Site};
use super::kept::Kept;
use super::listen::{Handle, Listeners};
use super::login;
use super::places::{Peer, Places, Seat, Work};
use super::sessions::{Present, Sessions, Stay};
use super::stall::{self, Guarded};
use super::streams::{Streamed, stopping};
use super::tls::{self, Tls};
use super::wire::{End, Wire};
use super::xmlrpc::Held;
use super::{page, routes};
use crate::api::Api;
use crate::config::settings::{Access, HttpAddress};
use crate::model::record::{Level, Record};

/// How many connections a server has at the same time.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, and how long a connection may be
/// idle between two of them.
const HEAD: Duration = Duration::from_secs(60);
/// How many bytes the head of a request may have.
const MAX_HEAD: usize = 32 * 1024;
/// How long to wait when the system has no descriptors left for a connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(200);
/// How long a request that is on its way has to arrive when the server stops.
const LEAVING: Duration = Duration::from_millis(300);
/// After how long silence TCP asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What a client hears that has to come again. It fits into the empty buffer of a new connection.
static BUSY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let text = "Too many requests are worked on.
";
    page::raw(
        StatusCode::SERVICE_UNAVAILABLE,
        "Retry-After: 1
",
        text,
    )
});

/// What the servers need.
#[derive(Clone)]
pub struct Options {
    /// The use cases.
    pub api: Api,
    /// The namespaces of XML-RPC that upstream's interface is under (C-073).
    pub namespaces: Vec<String>,
    /// Who is logged in where a server has `auth=login`.
    pub sessions: Sessions,
    /// Where lines for the daemon's log go.
    pub log: Arc<dyn Fn(Record) + Send + Sync>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("namespaces", &self.namespaces).finish_non_exhaustive()
    }
}

/// The servers at work.
#[derive(Debug)]
pub struct Servers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Servers {
    /// Begins to serve all that listen.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn start(listeners: &Listeners, options: &Options) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let service = routes::all(options, &stopped);
        let machine = Names::of_this_machine();
        for bound in listeners.iter() {
            let server = bound.server();
            let names = match &server.address {
                HttpAddress::Inet { host, .. } => Some(machine.clone().and(host)),
                // No browser gets here by itself.
                HttpAddress::Unix { .. } => None,
            };
            let site = Arc::new(Site {
                section: server.section.clone(),
                tls: bound.tls().cloned(),
                gate: Gate::new(server.access.clone()),
                names,
                failures: Failures::default(),
                sessions: (server.access == Access::Login).then(|| options.sessions.clone()),
                service: service.clone(),
                log: Arc::clone(&options.log),
            });
            let socket = match bound.handle()? {
                Handle::Inet(socket) => {
                    socket.set_nonblocking(true)?;
                    Socket::Inet(TcpListener::from_std(socket)?)
                }
                Handle::Unix(socket) => {
                    socket.set_nonblocking(true)?;
                    Socket::Unix(UnixListener::from_std(socket)?)
                }
            };
            tasks.spawn(accept(site, socket, stopped.clone()));
        }
        Ok(Self { stop, tasks })
    }

    /// Takes no more requests, sends the answers that are still owed, and closes; what takes
    /// longer than `patience` is cut off.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let _ = timeout(patience, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

enum Socket {
    Inet(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    async fn accept(&self) -> io::Result<(Wire, Peer)> {
        match self {
            Self::Inet(socket) => {
                let (stream, address) = socket.accept().await?;
                // What these two are for works without them.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                Ok((stream.into(), Peer::Inet(address)))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                let credentials = stream.peer_cred()?;
                let peer = Peer::Unix { uid: credentials.uid(), pid: credentials.pid() };
                Ok((stream.into(), peer))
            }
        }
    }
}

async fn accept(site: Arc<Site>, socket: Socket, mut stopped: watch::Receiver<bool>) {
    let places = Places::new(MAX_CONNECTIONS);
    let mut clients = JoinSet::new();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            () = stopping(&mut stopped) => break,
            Some(_) = clients.join_next() => continue,
            accepted = socket.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                site.log(
                    Level::Warn,
                    format!("[{}] could not accept a client: {error}", site.section),
                );
                sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            }
        };
        let Some(seat) = places.enter(peer) else {
            if !full {
                let section = &site.section;
                site.log(
                    Level::Warn,
                    format!("[{section}] refuses clients: {MAX_CONNECTIONS} are at work already"),
                );
            }
            full = true;
            if site.tls.is_none() {
                stream.send_now(&BUSY);
            }
            continue;
        };
        full = false;
        let (site, stopped) = (Arc::clone(&site), stopped.clone());
        if let Some(tls) = site.tls.clone() {
            clients.spawn(serve_tls(tls, site, stream, seat, stopped));
        } else {
            let end = stream.end();
            clients.spawn(serve(site, stream, end, seat, stopped));
        }
    }
    // No new client finds the socket open while the old ones get their answers.
    drop(socket);
    while clients.join_next().await.is_some() {}
}

/// Shakes hands, and serves the connection to its end. Until then it is as idle as any.
async fn serve_tls(
    tls: Arc<Tls>,
    site: Arc<Site>,
    stream: Wire,
    seat: Seat,
    mut stopped: watch::Receiver<bool>,
) {
    let end = stream.end();
    let shaken = tokio::select! {
        shaken = timeout(tls::HANDSHAKE, tls.accept(stream, &site.log)) => shaken,
        () = seat.evicted() => return,
        () = stopping(&mut stopped) => return,
    };
    let why = match shaken {
        Ok(Ok(Some(stream))) => return serve(site, stream, end, seat, stopped).await,
        Ok(Ok(None)) => "it came with plain HTTP, or with nothing".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    let (section, peer) = (&site.section, seat.peer());
    site.log(Level::Trace, format!("[{section}] no TLS with {peer}: {why}"));
}

/// Serves one connection to its end.
async fn serve<S>(
    site: Arc<Site>,
    stream: S,
    end: End,
    seat: Seat,
    mut stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let seat = Arc::new(seat);
    let io = TokioIo::new(Guarded::new(stream, stall::PATIENCE));
    let begun = AtomicBool::new(false);
    let service = service_fn(|request| {
        begun.store(true, Ordering::Relaxed);
        let (site, seat, end) = (Arc::clone(&site), Arc::clone(&seat), end.clone());
        async move { Ok::<_, Infallible>(answer(&site, &seat, &end, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // `Content-Type` as upstream writes it: Python's `ProtocolError.headers` compares with case.
        // (Its `WWW-Authenticate` is `Www-Authenticate` here: hyper knows no finer rule.)
        .title_case_headers(true)
        // What was sent before the end is done; `Kept` and whoever waits look for the end.
        .half_close(true)
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let mut leaving: Option<time::Instant> = None;
    loop {
        tokio::select! {
            // Why a connection ended is known to whoever ended it.
            _ = connection.as_mut() => return,
            () = seat.evicted() => return,
            () = stopping(&mut stopped), if leaving.is_none() => {
                leaving = Some(time::Instant::now() + LEAVING);
                // The request of one that is new is on its way.
                if begun.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = sleep_until(leaving.unwrap_or_else(time::Instant::now)), if leaving.is_some() => {
                // What has not got as far as a whole request by then will not be waited for.
                if !seat.is_at_work() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                leaving = Some(time::Instant::now() + LEAVING);
            }
        }
    }
}

/// What an answer holds until it is sent: the place of its connection, and its share of memory.
#[derive(Debug, Default)]
struct Owed {
    _work: Option<Arc<Work>>,
    _held: Option<Arc<Held>>,
    stay: Option<Stay>,
}

/// Answers one request, whatever happens, and notes it (C-326).
async fn answer(
    site: &Site,
    seat: &Arc<Seat>,
    end: &End,
    mut request: Request<Incoming>,
) -> HyperResponse<Kept<impl Body<Data = Bytes, Error = warp::Error> + use<>, Owed>> {
    let target = login::shown(request.uri());
    let line = format!("{} {target} {:?}", request.method(), request.version());
    request.extensions_mut().insert(end.clone());
    let answered = AssertUnwindSafe(handle(site, seat, request)).catch_unwind().await;
    let (mut response, owed) = answered.unwrap_or_else(|_| {
        let section = &site.section;
        site.log(Level::Critical, format!("[{section}] failed on {line:?}: it is a bug"));
        (page::plain_error(StatusCode::INTERNAL_SERVER_ERROR), Owed::default())
    });
    page::harden(response.headers_mut());
    let when = Local::now().format("%d/%b/%Y:%H:%M:%S %z");
    let status = response.status().as_u16();
    let length = response.body().size_hint().exact();
    let length = length.map_or_else(|| "-".to_owned(), |length| length.to_string());
    site.log(Level::Trace, format!("{} - - [{when}] \"{line}\" {status} {length}", seat.peer()));
    let is_stream = response.extensions().get::<Streamed>().is_some();
    let left = is_stream.then(|| end.clone());
    let left = left.map(|end| async move { end.reached().await });
    let over = owed.stay.as_ref().map(Stay::ended);
    response.map(|body| Kept::new(body, owed).until_left(left).until_over(over))
}

/// The answer, and the work it belongs to when it was let in.
async fn handle(site: &Site, seat: &Arc<Seat>, mut request: Request<Incoming>) -> (Response, Owed) {
    let admitted = door::admit(site, seat, &request).await;
    let present = match admitted {
        Ok(Admitted::Visitor(visitor)) => {
            request.extensions_mut().insert(visitor);
            None
        }
        Ok(Admitted::Session(present)) => Some(present),
        Ok(Admitted::Public) => None,
        Err(refusal) => return (refusal, Owed::default()),
    };
    if let Some(sessions) = &site.sessions
        && login::is_here(request.uri().path())
    {
        let outcome = login::answer(sessions, site.tls.is_some(), present, request).await;
        return (door::logged(site, seat, outcome).await, Owed::default());
    }
    let stay = present.map(|Present { visitor, stay }| {
        request.extensions_mut().insert(visitor);
        stay
    });
    // What still sends its body is not at work yet.
    let work = request.body().is_end_stream().then(|| seat.work());
    request.extensions_mut().insert(Arc::clone(seat));
    let Ok(mut response) = warp::service(site.service.clone()).call(request).await;
    let extensions = response.extensions_mut();
    let (held, begun) = (extensions.remove::<Arc<Held>>(), extensions.remove::<Arc<Work>>());
    (response, Owed { _work: work.map(Arc::new).or(begun), _held: held, stay })
}
