//! The state, written down as it changes, where it outlives the daemon: in one of two memories
//! that the service manager keeps. Whoever reads it finds what was written last, and whole.
//!
//! A memory holds records: first a picture of everything, then what changed in each turn. Each
//! record is the length and the checksum of its content, and the content; one that was being
//! written when the daemon was killed is not there. When the changes have become much longer than
//! a picture, a new one goes into the other memory; until it is whole, the older one counts.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// What a memory begins with, and the number of the format.
const MAGIC: &[u8; 16] = b"supervisor-ck/01";
/// What a picture may be longer than before another is made.
const GROWTH: u64 = 4;
/// Below this no other picture is made, in bytes.
const LEAST: u64 = 1 << 20;
/// The largest memory that is read, in bytes.
const LARGEST: u64 = 1 << 30;
/// How a piece says that it is gone.
const GONE: u32 = u32::MAX;

/// The two memories.
#[derive(Debug)]
pub struct Memories {
    files: [File; 2],
    /// Which one counts, and the number of its picture.
    current: usize,
    number: u64,
}

impl Memories {
    /// Two that are empty.
    ///
    /// # Errors
    /// `ENOMEM`, `EMFILE`.
    pub fn new() -> io::Result<Self> {
        let make = || -> io::Result<File> {
            Ok(memfd_create("supervisor-checkpoint", MFdFlags::MFD_CLOEXEC)?.into())
        };
        Ok(Self { files: [make()?, make()?], current: 0, number: 0 })
    }

    /// Those of another daemon, with what is written there; none when there is nothing whole.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn adopt(files: [OwnedFd; 2]) -> io::Result<(Self, Option<Pieces>)> {
        let files = files.map(File::from);
        let mut found: Option<(usize, u64, Pieces)> = None;
        for (at, file) in files.iter().enumerate() {
            if let Some((number, pieces)) = read(file)?
                && found.as_ref().is_none_or(|&(_, other, _)| number > other)
            {
                found = Some((at, number, pieces));
            }
        }
        let (current, number, pieces) =
            found.map_or((0, 0, None), |(at, number, pieces)| (at, number, Some(pieces)));
        Ok((Self { files, current, number }, pieces))
    }

    /// The descriptors, in their order.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.files.iter().map(AsFd::as_fd)
    }

    /// Other handles on them, for whoever goes on with them.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        let [first, second] = &self.files;
        let files = [first.try_clone()?, second.try_clone()?];
        Ok(Self { files, current: self.current, number: self.number })
    }

    /// Nothing that is written there counts any more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn clear(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|file| file.set_len(0))
    }

    /// The descriptors, to be given away.
    #[must_use]
    pub fn into_descriptors(self) -> [OwnedFd; 2] {
        self.files.map(OwnedFd::from)
    }
}

/// What is written, by its name.
pub type Pieces = HashMap<String, Vec<u8>>;

/// What writes the state of one engine.
#[derive(Debug)]
pub struct Checkpoint {
    memories: Memories,
    /// What is written, so that a picture can be made of it.
    pieces: Pieces,
    /// What changed and is not written.
    changed: Vec<String>,
    /// The length of the memory that counts, and of the picture in it. Zero: there is none of this
    /// engine yet.
    length: u64,
    picture: u64,
}

impl Checkpoint {
    /// Writes there. What is there counts until the first picture is whole.
    #[must_use]
    pub fn new(memories: Memories) -> Self {
        Self { memories, pieces: Pieces::new(), changed: Vec::new(), length: 0, picture: 0 }
    }

    /// A piece is this now, or gone. What is as it was costs nothing.
    pub fn put(&mut self, name: String, piece: Option<Vec<u8>>) {
        match piece {
            Some(piece) if self.pieces.get(&name) != Some(&piece) => {
                self.pieces.insert(name.clone(), piece);
                self.changed.push(name);
            }
            None if self.pieces.remove(&name).is_some() => self.changed.push(name),
            _ => {}
        }
    }

