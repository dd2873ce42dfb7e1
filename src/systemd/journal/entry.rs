//! Entries as journald takes them: its native protocol, and what this program's lines are in it.

use std::io::Write as _;

use crate::model::exit::ExitStatus;
use crate::model::message::Field;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record, Subject};
use crate::model::snapshot::Channel;

/// What the daemon calls itself in `SYSLOG_IDENTIFIER`.
pub const IDENTIFIER: &str = "supervisord";

/// Facility daemon, as syslog(3) numbers it.
const FACILITY: &str = "3";

/// Priorities of sd-daemon(3).
const INFO: u8 = 6;

/// One entry: fields, one after the other. A value with a newline in it goes with its length in
/// front (64 bits, little endian), every other one as `NAME=value`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// Adds a field. The name is one of this program's, so it needs no check.
    pub fn add(&mut self, name: &'static str, value: &[u8]) {
        self.0.reserve(name.len() + value.len() + 10);
        self.0.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') {
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    /// Adds a field whose value is a number.
    pub fn add_number(&mut self, name: &'static str, value: impl Into<i64>) {
        // Writing to memory cannot fail.
        let _ = writeln!(self.0, "{name}={}", value.into());
    }

    /// The bytes to send.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn add_own(&mut self, field: Field, value: &impl ToString) {
        self.add(field.name(), value.to_string().as_bytes());
    }

    fn add_name(&mut self, name: &ProcessName) {
        self.add_own(Field::Process, name);
        self.add(Field::Group.name(), name.group.as_bytes());
    }

    fn add_subject(&mut self, subject: &Subject) {
        self.add_name(&subject.name);
        if let Some(program) = &subject.program {
            self.add(Field::Program.name(), program.as_bytes());
        }
        if subject.pid != 0 {
            self.add_number(Field::Pid.name(), subject.pid);
        }
        if subject.alive {
            // journald adds what it knows of this process.
            self.add_number("OBJECT_PID", subject.pid);
        }
        if let Some(state) = subject.state {
            self.add_own(Field::State, &state);
        }
        match subject.exit {
            Some(ExitStatus::Code(code)) => self.add_number(Field::ExitStatus.name(), code),
            Some(ExitStatus::Signal { signal, .. }) => self.add_own(Field::ExitSignal, &signal),
            Some(ExitStatus::Unknown) | None => {}
        }
        if let Some(signal) = subject.signal {
            self.add_own(Field::Signal, &signal);
        }
    }
}

/// The priority of a line of the daemon's own log.
#[must_use]
pub fn priority(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => INFO,
        Level::Debug | Level::Trace | Level::Blather => 7,
    }
}

/// A line of the daemon's own log; time and level are no part of its text.
#[must_use]
pub fn of_record(record: &Record) -> Entry {
    let mut entry = Entry::default();
    entry.add("MESSAGE", record.text.trim_end_matches('\n').as_bytes());
    entry.add_number("PRIORITY", priority(record.level));
    entry.add("SYSLOG_FACILITY", FACILITY.as_bytes());
    entry.add("SYSLOG_IDENTIFIER", IDENTIFIER.as_bytes());
    if let Some(kind) = record.kind {
        entry.add("MESSAGE_ID", kind.id().as_bytes());
    }
    if let Some(subject) = &record.subject {
        entry.add_subject(subject);
    }
    for (field, value) in &record.fields {
        entry.add(field.name(), value.as_bytes());
    }
    entry
}

/// What is the same in all entries of one channel of one child.
#[derive(Debug)]
pub struct Source {
    head: Vec<u8>,
    pid: i32,
}

/// How a line of a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// With a newline.
    Newline,
    /// It is too long: the rest follows as another line.
    TooLong,
    /// With the end of the output.
    Eof,
}

impl Source {
    /// The channel of a child.
    #[must_use]
    pub fn new(name: &ProcessName, program: &str, channel: Channel, pid: i32) -> Self {
        let mut entry = Entry::default();
        entry.add("SYSLOG_IDENTIFIER", program.as_bytes());
        entry.add("SYSLOG_FACILITY", FACILITY.as_bytes());
        entry.add_name(name);
        entry.add(Field::Program.name(), program.as_bytes());
        entry.add(Field::Channel.name(), channel.name().as_bytes());
        if pid != 0 {
            // The sender is the daemon: `_PID` is not the child's.
            entry.add_number("SYSLOG_PID", pid);
            entry.add_number(Field::Pid.name(), pid);
        }
        Self { head: entry.into_bytes(), pid }
    }

    /// One line that the child wrote, without its newline.
    #[must_use]
    pub fn line(&self, priority: u8, line: &[u8], end: LineEnd, alive: bool) -> Entry {
        let mut bytes = Vec::with_capacity(self.head.len() + line.len() + 64);
        bytes.extend_from_slice(&self.head);
        let mut entry = Entry(bytes);
        entry.add_number("PRIORITY", priority);
        if alive && self.pid != 0 {
            entry.add_number("OBJECT_PID", self.pid);
        }
        match end {
            LineEnd::Newline => {}
            LineEnd::TooLong => entry.add(Field::LineBreak.name(), b"line-max"),
            LineEnd::Eof => entry.add(Field::LineBreak.name(), b"eof"),
        }
        entry.add("MESSAGE", line);
        entry
    }
}

