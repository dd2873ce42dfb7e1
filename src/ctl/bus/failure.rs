//! What goes wrong on a bus, in words for a person.

use zbus::fdo;

use super::super::client::CallError;
use crate::dbus::types::ERROR_PREFIX;
use crate::model::fault::{Fault, FaultKind};

/// What a failure of zbus means to a person; `url` is where it happened.
#[must_use]
pub fn call_error(error: zbus::Error, url: &str) -> CallError {
    let (class, text, hint) = match error {
        zbus::Error::MethodError(name, text, _) => {
            let text = text.unwrap_or_default();
            let kind = name.strip_prefix(ERROR_PREFIX).and_then(|last| {
                FaultKind::ALL.iter().copied().find(|kind| kind.bus_name() == last)
            });
            match kind {
                Some(kind) => return CallError::Fault(Fault::new(kind, text)),
                None => (name.to_string(), text, format!("{url} answered with an error")),
            }
        }
        zbus::Error::FDO(error) => match *error {
            fdo::Error::UnknownMethod(text)
            | fdo::Error::UnknownInterface(text)
            | fdo::Error::UnknownObject(text) => {
                return CallError::Fault(Fault::new(FaultKind::UnknownMethod, text));
            }
            fdo::Error::AccessDenied(text) | fdo::Error::InteractiveAuthorizationRequired(text) => {
                return CallError::Denied(text);
            }
            fdo::Error::NoReply(_)
            | fdo::Error::ServiceUnknown(_)
            | fdo::Error::Disconnected(_) => {
                return broken(url);
            }
            other => {
                let name = zbus::DBusError::name(&other).to_string();
                let text = zbus::DBusError::description(&other).unwrap_or_default().to_owned();
                (name, text, format!("{url} answered with an error"))
            }
        },
        zbus::Error::InputOutput(error) if is_hang_up(&error) => return broken(url),
        zbus::Error::InputOutput(error) => {
            ("<class 'OSError'>".into(), error.to_string(), format!("while talking to {url}"))
        }
        other => ("<class 'OSError'>".into(), other.to_string(), format!("while talking to {url}")),
    };
    CallError::Transport { class, text, hint }
}

fn is_hang_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::BrokenPipe | Kind::ConnectionReset | Kind::UnexpectedEof | Kind::NotConnected
    )
}

fn broken(url: &str) -> CallError {
    CallError::Transport {
        class: "<class 'ConnectionResetError'>".into(),
        text: "[Errno 104] Connection reset by peer".into(),
        hint: format!("supervisord closed the connection at {url} before it answered"),
    }
}

pub(super) fn timed_out() -> CallError {
    CallError::Transport {
        class: "<class 'TimeoutError'>".into(),
        text: "[Errno 110] Connection timed out".into(),
        hint: "supervisord does not answer; it may be stopped or very busy".into(),
    }
}
