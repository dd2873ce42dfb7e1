//! Lines of the daemon's own log, and the debug echo of what children write.

use std::fmt::Write;
use std::time::SystemTime;

use chrono::{DateTime, Local};

use crate::model::record::Level;
use crate::model::snapshot::Channel;

/// What is in front of a message: local time to the millisecond and the level (C-154).
pub(super) fn head(at: SystemTime, level: Level) -> String {
    format!("{} {level} ", DateTime::<Local>::from(at).format("%Y-%m-%d %H:%M:%S,%3f"))
}

/// A child's output as the log shows it at level debug (C-167).
pub(super) fn echo(process: &str, channel: Channel, data: &[u8]) -> String {
    let mut text = format!("{} {} output:\n", quoted(process), channel.name());
    if let Ok(data) = std::str::from_utf8(data) {
        text.push_str(data);
    } else {
        text.push_str("Undecodable: ");
        push_bytes(&mut text, data);
    }
    text
}

/// A name as Python shows a string.
fn quoted(name: &str) -> String {
    let quote = if name.contains('\'') && !name.contains('"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for c in name.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c == quote => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push(quote);
    text
}

/// Bytes as Python shows them.
fn push_bytes(text: &mut String, data: &[u8]) {
    let quote = if data.contains(&b'\'') && !data.contains(&b'"') { '"' } else { '\'' };
    text.push('b');
    text.push(quote);
    for &byte in data {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b if char::from(b) == quote => text.extend(['\\', quote]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_local_time_and_level() {
        // C-154
        let head = head(SystemTime::now(), Level::Info);
        assert_eq!(head.len(), "2024-01-02 03:04:05,678 INFO ".len());
        assert!(head.ends_with(" INFO ") && head.as_bytes()[19] == b',', "{head}");
    }

    #[test]
    fn output_is_echoed_as_text_or_as_python_shows_bytes() {
        // C-167
        assert_eq!(echo("web", Channel::Stdout, b"hi\n"), "'web' stdout output:\nhi\n");
        assert_eq!(
            echo("it's", Channel::Stderr, b"\xff'\\\n\"\x00a"),
            "\"it's\" stderr output:\nUndecodable: b'\\xff\\'\\\\\\n\"\\x00a'"
        );
    }
}
