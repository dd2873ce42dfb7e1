//! The calls of one connection, from its first message to its end.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use zbus::message::{Flags, Type};
use zbus::{Connection, Message, MessageStream};

use super::dispatch::{Context, answer};
use super::error::Failure;
use super::load::{Load, Place};

/// Answers the calls of a connection until it ends, or until `stop` says so: then no more calls
/// are read, and the answers that are still owed are waited for.
///
/// Each call is a task of its own, so that a slow one holds up no other. When a client has too
/// many under way, a connection without a broker is not read until there is room. A bus is always
/// read, for it has other clients, and the answers to our own questions come that way too: there
/// the call is refused.
pub(super) async fn serve(
    context: Arc<Context>,
    stream: MessageStream,
    mut stop: watch::Receiver<bool>,
) {
    let connection = Connection::from(&stream);
    let mut stream = pin!(stream);
    let mut calls = Calls {
        context,
        connection,
        tasks: JoinSet::new(),
        pending: HashMap::new(),
        load: Load::default(),
    };
    let broker = calls.connection.is_bus();
    loop {
        let has_room = broker || calls.load.has_room();
        tokio::select! {
            () = stopping(&mut stop) => break,
            Some(ended) = calls.tasks.join_next_with_id() => calls.ended(ended).await,
            message = poll_fn(|cx| stream.as_mut().poll_next(cx)), if has_room => {
                match message {
                    Some(Ok(message)) => calls.begin(message).await,
                    // Nobody is there to be answered.
                    Some(Err(_)) | None => return,
                }
            }
        }
    }
    while let Some(ended) = calls.tasks.join_next_with_id().await {
        calls.ended(ended).await;
    }
    let _ = calls.connection.close().await;
}

/// Waits until it is time to stop, be it that the one who would say so is gone.
pub(super) async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

struct Calls {
    context: Arc<Context>,
    connection: Connection,
    tasks: JoinSet<()>,
    pending: HashMap<Id, (Message, Place)>,
    load: Load,
}

impl Calls {
    async fn begin(&mut self, message: Message) {
        if message.message_type() != Type::MethodCall {
            return;
        }
        let caller = self.context.callers.known(message.header().sender());
        let policy = &self.context.policy;
        let stranger = !caller.as_ref().is_some_and(|caller| policy.admits(caller.uid));
        let place = match self.load.enter(&message, stranger) {
            Ok(place) => place,
            Err(failure) => {
                let header = message.header();
                let caller = caller.as_deref().ok_or(header.sender());
                self.context.audit.refused(caller, "a call", failure.on_the_wire().1);
                reply(&self.connection, &message, Err(failure)).await;
                return;
            }
        };
        let (context, connection) = (self.context.clone(), self.connection.clone());
        let call = message.clone();
        let task = self.tasks.spawn(async move {
            let answer = answer(&context, &call).await;
            reply(&connection, &call, answer).await;
        });
        self.pending.insert(task.id(), (message, place));
    }

    async fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some((call, place)) = self.pending.remove(&id) else { return };
        self.load.leave(&place);
        if ended.is_err_and(|error| error.is_panic()) {
            let failure = Failure::failed("Something went wrong inside supervisord.");
            reply(&self.connection, &call, Err(failure)).await;
        }
    }
}

/// Sends an answer, if one is wanted. That it cannot be sent means that nobody waits for it, but
/// for one reason: it has a file descriptor, and the connection cannot carry any.
async fn reply(connection: &Connection, call: &Message, answer: Result<Message, Failure>) {
    let header = call.header();
    if header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) {
        return;
    }
    let answer = answer.or_else(|failure| failure.reply_to(&header));
    let Ok(message) = answer else { return };
    if let Err(zbus::Error::Unsupported) = connection.send(&message).await {
        let failure = Failure::not_supported("This connection cannot carry file descriptors.");
        if let Ok(message) = failure.reply_to(&header) {
            let _ = connection.send(&message).await;
        }
    }
}
