//! Shows events as listeners get them.

use crate::model::event::Event;

/// The type and the payload of an event.
pub fn payload(event: &Event) -> String {
    format!("{} {}", event.event_type(), event.payload().trim_end())
}
