//! The secrets of a handshake whose four keys are known, so that the device's memory can be searched for them.
//!
//! BOLT 8 computed a second time, with other crates and another's words, as the search must not miss what a fault in
//! wire-core has made different.

use anyhow::{Result, anyhow};
use hkdf::Hkdf;
use secp256k1::ecdh::SharedSecret;
use secp256k1::{PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};

use super::host::HSM_SECRET;

/// The device's static key, as in its image.
pub(super) const DEVICE_KEY: [u8; 32] = *b"the device of the firmware test.";

/// Its ephemeral key while [`wiped`](super::scenes::wiped) looks for what is left of it.
pub(super) const DEVICE_EPHEMERAL: [u8; 32] = *b"the device's ephemeral secret ke";

/// The key of the host's node id: Core Lightning's way from `hsm_secret`.
pub(super) fn host_key() -> [u8; 32] {
    expand(&[0; 4], &HSM_SECRET, b"nodeid")
}

/// What must not be found once the keys of the transport are there. The static key and the chaining key stay.
///
/// # Errors
/// One of the keys is none.
pub(super) fn of_handshake(
    device_ephemeral: [u8; 32],
    host_ephemeral: [u8; 32],
) -> Result<Vec<(&'static str, [u8; 32])>> {
    let secret = |bytes| SecretKey::from_secret_bytes(bytes).map_err(|error| anyhow!("{error}"));
    let (initiator, host) = (secret(device_ephemeral)?, secret(host_key())?);
    let (device, responder) = (secret(DEVICE_KEY)?, secret(host_ephemeral)?);
    let public = |key: &SecretKey| PublicKey::from_secret_key(key);
    let shared = |point: &PublicKey, key: &SecretKey| *SharedSecret::new(point, key).as_secret_bytes();

    let es = shared(&public(&host), &initiator);
    let ee = shared(&public(&responder), &initiator);
    let se = shared(&public(&responder), &device);
    let start = Sha256::digest(b"Noise_XK_secp256k1_ChaChaPoly_SHA256");
    let (first, temp_key_1) = mix(&start, &es);
    let (second, temp_key_2) = mix(&first, &ee);
    let (_, temp_key_3) = mix(&second, &se);
    Ok(vec![
        ("the ephemeral key", device_ephemeral),
        ("the ECDH of act one", es),
        ("the ECDH of act two", ee),
        ("the ECDH of act three", se),
        ("the chaining key after act one", first),
        ("the chaining key after act two", second),
        ("the temporary key of act one", temp_key_1),
        ("the temporary key of act two", temp_key_2),
        ("the temporary key of act three", temp_key_3),
    ])
}

/// The secrets that lie in `memory`, in either byte order, whole or half.
pub(super) fn found_in(memory: &[u8], secrets: &[(&'static str, [u8; 32])]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, secret) in secrets {
        let mut reversed = *secret;
        reversed.reverse();
        for half in [secret, &reversed].into_iter().flat_map(|bytes| bytes.chunks(16)) {
            if let Some(at) = memory.windows(half.len()).position(|window| window == half) {
                found.push(format!("{name} at RAM + {at:#x}"));
            }
        }
    }
    found
}

/// Whether a line of the log shows one of the device's keys, in any of the ways in which bytes are shown.
pub(super) fn printed_in(line: &str) -> bool {
    [DEVICE_KEY, DEVICE_EPHEMERAL].iter().any(|key| {
        // A few bytes of the key are one too many; these are not said otherwise.
        let front = &key[10..20];
        let shown = |show: fn(&u8) -> String, between: &str| {
            line.contains(&front.iter().map(show).collect::<Vec<_>>().join(between))
        };
        shown(|byte| format!("{byte:02x}"), "")
            || shown(|byte| format!("{byte:02x}"), ", ")
            || shown(u8::to_string, ", ")
            || shown(|byte| char::from(*byte).to_string(), "")
    })
}

fn mix(chaining_key: &[u8], input: &[u8]) -> ([u8; 32], [u8; 32]) {
    let mut both = [0; 64];
    // 64 bytes are far below HKDF's limit.
    let _ = Hkdf::<Sha256>::new(Some(chaining_key), input).expand(&[], &mut both);
    let (mut first, mut second) = ([0; 32], [0; 32]);
    first.copy_from_slice(&both[..32]);
    second.copy_from_slice(&both[32..]);
    (first, second)
}

fn expand(salt: &[u8], input: &[u8], info: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let _ = Hkdf::<Sha256>::new(Some(salt), input).expand(info, &mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_log_is_found_however_it_is_shown() {
        for line in [
            format!("INFO {DEVICE_KEY:?}"),
            format!("INFO {DEVICE_EPHEMERAL:02x?}"),
            DEVICE_KEY.iter().fold(String::new(), |line, byte| line + &format!("{byte:02x}")),
            String::from_utf8(DEVICE_EPHEMERAL.to_vec()).unwrap(),
        ] {
            assert!(printed_in(&line), "{line}");
        }
        assert!(!printed_in(
            "INFO StaticKey(redacted, of node 03a840b5991802273f37e9221fc0080b6ca0b584795d34ac)"
        ));
    }

    #[test]
    fn a_secret_is_found_in_either_order_and_by_halves() {
        let secret: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let mut memory = vec![0xee; 100];
        assert!(found_in(&memory, &[("it", secret)]).is_empty());
        memory[40..56].copy_from_slice(&secret[16..]);
        assert_eq!(found_in(&memory, &[("it", secret)]), ["it at RAM + 0x28"]);
        memory[40..56].reverse();
        assert_eq!(found_in(&memory, &[("it", secret)]), ["it at RAM + 0x28"]);
    }
}
