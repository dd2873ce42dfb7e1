//! Where clients reach us: a socket of our own, without a broker, and a bus where there is one.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use zbus::connection::{AuthMechanism, Builder};
use zbus::fdo::RequestNameFlags;
use zbus::{Connection, Guid, MessageStream, OwnedGuid};

use super::dispatch::{Callers, Context};
use super::follow::Followers;
use super::policy::Policy;
use super::publish::Signals;
use super::session;
use super::types::BUS_NAME;
use crate::api::Api;
use crate::model::record::{Level, Record};

/// How many connections the socket has at the same time.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take to say who it is.
const AUTHENTICATION: Duration = Duration::from_secs(10);
/// How long a bus may take to let us in, and to answer a question of ours.
const BUS_ANSWERS: Duration = Duration::from_secs(5);
/// How long to wait before a bus that went away is tried again, each time.
const RETRIES: [u64; 6] = [1, 2, 4, 8, 16, 32];
/// How long to wait when the system has no descriptors left for a connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(200);

/// Which bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bus {
    /// The system bus: `DBUS_SYSTEM_BUS_ADDRESS`, or where it always is.
    System,
    /// The session bus of the user.
    Session,
    /// The bus at this D-Bus address.
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
    /// Where lines for the daemon's log go.
    pub log: Arc<dyn Fn(Record) + Send + Sync>,
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
            api: options.api,
            followers: Followers::default(),
            log: options.log,
            settle,
            stopped,
        };
        let mut tasks = JoinSet::new();
        if let Some(socket) = options.socket {
            socket.set_nonblocking(true)?;
            let socket = UnixListener::from_std(socket)?;
            tasks.spawn(listen(common.clone(), socket));
        }
        if let Some(bus) = options.bus {
            tasks.spawn(stay_on(common, bus));
        }
        Ok(Self { stop, settled, tasks })
    }

    /// Waits until the name on the bus is ours, or it is known that it will not be for now.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut settled = self.settled.clone();
        async move {
            // An error: the task that would settle it has ended.
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
struct Common {
    api: Api,
    policy: Policy,
    followers: Followers,
    log: Arc<dyn Fn(Record) + Send + Sync>,
    /// Whether it is known that we have the name, or have not.
    settle: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
}

impl Common {
    fn log(&self, level: Level, text: String) {
        (self.log)(Record::new(level, text));
    }

    fn context(self, callers: Callers, signals: Signals) -> Arc<Context> {
        let Self { api, policy, followers, .. } = self;
        Arc::new(Context { api, policy, followers, callers, signals })
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
        let Some((stream, uid)) = admitted(&common, stream) else { continue };
        let Ok(place) = room.clone().try_acquire_owned() else {
            common.log(
                Level::Warn,
                format!("refused a D-Bus client: there are {MAX_CONNECTIONS} already"),
            );
            continue;
        };
        clients.spawn(direct(common.clone(), stream, uid, guid.clone(), place));
    }
    // No new client finds the socket open while the old ones get their answers.
    drop(socket);
    while clients.join_next().await.is_some() {}
}

/// The kernel's word on who connected, and whether they may.
fn admitted(common: &Common, stream: UnixStream) -> Option<(StdStream, u32)> {
    let uid = stream.peer_cred().ok()?.uid();
    if !common.policy.admits(uid) {
        common.log(Level::Warn, format!("refused a D-Bus client of user {uid}"));
        return None;
    }
    Some((stream.into_std().ok()?, uid))
}

/// Serves one client without a broker.
async fn direct(
    common: Common,
    stream: StdStream,
    uid: u32,
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
    session::serve(common.context(Callers::Direct { uid }, signals), stream, stopped).await;
    drop(place);
}

/// Serves a bus for as long as there is one. One that is not there at the start is not waited
/// for; one that goes away is tried again for about a minute.
async fn stay_on(common: Common, bus: Bus) {
    let mut stopped = common.stopped.clone();
    let served = serve_bus(&common, &bus).await;
    common.settle.send_replace(true);
    if !served {
        return;
    }
    let mut retries = RETRIES.iter();
    while !*stopped.borrow() {
        let Some(secs) = retries.next() else { return };
        common.log(Level::Warn, format!("lost the {bus}; trying again in {secs} s"));
        tokio::select! {
            () = session::stopping(&mut stopped) => return,
            () = sleep(Duration::from_secs(*secs)) => {}
        }
        if serve_bus(&common, &bus).await {
            retries = RETRIES.iter();
        }
    }
}

/// Serves a bus until it goes away, or we stop; false when it did not let us in.
async fn serve_bus(common: &Common, bus: &Bus) -> bool {
    let stream = match timeout(BUS_ANSWERS, connect(bus)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            common.log(Level::Info, format!("not on the {bus}: {error}"));
            return false;
        }
        Err(_) => {
            common.log(Level::Warn, format!("not on the {bus}: it does not answer"));
            return false;
        }
    };
    let connection = Connection::from(&stream);
    let callers =
        Callers::Bus { connection: connection.clone(), known: Mutex::new(HashMap::new()) };
    let signals = Signals::always(common.api.clone(), connection.clone());
    let context = common.clone().context(callers, signals);
    // Calls may come as soon as the name is ours, so serving begins first.
    let serving = session::serve(context, stream, common.stopped.clone());
    tokio::pin!(serving);
    let taken = tokio::select! {
        () = &mut serving => return false,
        taken = take_name(&connection) => taken,
    };
    if let Err(why) = taken {
        common.log(Level::Warn, format!("not on the {bus}: {why}"));
        return false;
    }
    common.log(Level::Info, format!("on the {bus} as {BUS_NAME}"));
    common.settle.send_replace(true);
    drop(connection);
    serving.await;
    true
}

async fn connect(bus: &Bus) -> zbus::Result<MessageStream> {
    let builder = match bus {
        Bus::System => Builder::system(),
        Bus::Session => Builder::session(),
        Bus::Address(address) => Builder::address(address.as_str()),
    };
    builder.method_timeout(BUS_ANSWERS).build_message_stream().await
}

async fn take_name(connection: &Connection) -> Result<(), String> {
    match connection.request_name_with_flags(BUS_NAME, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(_) => Ok(()),
        Err(zbus::Error::NameTaken) => Err(format!("somebody else is {BUS_NAME}")),
        Err(error) => Err(format!("cannot be {BUS_NAME}: {error}")),
    }
}
