//! Cuts a stream of bytes into lines, for what takes lines only.

/// A line that gets longer than this goes out in parts.
const LONGEST: usize = 8 * 1024;

/// Holds back the last, unfinished line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Hands over every line that is finished, without its newline; empty ones too (C-380).
    pub(super) fn feed(&mut self, mut data: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = data.iter().position(|&b| b == b'\n') {
            if self.partial.is_empty() && end <= LONGEST {
                line(&data[..end]);
            } else {
                self.extend(&data[..end], &mut line);
                line(&self.partial);
                self.partial.clear();
            }
            data = &data[end + 1..];
        }
        self.extend(data, &mut line);
    }

    /// Hands over what is left when the stream ends.
    pub(super) fn finish(&mut self, line: impl FnOnce(&[u8])) {
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial = Vec::new();
        }
    }

    fn extend(&mut self, data: &[u8], line: &mut impl FnMut(&[u8])) {
        for part in data.chunks(LONGEST) {
            if self.partial.len() + part.len() > LONGEST {
                line(&self.partial);
                self.partial.clear();
            }
            self.partial.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| out.push(String::from_utf8_lossy(line).into_owned()));
        }
        lines.finish(|line| out.push(format!("{}.", String::from_utf8_lossy(line))));
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
        let long = vec![b'x'; LONGEST * 2 + 5];
        let sizes: Vec<_> = lines(&[&long, b"y\n"]).iter().map(String::len).collect();
        assert_eq!(sizes, [LONGEST, LONGEST, 6]);
    }
}
