//! What became of each process since the daemon began to work with its configuration: the last
//! changes of its state, with how and why.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::millis;
use crate::api::Api;
use crate::model::event::{Event, Published};
use crate::model::exit::ExitStatus;
use crate::model::name::{ProcessName, Target};
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::state::ProcessState;
use crate::model::time::Wall;

/// How many changes of one process are kept.
const KEPT: usize = 64;
/// How many processes are remembered beyond those that exist: an update may bring them back.
const GONE: usize = 256;
/// Who asked is who asked at most so long before.
const ASKED: Duration = Duration::from_secs(10);
/// How many questions may wait for what follows from them.
const QUESTIONS: usize = 1024;

/// A change of the state of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Counts all changes of all processes, from 1 on.
    pub number: u64,
    /// When it was heard of, in milliseconds since the epoch.
    pub at: u64,
    /// The state it left; none where changes before this one were missed.
    #[serde(serialize_with = "maybe_state")]
    pub from: Option<ProcessState>,
    /// The state it entered.
    #[serde(serialize_with = "state")]
    pub to: ProcessState,
    /// Its pid; for the end of a child the one that it had; 0 for none.
    pub pid: i32,
    /// How its child ended: `exit status 2`, `terminated by SIGKILL`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "words")]
    pub ended: Option<ExitStatus>,
    /// Why it could not be started, or ended unexpectedly.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: Arc<str>,
    /// How many times it was started again by itself since somebody started it.
    pub restarts: u32,
    /// Who asked for it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn state<S: Serializer>(state: &ProcessState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&state.name().to_lowercase())
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // serde's signature
fn maybe_state<S: Serializer>(from: &Option<ProcessState>, to: S) -> Result<S::Ok, S::Error> {
    match from {
        Some(from) => state(from, to),
        None => to.serialize_none(),
    }
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // serde's signature
fn words<S: Serializer>(ended: &Option<ExitStatus>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&ended.map(|ended| ended.to_string()).unwrap_or_default())
}

/// Remembers. A clone is the same one; when the last is dropped, nothing is heard any more.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Shared>,
    _hearing: Arc<Hearing>,
}

#[derive(Debug)]
struct Shared {
    api: Api,
    book: Mutex<Book>,
    count: watch::Sender<u64>,
}

/// The task that hears what happens.
#[derive(Debug)]
struct Hearing(JoinHandle<()>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl History {
    /// Remembers from now on; what runs already is known to have been started. To be called
    /// inside of a tokio runtime.
    #[must_use]
    pub fn new(api: Api) -> Self {
        // Heard from before the first picture on: what is in both is known to be the same.
        let events = api.engine().events();
        let book = Book::of(&api.snapshot());
        let count = watch::Sender::new(book.count);
        let shared = Arc::new(Shared { api, book: Mutex::new(book), count });
        let hearing = tokio::spawn(hear(Arc::clone(&shared), events));
        Self { shared, _hearing: Arc::new(Hearing(hearing)) }
    }

    /// The changes of a process that have a number above `after`, oldest first: 0 is all that are
    /// kept.
    #[must_use]
    pub fn of(&self, name: &ProcessName, after: u64) -> Vec<Change> {
        let book = self.shared.book();
        let story = book.stories.get(name).map(|story| story.changes.iter());
        story.into_iter().flatten().filter(|change| change.number > after).cloned().collect()
    }

    /// The number of the newest change of any process: wakes whoever waits for changes.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.shared.count.subscribe()
    }

    /// Somebody asks for something to be done with a process, all of a group, or (none) all
    /// processes. To be told before it is done: the next start or stop is theirs.
    pub fn asked(&self, whom: Option<&Target>, by: &str) {
        let at = self.shared.api.now().wall;
        self.shared.book().asked(Question { at, whom: whom.cloned(), by: by.into() });
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing that holds the lock leaves it half changed.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was entered.
    fn tell(&self, count: u64) {
        self.count.send_if_modified(|old| std::mem::replace(old, count) != count);
    }
}

type Events = tokio::sync::broadcast::Receiver<Arc<Published>>;

async fn hear(shared: Arc<Shared>, mut events: Events) {
    // Some changes were missed, and it is not known yet of which processes.
    let mut missed = false;
    loop {
        let event = match events.try_recv() {
            Err(TryRecvError::Empty) => {
                if std::mem::take(&mut missed) {
                    let (snapshot, now) = (shared.api.snapshot(), shared.api.now().wall);
                    let count = shared.book().catch_up(&snapshot, now);
                    shared.tell(count);
                }
                match events.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => {
                        missed = true;
                        continue;
                    }
                    Err(RecvError::Closed) => return,
                }
            }
            Ok(event) => event,
            Err(TryRecvError::Lagged(_)) => {
                missed = true;
                continue;
            }
            Err(TryRecvError::Closed) => return,
        };
        let count = match &event.event {
            Event::GroupRemoved(_) => shared.book().tidy(&shared.api.snapshot()),
            heard => shared.book().hear(heard, event.at),
        };
        shared.tell(count);
    }
}

