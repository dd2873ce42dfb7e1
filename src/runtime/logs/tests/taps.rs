//! What the engine hears of the output of programs.

use std::num::NonZeroU64;

use nix::fcntl::{FcntlArg, fcntl};

use super::*;

const PROTOCOL: TapPlan = TapPlan { protocol: true, ..TapPlan::OFF };
const LOG: TapPlan = TapPlan { log: true, ..TapPlan::OFF };
const CAPTURE: TapPlan = TapPlan { capture: NonZeroU64::new(1_000), ..TapPlan::OFF };
const BOTH: TapPlan = TapPlan { log: true, ..CAPTURE };

impl Bench {
    fn tapped_child(&self, key: ChannelKey, tap: TapPlan, file: &str) -> File {
        self.child(key, &ChannelPlan { tap, ..self.plan(file) })
    }

    /// What was heard until now, pieces that follow each other as one.
    fn heard(&mut self) -> Vec<(What, String)> {
        self.sync();
        let mut heard: Vec<(What, String)> = Vec::new();
        while let Ok(tapped) = self.tapped.try_recv() {
            assert_eq!((tapped.key, tapped.generation, tapped.pid), (key(1), 1, 42));
            let text = String::from_utf8(tapped.data).unwrap();
            heard.push((tapped.what, text));
        }
        heard
    }

    /// The next piece, which comes by itself.
    fn next(&mut self) -> Tapped {
        self.tapped.blocking_recv().expect("the plane runs")
    }
}

fn heard<const N: usize>(pieces: [(What, &str); N]) -> Vec<(What, String)> {
    pieces.map(|(what, text)| (what, text.to_owned())).into()
}

/// Writes until nothing more goes in, because the plane waits for somebody to take what it has.
fn fill(bench: &Bench, child: &mut File) -> Vec<u8> {
    fcntl(&*child, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let (mut written, mut drained) = (Vec::new(), false);
    loop {
        let piece: Vec<u8> = (0..9_999).map(|n| u8::try_from(n % 251).unwrap()).collect();
        match child.write(&piece) {
            Ok(n) => {
                written.extend(&piece[..n]);
                drained = false;
            }
            Err(_) if drained => return written,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                bench.sync();
                drained = true;
            }
        }
    }
}

#[test]
fn what_a_listener_says_is_heard_as_it_came_and_logged() {
    // C-355
    let mut bench = Bench::new();
    let plan = ChannelPlan { strip_ansi: true, tap: PROTOCOL, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"REA\x1b[1mDY\n").unwrap();
    assert_eq!(bench.heard(), heard([(What::Protocol, "REA\x1b[1mDY\n")]));
    assert_eq!(bench.text("a.log"), "READY\n");
    drop(child);
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.heard(), heard([(What::End, "")]));
}

#[test]
fn output_is_heard_without_escapes_and_without_a_file() {
    // C-362
    let mut bench = Bench::new();
    let plan = ChannelPlan { strip_ansi: true, file: None, tap: LOG, ..bench.plan("unused") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"a\x1b[31mred\x1b[0m b\n").unwrap();
    assert_eq!(bench.heard(), heard([(What::Log, "ared b\n")]));
    // An ESC that is held back is heard at the end.
    child.write_all(b"\x1b").unwrap();
    assert_eq!(bench.heard(), []);
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.heard(), heard([(What::Log, "\x1b"), (What::End, "")]));
}

