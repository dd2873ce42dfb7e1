//! What of a history was written down in pieces, and that it is all of it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::core::changes::Piece;
use crate::core::supervisor::Supervisor;

/// How many turns pass between two comparisons.
const EVERY: usize = 64;

/// The pieces so far.
#[derive(Debug, Default)]
pub struct Written {
    pieces: BTreeMap<Piece, Vec<u8>>,
    turns: usize,
}

impl Written {
    /// Takes in what changed in a turn; now and then, what was written must be the state.
    pub fn turn(&mut self, core: &mut Supervisor) {
        let pieces = &mut self.pieces;
        core.take_changes(&mut |piece, bytes| {
            match bytes {
                Some(bytes) => pieces.insert(piece, bytes),
                None => pieces.remove(&piece),
            };
        })
        .expect("it can be written");
        self.turns += 1;
        if self.turns.is_multiple_of(EVERY) {
            self.check(core);
        }
    }

    fn check(&self, core: &Supervisor) {
        let named = self.pieces.iter().map(|(piece, bytes)| {
            (piece.to_string().parse().expect("its name says what it is"), bytes.as_slice())
        });
        let read = Supervisor::from_pieces(named).expect("it can be read");
        assert_eq!(without_clients(&read), without_clients(core), "turn {}", self.turns);
        assert_eq!(read.check(), Ok(()));
    }
}

/// Clients are told by the end of their connections.
fn without_clients(core: &Supervisor) -> Value {
    let mut state = serde_json::to_value(core).expect("it can be written");
    state["waiters"] = Value::Null;
    state["ticks"]["clients"] = Value::Null;
    state
}