/// Everything that is remembered.
#[derive(Debug, Default)]
struct Book {
    stories: HashMap<ProcessName, Story>,
    /// The number of the newest change.
    count: u64,
    questions: VecDeque<Question>,
}

/// What became of one process.
#[derive(Debug)]
struct Story {
    /// The state it is in, as far as was heard.
    now: ProcessState,
    changes: VecDeque<Change>,
    /// The newest change is not from an event: one may follow that tells it better.
    guessed: bool,
}

/// Somebody asked for something.
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

impl Book {
    /// What can be known from one picture: when it is in the state that it is in now.
    fn of(snapshot: &Snapshot) -> Self {
        let mut book = Self::default();
        for (name, process) in &snapshot.processes {
            let since = match process.started {
                Some((_, started)) if process.pid > 0 => Some(started),
                _ => process.stopped,
            };
            let mut story = Story { now: process.state, changes: VecDeque::new(), guessed: true };
            if let Some(since) = since {
                let change = book.guess(process, since);
                story.changes.push_back(change);
            }
            book.stories.insert(name.clone(), story);
        }
        book
    }

    /// How a process came to be as it is, by a picture.
    fn guess(&mut self, process: &ProcessSnapshot, at: Wall) -> Change {
        self.count += 1;
        let code = process.exit_code.filter(|&code| code >= 0).map(ExitStatus::Code);
        let signal = process.exit_signal;
        // Whether there was a core file, a picture does not tell.
        let ended = signal.map(|signal| ExitStatus::Signal { signal, core_dumped: false }).or(code);
        Change {
            number: self.count,
            at: millis(at),
            from: None,
            to: process.state,
            pid: process.pid,
            ended,
            why: Arc::clone(&process.spawn_error),
            restarts: process.restarts,
            by: None,
        }
    }

    /// Enters what happened.
    fn hear(&mut self, event: &Event, now: Wall) -> u64 {
        let Event::ProcessState { name, from, to, pid, ended, problem, restarts, .. } = event
        else {
            return self.count;
        };
        let by = self.who(name, *to, *restarts, now);
        let known = self.stories.get(name).map(|story| story.now);
        let story = self.stories.entry(name.clone()).or_insert(Story {
            now: *from,
            changes: VecDeque::new(),
            guessed: false,
        });
        let follows = known.is_none_or(|known| known == *from);
        // A picture may have shown it already.
        let foreseen = !follows && known == Some(*to) && story.guessed;
        if foreseen {
            story.changes.pop_back();
        }
        self.count += 1;
        let change = Change {
            number: self.count,
            at: millis(now),
            from: (follows || foreseen).then_some(*from),
            to: *to,
            pid: *pid,
            ended: *ended,
            why: Arc::clone(problem),
            restarts: *restarts,
            by,
        };
        story.enter(change, false);
        self.count
    }

    /// Who asked for this change.
    fn who(
        &mut self,
        name: &ProcessName,
        to: ProcessState,
        restarts: u32,
        now: Wall,
    ) -> Option<Arc<str>> {
        let old = |question: &Question| now.0.saturating_sub(question.at.0) > ASKED;
        while self.questions.front().is_some_and(old) {
            self.questions.pop_front();
        }
        let is_asked_for = match to {
            ProcessState::Starting => restarts == 0,
            ProcessState::Stopping => true,
            _ => false,
        };
        let mut asked = self.questions.iter().rev().filter(|_| is_asked_for);
        asked.find(|question| question.is_about(name)).map(|question| Arc::clone(&question.by))
    }

    fn asked(&mut self, question: Question) {
        if self.questions.len() == QUESTIONS {
            self.questions.pop_front();
        }
        self.questions.push_back(question);
    }

