//! zbase32: bytes as text that people can read out and type, five bits a character. Signatures of messages are written so.
//!
//! Strict, as Core Lightning is: lower case only, no padding, and what is left over after the last byte must be zero and
//! shorter than a character.

const ALPHABET: &[u8; 32] = b"ybndrfg8ejkmcpqxot1uwisza345h769";
const BITS_PER_CHARACTER: u32 = 5;

/// The bytes as text; the last character is filled up with zero bits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(8).div_ceil(5));
    let mut push = |quintet: u32| {
        let place = usize::try_from(quintet & 0x1f).unwrap_or_default();
        text.push(ALPHABET.get(place).copied().map_or('y', char::from));
    };
    let (mut pending, mut bits) = (0_u32, 0);
    for &byte in bytes {
        pending = (pending << 8 | u32::from(byte)) & 0xfff;
        bits += 8;
        while bits >= BITS_PER_CHARACTER {
            bits -= BITS_PER_CHARACTER;
            push(pending >> bits);
        }
    }
    if bits > 0 {
        push(pending << (BITS_PER_CHARACTER - bits));
    }
    text
}

/// The bytes that this text stands for; `None` if it is not zbase32.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len().saturating_mul(5) / 8);
    let (mut pending, mut bits) = (0_u32, 0);
    for character in text.bytes() {
        let quintet = ALPHABET.iter().position(|one| *one == character)?;
        pending = (pending << BITS_PER_CHARACTER | u32::try_from(quintet).ok()?) & 0xfff;
        bits += BITS_PER_CHARACTER;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((pending >> bits) & 0xff).ok()?);
        }
    }
    let is_whole = bits == 0;
    is_whole.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for len in (0..200).map(|group| group * 5) {
            let bytes: Vec<u8> = (0..=255_u8).cycle().step_by(37).take(len).collect();
            let text = encode(&bytes);
            assert_eq!(text.len(), len / 5 * 8);
            assert_eq!(decode(&text), Some(bytes));
        }
    }

    /// From the description of zbase32.
    #[test]
    fn known_texts() {
        assert_eq!(encode(&[0xf0, 0xbf, 0xc7]), "6n9hq");
        assert_eq!(encode(&[0xd4, 0x7a, 0x04]), "4t7ye");
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn other_characters_and_left_over_bits_are_refused() {
        for text in ["Y", "yyyyyyyY", "yyyyyyy0", "yyyyyyy ", "yy", "yyyyyyyé", "6n9hq"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
