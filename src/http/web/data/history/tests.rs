use std::sync::Arc;

use super::*;
use crate::http::web::data::testing::{World, process};
use crate::model::snapshot::ProcessSnapshot;
use crate::model::state::ProcessState;
use crate::model::state::ProcessState::{Exited, Fatal, Starting, Stopped};

/// A process.
pub(super) fn web() -> ProcessName {
    ProcessName::new("web", "web")
}

/// It goes from one state to another.
pub(super) fn event(name: &ProcessName, from: ProcessState, to: ProcessState) -> Event {
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
