//! A plane that goes on where another one stopped.

use std::time::Instant;

use futures_util::FutureExt;

use super::*;
use crate::core::capture::{BEGIN, END};
use crate::runtime::keep::Keep;

/// One plane after the other in the same directory, on the same pipes. What is handed over is
/// written down and read in between, as between two programs.
fn replaced(bench: Bench) -> Bench {
    let Bench { dir, handle, runtime, mut tapped, .. } = bench;
    let by = Instant::now() + Duration::from_secs(5);
    let (left, pipes) = runtime.block_on(handle.hand_over(by)).unwrap();
    while let Some(piece) = runtime.block_on(tapped.recv()) {
        assert_ne!(piece.what, What::End, "it goes on");
    }
    let left = serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
    let next = Bench::in_dir(dir);
    next.handle.adopt(left, pipes, Keep::default());
    next
}

#[test]
fn what_stood_half_done_is_finished_by_the_next_one() {
    // C-371, C-381
    let mut bench = Bench::new();
    let mut plain = bench.child(key(1), &bench.plan("plain.log"));
    let stripped = ChannelPlan { strip_ansi: true, ..bench.plan("stripped.log") };
    let mut stripped = bench.child(key(2), &stripped);
    let capture = TapPlan { capture: std::num::NonZeroU64::new(100), ..TapPlan::OFF };
    let captured = ChannelPlan { tap: capture, ..bench.plan("captured.log") };
    let mut captured = bench.child(key(3), &captured);
    let mut half = bench.child(key(4), &ChannelPlan { tap: capture, ..bench.plan("half.log") });

    plain.write_all(b"one").unwrap();
    stripped.write_all(b"a\x1b[1").unwrap();
    captured.write_all(&[BEGIN, b"com"].concat()).unwrap();
    half.write_all(&[b"x", &BEGIN[..7]].concat()).unwrap();
    bench.sync();
    bench = replaced(bench);
    plain.write_all(b"two\n").unwrap();
    stripped.write_all(b"mb\n").unwrap();
    captured.write_all(&[b"munication", END, b"rest\n"].concat()).unwrap();
    half.write_all(b"y\n").unwrap();
    bench.sync();
    assert_eq!(bench.text("plain.log"), "onetwo\n");
    assert_eq!(bench.text("stripped.log"), "ab\n");
    assert_eq!(bench.text("captured.log"), "rest\n");
    assert_eq!(bench.text("half.log"), format!("x{}y\n", String::from_utf8_lossy(&BEGIN[..7])));
    let told = bench.tapped.try_recv().unwrap();
    assert_eq!((told.what, told.data.as_slice()), (What::Communication, &b"communication"[..]));
}

#[test]
fn what_was_written_in_between_and_what_ended_is_seen() {
    let mut bench = Bench::new();
    let tapped = ChannelPlan { tap: TapPlan { log: true, ..TapPlan::OFF }, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &tapped);
    child.write_all(b"before ").unwrap();
    bench.sync();
    let Bench { dir, handle, runtime, .. } = bench;
    let (left, pipes) = runtime.block_on(handle.hand_over(Instant::now())).unwrap();
    child.write_all(b"between").unwrap();
    drop(child);
    bench = Bench::in_dir(dir);
    bench.handle.adopt(left, pipes, Keep::default());
    bench.sync();
    assert_eq!(bench.text("a.log"), "before between");
    let heard = [bench.tapped.try_recv().unwrap(), bench.tapped.try_recv().unwrap()];
    assert_eq!(heard.map(|piece| piece.what), [What::Log, What::End]);
}

#[test]
fn what_a_log_did_not_take_is_held_back_by_the_next_one_too() {
    let bench = Bench::new();
    fs::create_dir(bench.path("gone")).unwrap();
    let plan = bench.plan("gone/a.log");
    let mut child = bench.child(key(1), &plan);
    bench.sync();
    fs::remove_dir_all(bench.path("gone")).unwrap();
    child.write_all(b"kept\n").unwrap();
    bench.sync();
    let bench = replaced(bench);
    child.write_all(b"and more\n").unwrap();
    bench.sync();
    fs::create_dir(bench.path("gone")).unwrap();
    bench.handle.reopen();
    bench.sync();
    assert_eq!(bench.text("gone/a.log"), "kept\nand more\n");
}

#[test]
fn a_plane_that_nobody_waits_for_goes_on() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    // Given up before it is answered.
    assert!(bench.handle.hand_over(Instant::now()).now_or_never().is_none());
    child.write_all(b"it goes on\n").unwrap();
    bench.sync();
    assert_eq!(bench.text("a.log"), "it goes on\n");
}