/// Takes a priority off the front of a line that a program wrote: `<N>`, as sd-daemon(3) has it.
/// Without one it is informational, whatever the channel: that a program writes to its standard
/// error says nothing about importance, and systemd does the same with services.
#[must_use]
pub fn take_priority(line: &[u8]) -> (u8, &[u8]) {
    let digits = line.iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
    if line.first() == Some(&b'<')
        && (1..=3).contains(&digits)
        && line.get(1 + digits) == Some(&b'>')
    {
        let number = line[1..=digits].iter().fold(0_u16, |n, b| n * 10 + u16::from(b - b'0'));
        if let Ok(priority @ 0..=7) = u8::try_from(number) {
            return (priority, &line[digits + 2..]);
        }
    }
    (INFO, line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::decode;
    use super::*;
    use crate::model::message::Kind;
    use crate::model::signal::Signal;
    use crate::model::state::ProcessState;

    const NAMES: [&str; 3] = ["MESSAGE", "SUPERVISOR_PROCESS", "X"];

    proptest! {
        #[test]
        fn what_is_decoded_is_what_was_encoded(
            fields in prop::collection::vec((0..3_usize, prop::collection::vec(any::<u8>(), 0..300)), 0..9)
        ) {
            let mut entry = Entry::default();
            let mut expected = Vec::new();
            for (name, value) in fields {
                entry.add(NAMES[name], &value);
                expected.push((NAMES[name].to_owned(), value));
            }
            prop_assert_eq!(decode(&entry.into_bytes()), expected);
        }

        #[test]
        fn any_line_of_a_program_stays_what_it_is(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let source = Source::new(&ProcessName::new("g", "a"), "p", Channel::Stdout, 7);
            let (priority, rest) = take_priority(&line);
            let fields = decode(&source.line(priority, rest, LineEnd::Newline, false).into_bytes());
            let (name, value) = fields.last().unwrap();
            prop_assert_eq!(name.as_str(), "MESSAGE");
            prop_assert!(line.ends_with(value) && line.len() - value.len() <= 5);
        }
    }

    fn text(entry: Entry) -> String {
        let show = |(name, value): (String, Vec<u8>)| {
            format!("{name}={}", String::from_utf8(value).unwrap())
        };
        decode(&entry.into_bytes()).into_iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_value_with_a_newline_has_its_length_in_front() {
        let mut entry = Entry::default();
        entry.add("A", b"one");
        entry.add("B", b"1\n2");
        assert_eq!(entry.into_bytes(), b"A=one\nB\n\x03\0\0\0\0\0\0\x001\n2\n");
    }

    #[test]
    fn a_record_is_an_entry_with_all_that_it_knows() {
        let name = ProcessName::new("web", "api");
        let status = ExitStatus::Signal { signal: Signal::KILL, core_dumped: false };
        let subject = Subject {
            program: Some("shop".into()),
            pid: 42,
            alive: true,
            state: Some(ProcessState::Running),
            ..Subject::new(&name)
        };
        let record = Record::new(Level::Warn, "exited").of(Kind::ProcessFailed).on(subject);
        assert_eq!(
            text(of_record(&record.clone().state(ProcessState::Exited).ended(status))),
            "MESSAGE=exited PRIORITY=4 SYSLOG_FACILITY=3 SYSLOG_IDENTIFIER=supervisord \
             MESSAGE_ID=3b0ff73950994ba19f8e88eaf32ac0c6 SUPERVISOR_PROCESS=web:api \
             SUPERVISOR_GROUP=web SUPERVISOR_PROGRAM=shop SUPERVISOR_PID=42 \
             SUPERVISOR_STATE=EXITED SUPERVISOR_EXIT_SIGNAL=SIGKILL"
        );
        let alive = text(of_record(&record.signal(Signal::TERM).with(Field::Error, "why")));
        assert!(
            alive.contains(" OBJECT_PID=42 SUPERVISOR_STATE=RUNNING SUPERVISOR_SIGNAL=SIGTERM")
        );
        assert!(alive.ends_with(" SUPERVISOR_ERROR=why"), "{alive}");
    }

    #[test]
    fn levels_have_the_priorities_of_syslog() {
        use Level::{Blather, Critical, Debug, Error, Info, Trace, Warn};
        let all = [Critical, Error, Warn, Info, Debug, Trace, Blather];
        assert_eq!(all.map(priority), [2, 3, 4, 6, 7, 7, 7]);
    }

    #[test]
    fn a_line_may_say_how_important_it_is() {
        for (line, priority, rest) in [
            ("<3>broken", 3, "broken"),
            ("<007>x", 7, "x"),
            ("<0>", 0, ""),
            ("<8>x", 6, "<8>x"),
            ("<999>x", 6, "<999>x"),
            ("<0001>x", 6, "<0001>x"),
            ("<>x", 6, "<>x"),
            ("<3", 6, "<3"),
            ("< 3>x", 6, "< 3>x"),
            ("x<3>", 6, "x<3>"),
            ("", 6, ""),
        ] {
            assert_eq!(take_priority(line.as_bytes()), (priority, rest.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_line_of_a_program_is_filed_under_its_own_name() {
        let source = Source::new(&ProcessName::new("web", "web"), "web", Channel::Stderr, 7);
        assert_eq!(
            text(source.line(6, b"hello", LineEnd::Newline, true)),
            "SYSLOG_IDENTIFIER=web SYSLOG_FACILITY=3 SUPERVISOR_PROCESS=web SUPERVISOR_GROUP=web \
             SUPERVISOR_PROGRAM=web SUPERVISOR_CHANNEL=stderr SYSLOG_PID=7 SUPERVISOR_PID=7 \
             PRIORITY=6 OBJECT_PID=7 MESSAGE=hello"
        );
        let rest = text(source.line(3, b"x", LineEnd::Eof, false));
        assert!(rest.ends_with(" PRIORITY=3 SUPERVISOR_LINE_BREAK=eof MESSAGE=x"), "{rest}");
        let part = text(source.line(6, b"x", LineEnd::TooLong, false));
        assert!(part.contains(" SUPERVISOR_LINE_BREAK=line-max "), "{part}");
    }
}
