//! The audit log: one line for each call that changes something, and for each refusal.
//!
//! Whoever is refused can ask again, as often as they like: of one user's refusals the first are
//! told in full, and then only how many more there were.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use zbus::names::UniqueName;

use super::about::{About, shown};
use super::caller::Caller;
use super::error::Failure;
use crate::model::message::{Field, Kind};
use crate::model::record::{Level, Record};

/// How many refusals of one user are told in full within [`WINDOW`].
const TOLD: u64 = 10;
/// After this time the rest is counted up, and refusals are told again.
const WINDOW: Duration = Duration::from_secs(60);
/// How many users are kept apart; the others share one account.
const MAX_USERS: usize = 64;

/// Where lines for the daemon's log go.
pub(super) type Log = Arc<dyn Fn(Record) + Send + Sync>;

/// The audit log of all endpoints.
#[derive(Clone)]
pub(super) struct Audit {
    log: Log,
    /// Refusals in the current window, by user; none is those who are not known, or too many.
    refused: Arc<Mutex<HashMap<Option<u32>, u64>>>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl Audit {
    /// An audit log that writes there.
    pub(super) fn new(log: Log) -> Self {
        Self { log, refused: Arc::default() }
    }

    /// Notes that somebody was refused; `what` is safe to show. A caller that is not known, or not
    /// yet, is told by the name that the bus gave it.
    pub(super) fn refused(
        &self,
        caller: Result<&Caller, Option<&UniqueName<'_>>>,
        what: &str,
        why: &str,
    ) {
        let who = match caller {
            Ok(caller) => caller.to_string(),
            Err(name) => name.map_or("somebody", UniqueName::as_str).to_owned(),
        };
        let caller = caller.ok();
        let (user, count) = self.count(caller.map(|caller| caller.uid));
        if count <= TOLD {
            let text = format!("refused {who} {what}: {}", shown_reason(why));
            let record = Record::new(Level::Warn, text).of(Kind::AccessRefused);
            (self.log)(with_client(record, caller).with(Field::Action, what));
        }
        if count == 1 {
            tokio::spawn(self.clone().window(user));
        }
    }

    /// Counts a refusal, and says on whose account.
    fn count(&self, user: Option<u32>) -> (Option<u32>, u64) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let room = refused.len() < MAX_USERS || refused.contains_key(&user);
        let user = if room { user } else { None };
        let count = refused.entry(user).or_default();
        *count += 1;
        (user, *count)
    }

    /// The end of a window.
    async fn window(self, user: Option<u32>) {
        sleep(WINDOW).await;
        let count = {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.remove(&user).unwrap_or(0)
        };
        if let Some(more) = count.checked_sub(TOLD).filter(|more| *more > 0) {
            let who = user.map_or_else(|| "other users".to_owned(), |uid| format!("user {uid}"));
            let secs = WINDOW.as_secs();
            let text = format!("refused {more} more calls of {who} within {secs} s");
            (self.log)(Record::new(Level::Warn, text));
        }
    }

    /// Begins a call that changes something. What became of it is told when the entry is ended;
    /// an entry that is dropped tells that nobody waited for the answer.
    pub(super) fn begin(&self, caller: &Arc<Caller>, about: &About) -> Entry {
        Entry { log: self.log.clone(), caller: caller.clone(), line: Some(about.line().to_owned()) }
    }
}

/// A call that changes something, under way.
pub(super) struct Entry {
    log: Log,
    caller: Arc<Caller>,
    line: Option<String>,
}

impl Entry {
    /// Tells what became of it.
    pub(super) fn end<T>(mut self, answer: &Result<T, Failure>) {
        match answer {
            Ok(_) => self.tell("done"),
            Err(Failure::Fault(fault)) => {
                self.tell(&format!("failed: {}", shown_reason(&fault.to_string())));
            }
            Err(Failure::Standard { name, text }) => {
                self.tell(&format!("failed: {name}: {}", shown_reason(text)));
            }
        }
    }

