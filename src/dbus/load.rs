//! How much a connection's clients have under way: nobody may hold more than a share of it, so a
//! flood of calls costs the one who sends it, and nobody else.

use std::collections::HashMap;

use zbus::Message;
use zbus::names::OwnedUniqueName;

use super::dispatch::MAX_BODY;
use super::error::Failure;

/// How many calls one client may have under way, and how many bytes of them.
pub(super) const MAX_CALLS: usize = 64;
const MAX_BYTES: usize = 4 * MAX_BODY;
/// The same for all clients of a bus together that are not root or the daemon's own user.
const MAX_STRANGE_CALLS: usize = 1024;
const MAX_STRANGE_BYTES: usize = 16 * MAX_BODY;

/// What the clients of one connection have under way.
#[derive(Debug, Default)]
pub(super) struct Load {
    senders: HashMap<Option<OwnedUniqueName>, Share>,
    strangers: Share,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    calls: usize,
    bytes: usize,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Place {
    sender: Option<OwnedUniqueName>,
    stranger: bool,
    bytes: usize,
}

impl Load {
    /// Takes a place for a call, by a stranger or not.
    ///
    /// # Errors
    /// `LimitsExceeded`; `InvalidArgs` for file descriptors, which no method takes: they would be
    /// ours for as long as the call is.
    pub(super) fn enter(&mut self, call: &Message, stranger: bool) -> Result<Place, Failure> {
        let header = call.header();
        if header.unix_fds().is_some_and(|count| count > 0) {
            return Err(Failure::invalid_args("No method takes file descriptors."));
        }
        let bytes = call.body().len();
        if bytes > MAX_BODY {
            return Err(Failure::limits_exceeded(format!("A call has at most {MAX_BODY} bytes.")));
        }
        let sender: Option<OwnedUniqueName> =
            header.sender().map(|sender| sender.to_owned().into());
        let own = self.senders.get(&sender).copied().unwrap_or_default();
        if own.calls >= MAX_CALLS || own.bytes + bytes > MAX_BYTES {
            let text = format!("At most {MAX_CALLS} calls and {MAX_BYTES} bytes at the same time.");
            return Err(Failure::limits_exceeded(text));
        }
        let others = self.strangers;
        if stranger
            && (others.calls >= MAX_STRANGE_CALLS || others.bytes + bytes > MAX_STRANGE_BYTES)
        {
            return Err(Failure::limits_exceeded("There are too many calls; try again later."));
        }
        self.senders.entry(sender.clone()).or_default().add(bytes);
        if stranger {
            self.strangers.add(bytes);
        }
        Ok(Place { sender, stranger, bytes })
    }

    /// The call has its answer.
    pub(super) fn leave(&mut self, place: &Place) {
        if place.stranger {
            self.strangers.remove(place.bytes);
        }
        if let Some(own) = self.senders.get_mut(&place.sender) {
            own.remove(place.bytes);
            if own.calls == 0 {
                self.senders.remove(&place.sender);
            }
        }
    }

    /// Whether the only client of a connection may send another call.
    pub(super) fn has_room(&self) -> bool {
        self.senders.values().all(|own| own.calls < MAX_CALLS && own.bytes + MAX_BODY <= MAX_BYTES)
    }
}

impl Share {
    fn add(&mut self, bytes: usize) {
        self.calls += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.calls = self.calls.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(sender: &str, bytes: usize) -> Message {
        let body = super::super::types::Bytes(vec![0; bytes.saturating_sub(4)]);
        let call = Message::method_call("/", "X").sender(sender);
        call.build(&body).unwrap()
    }

    #[test]
    fn one_client_has_a_share_and_others_have_theirs() {
        let mut load = Load::default();
        let places: Vec<_> =
            (0..MAX_CALLS).map(|_| load.enter(&call(":1.1", 8), false).unwrap()).collect();
        assert!(load.enter(&call(":1.1", 8), false).is_err());
        assert!(!load.has_room());
        let other = load.enter(&call(":1.2", 8), false).unwrap();
        load.leave(&places[0]);
        load.enter(&call(":1.1", 8), false).unwrap();
        load.leave(&other);
        assert_eq!(load.senders.len(), 1);
    }

    #[test]
    fn large_calls_fill_a_share_sooner() {
        let mut load = Load::default();
        assert!(load.enter(&call(":1.1", MAX_BODY + 1), false).is_err());
        let places: Vec<_> =
            (0..4).map(|_| load.enter(&call(":1.1", MAX_BODY), false).unwrap()).collect();
        assert!(load.enter(&call(":1.1", 8), false).is_err());
        assert!(!load.has_room());
        for place in &places {
            load.leave(place);
        }
        assert!(load.has_room() && load.senders.is_empty());
    }

    #[test]
    fn strangers_together_have_a_share() {
        let mut load = Load::default();
        for number in 0..MAX_STRANGE_CALLS {
            load.enter(&call(&format!(":1.{number}"), 8), true).unwrap();
        }
        assert!(load.enter(&call(":2.1", 8), true).is_err());
        load.enter(&call(":2.1", 8), false).unwrap();
    }
}
