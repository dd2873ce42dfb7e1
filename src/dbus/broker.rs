//! Life on a bus: it may be absent, come later, go away and come back, and somebody else may have
//! the name. None of that is a reason not to run.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zbus::connection::Builder;
use zbus::fdo::{self, RequestNameFlags, RequestNameReply};
use zbus::message::Type;
use zbus::names::BusName;
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream};

use super::appearance::Appearance;
use super::caller::{Caller, Callers};
use super::endpoint::{Bus, Common};
use super::polkit::Authority;
use super::publish::Signals;
use super::session;
use super::types::BUS_NAME;
use crate::model::record::Level;

/// How long a bus may take to let us in, and to answer a question of ours.
const BUS_ANSWERS: Duration = Duration::from_secs(5);
/// How many seconds to wait before a bus that is there is tried again, each time; the last again and
/// again. A socket that appears is tried at once.
const RETRIES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 300];

/// How an attempt to be on the bus ended.
enum Ended {
    /// We were on it, and it went away.
    Lost,
    /// It did not let us in: why, and how bad that is.
    Refused(Level, String),
}

/// Serves a bus whenever there is one. `settled` becomes true once the first attempt has come to
/// something.
pub(super) async fn stay_on(common: Common, bus: Bus, settled: watch::Sender<bool>) {
    let mut stopped = common.stopped.clone();
    let mut retries = RETRIES.into_iter();
    let mut told = None;
    loop {
        let look = Appearance::of(&bus);
        let (ended, look) = match connect(&bus).await {
            Ok(stream) => {
                told = None;
                drop(look);
                let ended = serve(&common, &bus, stream, &settled).await;
                (ended, Appearance::of(&bus))
            }
            Err(refused) => (refused, look),
        };
        settled.send_replace(true);
        if *stopped.borrow() {
            return;
        }
        if matches!(ended, Ended::Lost) {
            retries = RETRIES.into_iter();
        }
        let secs = retries.next().unwrap_or(RETRIES[RETRIES.len() - 1]);
        match ended {
            Ended::Lost => {
                common
                    .log(Level::Warn, format!("lost the {bus}; joining it again when it is there"));
            }
            // The same news is no news.
            Ended::Refused(level, why) if told.as_ref() != Some(&why) => {
                common.log(level, format!("not on the {bus}: {why}"));
                told = Some(why);
            }
            Ended::Refused(..) => {}
        }
        // What is not there is seen when it comes: an idle daemon does not wake up to try.
        let timed = !look.as_ref().is_some_and(|look| look.absent);
        tokio::select! {
            () = session::stopping(&mut stopped) => return,
            () = sleep(Duration::from_secs(secs)), if timed => {}
            () = appears(look.as_ref()) => retries = RETRIES.into_iter(),
        }
    }
}

async fn appears(look: Option<&Appearance>) {
    match look {
        Some(look) => look.appeared().await,
        None => std::future::pending().await,
    }
}

async fn connect(bus: &Bus) -> Result<MessageStream, Ended> {
    let builder = match bus {
        Bus::System => Builder::system(),
        Bus::Session => Builder::session(),
        Bus::Address(address) => Builder::address(address.as_str()),
    };
    match timeout(BUS_ANSWERS, builder.build_message_stream()).await {
        Ok(connected) => connected.map_err(|error| Ended::Refused(Level::Info, error.to_string())),
        Err(_) => Err(Ended::Refused(Level::Warn, "it does not answer".to_owned())),
    }
}

/// Serves a bus until it goes away, or we stop.
async fn serve(
    common: &Common,
    bus: &Bus,
    stream: MessageStream,
    settled: &watch::Sender<bool>,
) -> Ended {
    let connection = Connection::from(&stream);
    let mut common = common.clone();
    if *bus != Bus::Session {
        let authority = Authority::new(connection.clone(), common.stopped.clone());
        common.policy = common.policy.with(authority);
    }
    let signals = Signals::always(common.api.clone(), connection.clone());
    let context = common.clone().context(Callers::bus(connection.clone()), signals);
    let stopped = common.stopped.clone();
    // Calls may come as soon as the name is ours, so serving begins first.
    let serving = session::serve(context.clone(), stream, stopped);
    tokio::pin!(serving);
    let taken = tokio::select! {
        () = &mut serving => return Ended::Lost,
        taken = take_name(&common, bus, &connection, settled) => taken,
    };
    if let Err(why) = taken {
        return Ended::Refused(Level::Warn, why);
    }
    context.signals.subscribe();
    common.log(Level::Info, format!("on the {bus} as {BUS_NAME}"));
    settled.send_replace(true);
    drop((connection, context));
    serving.await;
    Ended::Lost
}

/// Takes the name, waiting for it when somebody else has it.
async fn take_name(
    common: &Common,
    bus: &Bus,
    connection: &Connection,
    settled: &watch::Sender<bool>,
) -> Result<(), String> {
    let cannot = |error: zbus::Error| format!("cannot be {BUS_NAME}: {error}");
    let asked = async {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameAcquired")
            .arg(0, BUS_NAME)
            .build()?;
        let acquired = MessageStream::for_match_rule(rule, connection, None).await?;
        let reply = connection.request_name_with_flags(BUS_NAME, RequestNameFlags::empty()).await?;
        Ok((acquired, reply))
    };
    let (mut acquired, reply) = timeout(BUS_ANSWERS, asked)
        .await
        .map_err(|_| "it does not answer".to_owned())?
        .map_err(cannot)?;
    if reply != RequestNameReply::InQueue {
        return Ok(());
    }
    let owner = timeout(BUS_ANSWERS, owner(connection)).await.ok().flatten();
    let who = owner.map_or_else(String::new, |owner| format!(": {owner}"));
    common.log(
        Level::Warn,
        format!(
            "somebody else is {BUS_NAME} on the {bus}{who}; running on without the name, and \
             taking it when it is free"
        ),
    );
    settled.send_replace(true);
    match acquired.next().await {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(cannot(error)),
        // The connection ended, and serving with it.
        None => std::future::pending().await,
    }
}

/// Who has the name.
async fn owner(connection: &Connection) -> Option<Caller> {
    let bus = fdo::DBusProxy::builder(connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
        .ok()?;
    let owner = bus.get_connection_credentials(BusName::try_from(BUS_NAME).ok()?).await.ok()?;
    Caller::on_a_bus(&owner).ok()
}
