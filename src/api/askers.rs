//! Who asked for what a short time ago: what happens to processes says it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Api;
use crate::core::request::{Reply, Request, Scope};
use crate::model::fault::Fault;
use crate::model::name::{ProcessName, Target};
use crate::model::time::Wall;

/// Who asked is who asked at most so long before.
const ASKED: Duration = Duration::from_secs(10);
/// How many questions may wait for what follows from them.
const QUESTIONS: usize = 1024;

/// Who asked. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Askers {
    questions: Arc<Mutex<VecDeque<Question>>>,
}

/// Somebody asked for something to be done with a process, all of a group, or (none) all processes.
#[derive(Debug)]
struct Question {
    at: Wall,
    whom: Option<Target>,
    by: Arc<str>,
}

impl Question {
    fn is_about(&self, name: &ProcessName) -> bool {
        match &self.whom {
            None => true,
            Some(Target::Group(group)) => *group == name.group,
            Some(Target::Process(process)) => process == name,
        }
    }
}

impl Askers {
    /// Somebody asks, before it is done: the next start or stop is theirs.
    pub fn asked(&self, at: Wall, whom: Option<Target>, by: Arc<str>) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if questions.len() == QUESTIONS {
            questions.pop_front();
        }
        questions.push_back(Question { at, whom, by });
    }

    /// Who asked last for something that is about this process.
    #[must_use]
    pub fn who(&self, name: &ProcessName, now: Wall) -> Option<Arc<str>> {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |question: &Question| now.0.saturating_sub(question.at.0) > ASKED;
        while questions.front().is_some_and(old) {
            questions.pop_front();
        }
        let last = questions.iter().rev().find(|question| question.is_about(name));
        last.map(|question| Arc::clone(&question.by))
    }
}

impl Api {
    /// The same use cases, asked for by somebody.
    #[must_use]
    pub fn on_behalf_of(&self, who: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), by: Some(who.into()) }
    }

    /// Who asked for what.
    #[must_use]
    pub fn askers(&self) -> &Askers {
        &self.inner.askers
    }

    /// Asks the engine, and remembers for whom.
    pub(super) async fn ask(&self, request: Request) -> Result<Reply, Fault> {
        if let Some((by, whom)) = self.by.clone().zip(whom(&request)) {
            self.askers().asked(self.now().wall, whom, by);
        }
        self.engine().ask(request).await
    }
}

/// Whom a request starts or stops; none when it does not.
#[allow(clippy::option_option)] // all processes are no target
fn whom(request: &Request) -> Option<Option<Target>> {
    match request {
        Request::Start { scope, .. } | Request::Stop { scope, .. } => Some(match scope {
            Scope::Process(name) => Some(Target::Process(name.clone())),
            Scope::Group(group) => Some(Target::Group(group.clone())),
            Scope::All => None,
        }),
        Request::AddGroup(group) | Request::UpdateGroup(group) => {
            Some(Some(Target::Group(group.clone())))
        }
        Request::Shutdown | Request::Restart => Some(None),
        Request::Signal { .. }
        | Request::Stdin { .. }
        | Request::Reread { .. }
        | Request::RemoveGroup(_)
        | Request::Upgrade
        | Request::RemoteEvent { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_who_asked_is_known_for_a_while() {
        let (askers, web) = (Askers::default(), ProcessName::new("web", "web"));
        let secs = |secs| Wall(Duration::from_secs(secs));
        let who = |at| askers.who(&web, secs(at)).as_deref().map(str::to_owned);
        assert_eq!(who(0), None);
        askers.asked(secs(1), Some(Target::Process(web.clone())), "bob".into());
        askers.asked(secs(1), Some(Target::Group("other".into())), "eve".into());
        assert_eq!(who(2).as_deref(), Some("bob"));
        askers.asked(secs(3), Some(Target::Group("web".into())), "dan".into());
        assert_eq!(who(3).as_deref(), Some("dan"));
        askers.asked(secs(4), None, "carol".into());
        assert_eq!(who(14).as_deref(), Some("carol"));
        assert_eq!(who(15), None, "that was long ago");
        for n in 0..5000 {
            askers.asked(secs(n), None, "many".into());
        }
        assert_eq!(askers.questions.lock().unwrap().len(), QUESTIONS);
    }
}