    /// Brings what was missed in line with how everything is.
    fn catch_up(&mut self, snapshot: &Snapshot, now: Wall) -> u64 {
        for (name, process) in &snapshot.processes {
            if self.stories.get(name).is_some_and(|story| story.now == process.state) {
                continue;
            }
            let change = self.guess(process, now);
            let new = Story { now: process.state, changes: VecDeque::new(), guessed: true };
            self.stories.entry(name.clone()).or_insert(new).enter(change, true);
        }
        self.tidy(snapshot)
    }

    /// Forgets processes that are gone, if they are many.
    fn tidy(&mut self, snapshot: &Snapshot) -> u64 {
        let newest = |story: &Story| story.changes.back().map_or(0, |change| change.number);
        let gone = self.stories.iter().filter(|(name, _)| !snapshot.processes.contains_key(*name));
        let mut gone: Vec<_> = gone.map(|(name, story)| (newest(story), name.clone())).collect();
        gone.sort_unstable();
        for (_, name) in gone.iter().take(gone.len().saturating_sub(GONE)) {
            self.stories.remove(name);
        }
        self.count
    }
}

impl Story {
    fn enter(&mut self, change: Change, guessed: bool) {
        self.now = change.to;
        self.guessed = guessed;
        if self.changes.len() == KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, process};
    use super::*;
    use crate::model::signal::Signal;
    use crate::model::state::ProcessState::{
        Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping,
    };
    use crate::model::time::Mono;

    fn web() -> ProcessName {
        ProcessName::new("web", "web")
    }

    fn event(name: &ProcessName, from: ProcessState, to: ProcessState) -> Event {
        Event::ProcessState {
            name: name.clone(),
            from,
            to,
            pid: 7,
            tries: 0,
            expected: false,
            ended: None,
            problem: "".into(),
            restarts: 0,
        }
    }

    fn secs(secs: u64) -> Wall {
        Wall(Duration::from_secs(secs))
    }

    /// The changes of `web` as `from>to`.
    fn told(book: &Book) -> Vec<String> {
        let changes = book.stories[&web()].changes.iter();
        let from = |change: &Change| change.from.map_or("?", ProcessState::name);
        changes.map(|change| format!("{}>{}", from(change), change.to)).collect()
    }

    #[test]
    fn a_change_is_told_in_words_and_in_few() {
        let mut book = Book::default();
        let Event::ProcessState { name, from, to, pid, tries, expected, .. } =
            event(&web(), Running, Exited)
        else {
            unreachable!()
        };
        let ended = Some(ExitStatus::Signal { signal: Signal(11), core_dumped: true });
        let problem = "Bad exit code -1".into();
        let end = Event::ProcessState {
            name,
            from,
            to,
            pid,
            tries,
            expected,
            ended,
            problem,
            restarts: 3,
        };
        book.hear(&end, secs(5));
        book.hear(&event(&web(), Exited, Starting), secs(6));
        let json = serde_json::to_string(&book.stories[&web()].changes).unwrap();
        assert_eq!(
            json,
            r#"[{"number":1,"at":5000,"from":"running","to":"exited","pid":7,"ended":"terminated by SIGSEGV (core dumped)","why":"Bad exit code -1","restarts":3},{"number":2,"at":6000,"from":"exited","to":"starting","pid":7,"restarts":0}]"#
        );
    }

    #[test]
    fn only_the_last_changes_are_kept() {
        let mut book = Book::default();
        for n in 0..1000 {
            let (from, to) = if n % 2 == 0 { (Exited, Starting) } else { (Starting, Exited) };
            book.hear(&event(&web(), from, to), secs(n));
        }
        let changes = &book.stories[&web()].changes;
        assert_eq!((changes.len(), changes[0].number), (KEPT, 1001 - KEPT as u64));
    }

    #[test]
    fn what_was_missed_is_a_gap() {
        let mut book = Book::default();
        book.hear(&event(&web(), Stopped, Starting), secs(1));
        // Starting to RUNNING and on to EXITED was missed, and so was the rest after this.
        book.hear(&event(&web(), Exited, Starting), secs(2));
        assert_eq!(told(&book), ["STOPPED>STARTING", "?>STARTING"]);
        let mut now = Snapshot::empty();
        let fatal = ProcessSnapshot { state: Fatal, ..process("web", "web") };
        now.processes.insert(web(), Arc::new(fatal));
        book.catch_up(&now, secs(3));
        book.catch_up(&now, secs(4));
        assert_eq!(told(&book)[2..], ["?>FATAL"]);
        // Heard of only now: the picture was ahead.
        book.hear(&event(&web(), Backoff, Fatal), secs(5));
        assert_eq!(told(&book)[2..], ["BACKOFF>FATAL"]);
        book.hear(&event(&web(), Fatal, Starting), secs(6));
        assert_eq!(told(&book)[3..], ["FATAL>STARTING"]);
    }

