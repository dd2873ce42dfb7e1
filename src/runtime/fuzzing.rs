//! What the fuzz targets (`fuzz/`) call, and the tests with their kept inputs: the readings of what
//! programs say, with what has to hold of them.

use crate::core::capture::{BEGIN, END, Piece, Splitter};

/// Looks for communications in output. The first line says how long the pieces are that it comes
/// in, a byte for each; the rest is the output.
///
/// # Panics
/// Something does not hold that has to.
pub fn capture(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let output = bytes.get(end + 1..).unwrap_or_default();
    let (mut pieces, mut rest) = (Vec::new(), output);
    for length in &bytes[..end] {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    let whole = split(&[output]);
    assert!(whole == split(&pieces), "it depends on how the output is cut");
    assert!(whole.concat() == output, "something was lost");
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
}
