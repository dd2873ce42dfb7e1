//! Who may do what: the one place that every call passes.

use std::sync::Arc;

use super::caller::Caller;
use super::error::Failure;
use super::polkit::{Authority, Question};
use super::types::BUS_NAME;

/// The rule for callers.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    /// The daemon's own user.
    own_uid: u32,
    /// Who decides about everybody else; none where nobody else may do anything.
    authority: Option<Arc<Authority>>,
}

impl Policy {
    /// The rule of a daemon that runs as this user.
    pub(super) fn new(own_uid: u32) -> Self {
        Self { own_uid, authority: None }
    }

    /// The same, and others may do what this authority lets them.
    pub(super) fn with(&self, authority: Authority) -> Self {
        Self { own_uid: self.own_uid, authority: Some(Arc::new(authority)) }
    }

    /// Whether this user may do everything, without anybody being asked.
    pub(super) fn admits(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own_uid
    }

    /// Passes when the caller may do what they want to.
    ///
    /// # Errors
    /// As [`Authority::check`].
    pub(super) async fn check(&self, question: Question<'_>) -> Result<(), Failure> {
        let Question { caller: Caller { uid, .. }, action, .. } = &question;
        if self.admits(*uid) {
            return Ok(());
        }
        match &self.authority {
            Some(authority) => authority.check(question).await,
            None => Err(Failure::access_denied(format!(
                "This needs {BUS_NAME}.{action}, which only root and the user of supervisord have.",
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use zbus::Message;

    use super::*;

    #[tokio::test]
    async fn without_an_authority_only_root_and_the_daemons_own_user_may() {
        let policy = Policy::new(1000);
        let message = Message::method_call("/", "X").build(&()).unwrap();
        for (uid, may) in [(0, true), (1000, true), (1001, false), (65_534, false)] {
            assert_eq!(policy.admits(uid), may);
            let question = Question {
                caller: &Caller { uid, pid: None, unit: None },
                header: &message.header(),
                action: "inspect",
                details: [].into(),
                interactive: true,
                bytes: 0,
            };
            assert_eq!(policy.check(question).await.is_ok(), may);
        }
    }
}
