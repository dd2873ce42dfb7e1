//! The signals that the daemon listens for (C-139).

use std::io;

use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::model::signal::Signal;

/// The signals that mean something to the daemon.
#[derive(Debug)]
pub struct Signals {
    child: SignalStream,
    others: [(Signal, SignalStream); 5],
}

impl Signals {
    /// Listens for them. Inside the event loop that is to hear them.
    ///
    /// # Errors
    /// A handler cannot be set.
    pub fn new() -> io::Result<Self> {
        let listen = |number: Signal| signal(SignalKind::from_raw(number.0));
        Ok(Self {
            child: listen(Signal::CHLD)?,
            others: [
                (Signal::TERM, listen(Signal::TERM)?),
                (Signal::INT, listen(Signal::INT)?),
                (Signal::QUIT, listen(Signal::QUIT)?),
                (Signal::HUP, listen(Signal::HUP)?),
                (Signal::USR2, listen(Signal::USR2)?),
            ],
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        let Self { child, others: [term, int, quit, hup, usr2] } = self;
        tokio::select! {
            biased;
            _ = child.recv() => Signal::CHLD,
            _ = term.1.recv() => term.0,
            _ = int.1.recv() => int.0,
            _ = quit.1.recv() => quit.0,
            _ = hup.1.recv() => hup.0,
            _ = usr2.1.recv() => usr2.0,
        }
    }
}
