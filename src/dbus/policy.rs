//! Who may do what: the one place that every call passes.

use super::error::Failure;

/// The rule for callers.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The daemon's own user.
    own_uid: u32,
}

impl Policy {
    /// The rule of a daemon that runs as this user.
    #[must_use]
    pub fn new(own_uid: u32) -> Self {
        Self { own_uid }
    }

    /// Whether this user may connect at all where there is no broker.
    #[must_use]
    pub fn admits(self, uid: u32) -> bool {
        uid == 0 || uid == self.own_uid
    }

    /// Passes when this user may do what the action stands for. What has no action nobody may do.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub fn check(self, uid: u32, action: Option<&str>) -> Result<(), Failure> {
        let Some(action) = action else {
            return Err(Failure::access_denied("Nobody may call this."));
        };
        if self.admits(uid) {
            return Ok(());
        }
        Err(Failure::access_denied(format!(
            "This needs {}.{action}, which only root and the user of supervisord have.",
            super::types::BUS_NAME,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemons_own_user_may() {
        let policy = Policy::new(1000);
        for (uid, may) in [(0, true), (1000, true), (1001, false), (65_534, false)] {
            assert_eq!(policy.admits(uid), may);
            assert_eq!(policy.check(uid, Some("inspect")).is_ok(), may);
        }
    }

    #[test]
    fn what_has_no_action_nobody_may() {
        assert!(Policy::new(0).check(0, None).is_err());
    }
}
