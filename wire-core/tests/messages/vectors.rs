//! The vector files, as data.

use serde::de::DeserializeOwned;

/// The list under `vectors` of one of the files in `tests/vectors`.
pub(crate) fn load<T: DeserializeOwned>(file: &str) -> Vec<T> {
    #[derive(serde::Deserialize)]
    struct File<T> {
        vectors: Vec<T>,
    }
    serde_json::from_str::<File<T>>(file).expect("a vector file").vectors
}

/// The bytes that `text` spells.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; text.len() / 2];
    faster_hex::hex_decode(text.as_bytes(), &mut bytes).expect("hex digits");
    bytes
}