    #[test]
    fn a_picture_tells_since_when_it_is_so() {
        let mut up = process("web", "web");
        (up.state, up.pid, up.started) = (Running, 7, Some((Mono::default(), secs(9))));
        let mut down = process("b", "b");
        (down.state, down.stopped, down.exit_code) = (Exited, Some(secs(3)), Some(2));
        let never = process("c", "c");
        let mut now = Snapshot::empty();
        for process in [up, down, never] {
            now.processes.insert(process.spec.name.clone(), Arc::new(process));
        }
        let book = Book::of(&now);
        let first = |name: &str| {
            let change = book.stories[&ProcessName::new(name, name)].changes.front().cloned()?;
            Some((change.at, change.from, change.to, change.pid, change.ended))
        };
        assert_eq!(first("web"), Some((9000, None, Running, 7, None)));
        assert_eq!(first("b"), Some((3000, None, Exited, 0, Some(ExitStatus::Code(2)))));
        assert_eq!(first("c"), None);
    }

    #[test]
    fn who_asked_is_told_with_what_they_asked_for() {
        let mut book = Book::default();
        let ask = |book: &mut Book, at, whom, by: &str| {
            book.asked(Question { at: secs(at), whom, by: by.into() });
        };
        let by = |book: &Book| book.stories[&web()].changes.back().unwrap().by.clone();
        ask(&mut book, 1, Some(Target::Process(web())), "bob");
        ask(&mut book, 1, Some(Target::Group("other".into())), "eve");
        book.hear(&event(&web(), Running, Stopping), secs(2));
        assert_eq!(by(&book).as_deref(), Some("bob"));
        book.hear(&event(&web(), Stopping, Stopped), secs(3));
        assert_eq!(by(&book), None, "that is what follows from it");
        ask(&mut book, 4, None, "carol");
        book.hear(&event(&web(), Stopped, Starting), secs(5));
        assert_eq!(by(&book).as_deref(), Some("carol"));
        book.hear(&event(&web(), Stopped, Starting), secs(50));
        assert_eq!(by(&book), None, "that was long ago");
        for n in 0..5000 {
            ask(&mut book, n, None, "many");
        }
        assert_eq!(book.questions.len(), QUESTIONS);
    }

    #[test]
    fn processes_that_are_gone_are_forgotten_when_they_are_many() {
        let mut book = Book::default();
        for n in 0..GONE + 10 {
            let name = ProcessName::new("g", format!("p{n}"));
            book.hear(&event(&name, Stopped, Starting), secs(1));
        }
        book.tidy(&Snapshot::empty());
        assert_eq!(book.stories.len(), GONE);
        assert!(!book.stories.contains_key(&ProcessName::new("g", "p9")), "the oldest");
    }

    #[tokio::test]
    async fn what_happens_is_remembered_and_wakes_who_waits() {
        let world = World::new(vec![process("web", "web")]);
        let history = History::new(world.api.clone());
        let mut newest = history.newest();
        assert!(world.tell(event(&web(), Stopped, Starting)));
        newest.wait_for(|&count| count == 1).await.unwrap();
        assert_eq!(history.of(&web(), 0)[0].to, Starting);
        assert!(history.of(&web(), 1).is_empty());
        // More than the stream holds, while nobody listens.
        for n in 0..50 {
            let (from, to) = if n % 2 == 0 { (Starting, Exited) } else { (Exited, Starting) };
            world.tell(event(&web(), from, to));
        }
        world.change(|snapshot| {
            let fatal = ProcessSnapshot { state: Fatal, ..process("web", "web") };
            snapshot.processes.insert(web(), Arc::new(fatal));
        });
        newest.wait_for(|&count| count > 8).await.unwrap();
        let newest = history.of(&web(), 0).pop().unwrap();
        assert_eq!((newest.from, newest.to), (None, Fatal), "in line with how it is");
        drop(history);
        tokio::task::yield_now().await;
        assert!(!world.tell(event(&web(), Stopped, Starting)), "nobody listens");
    }
}
