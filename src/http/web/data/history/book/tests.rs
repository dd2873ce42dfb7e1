use std::time::Duration;

use super::*;
use crate::http::web::data::history::tests::{event, web};
use crate::http::web::data::testing::process;
use crate::model::name::Target;
use crate::model::signal::Signal;
use crate::model::state::ProcessState::{
    Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping,
};
use crate::model::time::Mono;

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
    let problem = "Bad exit code -1".into(); // what upstream says of any signal
    let end =
        Event::ProcessState { name, from, to, pid, tries, expected, ended, problem, restarts: 3 };
    book.hear(&end, secs(5));
    book.hear(&event(&web(), Exited, Starting), secs(6));
    let json = serde_json::to_string(&book.stories[&web()].changes).unwrap();
    assert_eq!(
        json,
        r#"[{"number":1,"at":5000,"from":"running","to":"exited","pid":7,"ended":"terminated by SIGSEGV (core dumped)","restarts":3},{"number":2,"at":6000,"from":"exited","to":"starting","pid":7,"restarts":0}]"#
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
    let book = Book::of(&now, Askers::default());
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
    let by = |book: &Book| book.stories[&web()].changes.back().unwrap().by.clone();
    book.askers.asked(secs(1), Some(Target::Process(web())), "bob".into());
    book.hear(&event(&web(), Running, Stopping), secs(2));
    assert_eq!(by(&book).as_deref(), Some("bob"));
    book.hear(&event(&web(), Stopping, Stopped), secs(3));
    assert_eq!(by(&book), None, "that is what follows from it");
    book.hear(&event(&web(), Stopped, Starting), secs(5));
    assert_eq!(by(&book).as_deref(), Some("bob"));
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
