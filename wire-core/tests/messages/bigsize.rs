//! BOLT 1, appendix A.

use crate::vectors::{hex, load};
use wire_core::{
    cursor::{Reader, Writer},
    message::bigsize::{self, BigSizeError},
};

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    value: u64,
    bytes: String,
    exp_error: Option<String>,
}

#[test]
fn decoding() {
    let vectors = load::<Vector>(include_str!("../vectors/bolt01-bigsize-decode.json"));
    assert_eq!(vectors.len(), 18);
    for Vector { name, value, bytes, exp_error } in vectors {
        let bytes = hex(&bytes);
        let mut reader = Reader::new(&bytes);
        let expected = match exp_error.as_deref() {
            None => Ok(value),
            Some("decoded bigsize is not canonical") => Err(BigSizeError::NotCanonical),
            Some("unexpected EOF") => Err(BigSizeError::Truncated),
            Some("EOF") => Err(BigSizeError::Missing),
            Some(other) => panic!("{name}: unheard-of error {other}"),
        };
        assert_eq!(bigsize::read(&mut reader), expected, "{name}");
        if expected.is_ok() {
            assert!(reader.is_empty(), "{name}");
        }
    }
}

#[test]
fn encoding() {
    let vectors = load::<Vector>(include_str!("../vectors/bolt01-bigsize-encode.json"));
    assert_eq!(vectors.len(), 8);
    for Vector { name, value, bytes, .. } in vectors {
        let bytes = hex(&bytes);
        assert_eq!(bigsize::encoded_len(value), bytes.len(), "{name}");
        let mut room = vec![0; bytes.len()];
        let mut writer = Writer::new(&mut room);
        bigsize::write(&mut writer, value).unwrap();
        assert_eq!(writer.into_written(), bytes, "{name}");
        // One byte less and it is refused.
        let (_, short) = room.split_first_mut().unwrap();
        assert!(bigsize::write(&mut Writer::new(short), value).is_err(), "{name}");
    }
}
