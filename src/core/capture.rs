//! Finds what a program sends to event listeners in its output: `PROCESS_COMMUNICATION`, the text
//! between two tokens (C-371).

use std::collections::VecDeque;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// What begins a communication.
pub const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
/// What ends it.
pub const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// How a token begins; this byte is nowhere else in one, so that the search never goes back.
const FIRST: u8 = b'<';

/// A piece of a stream of output.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Ordinary output.
    Output(&'a [u8]),
    /// Part of a communication.
    Inside(&'a [u8]),
    /// A communication is complete.
    Complete,
}

/// Tells ordinary output from communications. The tokens may come in pieces; what may still
/// become one is held back, and nothing else (C-413).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splitter {
    inside: bool,
    /// How much of the token that is looked for stood at the end of the last piece.
    held: usize,
}

impl Splitter {
    /// Whether what it holds back is shorter than the token that it may become.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.held < self.token().len()
    }

    /// Takes the next piece of the stream in.
    pub fn feed(&mut self, data: &[u8], mut out: impl FnMut(Piece<'_>)) {
        let joined;
        let mut rest = data;
        if self.held > 0 && !data.is_empty() {
            joined = [&self.token()[..self.held], data].concat();
            rest = &joined;
            self.held = 0;
        }
        while let Some(at) = find(rest, self.token()) {
            self.pass(&rest[..at], &mut out);
            rest = &rest[at + self.token().len()..];
            if self.inside {
                out(Piece::Complete);
            }
            self.inside = !self.inside;
        }
        if !rest.is_empty() {
            self.held = beginning_at_end(rest, self.token());
            self.pass(&rest[..rest.len() - self.held], &mut out);
        }
    }

    /// Ends the stream: what was held back is no token. Whether a communication was begun and not
    /// ended.
    pub fn finish(&mut self, mut out: impl FnMut(Piece<'_>)) -> bool {
        let held = &self.token()[..self.held];
        self.pass(held, &mut out);
        self.held = 0;
        std::mem::take(&mut self.inside)
    }

    /// What is looked for. Upstream knows no nesting either.
    fn token(&self) -> &'static [u8] {
        if self.inside { END } else { BEGIN }
    }

    fn pass(&self, data: &[u8], out: &mut impl FnMut(Piece<'_>)) {
        if !data.is_empty() {
            out(if self.inside { Piece::Inside(data) } else { Piece::Output(data) });
        }
    }
}

fn find(data: &[u8], token: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = data[from..].iter().position(|&byte| byte == FIRST) {
        if data[from + at..].starts_with(token) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// How many bytes at the end may be the beginning of the token.
fn beginning_at_end(data: &[u8], token: &[u8]) -> usize {
    let from = data.len().saturating_sub(token.len() - 1);
    let tail = &data[from..];
    let begins = |at: &usize| token.starts_with(&tail[*at..]);
    tail.iter().rposition(|&byte| byte == FIRST).filter(begins).map_or(0, |at| tail.len() - at)
}

/// The last bytes of a text, up to a limit that holds (C-372, better).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    most: usize,
    bytes: VecDeque<u8>,
}

impl Kept {
    /// Nothing yet, and never more than this.
    #[must_use]
    pub fn new(most: NonZeroU64) -> Self {
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        Self { most, bytes: VecDeque::new() }
    }

    /// Adds to the end; what is too much is dropped from the beginning.
    pub fn push(&mut self, data: &[u8]) {
        let data = &data[data.len().saturating_sub(self.most)..];
        let excess = (self.bytes.len() + data.len()).saturating_sub(self.most);
        self.bytes.drain(..excess);
        self.bytes.extend(data);
    }

    /// Gives it away, and begins anew.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What became of a stream: the ordinary output, the communications, and what was begun.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Found {
        output: Vec<u8>,
        communications: Vec<Vec<u8>>,
        unfinished: Option<Vec<u8>>,
    }

    impl Found {
        fn in_pieces(pieces: &[&[u8]]) -> Self {
            let (mut splitter, mut found, mut inside) =
                (Splitter::default(), Self::default(), Vec::new());
            let mut take = |piece: Piece<'_>| match piece {
                Piece::Output(data) => found.output.extend(data),
                Piece::Inside(data) => inside.extend(data),
                Piece::Complete => found.communications.push(std::mem::take(&mut inside)),
            };
            for piece in pieces {
                splitter.feed(piece, &mut take);
            }
            let unfinished = splitter.finish(take);
            found.unfinished = unfinished.then_some(inside);
            assert_eq!(splitter, Splitter::default());
            found
        }

        /// The same by the definition, of the whole stream.
        fn by_definition(stream: &[u8]) -> Self {
            let mut found = Self::default();
            let split = |data: &[u8], token: &[u8]| {
                let at = data.windows(token.len()).position(|window| window == token)?;
                Some((data[..at].to_vec(), data[at + token.len()..].to_vec()))
            };
            let mut rest = stream.to_vec();
            while let Some((before, after)) = split(&rest, BEGIN) {
                found.output.extend(before);
                let Some((inside, after)) = split(&after, END) else {
                    found.unfinished = Some(after);
                    return found;
                };
                found.communications.push(inside);
                rest = after;
            }
            found.output.extend(rest);
            found
        }
    }

    fn output_so_far(splitter: &mut Splitter, data: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        splitter.feed(data, |piece| {
            if let Piece::Output(data) = piece {
                output.extend(data);
            }
        });
        output
    }

    #[test]
    fn what_stands_between_the_tokens_is_a_communication_and_the_rest_is_output() {
        // C-371
        let found = Found::in_pieces(&[
            b"a<!--XSUPERVISOR:BEGIN-->one<!--XSUPERVISOR:END-->b\n",
            b"<!--XSUPERVISOR:BEGIN--><!--XSUPERVISOR:END-->c",
        ]);
        let communications = vec![b"one".to_vec(), vec![]];
        assert_eq!(found, Found { output: b"ab\nc".to_vec(), communications, unfinished: None });
    }

    #[test]
    fn tokens_that_are_not_looked_for_are_text() {
        // C-371
        let found = Found::in_pieces(&[
            b"<!--XSUPERVISOR:END-->x<!--XSUPERVISOR:BEGIN-->",
            b"1<!--XSUPERVISOR:BEGIN-->2<!--XSUPERVISOR:END-->",
        ]);
        assert_eq!(found.output, b"<!--XSUPERVISOR:END-->x");
        assert_eq!(found.communications, [b"1<!--XSUPERVISOR:BEGIN-->2"]);
    }

    #[test]
    fn only_what_may_become_a_token_is_held_back_and_not_at_the_end() {
        // C-413
        let mut splitter = Splitter::default();
        assert_eq!(output_so_far(&mut splitter, b"short"), b"short");
        assert_eq!(output_so_far(&mut splitter, b"a<!--X"), b"a");
        assert_eq!(output_so_far(&mut splitter, b""), b"");
        assert_eq!(output_so_far(&mut splitter, b"ML"), b"<!--XML");
        assert_eq!(output_so_far(&mut splitter, b"<!--<"), b"<!--");
        assert_eq!(Found::in_pieces(&[b"x<!--XSUPERVISOR:BEGIN--"]).output.len(), 24);
    }

    #[test]
    fn a_communication_that_is_not_ended_is_told() {
        // C-372
        let found = Found::in_pieces(&[b"a<!--XSUPERVISOR:BEGIN-->lost<!--XSUP"]);
        assert_eq!(found.unfinished.as_deref(), Some(&b"lost<!--XSUP"[..]));
        assert_eq!(found.output, b"a");
    }

    #[test]
    fn the_newest_bytes_are_kept_and_never_more_than_allowed() {
        // C-372, better: one large write is cut too
        let mut kept = Kept::new(NonZeroU64::new(5).unwrap());
        kept.push(b"abc");
        kept.push(b"def");
        assert_eq!(kept.take(), b"bcdef");
        kept.push(b"0123456789");
        assert_eq!(kept.take(), b"56789");
        assert_eq!(kept.take(), b"");
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_the_same_is_found(
            words in vec(prop_oneof![
                Just(BEGIN.to_vec()),
                Just(END.to_vec()),
                Just(b"<!--XSUPERVISOR:".to_vec()),
                Just(vec![FIRST]),
                vec(any::<u8>(), 0..4),
            ], 0..12),
            cuts in vec(any::<prop::sample::Index>(), 0..12),
        ) {
            // C-371, C-413
            let stream = words.concat();
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            ends.extend([0, stream.len()]);
            ends.sort_unstable();
            let pieces: Vec<_> = ends.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
            prop_assert_eq!(Found::in_pieces(&pieces), Found::by_definition(&stream));
        }

        #[test]
        fn what_is_held_back_is_the_beginning_of_a_token(data in vec(prop_oneof![
            Just(FIRST), Just(b'!'), Just(b'-'), Just(b'X'), any::<u8>()
        ], 0..40)) {
            // C-413
            let mut splitter = Splitter::default();
            let output = output_so_far(&mut splitter, &data);
            let held = &data[output.len()..];
            prop_assert!(data.starts_with(&output) && BEGIN.starts_with(held));
        }
    }
}
