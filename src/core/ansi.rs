//! Removes ANSI escape sequences from a stream of bytes (`strip_ansi`, C-381).

use serde::{Deserialize, Serialize};

/// The bytes that end a sequence; any other byte after `ESC [` is swallowed until one comes.
const FINALS: &[u8] = b"HfABCDRsuJKhlpm";

const ESC: u8 = 0x1b;

/// A stripper that remembers where it is, so that a sequence may come in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ansi {
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    #[default]
    Text,
    /// An ESC is held back: the next byte tells whether it begins a sequence.
    Escape,
    /// After `ESC [`. `genuine` while only parameters have been swallowed; once it is false,
    /// upstream's rule is eating text, and that stops with the piece, as upstream's does.
    Sequence { genuine: bool },
}

impl Ansi {
    /// Appends to `out` what is left of the next piece of the stream.
    pub fn strip(&mut self, mut data: &[u8], out: &mut Vec<u8>) {
        while let Some(&first) = data.first() {
            match self.state {
                State::Text => {
                    let end = data.iter().position(|&b| b == ESC).unwrap_or(data.len());
                    out.extend_from_slice(&data[..end]);
                    data = &data[end..];
                    if !data.is_empty() {
                        self.state = State::Escape;
                        data = &data[1..];
                    }
                }
                State::Escape if first == b'[' => {
                    self.state = State::Sequence { genuine: true };
                    data = &data[1..];
                }
                State::Escape => {
                    out.push(ESC);
                    self.state = State::Text;
                }
                State::Sequence { genuine } => {
                    self.state = if FINALS.contains(&first) {
                        State::Text
                    } else {
                        State::Sequence { genuine: genuine && (0x20..0x40).contains(&first) }
                    };
                    data = &data[1..];
                }
            }
        }
        if self.state == (State::Sequence { genuine: false }) {
            self.state = State::Text;
        }
    }

    /// Ends the stream: an ESC that was held back turns out to be text.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Escape {
            out.push(ESC);
        }
        self.state = State::Text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strip(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut ansi, mut out) = (Ansi::default(), Vec::new());
        for piece in pieces {
            ansi.strip(piece, &mut out);
        }
        ansi.finish(&mut out);
        out
    }

    /// The rule as upstream applies it to one read.
    fn by_the_rule(data: &[u8]) -> Vec<u8> {
        let (mut out, mut i) = (Vec::new(), 0);
        while i < data.len() {
            if data[i..].starts_with(b"\x1b[") {
                match data[i..].iter().position(|b| FINALS.contains(b)) {
                    Some(end) => i += end + 1,
                    None => break,
                }
            } else {
                out.push(data[i]);
                i += 1;
            }
        }
        out
    }

    #[test]
    fn sequences_go_and_text_stays() {
        // C-381
        assert_eq!(strip(&[b"a\x1b[31mred\x1b[0m b"]), b"ared b");
        assert_eq!(strip(&[b"\x1b]0;title\x07x"]), b"\x1b]0;title\x07x");
        assert_eq!(strip(&[b"\x1b\x1b[mx"]), b"\x1bx");
        assert_eq!(strip(&[b"x\x1b"]), b"x\x1b");
        // A final byte that is not known swallows text until one that is.
        assert_eq!(strip(&[b"\x1b[2Gno mercy"]), b"ercy");
    }

    #[test]
    fn a_sequence_may_be_split_over_reads() {
        // C-381, better
        assert_eq!(strip(&[b"a\x1b", b"[3", b"1", b"mred"]), b"ared");
        assert_eq!(strip(&[b"a\x1b", b"b"]), b"a\x1bb");
        // What swallows text stops at the end of the read.
        assert_eq!(strip(&[b"\x1b[2Gxyz", b"next"]), b"next");
    }

    proptest! {
        #[test]
        fn one_read_loses_the_same_bytes_as_upstream(
            data in proptest::collection::vec(prop_oneof![
                Just(ESC), Just(b'['), Just(b'm'), Just(b'3'), Just(b'z'), any::<u8>()
            ], 0..60)
        ) {
            prop_assert_eq!(strip(&[&data]), by_the_rule(&data));
        }
    }
}
