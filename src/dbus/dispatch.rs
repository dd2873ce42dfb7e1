//! From a message to its answer.
//!
//! zbus has an object server, and it is not used (its feature is off): every connection would
//! need an object registered for each process, and connections without a broker come and go with
//! each `supervisorctl`. Instead one dispatcher serves all paths of a connection, as systemd's
//! fallback vtables do: it finds the object in the snapshot, and the contract file says which
//! methods there are, what they take, and which action a call of each needs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use zbus::fdo;
use zbus::message::Header;
use zbus::names::{InterfaceName, OwnedUniqueName};
use zbus::{Connection, Message};

use super::call::{Answer, Call};
use super::contract::{Interface, Method, contract};
use super::error::Failure;
use super::follow::Followers;
use super::path::Object;
use super::policy::Policy;
use super::publish::Signals;
use super::standard::{self, PEER, interfaces, standard};
use super::{group, manager, process};
use crate::api::Api;

/// The largest body of a call, in bytes: what `SendProcessStdin` takes, and then some.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// How many senders on a bus are remembered.
const MAX_KNOWN: usize = 1024;

/// What the calls of one connection are answered with.
#[derive(Debug)]
pub(super) struct Context {
    /// The use cases.
    pub(super) api: Api,
    /// Who may do what.
    pub(super) policy: Policy,
    /// The room for followers, shared by all connections.
    pub(super) followers: Followers,
    /// Who calls.
    pub(super) callers: Callers,
    /// The signals of this connection.
    pub(super) signals: Signals,
}

/// Who is behind a message.
#[derive(Debug)]
pub(super) enum Callers {
    /// There is no broker: the one who connected.
    Direct {
        /// Their user, as the kernel told it.
        uid: u32,
    },
    /// A bus, which knows the users of its connections.
    Bus {
        /// The bus.
        connection: Connection,
        /// The users of senders; their unique names are never used again.
        known: Mutex<HashMap<OwnedUniqueName, u32>>,
    },
}

impl Callers {
    async fn uid(&self, header: &Header<'_>) -> Result<u32, Failure> {
        let unknown = || Failure::access_denied("The caller's user is not known.");
        let (connection, known) = match self {
            Self::Direct { uid } => return Ok(*uid),
            Self::Bus { connection, known } => (connection, known),
        };
        let sender = header.sender().ok_or_else(unknown)?;
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(uid) = lock().get(sender.as_str()) {
            return Ok(*uid);
        }
        let bus = fdo::DBusProxy::new(connection).await.map_err(|_| unknown())?;
        let uid =
            bus.get_connection_unix_user(sender.to_owned().into()).await.map_err(|_| unknown())?;
        let mut known = lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(sender.to_owned().into(), uid);
        Ok(uid)
    }
}

/// Answers a call.
pub(super) async fn answer(context: &Context, message: &Message) -> Answer {
    let header = message.header();
    let (Some(path), Some(member)) = (header.path(), header.member()) else {
        return Err(Failure::invalid_args("A call needs a path and a member."));
    };
    let (path, member) = (path.as_str(), member.as_str());
    let object = Object::parse(path).ok_or_else(|| Failure::unknown_object(path))?;
    let interface = header.interface().map(InterfaceName::as_str);
    let (interface, method) = method(&object, interface, member)?;

    // Whoever may connect may ask whether anybody is there; all else needs its action.
    if interface != PEER {
        let own = contract().interface(interface).is_some();
        let action = if own { method.action } else { Some("inspect") };
        context.policy.check(context.callers.uid(&header).await?, action)?;
    }
    let given = header.signature().to_string_no_parens();
    if given != method.input {
        let text = format!("{member} takes ({}), not ({given}).", method.input);
        return Err(Failure::invalid_args(text));
    }
    if message.body().len() > MAX_BODY {
        return Err(Failure::limits_exceeded(format!("A call has at most {MAX_BODY} bytes.")));
    }
    let found = standard::find(&object, &context.api.snapshot())
        .ok_or_else(|| Failure::unknown_object(path))?;

    let call = Call::new(message);
    if standard().interface(interface).is_some() {
        return standard::call(&context.api, &object, &found, interface, member, &call);
    }
    match object {
        Object::Manager => manager::call(context, member, call).await,
        Object::Group(name) => group::call(context, &name, member, call).await,
        Object::Process(name) => process::call(context, name, member, call).await,
        Object::Above(_) => Err(Failure::unknown_method(member)),
    }
}

/// The method that is meant: without an interface, the first of that name.
fn method(
    object: &Object,
    interface: Option<&str>,
    member: &str,
) -> Result<(&'static str, &'static Method), Failure> {
    let of = |name: &str| -> Option<&'static Interface> {
        contract().interface(name).or_else(|| standard().interface(name))
    };
    if let Some(interface) = interface
        && !interfaces(object).contains(&interface)
    {
        return Err(Failure::unknown_interface(interface));
    }
    interfaces(object)
        .iter()
        .filter(|name| interface.is_none_or(|wanted| wanted == **name))
        .find_map(|name| Some((*name, of(name)?.methods.get(member)?)))
        .ok_or_else(|| Failure::unknown_method(member))
}
