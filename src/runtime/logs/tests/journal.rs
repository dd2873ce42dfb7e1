//! Output and lines that go to the journal.

use super::*;
use crate::model::message::{Field, Kind};
use crate::systemd::journal::testing::decode;

/// A journald in the bench's directory.
fn journald(dir: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(dir.join("journal")).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// A bench with a journald; `stdout` is what the copy of the main log would go to.
fn bench(main: impl FnOnce(&mut MainLogPlan), is_journal: bool) -> (Bench, UnixDatagram, File) {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
    let mut socket = None;
    let bench = Bench::with(main, |around| {
        let dir = around.journal.parent().unwrap().to_owned();
        socket = Some(journald(&dir));
        around.journal = dir.join("journal");
        around.stdout = Some(writer);
        around.stdout_is_journal = is_journal;
    });
    (bench, socket.unwrap(), reader.into())
}

/// The fields of the next entry.
fn next(socket: &UnixDatagram) -> Option<Vec<(String, String)>> {
    let mut buffer = vec![0; 1 << 17];
    let count = socket.recv(&mut buffer).ok()?;
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    Some(decode(&buffer[..count]).into_iter().map(|(name, value)| (name, text(value))).collect())
}

fn get<'a>(fields: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

fn messages(socket: &UnixDatagram) -> Vec<String> {
    let message = |fields: Vec<_>| get(&fields, "MESSAGE").unwrap().to_owned();
    std::iter::from_fn(|| next(socket)).map(message).collect()
}

fn to_journal(bench: &Bench) -> ChannelPlan {
    ChannelPlan { journal: Some("shop".into()), file: None, ..bench.plan("unused") }
}

#[test]
fn the_copy_goes_where_stdout_is_read_as_lines_or_as_entries() {
    // C-384
    for is_journal in [false, true] {
        let (bench, socket, mut stdout) = bench(|main| main.copy_to_stdout = true, is_journal);
        let record = Record::new(Level::Warn, "hm").of(Kind::LogTrouble).with(Field::Error, "x");
        bench.handle.record(record);
        assert_eq!(bench.main_log(), "WARN hm\n");
        let mut copy = String::new();
        let _ = stdout.read_to_string(&mut copy); // there is nothing, or no more
        if is_journal {
            assert_eq!(copy, "");
            let entry = next(&socket).unwrap();
            assert_eq!(get(&entry, "MESSAGE"), Some("hm"));
            assert_eq!(get(&entry, "PRIORITY"), Some("4"));
            assert_eq!(get(&entry, "MESSAGE_ID"), Some(Kind::LogTrouble.id()));
            assert_eq!(get(&entry, "SUPERVISOR_ERROR"), Some("x"));
        } else {
            assert_eq!(without_times(&copy), "WARN hm\n");
        }
        assert!(next(&socket).is_none());
    }
}

#[test]
fn trouble_with_the_main_log_is_told_in_the_journal() {
    let (bench, socket, _stdout) = bench(
        |main| {
            main.target = MainTarget::File("/dev/full".into());
            main.copy_to_stdout = true;
        },
        true,
    );
    bench.handle.record(Record::new(Level::Info, "hello"));
    bench.sync();
    let said = messages(&socket);
    assert_eq!(said[0], "hello");
    assert!(said[1].starts_with("can't write log /dev/full: ENOSPC"), "{said:?}");
}

#[test]
fn output_is_entries_while_the_child_lives_and_after() {
    let (bench, socket, _stdout) = bench(|_| {}, false);
    let plan = to_journal(&bench);
    let mut child = bench.child(key(1), &plan);
    child.write_all(b"one\n<4>two\r\n\nrest").unwrap();
    bench.sync();
    let one = next(&socket).unwrap();
    assert_eq!(get(&one, "MESSAGE"), Some("one"));
    assert_eq!(get(&one, "SYSLOG_IDENTIFIER"), Some("shop"));
    assert_eq!(get(&one, "OBJECT_PID"), Some("42"));
    let two = next(&socket).unwrap();
    assert_eq!((get(&two, "MESSAGE"), get(&two, "PRIORITY")), (Some("two"), Some("4")));
    assert!(next(&socket).is_none(), "an empty line is none, an unfinished one waits");
    bench.handle.ended(key(1), 1);
    bench.sync();
    let rest = next(&socket).unwrap();
    assert_eq!(get(&rest, "MESSAGE"), Some("rest"));
    assert_eq!(get(&rest, "SUPERVISOR_LINE_BREAK"), Some("eof"));
    assert_eq!(get(&rest, "SUPERVISOR_PID"), Some("42"));
    assert_eq!(get(&rest, "OBJECT_PID"), None, "the pid may be somebody else's by now");
    // A line of the daemon about a child that never was.
    bench.handle.note(key(1), Arc::new(plan), "supervisor: couldn't exec");
    bench.sync();
    let note = next(&socket).unwrap();
    assert_eq!(get(&note, "MESSAGE"), Some("supervisor: couldn't exec"));
    assert_eq!((get(&note, "PRIORITY"), get(&note, "SUPERVISOR_PID")), (Some("3"), None));
}

#[test]
fn many_short_lines_wait_in_the_pipe_and_not_in_memory_and_none_is_lost() {
    let (bench, socket, _stdout) = bench(|_| {}, false);
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut child = bench.child(key(1), &to_journal(&bench));
    let mut quick = bench.child(key(2), &bench.plan("a.log"));
    let total = 60_000;
    let writer = thread::spawn(move || {
        for n in 0..total {
            writeln!(child, "{n}").unwrap();
        }
    });
    // Others are not held up, although nobody reads the journal yet.
    quick.write_all(b"not held up").unwrap();
    bench.runtime.block_on(bench.handle.sync(Some(key(2)))).unwrap();
    assert_eq!(bench.text("a.log"), "not held up");
    for n in 0..total {
        let entry = next(&socket).expect("a line");
        assert_eq!(get(&entry, "MESSAGE"), Some(n.to_string().as_str()));
    }
    writer.join().unwrap();
    assert_eq!(bench.main_log(), "");
}

#[test]
fn without_a_journal_output_is_in_the_main_log() {
    let bench = Bench::new();
    let mut child = bench.child(key(1), &to_journal(&bench));
    child.write_all(b"one\ntw\xff\n").unwrap();
    let log = bench.main_log();
    assert!(log.starts_with("INFO web stdout: one\nINFO web stdout: tw\u{fffd}\nERRO "), "{log}");
    assert_eq!(log.matches("no journal at").count(), 1);
}

#[test]
fn a_main_log_that_leaves_such_lines_out_has_them_wait_for_the_journal() {
    let bench = Bench::with(|main| main.level = Level::Warn, |_| {});
    let mut child = bench.child(key(1), &to_journal(&bench));
    child.write_all(b"early\n").unwrap();
    assert!(bench.main_log().starts_with("ERRO no journal at "));
    let socket = UnixDatagram::bind(bench.path("no-journal")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(get(&next(&socket).expect("it comes by itself"), "MESSAGE"), Some("early"));
}
