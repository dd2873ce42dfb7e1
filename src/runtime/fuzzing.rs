//! What the fuzz targets (`fuzz/`) call, and the tests with their kept inputs: the readings of what
//! programs say, with what has to hold of them.

use crate::core::capture::{BEGIN, END, Piece, Splitter};
use crate::core::listener::{Heard, Listener};
use crate::model::listener::ListenerState;

/// Looks for communications in output. The first line says how long the pieces are that it comes
/// in, a byte for each; the rest is the output.
///
/// # Panics
/// Something does not hold that has to.
pub fn capture(bytes: &[u8]) {
    let (output, pieces) = cut(bytes);
    let whole = split(&[output]);
    assert!(whole == split(&pieces), "it depends on how the output is cut");
    assert!(whole.concat() == output, "something was lost");
}

/// Hears what an event listener says that gets an event whenever it is ready. In the same form.
///
/// # Panics
/// Something does not hold that has to.
pub fn listener(bytes: &[u8]) {
    let (said, pieces) = cut(bytes);
    let whole = hear(&[said]);
    assert!(whole == hear(&pieces), "it depends on how it is cut");
    let (heard, state) = whole;
    let owed = heard.iter().fold(0_i32, |owed, heard| match heard {
        Heard::Ready => owed + 1,
        Heard::Processed | Heard::Rejected => owed - 1,
        Heard::BadResult(_) | Heard::Chatter => owed,
    });
    let broke = heard.iter().any(|heard| matches!(heard, Heard::BadResult(_) | Heard::Chatter));
    assert!((0..=1).contains(&owed), "an answer to nothing");
    assert_eq!(
        broke,
        state == ListenerState::Unknown,
        "it is heard again, or given up for nothing"
    );
}

/// The text that comes in, and the pieces that it comes in.
fn cut(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let whole = bytes.get(end + 1..).unwrap_or_default();
    let (mut pieces, mut rest) = (Vec::new(), whole);
    for length in &bytes[..end] {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    (whole, pieces)
}

/// What a listener is understood to say, and how it is left.
fn hear(pieces: &[&[u8]]) -> (Vec<Heard>, ListenerState) {
    let (mut listener, mut all) = (Listener::default(), Vec::new());
    for piece in pieces {
        let mut data = *piece;
        while !data.is_empty() {
            let (taken, heard) = listener.hear(data);
            assert!(taken > 0, "it gets no further");
            data = &data[taken..];
            if heard == Some(Heard::Ready) {
                listener.gets_event();
            }
            all.extend(heard);
        }
    }
    (all, listener.state())
}

/// What output consists of, the tokens included.
fn split(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut splitter, mut parts) = (Splitter::default(), vec![Vec::new()]);
    let mut take = |piece: Piece<'_>| {
        let inside = parts.len() % 2 == 0;
        match piece {
            Piece::Inside(data) if !inside => parts.push([BEGIN, data].concat()),
            Piece::Output(data) | Piece::Inside(data) => {
                parts.last_mut().expect("there is one from the start").extend_from_slice(data);
            }
            Piece::Complete if inside => parts.push(END.to_vec()),
            // It is empty.
            Piece::Complete => parts.extend([BEGIN.to_vec(), END.to_vec()]),
        }
    };
    for piece in pieces {
        splitter.feed(piece, &mut take);
    }
    let unfinished = splitter.finish(&mut take);
    if unfinished && parts.len() % 2 == 1 {
        parts.push(BEGIN.to_vec());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::feed;

    #[test]
    fn kept_output_upsets_nobody() {
        feed("capture", capture);
    }

    #[test]
    fn kept_words_of_listeners_upset_nobody() {
        feed("listener", listener);
    }
}
