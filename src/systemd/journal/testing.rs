//! The other end of the native protocol, for tests.

/// The fields of an entry, in order.
pub(crate) fn decode(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|&b| b == b'\n').expect("a line");
        let line = &bytes[..end];
        let (name, value, rest) = if let Some(at) = line.iter().position(|&b| b == b'=') {
            (&line[..at], &line[at + 1..], &bytes[end + 1..])
        } else {
            let (length, rest) = bytes[end + 1..].split_first_chunk::<8>().expect("a length");
            let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fits");
            assert_eq!(rest[length], b'\n', "a newline after the value");
            (line, &rest[..length], &rest[length + 1..])
        };
        fields.push((String::from_utf8(name.to_vec()).expect("a name"), value.to_vec()));
        bytes = rest;
    }
    fields
}
