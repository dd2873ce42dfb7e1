//! What listeners say stays in their pipes until the engine has it.

use std::time::Instant;

use super::*;
use crate::runtime::keep::Keep;

const PROTOCOL: TapPlan = TapPlan { protocol: true, ..TapPlan::OFF };

impl Bench {
    fn careful() -> Self {
        Self::with(|_| {}, |around| around.careful = true)
    }

    fn listener(&self) -> File {
        self.child(key(1), &ChannelPlan { tap: PROTOCOL, ..self.plan("a.log") })
    }

    fn confirm(&self, bytes: usize) {
        self.handle.confirm(key(1), 1, bytes);
    }

    /// What was told until now, and the number of each first byte.
    fn all_told(&mut self) -> Vec<(What, u64, String)> {
        self.sync();
        let mut told = Vec::new();
        while let Ok(tapped) = self.tapped.try_recv() {
            told.push((tapped.what, tapped.ordinal, String::from_utf8(tapped.data).unwrap()));
        }
        told
    }

    /// The same without what was told of the pipe.
    fn told(&mut self) -> Vec<(What, u64, String)> {
        let mut told = self.all_told();
        told.retain(|(what, ..)| *what != What::Taken);
        told
    }
}

fn word(ordinal: u64, text: &str) -> (What, u64, String) {
    (What::Protocol, ordinal, text.to_owned())
}

fn end() -> (What, u64, String) {
    (What::End, 0, String::new())
}

#[test]
fn words_are_told_once_and_logged_when_they_are_confirmed() {
    let mut bench = Bench::careful();
    let mut listener = bench.listener();
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.told(), [word(0, "READY\n")]);
    listener.write_all(b"RESULT 2\nOK").unwrap();
    assert_eq!(bench.told(), []);
    assert_eq!(bench.text("a.log"), "");
    bench.confirm(2);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.text("a.log"), "RE");
    // More than was told is not taken for confirmed.
    bench.confirm(100);
    assert_eq!(bench.told(), [word(6, "RESULT 2\nOK")]);
    assert_eq!(bench.text("a.log"), "READY\n");
    bench.confirm(11);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.text("a.log"), "READY\nRESULT 2\nOK");
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.told(), [word(17, "READY\n")]);
}

#[test]
fn it_is_told_when_words_have_left_their_pipe() {
    let mut bench = Bench::careful();
    let mut listener = bench.listener();
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.all_told(), [word(0, "READY\n")]);
    bench.confirm(2);
    assert_eq!(bench.all_told(), [], "some are still there");
    bench.confirm(4);
    assert_eq!(bench.all_told(), [(What::Taken, 6, String::new())]);
}

#[test]
fn words_are_confirmed_alike_in_every_kind_of_log() {
    let mut bench = Bench::with(|main| main.level = Level::Debug, |around| around.careful = true);
    let plan = ChannelPlan { strip_ansi: true, tap: PROTOCOL, ..bench.plan("a.log") };
    let mut listener = bench.child(key(1), &plan);
    let mut unlogged = bench.child(key(2), &ChannelPlan { file: None, ..plan.clone() });
    listener.write_all(b"RE\x1b[1mADY\n").unwrap();
    unlogged.write_all(b"READY\n").unwrap();
    let mut told = bench.told();
    told.sort_by_key(|(_, _, text)| text.len());
    assert_eq!(told, [word(0, "READY\n"), word(0, "RE\x1b[1mADY\n")]);
    for key in [key(1), key(2)] {
        bench.handle.confirm(key, 1, 10);
    }
    assert_eq!(bench.told(), []);
    assert_eq!(bench.text("a.log"), "READY\n");
    assert!(bench.main_log().contains("'web' stdout output:\nREADY\n"));
    unlogged.write_all(b"more").unwrap();
    assert_eq!(bench.told(), [word(6, "more")]);
}

#[test]
fn the_end_comes_when_all_words_are_confirmed() {
    let mut bench = Bench::careful();
    let mut listener = bench.listener();
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.told().len(), 1);
    listener.write_all(b"last words").unwrap();
    // Another generation's news are not about these.
    bench.handle.confirm(key(1), 2, 6);
    // Somebody else has the pipe too.
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.told(), []);
    bench.confirm(6);
    assert_eq!(bench.told(), [word(6, "last words")]);
    bench.confirm(10);
    assert_eq!(bench.told(), [end()]);
    listener.write_all(b" of another").unwrap();
    assert_eq!(bench.told(), []);
    assert_eq!(bench.text("a.log"), "READY\nlast words of another");
}

#[test]
fn who_is_removed_or_heard_by_nobody_is_logged_without_a_confirmation() {
    let mut bench = Bench::careful();
    let mut listener = bench.listener();
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.told().len(), 1);
    listener.write_all(b"last words").unwrap();
    bench.handle.remove(key(1));
    assert_eq!(bench.told(), [word(6, "last words"), end()]);
    assert_eq!(bench.text("a.log"), "READY\nlast words");
    let mut listener = bench.listener();
    listener.write_all(b" and more").unwrap();
    bench.sync();
    bench.tapped.close();
    bench.sync();
    assert_eq!(bench.text("a.log"), "READY\nlast words and more");
}

#[test]
fn the_next_daemon_tells_again_what_was_not_confirmed() {
    let mut bench = Bench::careful();
    let mut listener = bench.listener();
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.told().len(), 1);
    bench.confirm(6);
    listener.write_all(b"RESULT 2\nOK").unwrap();
    assert_eq!(bench.told(), [word(6, "RESULT 2\nOK")]);
    bench.confirm(4);
    let Bench { dir, handle, runtime, .. } = bench;
    let (left, pipes) = runtime.block_on(handle.hand_over(Instant::now())).unwrap();
    let left = serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
    let mut bench = Bench::with_in(dir, |_| {}, |around| around.careful = true);
    bench.handle.adopt(left, pipes, Keep::default());
    assert_eq!(bench.told(), [word(10, "LT 2\nOK")]);
    assert_eq!(bench.text("a.log"), "READY\nRESU");
    bench.confirm(7);
    bench.sync();
    assert_eq!(bench.text("a.log"), "READY\nRESULT 2\nOK");
}
