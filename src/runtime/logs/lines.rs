//! Cuts a stream of bytes into lines, for what takes lines only.

use serde::{Deserialize, Serialize};

use crate::systemd::journal::LineEnd;

/// Parts of a line are no shorter: one has to have room for a character.
const SHORTEST: usize = 64;

/// Holds back the last, unfinished line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// A line that gets longer than this goes out in parts.
    longest: usize,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self { partial: Vec::new(), longest }
    }

    /// Whether it is as it may be between two pieces of output, with lines that can be cut.
    pub(super) fn fits(&self) -> bool {
        self.partial.len() <= self.longest && self.longest >= SHORTEST
    }

    /// Hands over every line that is finished, without its newline; empty ones too (C-380).
    pub(super) fn feed(&mut self, mut data: &[u8], mut line: impl FnMut(&[u8], LineEnd)) {
        while let Some(end) = data.iter().position(|&b| b == b'\n') {
            if self.partial.is_empty() && end <= self.longest {
                line(&data[..end], LineEnd::Newline);
            } else {
                self.extend(&data[..end], &mut line);
                line(&self.partial, LineEnd::Newline);
                self.partial.clear();
            }
            data = &data[end + 1..];
        }
        self.extend(data, &mut line);
    }

    /// Hands over what is left when the stream ends.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8], LineEnd)) {
        if !self.partial.is_empty() {
            line(&self.partial, LineEnd::Eof);
            self.partial = Vec::new();
        }
    }

    fn extend(&mut self, mut data: &[u8], line: &mut impl FnMut(&[u8], LineEnd)) {
        while self.partial.len() + data.len() > self.longest {
            let (first, rest) = data.split_at(self.longest - self.partial.len());
            self.partial.extend_from_slice(first);
            let cut = whole_characters(&self.partial);
            line(&self.partial[..cut], LineEnd::TooLong);
            self.partial.drain(..cut);
            data = rest;
        }
        self.partial.extend_from_slice(data);
    }
}

/// Where to cut so that no character of UTF-8 is torn; what is not UTF-8 is cut at its end.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(&bytes[bytes.len().saturating_sub(4)..]) {
        Err(error) if error.error_len().is_none() => {
            let good = bytes.len().saturating_sub(4) + error.valid_up_to();
            if good == 0 { bytes.len() } else { good }
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 8;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::new(LONGEST), Vec::new());
        let mut add = |line: &[u8], end: LineEnd| {
            let mark = match end {
                LineEnd::Newline => "",
                LineEnd::TooLong => "+",
                LineEnd::Eof => ".",
            };
            out.push(String::from_utf8_lossy(line).into_owned() + mark);
        };
        for piece in pieces {
            lines.feed(piece, &mut add);
        }
        lines.finish(add);
        out
    }

    #[test]
    fn a_line_may_come_in_pieces_and_the_last_may_lack_its_newline() {
        // C-380
        assert_eq!(lines(&[b"a\n\nb", b"c", b"\nd"]), ["a", "", "bc", "d."]);
        assert_eq!(lines(&[b"a\n"]), ["a"]);
        assert!(lines(&[b""]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_bounded() {
        let long = [b'x'; LONGEST * 2 + 5];
        assert_eq!(lines(&[&long, b"y\n"]), ["xxxxxxxx+", "xxxxxxxx+", "xxxxxy"]);
        assert_eq!(lines(&[b"12345678\n"]), ["12345678"]);
        assert_eq!(lines(&[b"1234", b"5678", b"9"]), ["12345678+", "9."]);
    }

    #[test]
    fn a_cut_tears_no_character() {
        assert_eq!(lines(&["1234567é9\n".as_bytes()]), ["1234567+", "é9"]);
        assert_eq!(lines(&["12345€\n".as_bytes()]), ["12345€"]);
        assert_eq!(lines(&["123456€\n".as_bytes()]), ["123456+", "€"]);
        assert_eq!(lines(&["12345🦀9".as_bytes()]), ["12345+", "🦀9."]);
        // What is no text is cut where it has to be.
        let (mut binary, mut sizes) = (Lines::new(LONGEST), Vec::new());
        binary.feed(&[0xff; 20], |line, _| sizes.push(line.len()));
        binary.feed(b"\n", |line, _| sizes.push(line.len()));
        assert_eq!(sizes, [8, 8, 4]);
    }
}