    fn tell(&mut self, outcome: &str) {
        if let Some(line) = self.line.take() {
            let text = format!("{} called {line}: {outcome}", self.caller);
            let record = Record::new(Level::Info, text).of(Kind::ActionAudited);
            (self.log)(with_client(record, Some(&self.caller)).with(Field::Action, line));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tell("nobody waited for the answer");
    }
}

/// A line with fields that say who it was, as far as that is known.
fn with_client(mut record: Record, caller: Option<&Caller>) -> Record {
    let Some(caller) = caller else { return record };
    record = record.with(Field::ClientUid, caller.uid);
    if let Some(pid) = caller.pid {
        record = record.with(Field::ClientPid, pid);
    }
    match &caller.unit {
        Some(unit) => record.with(Field::ClientUnit, unit),
        None => record,
    }
}

/// A reason of ours, with what came from outside in it: kept on one line, and short.
fn shown_reason(why: &str) -> String {
    let plain = |c: char| matches!(c, ' '..='~');
    if why.len() <= 300 && why.chars().all(plain) { why.to_owned() } else { shown(why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::{Fault, FaultKind};

    fn audit() -> (Audit, Arc<Mutex<Vec<Record>>>) {
        let lines = Arc::<Mutex<Vec<Record>>>::default();
        let heard = lines.clone();
        (Audit::new(Arc::new(move |record| heard.lock().unwrap().push(record))), lines)
    }

    fn caller(uid: u32) -> Caller {
        Caller { uid, pid: Some(7), unit: Some("a.service".to_owned()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refusals_is_counted() {
        let (audit, lines) = audit();
        for _ in 0..1000 {
            audit.refused(Ok(&caller(1000)), "Manager.Shutdown", "no");
        }
        audit.refused(Ok(&caller(1001)), "Manager.Shutdown", "no\nWARN fake");
        audit.refused(Err(None), "something", "no");
        let texts = || -> Vec<String> {
            lines.lock().unwrap().iter().map(|record| record.text.clone()).collect()
        };
        let told = texts();
        assert_eq!(told.len(), 12);
        assert_eq!(told[0], "refused user 1000 (pid 7, a.service) Manager.Shutdown: no");
        assert_eq!(
            told[10],
            "refused user 1001 (pid 7, a.service) Manager.Shutdown: 'no\\nWARN fake'"
        );
        assert!(lines.lock().unwrap().iter().all(|record| record.level == Level::Warn));
        assert!(lines.lock().unwrap().iter().all(|r| r.kind == Some(Kind::AccessRefused)));
        sleep(WINDOW * 2).await;
        assert_eq!(texts()[12..], ["refused 990 more calls of user 1000 within 60 s"]);
        audit.refused(Ok(&caller(1000)), "Manager.Shutdown", "no");
        assert_eq!(texts().len(), 14);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_users_does_not_fill_the_log() {
        let (audit, lines) = audit();
        for uid in 0..100_000 {
            audit.refused(Ok(&caller(uid)), "Manager.Shutdown", "no");
        }
        assert!(lines.lock().unwrap().len() <= MAX_USERS + 10);
        sleep(WINDOW * 2).await;
        let told = lines.lock().unwrap();
        assert!(told.last().unwrap().text.ends_with("more calls of other users within 60 s"));
    }

    #[test]
    fn what_became_of_a_call_is_told_once() {
        let (audit, lines) = audit();
        let about = About::default();
        let caller = Arc::new(caller(0));
        audit.begin(&caller, &about).end(&Ok(()));
        let fault = Fault::new(FaultKind::BadName, "x\ny");
        audit.begin(&caller, &about).end(&Err::<(), _>(fault.into()));
        drop(audit.begin(&caller, &about));
        let lines = lines.lock().unwrap();
        let fields = vec![
            (Field::ClientUid, "0".to_owned()),
            (Field::ClientPid, "7".to_owned()),
            (Field::ClientUnit, "a.service".to_owned()),
            (Field::Action, String::new()),
        ];
        assert_eq!((lines[0].kind, &lines[0].fields), (Some(Kind::ActionAudited), &fields));
        let ends: Vec<_> =
            lines.iter().map(|record| record.text.split_once(": ").unwrap().1).collect();
        assert_eq!(ends[0], "done");
        assert!(ends[1].starts_with("failed: ") && ends[1].contains("x\\ny"), "{ends:?}");
        assert_eq!(ends[2], "nobody waited for the answer");
        assert_eq!(ends.len(), 3);
    }
}