    /// Writes what changed. When this is back it outlives the process.
    ///
    /// # Errors
    /// There is no memory for it. The next time everything is tried again.
    pub fn write(&mut self) -> io::Result<()> {
        if self.length == 0 || self.length > LEAST.max(self.picture * GROWTH) {
            return self.write_picture();
        }
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut record = Record::new();
        for name in std::mem::take(&mut self.changed) {
            let piece = self.pieces.get(&name).map(Vec::as_slice);
            record.add(&name, piece);
        }
        let bytes = record.finish();
        let written = self.memories.files[self.memories.current].write_all_at(&bytes, self.length);
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            // What came of it is no record. The other memory gets a picture.
            Err(_) => self.length = 0,
        }
        written
    }

    fn write_picture(&mut self) -> io::Result<()> {
        let Memories { files, current, number } = &mut self.memories;
        let mut record = Record::picture(*number + 1);
        for (name, piece) in &self.pieces {
            record.add(name, Some(piece));
        }
        let bytes = record.finish();
        let other = 1 - *current;
        files[other].set_len(0)?;
        files[other].write_all_at(&bytes, 0)?;
        *current = other;
        *number += 1;
        self.length = bytes.len() as u64;
        self.picture = self.length;
        self.changed.clear();
        Ok(())
    }
}

/// A record that is being put together.
struct Record(Vec<u8>);

/// The length and the checksum before the content.
const HEAD: usize = 12;

impl Record {
    fn new() -> Self {
        Self(vec![0; HEAD])
    }

    fn picture(number: u64) -> Self {
        let mut record = Self::new();
        record.0.extend_from_slice(MAGIC);
        record.0.extend_from_slice(&number.to_le_bytes());
        record
    }

    fn add(&mut self, name: &str, piece: Option<&[u8]>) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(GONE);
        self.0.extend_from_slice(&length(name.as_bytes()).to_le_bytes());
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(&piece.map_or(GONE, length).to_le_bytes());
        self.0.extend_from_slice(piece.unwrap_or_default());
    }

    fn finish(mut self) -> Vec<u8> {
        let content = self.0.len() - HEAD;
        let sum = checksum(&self.0[HEAD..]);
        self.0[..4].copy_from_slice(&u32::try_from(content).unwrap_or(GONE).to_le_bytes());
        self.0[4..HEAD].copy_from_slice(&sum.to_le_bytes());
        self.0
    }
}

/// FNV-1a: tells what is not whole, not what is forged. The memories are ours alone.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What a memory says, with the number of its picture; none when it holds none.
fn read(file: &File) -> io::Result<Option<(u64, Pieces)>> {
    let length = file.metadata()?.len();
    if length > LARGEST {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(understand(&bytes))
}

/// The same of bytes that may be anything.
#[must_use]
pub fn understand(bytes: &[u8]) -> Option<(u64, Pieces)> {
    let mut rest = bytes;
    let mut first = record(&mut rest)?;
    if take(&mut first, MAGIC.len())? != MAGIC {
        return None;
    }
    let number = u64::from_le_bytes(take(&mut first, 8)?.try_into().ok()?);
    let mut pieces = Pieces::new();
    apply(&mut pieces, first)?;
    while let Some(content) = record(&mut rest) {
        apply(&mut pieces, content)?;
    }
    Some((number, pieces))
}

/// The content of the next record, if it is whole.
fn record<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)?;
    let sum = u64::from_le_bytes(take(rest, 8)?.try_into().ok()?);
    let content = take(rest, usize::try_from(length).ok()?)?;
    (checksum(content) == sum).then_some(content)
}

