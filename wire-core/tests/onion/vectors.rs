//! The five files of BOLT 4, and what all tests here make keys of.

use serde_json::Value;
use wire_core::{
    node_id::NodeId,
    secret::{EphemeralKey, Secret, StaticKey},
};

/// What stands under `vectors` of one of the files in `tests/vectors`.
pub(crate) fn load(file: &str) -> Value {
    let path = format!("{}/tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["vectors"].take()
}

/// The bytes that a value spells in hex.
pub(crate) fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("no hex: {value}"));
    let mut bytes = vec![0; text.len() / 2];
    faster_hex::hex_decode(text.as_bytes(), &mut bytes).unwrap();
    bytes
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn point(value: &Value) -> NodeId {
    value.as_str().unwrap().parse().unwrap()
}

pub(crate) fn static_key(value: &Value) -> StaticKey {
    key(array(value))
}

pub(crate) fn session_key(value: &Value) -> EphemeralKey {
    session(array(value))
}

pub(crate) fn key(bytes: [u8; 32]) -> StaticKey {
    StaticKey::from_bytes(&Secret::new(bytes)).unwrap()
}

pub(crate) fn session(bytes: [u8; 32]) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new(bytes)).unwrap()
}
