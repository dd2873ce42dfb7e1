//! How processes are told apart: a number that is never used twice in the life of a daemon.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process of an active group. A group that is removed and added again gets new keys, so that
/// late news about the old one cannot reach the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcKey(pub u32);

impl fmt::Display for ProcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
