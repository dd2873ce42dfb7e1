//! The daemon's own log: a file or syslog, and perhaps a copy on stdout (C-154, C-384).

use std::mem;
use std::time::SystemTime;

use super::output::Shape;
use super::sinks::{SinkId, Sinks};
use super::syslog::Syslog;
use super::text::head;
use crate::model::record::Level;

#[derive(Debug)]
pub(super) struct MainLog {
    level: Level,
    file: Option<SinkId>,
    syslog: bool,
    copy: Option<SinkId>,
    /// Lines of this turn, written together.
    lines: Vec<u8>,
}

impl MainLog {
    pub(super) fn new(
        level: Level,
        file: Option<SinkId>,
        syslog: bool,
        copy: Option<SinkId>,
    ) -> Self {
        Self { level, file, syslog, copy, lines: Vec::new() }
    }

    pub(super) fn logs(&self, level: Level) -> bool {
        level <= self.level
    }

    pub(super) fn file(&self) -> Option<SinkId> {
        self.file
    }

    /// Adds a line to what [`flush`](Self::flush) writes.
    pub(super) fn push(&mut self, syslog: &mut Syslog, at: SystemTime, level: Level, text: &str) {
        if !self.logs(level) {
            return;
        }
        let head = head(at, level);
        if self.syslog {
            // One record for each line, each with the time (C-380).
            for line in text.trim_end_matches('\n').split('\n') {
                syslog.send(format!("{head}{line}").as_bytes());
            }
        }
        if self.file.is_some() || self.copy.is_some() {
            self.lines.extend_from_slice(head.as_bytes());
            self.lines.extend_from_slice(text.as_bytes());
            self.lines.push(b'\n');
        }
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
