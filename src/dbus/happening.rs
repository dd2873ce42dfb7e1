//! The signal `Event`: what event listeners can be told of, with the values of the payload.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use zbus::{Message, Signature, Type, as_variant};

use super::process::micros;
use super::types::{Bytes, MANAGER, MANAGER_PATH};
use crate::model::event::{Published, Value};

/// The most bytes of data that one signal carries: a bus copies them for everybody.
const MAX_DATA: usize = 64 * 1024;

/// The signal of an event.
pub(super) fn happening(event: &Published) -> zbus::Result<Message> {
    let kind = event.event.event_type().name();
    Message::signal(MANAGER_PATH, MANAGER, "Event").build(&(
        kind,
        event.serial,
        micros(event.at),
        details(event),
    ))
}

/// One value, a variant on the wire. Data is moved at once, which a `Variant` cannot do.
enum Detail<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    Flag(bool),
    Data(Bytes),
}

impl Type for Detail<'_> {
    const SIGNATURE: &'static Signature = &Signature::Variant;
}

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => as_variant::serialize(&text.as_ref(), serializer),
            Self::Number(number) => as_variant::serialize(number, serializer),
            Self::Flag(flag) => as_variant::serialize(flag, serializer),
            Self::Data(data) => as_variant::serialize(data, serializer),
        }
    }
}

fn details(event: &Published) -> BTreeMap<&'static str, Detail<'_>> {
    let mut details = BTreeMap::new();
    for (name, value) in event.event.fields() {
        let value = match value {
            // What a client sent is data as much as what a program wrote.
            Value::Text(text) if name == "data" => data(&mut details, text.as_bytes()),
            Value::Data(bytes) => data(&mut details, bytes),
            Value::Text(text) => Detail::Text(without_nul(text)),
            Value::Number(number) => Detail::Number(number),
            Value::Flag(flag) => Detail::Flag(flag),
        };
        details.insert(name, value);
    }
    details
}

/// The beginning of data, and beside it how much there is.
fn data(details: &mut BTreeMap<&'static str, Detail<'_>>, bytes: &[u8]) -> Detail<'static> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    details.insert("size", Detail::Number(size));
    Detail::Data(Bytes(bytes[..bytes.len().min(MAX_DATA)].to_vec()))
}

/// D-Bus has no NUL in texts; a client's type of event may have one.
fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}
