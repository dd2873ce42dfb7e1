//! Brings the output of programs to where it belongs.

use std::time::SystemTime;

use super::journal::ToJournal;
use super::main_log::MainLog;
use super::output::Shape;
use super::plane::Plane;
use super::syslog::Syslog;
use super::tap::{Captured, What};
use super::text::echo;
use crate::core::capture::Piece;
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::snapshot::Channel;
use crate::systemd::journal::{Entry, Journal};

impl Plane {
    /// Brings what was read from a pipe to all its places. Communications are taken out first,
    /// then escape sequences, as upstream does it.
    pub(super) fn deliver(&mut self, id: u64, data: &[u8]) {
        let Some(tap) = self.pipes.get_mut(&id).and_then(|pipe| pipe.tap.as_mut()) else {
            return self.strip(id, data);
        };
        if tap.protocol && tap.told() == 0 {
            tap.tell(data);
        }
        let Some(mut capture) = tap.capture.take() else { return self.strip(id, data) };
        capture.splitter.feed(data, |piece| match piece {
            Piece::Output(data) => self.strip(id, data),
            Piece::Inside(data) => self.echo(id, &capture.text.push(data)),
            Piece::Complete => self.communicate(id, &mut capture.text),
        });
        if let Some(tap) = self.pipes.get_mut(&id).and_then(|pipe| pipe.tap.as_mut()) {
            tap.capture = Some(capture);
        }
    }

    /// Brings what was moved from a pipe to its log to all other places.
    pub(super) fn show(&mut self, id: u64, data: &[u8]) {
        if let Some(tap) = self.pipes.get_mut(&id).and_then(|pipe| pipe.tap.as_mut())
            && tap.protocol
            && tap.told() == 0
        {
            tap.tell(data);
        }
        self.spread(id, data);
    }

    /// Tells of a communication that is complete (C-371).
    fn communicate(&mut self, id: u64, text: &mut Captured) {
        let Some(pipe) = self.pipes.get(&id) else { return };
        if let Some(tap) = &pipe.tap {
            tap.send(What::Communication, text.take());
        }
        let (name, channel) = (&pipe.plan.name, pipe.key.channel.name());
        let line = format!("'{}' {channel} emitted a comm event", name.process);
        let record = Record::about(Level::Debug, name, line);
        self.log(&record);
    }

    /// Removes escape sequences, where that is wanted, and passes the rest on.
    fn strip(&mut self, id: u64, data: &[u8]) {
        match self.pipes.get_mut(&id).and_then(|pipe| pipe.ansi.as_mut()) {
            Some(ansi) => {
                let mut stripped = std::mem::take(&mut self.stripped);
                ansi.strip(data, &mut stripped);
                self.put(id, &stripped);
                stripped.clear();
                self.stripped = stripped;
            }
            None => self.put(id, data),
        }
    }

    /// Brings output to its log, and to whoever else gets what is logged.
    fn put(&mut self, id: u64, data: &[u8]) {
        let Some(pipe) = self.pipes.get(&id).filter(|_| !data.is_empty()) else { return };
        if let Some(sink) = pipe.sink {
            self.sinks.write(sink, data, Shape::Bytes);
        }
        self.spread(id, data);
    }

    /// Brings what is in its log to whoever else gets that.
    fn spread(&mut self, id: u64, data: &[u8]) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let name = &pipe.plan.name.process;
        if let Some(lines) = &mut pipe.lines {
            lines.feed(data, |line, _| self.syslog.send(&[name.as_bytes(), b" ", line].concat()));
        }
        self.journal_lines(id, |journal, send| journal.feed(data, send));
        if let Some(tap) = self.pipes.get(&id).and_then(|pipe| pipe.tap.as_ref())
            && tap.log
        {
            tap.send(What::Log, data.to_vec());
        }
        self.echo(id, data);
    }

    /// At level debug, output is in the daemon's log too.
    fn echo(&mut self, id: u64, data: &[u8]) {
        if self.main.logs(Level::Debug)
            && let Some(pipe) = self.pipes.get(&id)
        {
            let text = echo(&pipe.plan.name.process, pipe.key.channel, data);
            let record = Record::about(Level::Debug, &pipe.plan.name, text);
            self.log(&record);
        }
    }

    /// There is no more output of the child itself: lets out what was held back for a continuation
    /// that does not come, and ends the tap.
    pub(super) fn finish_output(&mut self, id: u64) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        if let Some(mut capture) = pipe.tap.as_mut().and_then(|tap| tap.capture.take()) {
            let mut held = Vec::new();
            let unfinished = capture.splitter.finish(|piece| match piece {
                Piece::Inside(data) => drop(capture.text.push(data)),
                Piece::Output(data) => held.extend_from_slice(data),
                Piece::Complete => {}
            });
            if unfinished {
                self.say_unfinished(id, capture.text.take().len());
            }
            self.strip(id, &held);
        }
        let mut rest = Vec::new();
        if let Some(ansi) = self.pipes.get_mut(&id).and_then(|pipe| pipe.ansi.as_mut()) {
            ansi.finish(&mut rest);
        }
        self.put(id, &rest);
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let name = &pipe.plan.name.process;
        if let Some(lines) = &mut pipe.lines {
            lines.finish(|line, _| self.syslog.send(&[name.as_bytes(), b" ", line].concat()));
        }
        pipe.tap = None;
        self.journal_lines(id, |journal, send| journal.finish(send));
    }

    /// Sends to the journal what `cut` makes of the output of a pipe, if it goes there.
    fn journal_lines(
        &mut self,
        id: u64,
        cut: impl FnOnce(&mut ToJournal, &mut dyn FnMut(&[u8], Entry)),
    ) {
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        let Some(journal) = &mut pipe.journal else { return };
        let mut way = WayToJournal {
            journal: &mut self.journal,
            syslog: &mut self.syslog,
            main: &mut self.main,
            name: &pipe.plan.name,
            channel: pipe.key.channel,
        };
        cut(journal, &mut |line, entry| way.send(line, entry));
    }

    /// A communication was begun and not ended (C-372).
    fn say_unfinished(&mut self, id: u64, bytes: usize) {
        let Some(pipe) = self.pipes.get(&id) else { return };
        let (name, channel) = (&pipe.plan.name, pipe.key.channel.name());
        let text = format!(
            "'{}' {channel} began a comm event and did not end it, {bytes} bytes are dropped",
            name.process
        );
        let record = Record::about(Level::Warn, name, text);
        self.log(&record);
    }
}

/// Where lines for the journal go, be it there or not.
struct WayToJournal<'a> {
    journal: &'a mut Journal,
    syslog: &'a mut Syslog,
    main: &'a mut MainLog,
    name: &'a ProcessName,
    channel: Channel,
}

impl WayToJournal<'_> {
    /// Sends a line to the journal; without one, to the daemon's log, where people look next.
    fn send(&mut self, line: &[u8], entry: Entry) {
        if !self.journal.is_there() {
            let echoed = self.main.logs(Level::Debug);
            let line = String::from_utf8_lossy(line);
            let text = format!("{} {}: {line}", self.name, self.channel.name());
            if echoed || self.main.push_text(self.syslog, SystemTime::now(), Level::Info, &text) {
                return;
            }
        }
        self.journal.send_output(entry);
    }
}
