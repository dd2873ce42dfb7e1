//! Takes output out of the pipes. Where it goes to a regular file, a byte leaves the pipe by getting
//! into the file, in one system call: a daemon that is killed loses and repeats nothing, the next
//! one goes on with what is in the pipe. What has to be seen too is looked at first.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::mem;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::unistd::read;

use super::journal::PIECE;
use super::output::Shape;
use super::pace::Next;
use super::pipe::{DRAIN_MOST, Pipe};
use super::plan::ChannelKey;
use super::plane::Plane;
use super::sinks::SinkId;
use super::tap::Tap;
use crate::core::action::Generation;
use crate::model::record::Level;

/// What is moved between two pipes' turns without passing through this process.
const MOVE_MOST: usize = 1 << 20;

/// What a look into a pipe found.
enum Taken {
    /// This many bytes; `emptied` is false when there may be more.
    Bytes { count: usize, emptied: bool },
    /// Its end.
    End,
    /// The sink or the tap takes nothing at the moment.
    Refused,
    /// What is there stays until it is confirmed.
    Told,
}

impl Pipe {
    /// Whether its log gets every byte as it comes, and no other.
    fn is_logged_as_it_is(&self) -> bool {
        self.ansi.is_none() && self.tap.as_ref().is_none_or(|tap| tap.capture.is_none())
    }

    /// Whether its bytes go anywhere but to its file.
    fn is_seen(&self) -> bool {
        self.tap.as_ref().is_some_and(|tap| tap.log || (tap.protocol && tap.told() == 0))
            || self.lines.is_some()
            || self.journal.is_some()
    }
}

impl Plane {
    /// One turn of a pipe: one piece of output, and when to look again.
    pub(super) fn turn(&mut self, id: u64) {
        let taken = self.take(id);
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        match taken {
            Taken::End => self.close(id),
            Taken::Refused => self.paused.push(id),
            // When it is confirmed, it gets another turn.
            Taken::Told => {}
            Taken::Bytes { count, emptied } => {
                let now = Instant::now();
                match pipe.pace_after(count, emptied, now, &mut self.enlarged) {
                    Next::Again => self.ready.push_back(id),
                    Next::Gather(wait) => self.gathering.push(Reverse((now + wait, id))),
                    Next::Arm => self.await_output(id),
                }
            }
        }
    }

    /// Moves what a pipe holds that is about to be closed.
    pub(super) fn drain_all(&mut self, id: u64) {
        if let Some(tap) = self.tap_of(id) {
            tap.overdraw();
        }
        self.drain(id);
    }

    pub(super) fn drain(&mut self, id: u64) {
        let mut drained = 0;
        while drained < DRAIN_MOST {
            match self.take(id) {
                Taken::Bytes { count: 0, .. } | Taken::Refused | Taken::Told => return,
                Taken::Bytes { count, .. } => drained += count,
                Taken::End => return self.close(id),
            }
        }
    }

    /// Takes a piece of output, and sees when it was the last of a child that is gone.
    fn take(&mut self, id: u64) -> Taken {
        let taken = self.take_piece(id);
        if let Taken::Bytes { count, emptied } = taken
            && let Some(pipe) = self.pipes.get_mut(&id)
            && let Some(left) = pipe.left
        {
            // What more there is comes from descendants.
            pipe.left = (!emptied && count < left).then(|| left - count);
            if pipe.left.is_none() {
                if let Some(journal) = &mut pipe.journal {
                    journal.ended();
                }
                self.finish_output(id);
            }
        }
        taken
    }

    fn take_piece(&mut self, id: u64) -> Taken {
        let Some(pipe) = self.pipes.get_mut(&id) else { return Taken::Refused };
        if pipe.sink.is_some_and(|sink| self.sinks.is_congested(sink))
            || (pipe.journal.is_some() && self.journal.is_congested())
        {
            return Taken::Refused;
        }
        if let Some(tap) = &mut pipe.tap {
            if tap.confirmed() > 0 {
                return self.log_confirmed(id);
            }
            if tap.told() > 0 {
                return Taken::Told;
            }
            if !tap.has_room() {
                return Taken::Refused;
            }
            if tap.is_careful() {
                return self.tell_ahead(id);
            }
        }
        self.log_piece(id, MOVE_MOST)
    }

    /// Brings a piece of up to `most` bytes to its log and wherever else it belongs.
    fn log_piece(&mut self, id: u64, most: usize) -> Taken {
        let Some(pipe) = self.pipes.get(&id) else { return Taken::Refused };
        // How much is read, or looked at, at once.
        let part = most.min(if pipe.journal.is_some() { PIECE } else { self.scratch.len() });
        if let Some(sink) = pipe.sink
            && pipe.is_logged_as_it_is()
            && self.sinks.takes_pipes(sink)
        {
            if pipe.is_seen() || self.main.logs(Level::Debug) {
                return self.look_and_move(id, sink, part);
            }
            if let Some(moved) = self.move_unseen(id, sink, most) {
                return moved;
            }
        }
        self.read_piece(id, part)
    }

