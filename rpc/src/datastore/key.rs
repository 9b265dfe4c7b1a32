//! A key: one or more parts, each any text without a zero byte. A key that another begins with is its parent; where a parent
//! has a value its children have none, and the other way round.
//!
//! Stored with zero bytes between the parts, so that a key stands directly before its children.

use core::fmt;

use crate::json_writer::ObjectWriter;
use crate::limits::MAX_DATASTORE_KEY;
use crate::params::{BadParam, Refused};
use crate::tokenizer::Kind;
use crate::value::Value;

const SEPARATOR: u8 = 0;

/// A key as it is stored, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// Reads a parameter: an array of parts, or a single one. Their text is taken as it stands, escapes included, as Core
    /// Lightning takes it.
    pub(crate) fn read(value: Value<'_>) -> Result<Key, Refused<'_>> {
        let bad = |problem, value| Err(BadParam { problem, value }.into());
        let is_text = |value: Value<'_>| matches!(value.kind(), Kind::String | Kind::Primitive);
        let key = match value.kind() {
            Kind::Array if value.is_empty() => return bad("should not be empty", value),
            Kind::Array => match value.items().find(|part| !is_text(*part)) {
                Some(part) => return bad("should be string", part),
                None => Key::of(value.items().map(|part| part.raw())),
            },
            Kind::String | Kind::Primitive => Key::of([value.raw()]),
            Kind::Object => return bad("should be string or array", value),
        };
        if key.0.len() > MAX_DATASTORE_KEY { bad("should have at most 65536 bytes", value) } else { Ok(key) }
    }

    /// The key of these parts.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Key {
        let mut joined = Vec::new();
        for (place, part) in parts.into_iter().enumerate() {
            if place > 0 {
                joined.push(SEPARATOR);
            }
            joined.extend_from_slice(part.as_bytes());
        }
        Key(joined)
    }

    /// A key as it was stored.
    pub(crate) fn stored(bytes: &[u8]) -> Key {
        Key(bytes.to_vec())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == SEPARATOR)
    }

    /// How many parts.
    pub(crate) fn depth(&self) -> usize {
        self.parts().count()
    }

    /// The first so many parts.
    pub(crate) fn beginning(&self, depth: usize) -> Key {
        let mut ends =
            self.0.iter().enumerate().filter(|(_, byte)| **byte == SEPARATOR).map(|(place, _)| place);
        let end = depth.checked_sub(1).and_then(|last| ends.nth(last)).unwrap_or(self.0.len());
        Key(self.0.get(..end).unwrap_or_default().to_vec())
    }

    /// The keys that this one is a child of, the nearest last.
    pub(crate) fn parents(&self) -> impl Iterator<Item = Key> {
        (1..self.depth()).map(|depth| self.beginning(depth))
    }

    /// Whether `stored` is this key or a child of it.
    pub(crate) fn begins(&self, stored: &[u8]) -> bool {
        let rest = stored.strip_prefix(self.0.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || rest.first() == Some(&SEPARATOR))
    }

    /// The first part is empty, which `datastoreusage` takes for no key at all.
    pub(crate) fn begins_empty(&self) -> bool {
        matches!(self.0.first(), None | Some(&SEPARATOR))
    }

    /// As a member of an answer.
    pub(crate) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.array("key", |parts| {
            for part in self.parts() {
                parts.string(String::from_utf8_lossy(part));
            }
        });
    }
}

/// `[a,b]`
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.parts().enumerate() {
            f.write_str(if place == 0 { "[" } else { "," })?;
            f.write_str(&String::from_utf8_lossy(part))?;
        }
        f.write_str("]")
    }
}
