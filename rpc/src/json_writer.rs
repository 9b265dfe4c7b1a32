//! Writes JSON as Core Lightning writes it: no space anywhere, members in the order they are added, the same escapes.

use core::fmt::{Display, Write as _};

/// An object that is being written.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'a> {
    text: &'a mut String,
    is_empty: bool,
}

/// An array that is being written.
#[derive(Debug)]
pub(crate) struct ArrayWriter<'a> {
    text: &'a mut String,
    is_empty: bool,
}

/// An object with the members that `fill` adds.
pub(crate) fn object(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let mut text = String::new();
    write_object(&mut text, fill);
    text
}

fn write_object(text: &mut String, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    text.push('{');
    fill(&mut ObjectWriter { text, is_empty: true });
    text.push('}');
}

impl ObjectWriter<'_> {
    /// A string.
    pub(crate) fn string(&mut self, name: &str, value: impl Display) {
        let text = self.member(name);
        push_string(text, value);
    }

    /// Bytes as lower-case hex.
    pub(crate) fn hex(&mut self, name: &str, value: &[u8]) {
        let text = self.member(name);
        text.push('"');
        text.push_str(&faster_hex::hex_string(value));
        text.push('"');
    }

    /// A number, `true`, `false`: written as it displays.
    pub(crate) fn bare(&mut self, name: &str, value: impl Display) {
        let text = self.member(name);
        push_display(text, value);
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        write_object(self.member(name), fill);
    }

    /// An array.
    pub(crate) fn array(&mut self, name: &str, fill: impl FnOnce(&mut ArrayWriter<'_>)) {
        let text = self.member(name);
        text.push('[');
        fill(&mut ArrayWriter { text, is_empty: true });
        text.push(']');
    }

    fn member(&mut self, name: &str) -> &mut String {
        separate(self.text, &mut self.is_empty);
        push_string(self.text, name);
        self.text.push(':');
        self.text
    }
}

impl ArrayWriter<'_> {
    /// A string.
    pub(crate) fn string(&mut self, value: impl Display) {
        separate(self.text, &mut self.is_empty);
        push_string(self.text, value);
    }

    /// An object.
    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        separate(self.text, &mut self.is_empty);
        write_object(self.text, fill);
    }
}

fn separate(text: &mut String, is_empty: &mut bool) {
    if !core::mem::replace(is_empty, false) {
        text.push(',');
    }
}

fn push_display(text: &mut String, value: impl Display) {
    // Writing to a string does not fail.
    let _: core::fmt::Result = write!(text, "{value}");
}

fn push_string(text: &mut String, value: impl Display) {
    struct Escaping<'a>(&'a mut String);

    impl core::fmt::Write for Escaping<'_> {
        fn write_str(&mut self, part: &str) -> core::fmt::Result {
            for character in part.chars() {
                match u8::try_from(character).ok().and_then(escape) {
                    Some(escape) => self.0.push_str(escape.as_str()),
                    None => self.0.push(character),
                }
            }
            Ok(())
        }
    }

    text.push('"');
    let _: core::fmt::Result = write!(Escaping(text), "{value}");
    text.push('"');
}

/// A string literal.
pub(crate) fn quote(value: &str) -> String {
    let mut text = String::with_capacity(value.len().saturating_add(2));
    push_string(&mut text, value);
    text
}

/// Whether it would look otherwise in a string literal.
pub(crate) fn needs_escape(value: &str) -> bool {
    value.bytes().any(|byte| escape(byte).is_some())
}

/// A string literal of bytes that may be no UTF-8; those go out as they came.
pub(crate) fn quote_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(bytes.len().saturating_add(2));
    quoted.push(b'"');
    for &byte in bytes {
        match escape(byte) {
            Some(escape) => quoted.extend_from_slice(escape.as_str().as_bytes()),
            None => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

/// `\n`, or `\u001B`.
struct Escape {
    text: [u8; 6],
    len: usize,
}

impl Escape {
    fn as_str(&self) -> &str {
        self.text.get(..self.len).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// How this byte stands in a string, if not for itself.
fn escape(byte: u8) -> Option<Escape> {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        0..=0x1f | 0x7f => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            return Some(Escape {
                text: [b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)],
                len: 6,
            });
        }
        _ => return None,
    };
    Some(Escape { text: [b'\\', short, 0, 0, 0, 0], len: 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_core_lightning_does() {
        let text = object(|o| o.string("a", "\"\\\n\r\t\u{8}\u{c}\u{1}\u{1b}\u{7f}/é☃"));
        assert_eq!(text, r#"{"a":"\"\\\n\r\t\b\f\u0001\u001B\u007F/é☃"}"#);
        assert_eq!(quote_bytes(b"a\xff\"\x01"), b"\"a\xff\\\"\\u0001\"");
    }

    #[test]
    fn members_and_elements_are_separated() {
        let text = object(|o| {
            o.bare("n", 5);
            o.hex("h", &[0xab, 1]);
            o.array("a", |a| {
                a.string("x");
                a.object(|_| {});
                a.object(|o| o.object("y", |_| {}));
            });
        });
        assert_eq!(text, r#"{"n":5,"h":"ab01","a":["x",{},{"y":{}}]}"#);
    }
}
