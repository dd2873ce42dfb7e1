//! The signals that the daemon listens for (C-139).

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::timeout;

use crate::model::signal::Signal;

/// After how long silence what a handler noted has been told.
const SETTLED: Duration = Duration::from_millis(1);

/// The signals that mean something to the daemon.
#[derive(Debug)]
pub struct Signals {
    child: SignalStream,
    others: [(Signal, SignalStream); 6],
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
                (Signal::USR1, listen(Signal::USR1)?),
                (Signal::USR2, listen(Signal::USR2)?),
            ],
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        let Self { child, others: [term, int, quit, hup, usr1, usr2] } = self;
        tokio::select! {
            biased;
            _ = child.recv() => Signal::CHLD,
            _ = term.1.recv() => term.0,
            _ = int.1.recv() => int.0,
            _ = quit.1.recv() => quit.0,
            _ = hup.1.recv() => hup.0,
            _ = usr1.1.recv() => usr1.0,
            _ = usr2.1.recv() => usr2.0,
        }
    }

    /// The signals that came and were not looked at, but for SIGCHLD, which says nothing that
    /// looking does not. To be called when no more can come to this process.
    pub async fn rest(&mut self) -> Vec<Signal> {
        let mut rest = Vec::new();
        // What a handler noted is told by the event loop when it is idle.
        while let Ok(signal) = timeout(SETTLED, self.next()).await {
            rest.push(signal);
        }
        rest.retain(|&signal| signal != Signal::CHLD);
        rest
    }
}
