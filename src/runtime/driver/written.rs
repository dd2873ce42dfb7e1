//! What the engine writes down in each turn, in case the daemon is killed, and what has to wait for
//! that.

use super::{Action, Engine};
use crate::core::changes::Piece;
use crate::core::key::ProcKey;
use crate::model::record::{Level, Record};

/// What a piece is called that is a child.
const CHILD: &str = "child/";

/// What was written down under this name: a part of the core's state, or a child.
#[derive(Debug)]
pub enum Written {
    /// Of the core.
    Core(Piece),
    /// A child.
    Child(ProcKey),
}

impl Written {
    /// What this name stands for; none when it is another's.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name.strip_prefix(CHILD) {
            Some(key) => key.parse().ok().map(|key| Self::Child(ProcKey(key))),
            None => name.parse().ok().map(Self::Core),
        }
    }
}

impl Engine {
    /// Writes down what changed, where it outlives this process.
    pub(super) fn write_down(&mut self) {
        let Some(checkpoint) = &mut self.checkpoint else { return };
        let core = self.core.take_changes(&mut |piece, bytes| {
            checkpoint.put(piece.to_string(), bytes);
        });
        let children = self.effects.take_changes(&mut |key, bytes| {
            checkpoint.put(format!("{CHILD}{}", key.0), bytes);
        });
        let outcome = core.and(children).map_err(std::io::Error::from);
        let outcome = outcome.and_then(|()| checkpoint.write());
        match outcome {
            Err(error) if !self.unwritable => {
                self.unwritable = true;
                let text = format!(
                    "the state cannot be written down, what happens from now on is forgotten if \
                     supervisord is killed: {error}"
                );
                self.effects.log(Record::new(Level::Critical, text));
            }
            outcome => self.unwritable &= outcome.is_err(),
        }
    }

    /// Does what must not be done before it is written down that it was decided: a child, or an
    /// event at its listener, that nobody knows of would be there twice.
    pub(super) fn when_written(&mut self, action: Action) {
        if self.checkpoint.is_some() {
            self.unwritten.push(action);
        } else {
            self.carry_out_written(action);
        }
    }

    pub(super) fn carry_out_written(&mut self, action: Action) {
        match action {
            Action::Spawn { key, generation, spec, logs } => {
                self.spawner.submit(key, generation, spec, logs);
            }
            Action::Deliver { run, serial, data } => self.effects.deliver(run, serial, data),
            action => self.carry_out(action),
        }
    }
}
