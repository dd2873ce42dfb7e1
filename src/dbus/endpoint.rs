//! Where clients reach us: a socket of our own, without a broker, and a bus where there is one.

use std::fmt;
use std::io;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zbus::connection::{AuthMechanism, Builder};
use zbus::{Connection, Guid, OwnedGuid};

use super::audit::{Audit, Log};
use super::broker;
use super::caller::{Caller, Callers};
use super::dispatch::Context;
use super::follow::Followers;
use super::policy::Policy;
use super::publish::Signals;
use super::session;
use crate::api::Api;
use crate::http::sessions::Logins;
use crate::model::record::{Level, Record};

/// How many connections the socket has at the same time.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take to say who it is.
const AUTHENTICATION: Duration = Duration::from_secs(10);
/// How long to wait when the system has no descriptors left for a connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(200);

/// Which bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The system bus: `DBUS_SYSTEM_BUS_ADDRESS`, or where it always is.
    System,
    /// The session bus of the user.
    Session,
    /// The bus at this D-Bus address: a system bus, with users of all kinds.
    Address(String),
}

impl Bus {
    /// The bus for a daemon that runs as this user: root's is the system bus.
    #[must_use]
    pub fn of(uid: u32) -> Self {
        if uid == 0 { Self::System } else { Self::Session }
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system bus"),
            Self::Session => f.write_str("session bus"),
            Self::Address(address) => write!(f, "bus at {address}"),
        }
    }
}

/// What the endpoints need.
pub struct Options {
    /// The use cases.
    pub api: Api,
    /// The daemon's own user: it and root are let in.
    pub uid: u32,
    /// The socket of our own, bound already; none is no such socket.
    pub socket: Option<StdListener>,
    /// The bus to take the name on; none is no bus.
    pub bus: Option<Bus>,
    /// What links to the web page are made with.
    pub logins: Logins,
    /// Where lines for the daemon's log go.
    pub log: Log,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("uid", &self.uid)
            .field("socket", &self.socket)
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

/// The endpoints at work.
#[derive(Debug)]
pub struct Endpoints {
    stop: watch::Sender<bool>,
    settled: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Endpoints {
    /// Begins to serve, and returns at once: a bus that is absent or slow holds up nothing.
    ///
    /// # Errors
    /// When the socket is none that one can listen on.
    pub fn start(options: Options) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (settle, settled) = watch::channel(options.bus.is_none());
        let common = Common {
            policy: Policy::new(options.uid),
            audit: Audit::new(options.log.clone()),
            api: options.api,
            followers: Followers::default(),
            logins: options.logins,
            log: options.log,
            stopped,
        };
        let mut tasks = JoinSet::new();
        if let Some(socket) = options.socket {
            socket.set_nonblocking(true)?;
            let socket = UnixListener::from_std(socket)?;
            tasks.spawn(listen(common.clone(), socket));
        }
        if let Some(bus) = options.bus {
            tasks.spawn(broker::stay_on(common, bus, settle));
        }
        Ok(Self { stop, settled, tasks })
    }

    /// Resolves once the first attempt to have the name on the bus has come to something: it is
    /// ours, or somebody else's, or there is no bus. Takes some seconds at the most.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut settled = self.settled.clone();
        async move {
            // That nobody will say it any more is an end too.
            let _ = settled.wait_for(|settled| *settled).await;
        }
    }

    /// Takes no more calls, sends the answers that are still owed, and closes; what takes longer
    /// than `patience` is cut off.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let _ = timeout(patience, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

#[derive(Clone)]
pub(super) struct Common {
    pub(super) api: Api,
    pub(super) policy: Policy,
    audit: Audit,
    followers: Followers,
    logins: Logins,
    log: Log,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Common {
    pub(super) fn log(&self, level: Level, text: String) {
        (self.log)(Record::new(level, text));
    }

    pub(super) fn context(self, callers: Callers, signals: Signals) -> Arc<Context> {
        let Self { api, policy, audit, followers, logins, .. } = self;
        Arc::new(Context { api, policy, audit, followers, logins, callers, signals })
    }
}

/// Serves our own socket.
async fn listen(common: Common, socket: UnixListener) {
    let guid = OwnedGuid::from(Guid::generate());
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stopped = common.stopped.clone();
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = session::stopping(&mut stopped) => break,
            Some(_) = clients.join_next() => continue,
            accepted = socket.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                common.log(Level::Warn, format!("could not accept a D-Bus client: {error}"));
                sleep(OUT_OF_DESCRIPTORS).await;
                continue;
            }
        };
        let Some((stream, caller)) = admitted(&common, stream) else { continue };
        let Ok(place) = room.clone().try_acquire_owned() else {
            common.log(
                Level::Warn,
                format!("refused a D-Bus client: there are {MAX_CONNECTIONS} already"),
            );
            continue;
        };
        clients.spawn(direct(common.clone(), stream, caller, guid.clone(), place));
    }
    // No new client finds the socket open while the old ones get their answers.
    drop(socket);
    while clients.join_next().await.is_some() {}
}

/// The kernel's word on who connected, and whether they may.
fn admitted(common: &Common, stream: UnixStream) -> Option<(StdStream, Caller)> {
    let credentials = stream.peer_cred().ok()?;
    let caller = Caller::direct(credentials.uid(), credentials.pid());
    if !common.policy.admits(caller.uid) {
        let why = "only root and the user of supervisord may use it";
        common.audit.refused(Ok(&caller), "the control socket", why);
        return None;
    }
    Some((stream.into_std().ok()?, caller))
}

/// Serves one client without a broker.
async fn direct(
    common: Common,
    stream: StdStream,
    caller: Caller,
    guid: OwnedGuid,
    place: OwnedSemaphorePermit,
) {
    let builder = Builder::unix_stream(stream)
        .server(guid.inner().clone())
        .p2p()
        .auth_mechanism(AuthMechanism::External);
    // A client that does not get through knows why better than we do.
    let Ok(Ok(stream)) = timeout(AUTHENTICATION, builder.build_message_stream()).await else {
        return;
    };
    let signals = Signals::on_request(common.api.clone(), Connection::from(&stream));
    let stopped = common.stopped.clone();
    let callers = Callers::Direct(Arc::new(caller));
    session::serve(common.context(callers, signals), stream, stopped).await;
    drop(place);
}
