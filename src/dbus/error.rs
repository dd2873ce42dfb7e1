//! How a call fails on the wire: a fault of ours by its own name, or a standard error.

use zbus::message::Header;
use zbus::{Message, fdo};

use super::types::ERROR_PREFIX;
use crate::model::fault::{Fault, FaultKind};

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A fault of the request: `org.supervisord.Supervisor1.Error.X`.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// `org.freedesktop.DBus.Error.X`: the call itself was wrong, or not allowed.
    #[error("{name}: {text}")]
    Standard {
        /// The last part of the error's name.
        name: &'static str,
        /// What was wrong.
        text: String,
    },
}

impl Failure {
    /// There is no object at the path.
    pub fn unknown_object(path: &str) -> Self {
        Self::standard("UnknownObject", format!("There is no object at {path}."))
    }

    /// The object does not have the interface.
    pub fn unknown_interface(interface: &str) -> Self {
        Self::standard("UnknownInterface", format!("The object has no interface {interface}."))
    }

    /// The interface does not have the method.
    pub fn unknown_method(member: &str) -> Self {
        Self::standard("UnknownMethod", format!("There is no method {member} here."))
    }

    /// The interface does not have the property.
    pub fn unknown_property(name: &str) -> Self {
        Self::standard("UnknownProperty", format!("There is no property {name} here."))
    }

    /// The property cannot be set.
    pub fn read_only(name: &str) -> Self {
        Self::standard("PropertyReadOnly", format!("The property {name} cannot be set."))
    }

    /// The arguments are not what the method takes.
    pub fn invalid_args(text: impl Into<String>) -> Self {
        Self::standard("InvalidArgs", text)
    }

    /// The caller may not do that.
    pub fn access_denied(text: impl Into<String>) -> Self {
        Self::standard("AccessDenied", text)
    }

    /// The caller might be allowed to, if it let a person be asked for a password.
    pub fn interactive_authorization_required(text: impl Into<String>) -> Self {
        Self::standard("InteractiveAuthorizationRequired", text)
    }

    /// Too much at a time.
    pub fn limits_exceeded(text: impl Into<String>) -> Self {
        Self::standard("LimitsExceeded", text)
    }

    /// Something that is no fault of the caller's went wrong.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::standard("Failed", text)
    }

    /// The connection cannot do what the answer needs.
    pub fn not_supported(text: impl Into<String>) -> Self {
        Self::standard("NotSupported", text)
    }

    fn standard(name: &'static str, text: impl Into<String>) -> Self {
        Self::Standard { name, text: text.into() }
    }

    /// The error's name, and its text: for a fault, the detail of it.
    #[must_use]
    pub fn on_the_wire(&self) -> (String, &str) {
        match self {
            Self::Fault(fault) => {
                (format!("{ERROR_PREFIX}{}", fault.kind.bus_name()), &fault.detail)
            }
            Self::Standard { name, text } => (format!("org.freedesktop.DBus.Error.{name}"), text),
        }
    }

    /// The error message that answers a call.
    pub(super) fn reply_to(&self, call: &Header<'_>) -> zbus::Result<Message> {
        let (name, text) = self.on_the_wire();
        Message::error(call, name).build(&text)
    }
}

impl From<FaultKind> for Failure {
    fn from(kind: FaultKind) -> Self {
        Self::Fault(kind.into())
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// Reads an error reply of the daemon back into its fault; none for any other error.
#[must_use]
pub fn fault_of(error: &zbus::Error) -> Option<Fault> {
    let zbus::Error::MethodError(name, text, _) = error else { return None };
    let name = name.as_str().strip_prefix(ERROR_PREFIX)?;
    let kind = FaultKind::ALL.iter().copied().find(|kind| kind.bus_name() == name)?;
    Some(Fault::new(kind, text.clone().unwrap_or_default()))
}

/// Whether an error says that this user may not do that.
#[must_use]
pub fn is_access_denied(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(inner) if matches!(**inner, fdo::Error::AccessDenied(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own_and_comes_back() {
        // C-287
        let call = Message::method_call("/", "X").unwrap_call();
        for kind in FaultKind::ALL {
            let failure = Failure::from(Fault::new(*kind, "about"));
            let reply = failure.reply_to(&call.header()).unwrap();
            let error = zbus::Error::from(reply);
            assert_eq!(fault_of(&error), Some(Fault::new(*kind, "about")));
        }
        let reply = Failure::access_denied("no").reply_to(&call.header()).unwrap();
        let error = zbus::Error::from(reply);
        assert_eq!(fault_of(&error), None);
        assert!(is_access_denied(&error));
    }

    trait Call {
        fn unwrap_call(self) -> Message;
    }
    impl Call for zbus::message::Builder<'_> {
        fn unwrap_call(self) -> Message {
            self.build(&()).unwrap()
        }
    }
}
