//! The output of programs on its way to the journal: an entry for each line, under the program's
//! own name.
//!
//! The child writes to a pipe as always, and the daemon sends the entries. A stream socket of
//! journald's own as its standard output would save that step, but then nobody here would see
//! what it writes: no events, no captured communication, no `supervisorctl fg`, no
//! `strip_ansi`; and the entries would have no field that says which process it is.

use serde::{Deserialize, Serialize};

use super::lines::Lines;
use super::plan::ChannelKey;
use crate::model::name::ProcessName;
use crate::systemd::journal::{Entry, LineEnd, Source, take_priority};

/// A longer line goes in parts: journald's own limit for streams (`LineMax=`).
const LONGEST: usize = 48 * 1024;

/// Bytes that are read at once: short lines get many times as long with their fields.
pub(super) const PIECE: usize = 4 * 1024;

/// One channel of one child.
#[derive(Debug)]
pub(super) struct ToJournal {
    lines: Lines,
    cutter: Cutter,
}

#[derive(Debug)]
struct Cutter {
    source: Source,
    /// The priority of the line whose first part has gone.
    continued: Option<u8>,
    /// The child lives: journald can look at it.
    alive: bool,
}

/// Where a channel's way to the journal stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JournalLeft {
    lines: Lines,
    continued: Option<u8>,
    alive: bool,
}

impl JournalLeft {
    /// Whether it is as it may be between two pieces of output.
    pub(super) fn fits(&self) -> bool {
        self.lines.fits()
    }
}

impl ToJournal {
    /// Takes it to another daemon.
    pub(super) fn hand_over(self) -> JournalLeft {
        let Self { lines, cutter: Cutter { continued, alive, .. } } = self;
        JournalLeft { lines, continued, alive }
    }

    /// Goes on where another daemon stopped.
    pub(super) fn resume(&mut self, left: JournalLeft) {
        let JournalLeft { lines, continued, alive } = left;
        self.lines = lines;
        (self.cutter.continued, self.cutter.alive) = (continued, alive);
    }

    pub(super) fn new(name: &ProcessName, program: &str, key: ChannelKey, pid: i32) -> Self {
        let source = Source::new(name, program, key.channel, pid);
        let cutter = Cutter { source, continued: None, alive: true };
        Self { lines: Lines::new(LONGEST), cutter }
    }

    /// The child is gone; what comes still is from it or its descendants.
    pub(super) fn ended(&mut self) {
        self.cutter.alive = false;
    }

    /// Takes output in, and hands over entries: the line's text, and the entry.
    pub(super) fn feed(&mut self, data: &[u8], mut send: impl FnMut(&[u8], Entry)) {
        let Self { lines, cutter } = self;
        lines.feed(data, |line, end| cutter.take(line, end, &mut send));
    }

    /// Hands over what is left at the end.
    pub(super) fn finish(&mut self, mut send: impl FnMut(&[u8], Entry)) {
        let Self { lines, cutter } = self;
        lines.finish(|line, end| cutter.take(line, end, &mut send));
    }
}

impl Cutter {
    fn take(&mut self, line: &[u8], end: LineEnd, send: &mut impl FnMut(&[u8], Entry)) {
        let (priority, text) = match self.continued.take() {
            Some(priority) => (priority, line),
            None => take_priority(line),
        };
        self.continued = (end == LineEnd::TooLong).then_some(priority);
        let text = text.strip_suffix(b"\r").filter(|_| end != LineEnd::TooLong).unwrap_or(text);
        // journald has no use for empty lines either.
        if !text.is_empty() {
            send(text, self.source.line(priority, text, end, self.alive));
        }
    }
}
