//! Signals by number and by name (C-048, C-166).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A signal number of Linux, 0 to 64. Zero is accepted where upstream accepts it (C-048).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal(pub i32);

/// Names and numbers; where a number has several names, the one that is shown comes first.
const NAMES: &[(&str, i32)] = &[
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGIOT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGSTKFLT", 16),
    ("SIGCHLD", 17),
    ("SIGCLD", 17),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGVTALRM", 26),
    ("SIGPROF", 27),
    ("SIGWINCH", 28),
    ("SIGPOLL", 29),
    ("SIGIO", 29),
    ("SIGPWR", 30),
    ("SIGSYS", 31),
    ("SIGRTMIN", 34),
    ("SIGRTMAX", 64),
];

impl Signal {
    /// Asks a process to hang up or reload.
    pub const HUP: Signal = Signal(1);
    /// Interrupt from the keyboard.
    pub const INT: Signal = Signal(2);
    /// Quit from the keyboard.
    pub const QUIT: Signal = Signal(3);
    /// Ends a process without asking it.
    pub const KILL: Signal = Signal(9);
    /// Lets a stopped process go on.
    pub const CONT: Signal = Signal(18);
    /// A child ended.
    pub const CHLD: Signal = Signal(17);
    /// Asks a process to reopen its logs, by convention.
    pub const USR2: Signal = Signal(12);
    /// `SIGUSR1`.
    pub const USR1: Signal = Signal(10);
    /// Asks a process to end.
    pub const TERM: Signal = Signal(15);

    /// Reads a number, or a name with or without `SIG` in any case, blanks around it allowed
    /// (C-048).
    ///
    /// # Errors
    /// The text of C-048 when there is no such signal.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        if let Ok(number) = trimmed.parse::<i32>() {
            return Self::from_number(number)
                .ok_or_else(|| format!("value '{text}' is not a valid signal number"));
        }
        let upper = trimmed.to_ascii_uppercase();
        let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, number)| Signal(number))
            .ok_or_else(|| format!("value '{text}' is not a valid signal name"))
    }

    /// The signal with this number: 0, or one that has a name.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (number == 0 || NAMES.iter().any(|&(_, n)| n == number)).then_some(Signal(number))
    }
}

impl fmt::Display for Signal {
    /// The name, or `signal N` where there is none (C-166).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_number_and_name() {
        // C-048
        for text in ["15", "TERM", "SIGTERM", "sigterm", " term "] {
            assert_eq!(Signal::parse(text), Ok(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("CLD"), Ok(Signal(17)));
        assert_eq!(Signal::parse("RTMIN"), Ok(Signal(34)));
        assert_eq!(Signal::parse("0"), Ok(Signal(0)));
        assert_eq!(
            Signal::parse("RTMIN+1").unwrap_err(),
            "value 'RTMIN+1' is not a valid signal name"
        );
        assert_eq!(Signal::parse("35").unwrap_err(), "value '35' is not a valid signal number");
        assert_eq!(Signal::parse("FOO").unwrap_err(), "value 'FOO' is not a valid signal name");
    }

    #[test]
    fn aliases_are_shown_by_one_name() {
        // C-166
        assert_eq!(Signal(6).to_string(), "SIGABRT");
        assert_eq!(Signal(17).to_string(), "SIGCHLD");
        assert_eq!(Signal(29).to_string(), "SIGPOLL");
        assert_eq!(Signal(35).to_string(), "signal 35");
    }
}
