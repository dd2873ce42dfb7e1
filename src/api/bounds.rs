//! How much a client may ask for or send at once.

use crate::model::fault::{Fault, FaultKind};
use crate::model::name::Target;

/// The longest name of a process or group that is looked up, in bytes.
pub const MAX_NAME: usize = 4096;
/// The most bytes of a log that one call returns.
pub const MAX_READ: i64 = 16 * 1024 * 1024;
/// The most bytes that one call writes to a stdin.
pub const MAX_STDIN: usize = 1024 * 1024;
/// The most bytes of type and data that one remote event has.
pub const MAX_EVENT: usize = 1024 * 1024;

/// Reads a name, unless it is longer than any can be.
pub(super) fn target(name: &str) -> Result<Target, Fault> {
    if name.len() > MAX_NAME {
        return Err(super::bad_name(name));
    }
    Ok(Target::parse(name))
}

/// Refuses more than `most` bytes.
pub(super) fn at_most(what: &str, size: usize, most: usize) -> Result<(), Fault> {
    if size > most {
        let text = format!("{what} of {size} bytes; at most {most} at once");
        return Err(Fault::new(FaultKind::BadArguments, text));
    }
    Ok(())
}

/// What a client sent, as far as it is worth telling back.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 256;
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = (0..=SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_name_is_no_name_and_is_not_told_back_whole() {
        let fault = target(&"é".repeat(MAX_NAME)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::BadName);
        assert!(fault.detail.len() < 300);
    }
}
