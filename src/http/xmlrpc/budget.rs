//! How much of the daemon's memory answers may take together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::value::Value;
use crate::api::MAX_READ;
use crate::model::fault::{Fault, FaultKind};

/// What is reserved at once.
const UNIT: i64 = 1024 * 1024;
/// How many units all answers have together.
const ALL: usize = 256;
/// How many units one answer has.
const ONE: usize = 64;
/// How many bytes the results of a multicall may have, about.
const MULTICALL: usize = 32 * 1024 * 1024;
/// How long to wait for units that others have.
const PATIENCE: Duration = Duration::from_secs(10);

/// The units of all answers.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { units: Arc::new(Semaphore::new(ALL)) }
    }
}

impl Budget {
    /// What one answer takes of it.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), held: Vec::new(), results: 0 }
    }
}

/// What one answer has of the budget, until it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: Vec<OwnedSemaphorePermit>,
    results: usize,
}

impl Share {
    /// Reserves room for reading `length` bytes from `offset` on (C-294).
    ///
    /// # Errors
    /// FAILED: others read too much, or this answer does.
    pub async fn reserve(&mut self, offset: i64, length: i64) -> Result<(), Fault> {
        let bytes = match (offset, length) {
            (..0, _) => offset.saturating_neg(),
            (_, 0) => MAX_READ,
            _ => length,
        };
        let units = (bytes.clamp(0, MAX_READ) / UNIT + 1).unsigned_abs();
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let held: usize = self.held.iter().map(OwnedSemaphorePermit::num_permits).sum();
        if held + units as usize > ONE {
            return Err(too_much("this answer would be too long"));
        }
        let wanted = Arc::clone(&self.budget.units).acquire_many_owned(units);
        match timeout(PATIENCE, wanted).await {
            Ok(Ok(permit)) => {
                self.held.push(permit);
                Ok(())
            }
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(too_much("too much is being read by others")),
        }
    }

    /// Takes note of a result of a multicall.
    ///
    /// # Errors
    /// FAILED: with it the answer would be too long.
    pub fn add(&mut self, result: &Value) -> Result<(), Fault> {
        self.results += weight(result);
        if self.results > MULTICALL {
            return Err(too_much("this answer would be too long"));
        }
        Ok(())
    }
}

fn too_much(what: &str) -> Fault {
    Fault::new(FaultKind::Failed, what)
}

/// How many bytes a value takes, about.
#[must_use]
pub fn weight(value: &Value) -> usize {
    const EACH: usize = 64;
    EACH + match value {
        Value::Str(text) | Value::DateTime(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Struct(members) => {
            members.iter().map(|(name, value)| EACH + name.len() + weight(value)).sum()
        }
        Value::Nil | Value::Int(_) | Value::Bool(_) | Value::Double(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_share_the_memory_and_one_cannot_have_it_all() {
        let budget = Budget::default();
        let mut shares = Vec::new();
        for _ in 0..5 {
            let mut share = budget.share();
            for _ in 0..3 {
                share.reserve(0, 0).await.unwrap();
            }
            assert!(share.reserve(0, 0).await.unwrap_err().detail.contains("this answer"));
            shares.push(share);
        }
        // A tail still finds room, another whole log does not.
        budget.share().reserve(-1600, 0).await.unwrap();
        let error = budget.share().reserve(0, i64::MAX).await.unwrap_err();
        assert!(error.detail.contains("others"));
        shares.pop();
        budget.share().reserve(i64::MIN, 0).await.unwrap();
    }

    #[test]
    fn a_multicall_ends_when_its_answer_is_long_enough() {
        let mut share = Budget::default().share();
        let result = Value::Str("x".repeat(MULTICALL / 3));
        for _ in 0..2 {
            share.add(&result).unwrap();
        }
        assert_eq!(share.add(&result).unwrap_err().kind, FaultKind::Failed);
    }
}