#[test]
fn a_communication_is_heard_and_is_in_no_log() {
    // C-371, C-363, C-414: not in PROCESS_LOG, as upstream's documentation says
    let mut bench = Bench::with(|main| main.level = Level::Debug, |_| {});
    let plan = ChannelPlan { strip_ansi: true, tap: BOTH, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    let text = "a<!--XSUPERVISOR:BEGIN-->he\x1b[1mllo<!--XSUPERVISOR:END-->b\n";
    child.write_all(text.as_bytes()).unwrap();
    let pieces = [(What::Log, "a"), (What::Communication, "hello"), (What::Log, "b\n")];
    assert_eq!(bench.heard(), heard(pieces));
    assert_eq!(bench.text("a.log"), "ab\n");
    let echoes = "DEBG 'web' stdout output:\na\n\
                  DEBG 'web' stdout output:\nhello\n\
                  DEBG 'web' stdout emitted a comm event\n\
                  DEBG 'web' stdout output:\nb\n\n";
    assert_eq!(bench.main_log(), echoes);
}

#[test]
fn tokens_may_come_in_pieces_and_nothing_is_held_back_at_the_end() {
    // C-371, C-413
    let mut bench = Bench::new();
    let mut child = bench.tapped_child(key(1), CAPTURE, "a.log");
    for piece in ["one <!--XSUPER", "VISOR:BEGIN-->te", "xt<!--XSUPERVISOR:EN", "D-->two <!--"] {
        child.write_all(piece.as_bytes()).unwrap();
        bench.sync();
    }
    assert_eq!(bench.text("a.log"), "one two ");
    assert_eq!(bench.heard(), heard([(What::Communication, "text")]));
    drop(child);
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.heard(), heard([(What::End, "")]));
    assert_eq!(bench.text("a.log"), "one two <!--");
}

#[test]
fn a_communication_keeps_its_newest_bytes() {
    // C-372, better
    let mut bench = Bench::new();
    let capture = NonZeroU64::new(4);
    let mut child = bench.tapped_child(key(1), TapPlan { capture, ..TapPlan::OFF }, "a.log");
    child.write_all(b"<!--XSUPERVISOR:BEGIN-->one two<!--XSUPERVISOR:END-->").unwrap();
    assert_eq!(bench.heard(), heard([(What::Communication, " two")]));
}

#[test]
fn a_communication_that_is_not_ended_is_dropped_and_said() {
    // C-372
    let mut bench = Bench::new();
    let mut child = bench.tapped_child(key(1), CAPTURE, "a.log");
    child.write_all(b"a<!--XSUPERVISOR:BEGIN-->lost").unwrap();
    drop(child);
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.heard(), heard([(What::End, "")]));
    assert_eq!(bench.text("a.log"), "a");
    let said = "WARN 'web' stdout began a comm event and did not end it, 4 bytes are dropped\n";
    assert_eq!(bench.main_log(), said);
}

#[test]
fn communications_are_taken_out_before_rotation_and_syslog() {
    // C-371, C-373, C-380
    let dir = tempfile::tempdir().unwrap();
    let daemon = UnixDatagram::bind(dir.path().join("log")).unwrap();
    let mut bench = Bench::with(|_| {}, |around| around.syslog = dir.path().join("log"));
    let plan =
        ChannelPlan { maxbytes: 4, backups: 1, syslog: true, tap: CAPTURE, ..bench.plan("a.log") };
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"ab<!--XSUPERVISOR:BEGIN-->1\n2<!--XSUPERVISOR:END-->cd\nef").unwrap();
    assert_eq!(bench.heard(), heard([(What::Communication, "1\n2")]));
    assert_eq!((bench.text("a.log.1"), bench.text("a.log")), ("abcd".into(), "\nef".into()));
    let mut buffer = [0; 100];
    let n = daemon.recv(&mut buffer).unwrap();
    assert!(buffer[..n].ends_with(b" supervisord: web abcd"));
}

#[test]
fn the_end_is_heard_once_whoever_holds_the_pipe() {
    let mut bench = Bench::new();
    // It closes its output, and ends later.
    drop(bench.tapped_child(key(1), LOG, "a.log"));
    assert_eq!(bench.next().what, What::End);
    bench.handle.ended(key(1), 1);
    bench.handle.remove(key(1));
    assert_eq!(bench.heard(), []);
    // It leaves somebody behind who goes on: that is logged, and heard no more.
    let mut child = bench.tapped_child(key(1), BOTH, "a.log");
    child.write_all(b"last words ").unwrap();
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.heard(), heard([(What::Log, "last words "), (What::End, "")]));
    child.write_all(b"of another").unwrap();
    drop(child);
    assert_eq!(bench.heard(), []);
    assert_eq!(bench.text("a.log"), "last words of another");
}