    /// Moves what is in a pipe to its file; none when that cannot be, and it has to be read.
    fn move_unseen(&mut self, id: u64, sink: SinkId, most: usize) -> Option<Taken> {
        let pipe = self.pipes.get(&id)?.fd.as_fd();
        let mut moved = 0;
        // Several times where the file is rotated: what was written in one go stays together.
        loop {
            let rest = most - moved;
            let emptied = match self.sinks.apply(sink, |sink| sink.splice(pipe, rest))? {
                Ok((0, _)) if moved == 0 => return Some(Taken::End),
                Ok((count, emptied)) => {
                    moved += count;
                    emptied
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                Err(_) if moved == 0 => return None,
                // The next turn finds out.
                Err(_) => return Some(Taken::Bytes { count: moved, emptied: false }),
            };
            if emptied || moved == most {
                return Some(Taken::Bytes { count: moved, emptied });
            }
        }
    }

    /// Looks at what is in a pipe, moves just that to its file, and then shows it to whoever wants
    /// to see it.
    fn look_and_move(&mut self, id: u64, sink: SinkId, most: usize) -> Taken {
        self.look(id, most, |plane, seen| {
            plane.move_seen(id, sink, seen);
            plane.show(id, seen);
        })
    }

    /// Tells what is in a pipe, which stays there.
    fn tell_ahead(&mut self, id: u64) -> Taken {
        let mut for_log = false;
        let looked = self.look(id, self.scratch.len(), |plane, seen| {
            if let Some(tap) = plane.tap_of(id) {
                tap.tell(seen);
                for_log = tap.confirmed() > 0;
            }
        });
        match looked {
            Taken::Bytes { count: 1.., .. } if for_log => self.log_confirmed(id),
            Taken::Bytes { count: 1.., .. } => Taken::Told,
            nothing => nothing,
        }
    }

    /// Brings to the log what was told and is confirmed.
    fn log_confirmed(&mut self, id: u64) -> Taken {
        let most = self.tap_of(id).map_or(0, Tap::confirmed);
        let taken = self.log_piece(id, most);
        if let Taken::Bytes { count, .. } = taken
            && let Some(tap) = self.tap_of(id)
        {
            tap.logged(count);
        }
        taken
    }

    /// The engine has taken so many bytes of what a listener said into its state.
    pub(super) fn confirm(&mut self, key: ChannelKey, generation: Generation, bytes: usize) {
        for id in self.by_channel.get(&key).cloned().unwrap_or_default() {
            if self.pipes.get(&id).is_some_and(|pipe| pipe.generation == generation)
                && let Some(tap) = self.tap_of(id).filter(|tap| tap.told() > 0)
            {
                tap.confirm(bytes);
                self.turn(id);
            }
        }
    }

    fn tap_of(&mut self, id: u64) -> Option<&mut Tap> {
        self.pipes.get_mut(&id)?.tap.as_mut()
    }

    /// Does something with what is in a pipe, up to `most` bytes.
    fn look(&mut self, id: u64, most: usize, act: impl FnOnce(&mut Self, &mut [u8])) -> Taken {
        let Some(pipe) = self.pipes.get(&id) else { return Taken::Refused };
        let mut scratch = mem::take(&mut self.scratch);
        let looked = self.peek.look(pipe.fd.as_fd(), pipe.capacity(), &mut scratch[..most]);
        let taken = match looked {
            Err(Errno::EAGAIN) => Taken::Bytes { count: 0, emptied: true },
            Ok((0, _)) | Err(_) => Taken::End,
            Ok((count, emptied)) => {
                act(self, &mut scratch[..count]);
                Taken::Bytes { count, emptied }
            }
        };
        self.scratch = scratch;
        taken
    }

    /// Moves just these bytes, which are the next in a pipe, to its file. What that does not take is
    /// read and held back.
    fn move_seen(&mut self, id: u64, sink: SinkId, seen: &mut [u8]) {
        let Some(pipe) = self.pipes.get(&id).map(|pipe| pipe.fd.as_fd()) else { return };
        let mut moved = 0;
        while moved < seen.len() {
            let most = seen.len() - moved;
            match self.sinks.apply(sink, |sink| sink.splice(pipe, most)) {
                Some(Ok((count @ 1.., _))) => moved += count,
                _ => break,
            }
        }
        let rest = &mut seen[moved..];
        let mut count = 0;
        while count < rest.len() {
            match read(pipe, &mut rest[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        self.sinks.write(sink, rest, Shape::Bytes);
    }

    fn read_piece(&mut self, id: u64, most: usize) -> Taken {
        let Some(pipe) = self.pipes.get(&id) else { return Taken::Refused };
        let count = loop {
            match read(&pipe.fd, &mut self.scratch[..most]) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Taken::Bytes { count: 0, emptied: true },
                Err(_) => return Taken::End,
            }
        };
        if count == 0 {
            return Taken::End;
        }
        let emptied = count < most;
        let scratch = mem::take(&mut self.scratch);
        self.deliver(id, &scratch[..count]);
        self.scratch = scratch;
        Taken::Bytes { count, emptied }
    }
}
