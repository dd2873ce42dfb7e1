//! One method call: its arguments, its options, its answer.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use zbus::message::Header;
use zbus::names::OwnedUniqueName;
use zbus::wire::DynamicDeserialize;
use zbus::{DynamicType, Message, OwnedVariant};

use super::error::Failure;
use crate::api::Named;
use crate::model::snapshot::Channel;

/// The answer to a call.
pub type Answer = Result<Message, Failure>;

/// Options of a method: `a{sv}`.
pub type Options = HashMap<String, OwnedVariant>;

/// The least time between two signals about a log that a client can ask for.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// The most: what is longer is as good as never, and no clock can wait for it.
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// A method call whose signature was found to be right.
#[derive(Debug)]
pub struct Call<'m> {
    message: &'m Message,
}

impl<'m> Call<'m> {
    /// A call.
    pub fn new(message: &'m Message) -> Self {
        Self { message }
    }

    /// Its arguments.
    pub fn args<T: for<'d> DynamicDeserialize<'d>>(&self) -> Result<T, Failure> {
        self.message.body().deserialize().map_err(|error| Failure::invalid_args(error.to_string()))
    }

    /// Its header.
    pub fn header(&self) -> Header<'_> {
        self.message.header()
    }

    /// Who calls, on a bus.
    pub fn sender(&self) -> Option<OwnedUniqueName> {
        self.message.header().sender().map(|sender| sender.to_owned().into())
    }

    /// The answer that it was done.
    pub fn done(&self) -> Answer {
        self.reply(&())
    }

    /// The answer with a value, or with a tuple of values.
    pub fn reply<T: Serialize + DynamicType>(&self, body: &T) -> Answer {
        Ok(Message::method_return(&self.message.header()).build(body)?)
    }
}

/// The one option of starts and stops: `wait`, true unless given.
pub fn wait(options: Options) -> Result<bool, Failure> {
    one_option(options, "wait").map(|wait| wait.unwrap_or(true))
}

/// The one option of follows: `bytes`, 1024 unless given.
pub fn last_bytes(options: Options) -> Result<u64, Failure> {
    one_option(options, "bytes").map(|bytes| bytes.unwrap_or(1024))
}

/// The one option of watches: `interval` in microseconds, 100000 unless given.
pub fn interval(options: Options) -> Result<Duration, Failure> {
    let micros = one_option::<u64>(options, "interval")?.unwrap_or(100_000);
    Ok(Duration::from_micros(micros).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL))
}

/// No options: none is known.
pub fn no_options(options: &Options) -> Result<(), Failure> {
    match options.keys().next() {
        None => Ok(()),
        Some(key) => Err(Failure::invalid_args(format!("There is no option {key:?} here."))),
    }
}

fn one_option<T: TryFrom<OwnedVariant>>(
    options: Options,
    known: &str,
) -> Result<Option<T>, Failure> {
    let mut found = None;
    for (key, value) in options {
        if key != known {
            return Err(Failure::invalid_args(format!("There is no option {key:?} here.")));
        }
        let signature = value.value_signature().to_string();
        found = Some(T::try_from(value).map_err(|_| {
            Failure::invalid_args(format!("The option {key:?} cannot be of type {signature}."))
        })?);
    }
    Ok(found)
}

/// A process by its name. Whole groups have methods of their own.
pub fn process(name: &str) -> Result<Named, Failure> {
    Ok(Named::parse_process(name)?)
}

/// `stdout` or `stderr`.
pub fn channel(name: &str) -> Result<Channel, Failure> {
    match name {
        "stdout" => Ok(Channel::Stdout),
        "stderr" => Ok(Channel::Stderr),
        _ => Err(Failure::invalid_args("A channel is stdout or stderr.")),
    }
}