fn apply(pieces: &mut Pieces, mut content: &[u8]) -> Option<()> {
    while !content.is_empty() {
        let length = number(&mut content)?;
        let name = take(&mut content, usize::try_from(length).ok()?)?;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        match number(&mut content)? {
            GONE => drop(pieces.remove(&name)),
            length => {
                let piece = take(&mut content, usize::try_from(length).ok()?)?;
                pieces.insert(name, piece.to_vec());
            }
        }
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Puts a text there.
    fn put(checkpoint: &mut Checkpoint, name: &str, text: &str) {
        checkpoint.put(name.to_owned(), Some(text.as_bytes().to_vec()));
    }

    fn found(memories: &Memories) -> Pieces {
        let copies = memories.try_clone().unwrap().into_descriptors();
        Memories::adopt(copies).unwrap().1.unwrap_or_default()
    }

    #[test]
    fn what_was_written_last_is_found() {
        let memories = Memories::new().unwrap();
        let seen = memories.try_clone().unwrap();
        assert!(found(&seen).is_empty());
        let mut checkpoint = Checkpoint::new(memories);
        put(&mut checkpoint, "a", "1");
        put(&mut checkpoint, "b", "2");
        checkpoint.write().unwrap();
        put(&mut checkpoint, "a", "3");
        checkpoint.put("b".into(), None);
        checkpoint.put("c".into(), None);
        assert_eq!(found(&seen)["a"], b"1", "it is not written yet");
        checkpoint.write().unwrap();
        assert_eq!(found(&seen), Pieces::from([("a".to_owned(), b"3".to_vec())]));
    }

    #[test]
    fn a_new_picture_goes_into_the_other_memory_and_counts_when_it_is_whole() {
        let memories = Memories::new().unwrap();
        let seen = memories.try_clone().unwrap();
        let mut checkpoint = Checkpoint::new(memories);
        let large = "x".repeat(100_000);
        for round in 0..100 {
            put(&mut checkpoint, "a", &format!("{round} {large}"));
            checkpoint.write().unwrap();
            assert!(found(&seen)["a"].starts_with(format!("{round} ").as_bytes()));
            let lengths = seen.files.each_ref().map(|file| file.metadata().unwrap().len());
            assert!(lengths.into_iter().max().unwrap() < 2 << 20, "{lengths:?}");
        }
        assert!(checkpoint.memories.number > 3);
        // The next picture is not whole: the one before counts.
        let (current, number) = (checkpoint.memories.current, checkpoint.memories.number);
        let mut record = Record::picture(number + 1);
        record.add("a", Some(b"half"));
        let bytes = record.finish();
        let other = &seen.files[1 - current];
        other.set_len(0).unwrap();
        other.write_all_at(&bytes[..bytes.len() - 1], 0).unwrap();
        assert!(found(&seen)["a"].starts_with(b"99 "));
        other.write_all_at(&bytes, 0).unwrap();
        assert_eq!(found(&seen)["a"], b"half");
    }

    #[test]
    fn another_engine_begins_with_a_picture_of_its_own() {
        let memories = Memories::new().unwrap();
        let seen = memories.try_clone().unwrap();
        let mut first = Checkpoint::new(memories);
        put(&mut first, "a", "1");
        first.write().unwrap();
        let (adopted, pieces) =
            Memories::adopt(seen.try_clone().unwrap().into_descriptors()).unwrap();
        assert_eq!(pieces.unwrap()["a"], b"1");
        let mut second = Checkpoint::new(adopted);
        put(&mut second, "b", "2");
        second.write().unwrap();
        assert_eq!(found(&seen), Pieces::from([("b".to_owned(), b"2".to_vec())]));
        seen.clear().unwrap();
        assert!(found(&seen).is_empty());
    }

    proptest! {
        #[test]
        fn a_memory_that_was_cut_anywhere_holds_the_turns_before(
            turns in prop::collection::vec(
                prop::collection::vec(("[a-d]", prop::option::of("[0-9]{0,5}")), 0..5), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Record::picture(1).finish();
            let (mut pieces, mut all) = (Pieces::new(), vec![(bytes.len(), Pieces::new())]);
            for turn in turns {
                let mut record = Record::new();
                for (name, piece) in turn {
                    record.add(&name, piece.as_ref().map(String::as_bytes));
                    match piece {
                        Some(piece) => drop(pieces.insert(name, piece.into_bytes())),
                        None => drop(pieces.remove(&name)),
                    }
                }
                bytes.extend(record.finish());
                all.push((bytes.len(), pieces.clone()));
            }
            let cut = cut.index(bytes.len() + 1);
            let expected = all.into_iter().rfind(|&(end, _)| end <= cut);
            let found = understand(&bytes[..cut]).map(|(_, pieces)| pieces);
            prop_assert_eq!(found, expected.map(|(_, pieces)| pieces));
        }

        #[test]
        fn what_is_no_state_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(understand(&bytes), None);
        }
    }
}