#[test]
fn what_is_not_tapped_is_not_heard() {
    let mut bench = Bench::new();
    let mut child = bench.child(key(1), &bench.plan("a.log"));
    child.write_all(b"x<!--XSUPERVISOR:BEGIN-->y<!--XSUPERVISOR:END-->").unwrap();
    drop(child);
    bench.handle.ended(key(1), 1);
    assert_eq!(bench.heard(), []);
    assert_eq!(bench.text("a.log").len(), 48);
}

#[test]
fn a_program_that_is_too_quick_waits_and_nothing_of_it_is_lost() {
    let mut bench = Bench::new();
    let mut child = bench.tapped_child(key(1), LOG, "a.log");
    let written = fill(&bench, &mut child);
    // No more comes than may be on its way, and others are not held up by that.
    let mut held = Vec::new();
    while let Ok(tapped) = bench.tapped.try_recv() {
        held.push(tapped);
    }
    let on_its_way: usize = held.iter().map(|tapped| tapped.data.len()).sum();
    assert!((200_000..500_000).contains(&on_its_way), "{on_its_way}");
    assert!(written.len() > on_its_way);
    let mut listener = bench.tapped_child(key(2), PROTOCOL, "b.log");
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.next().data, b"READY\n");
    // As pieces are dropped, more come by themselves.
    let mut seen: Vec<u8> = held.into_iter().flat_map(|tapped| tapped.data).collect();
    while seen.len() < written.len() {
        seen.extend(bench.next().data);
    }
    assert!(seen == written);
    bench.sync();
    assert!(fs::read(bench.path("a.log")).unwrap() == written);
}

#[test]
fn all_programs_together_are_bounded_and_listeners_are_heard_still() {
    let mut bench = Bench::new();
    let mut children: Vec<_> =
        (10..40).map(|n| bench.tapped_child(key(n), LOG, &format!("{n}.log"))).collect();
    let written: Vec<_> = children.iter_mut().map(|child| fill(&bench, child).len()).collect();
    let mut held = Vec::new();
    while let Ok(tapped) = bench.tapped.try_recv() {
        held.push(tapped);
    }
    let on_its_way: usize = held.iter().map(|tapped| tapped.data.len()).sum();
    assert!((3_500_000..5_000_000).contains(&on_its_way), "{on_its_way}");
    let mut listener = bench.tapped_child(key(1), PROTOCOL, "b.log");
    listener.write_all(b"READY\n").unwrap();
    assert_eq!(bench.next().data, b"READY\n");
    // Nobody wants it any more: the programs write on, into their logs.
    bench.tapped.close();
    drop(held);
    bench.sync();
    for (n, written) in (10..40).zip(written) {
        let log = bench.path(&format!("{n}.log"));
        assert_eq!(fs::metadata(log).unwrap().len(), written as u64);
    }
}

#[test]
fn the_end_comes_after_all_output_however_long_that_takes() {
    let mut bench = Bench::new();
    let mut child = bench.tapped_child(key(1), LOG, "a.log");
    let written = fill(&bench, &mut child);
    // The pipe is still open: somebody else has it.
    bench.handle.ended(key(1), 1);
    bench.sync();
    let mut seen = Vec::new();
    let end = loop {
        let tapped = bench.next();
        seen.extend(tapped.data);
        if tapped.what == What::End {
            break seen.len();
        }
    };
    assert_eq!(end, written.len());
    assert!(seen == written);
    assert_eq!(bench.heard(), []);
}

#[test]
fn a_process_that_is_removed_loses_nothing_for_want_of_room() {
    let mut bench = Bench::new();
    let mut child = bench.tapped_child(key(1), LOG, "a.log");
    let written = fill(&bench, &mut child);
    bench.handle.remove(key(1));
    bench.sync();
    assert!(fs::read(bench.path("a.log")).unwrap() == written);
    let mut seen = Vec::new();
    while let Ok(tapped) = bench.tapped.try_recv() {
        seen.extend(tapped.data);
    }
    assert!(seen == written);
    assert!(child.write(b"x").is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe));
}
