//! The daemon's own log: a file, syslog or the journal, and perhaps a copy on stdout (C-154,
//! C-384). Where stdout is the journal, that copy is made of entries with fields instead of lines
//! of text with times that the journal knows anyway.

use std::mem;
use std::time::SystemTime;

use super::output::Shape;
use super::sinks::{SinkId, Sinks};
use super::syslog::Syslog;
use super::text::head;
use crate::model::record::{Level, Record};
use crate::systemd::journal::{self, Journal};

#[derive(Debug)]
pub(super) struct MainLog {
    level: Level,
    file: Option<SinkId>,
    syslog: bool,
    journal: bool,
    copy: Option<SinkId>,
    /// Lines of this turn, written together.
    lines: Vec<u8>,
}

impl MainLog {
    pub(super) fn new(
        level: Level,
        file: Option<SinkId>,
        syslog: bool,
        journal: bool,
        copy: Option<SinkId>,
    ) -> Self {
        Self { level, file, syslog, journal, copy, lines: Vec::new() }
    }

    pub(super) fn logs(&self, level: Level) -> bool {
        level <= self.level
    }

    pub(super) fn file(&self) -> Option<SinkId> {
        self.file
    }

    /// Whether lines go to the journal.
    pub(super) fn is_in_journal(&self) -> bool {
        self.journal
    }

    /// Adds a line to what [`flush`](Self::flush) writes.
    pub(super) fn push(
        &mut self,
        syslog: &mut Syslog,
        journal: &mut Journal,
        at: SystemTime,
        record: &Record,
    ) {
        if !self.logs(record.level) {
            return;
        }
        if self.journal {
            journal.send(journal::of_record(record));
        }
        self.push_text(syslog, at, record.level, &record.text);
    }

    /// The same, but not to the journal. Whether the line goes anywhere.
    pub(super) fn push_text(
        &mut self,
        syslog: &mut Syslog,
        at: SystemTime,
        level: Level,
        text: &str,
    ) -> bool {
        let written = self.file.is_some() || self.copy.is_some();
        if !self.logs(level) || !(written || self.syslog) {
            return false;
        }
        let head = head(at, level);
        if self.syslog {
            // One record for each line, each with the time (C-380).
            for line in text.trim_end_matches('\n').split('\n') {
                syslog.send(format!("{head}{line}").as_bytes());
            }
        }
        if written {
            self.lines.extend_from_slice(head.as_bytes());
            self.lines.extend_from_slice(text.as_bytes());
            self.lines.push(b'\n');
        }
        true
    }

    pub(super) fn flush(&mut self, sinks: &mut Sinks) {
        if self.lines.is_empty() {
            return;
        }
        let mut lines = mem::take(&mut self.lines);
        for sink in [self.file, self.copy].into_iter().flatten() {
            sinks.write(sink, &lines, Shape::Lines);
        }
        lines.clear();
        self.lines = lines;
    }
}
