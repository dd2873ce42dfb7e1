//! From a message to its answer.
//!
//! zbus has an object server, and it is not used (its feature is off): every connection would
//! need an object registered for each process, and connections without a broker come and go with
//! each `supervisorctl`. Instead one dispatcher serves all paths of a connection, as systemd's
//! fallback vtables do: it finds the object in the snapshot, and the contract file says which
//! methods there are, what they take, and which action a call of each needs.

use std::sync::Arc;

use zbus::Message;
use zbus::names::InterfaceName;

use super::about::About;
use super::audit::Audit;
use super::call::{Answer, Call};
use super::caller::{Caller, Callers};
use super::contract::{Interface, Method, contract};
use super::error::Failure;
use super::follow::Followers;
use super::path::Object;
use super::policy::Policy;
use super::polkit::{Question, is_interactive};
use super::publish::Signals;
use super::standard::{self, PEER, interfaces, standard};
use super::{group, manager, process};
use crate::api::Api;
use crate::http::sessions::Logins;

/// The largest body of a call, in bytes: what `SendProcessStdin` takes, and then some.
pub(super) const MAX_BODY: usize = 4 * 1024 * 1024;
/// What a call of the standard interfaces needs.
const STANDARD: [&str; 1] = ["inspect"];

/// What the calls of one connection are answered with.
#[derive(Debug)]
pub(super) struct Context {
    /// The use cases.
    pub(super) api: Api,
    /// Who may do what.
    pub(super) policy: Policy,
    /// Who did what, and who was not let.
    pub(super) audit: Audit,
    /// The room for followers, shared by all connections.
    pub(super) followers: Followers,
    /// What links to the web page are made with.
    pub(super) logins: Logins,
    /// Who calls.
    pub(super) callers: Callers,
    /// The signals of this connection.
    pub(super) signals: Signals,
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
    let given = header.signature().to_string_no_parens();
    if given != method.input {
        let text = format!("{member} takes ({}), not ({given}).", method.input);
        return Err(Failure::invalid_args(text));
    }
    let meant = Meant { object, interface, member };
    // Whoever may connect may ask whether anybody is there; all else needs its action.
    if interface == PEER {
        return carry_out(context, &context.api, message, meant, path).await;
    }
    let about = About::of(&meant.object, interface, member, method, message);
    let own = contract().interface(interface).is_some();
    let actions = if own { &method.actions[..] } else { &STANDARD };
    let caller = match authorised(context, message, actions, &about).await {
        Ok(caller) => caller,
        Err((caller, failure)) => {
            let caller = caller.as_deref().ok_or(header.sender());
            context.audit.refused(caller, about.line(), failure.on_the_wire().1);
            return Err(failure);
        }
    };
    // What needs more than one of these gives away what they allow.
    if matches!(actions, ["inspect" | "read-logs"]) {
        return carry_out(context, &context.api, message, meant, path).await;
    }
    let api = context.api.on_behalf_of(&caller.to_string());
    let entry = context.audit.begin(&caller, &about);
    let answer = carry_out(context, &api, message, meant, path).await;
    entry.end(&answer);
    answer
}

/// The one who sent a call, when they may make it. An error has them too, if they are known.
async fn authorised(
    context: &Context,
    message: &Message,
    actions: &[&'static str],
    about: &About,
) -> Result<Arc<Caller>, (Option<Arc<Caller>>, Failure)> {
    let header = message.header();
    let caller = context.callers.of(&header).await.map_err(|failure| (None, failure))?;
    if actions.is_empty() {
        return Err((Some(caller), Failure::access_denied("Nobody may call this.")));
    }
    for action in actions {
        let question = Question {
            caller: &caller,
            header: &header,
            action,
            details: about.details(),
            interactive: is_interactive(&header),
            bytes: message.body().len(),
        };
        if let Err(failure) = context.policy.check(question).await {
            return Err((Some(caller), failure));
        }
    }
    Ok(caller)
}

/// A method of an object that may or may not exist.
struct Meant<'m> {
    object: Object,
    interface: &'static str,
    member: &'m str,
}

/// Does what was asked for.
async fn carry_out(
    context: &Context,
    api: &Api,
    message: &Message,
    meant: Meant<'_>,
    path: &str,
) -> Answer {
    let Meant { object, interface, member } = meant;
    let found =
        standard::find(&object, &api.snapshot()).ok_or_else(|| Failure::unknown_object(path))?;
    let call = Call::new(message);
    if standard().interface(interface).is_some() {
        return standard::call(api, &object, &found, interface, member, &call).await;
    }
    match object {
        Object::Manager => manager::call(context, api, member, call).await,
        Object::Group(name) => group::call(api, &name, member, call).await,
        Object::Process(name) => process::call(context, api, name, member, call).await,
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
