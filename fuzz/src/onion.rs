//! Onions, blinded paths and onion messages.
//!
//! The first byte chooses what the rest is: an onion as it came, the payload of a hop (wrapped for us, so that it is read
//! behind a right HMAC), the data of a blinded path for us (encrypted, for the same reason), a blinded path, an error on its way
//! back, or a script for messages between us and LDK (`ldk`).
//!
//! Held: an onion of a stranger's making is refused; a path that is read is written as the same bytes; what is forwarded has the
//! length that it came with, and what is delivered has no record that belongs to the protocol, and one payload at
//! most; an error is read by its sender, who knows at which hop it arose, and by nobody if it was damaged.

mod ldk;

use wire_core::cursor::Writer;
use wire_core::limits::{ONION_AREA_LEN, ONION_OVERHEAD};
use wire_core::message::tlv::TlvWriter;
use wire_core::onion::blinded_path::Blinder;
use wire_core::onion::failure::{self, Failure, UnwrapError};
use wire_core::onion::message::{FIRST_PAYLOAD, ReceiveError, Received, receive};
use wire_core::onion::{BlindedIdentity, BlindedPath, EncryptedData, Hop, SharedSecret, construct};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

use crate::script::Script;

/// See the module.
pub fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 8 {
        0 => stranger(data),
        1 => wrapped(data, Place::Last),
        2 => wrapped(data, Place::Before),
        3 => told(data),
        4 => path(data),
        5 => error(&mut Script::new(data)),
        6 => ldk::ours(&mut Script::new(data)),
        _ => ldk::theirs(&mut Script::new(data)),
    }
}

/// Where on the route we are.
#[derive(Clone, Copy)]
enum Place {
    Before,
    Last,
}

fn us() -> StaticKey {
    StaticKey::from_bytes(&Secret::new([1; 32])).expect("a valid key")
}

fn fresh(seed: u8) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new([seed; 32])).expect("a valid key")
}

fn stranger(data: &[u8]) {
    let mut bytes = data.to_vec();
    let path_key = Blinder::new(fresh(2)).path_key();
    let outcome = receive(&us(), &path_key, &mut bytes);
    assert!(matches!(outcome, Err(ReceiveError::Packet(_) | ReceiveError::Peel(_))), "{outcome:?}");
}

fn wrapped(payload: &[u8], place: Place) {
    let path_key = Blinder::new(fresh(2)).path_key();
    let identity = BlindedIdentity::new(&us(), &path_key).expect("a valid key");
    let hops = [Hop { node: identity.node_id(), payload }, Hop { node: us().node_id(), payload: &[1, 0] }];
    let hops = match place {
        Place::Before => &hops[..],
        Place::Last => &hops[..1],
    };
    let mut packet = [0; ONION_OVERHEAD + ONION_AREA_LEN];
    let mut secrets = [SharedSecret::default(), SharedSecret::default()];
    if construct(fresh(3), hops, &[], &mut packet, &mut secrets).is_err() {
        return;
    }
    match receive(&us(), &path_key, &mut packet) {
        Ok(Received::Forward(forward)) => {
            assert!(matches!(place, Place::Before));
            assert_eq!(forward.packet.len(), ONION_OVERHEAD + ONION_AREA_LEN);
        }
        Ok(Received::Deliver(delivery)) => {
            assert!(matches!(place, Place::Last));
            assert!(delivery.records().all(|record| record.kind != 2 && record.kind != 4));
            assert!(delivery.records().filter(|record| record.kind >= FIRST_PAYLOAD).count() <= 1);
        }
        Err(_) => {}
    }
}

fn told(data: &[u8]) {
    let mut sealed = data.to_vec();
    let (_, tag) = Blinder::new(fresh(2)).blind(&us().node_id(), &mut sealed).expect("a valid key");
    sealed.extend(tag);
    let mut payload = vec![0; sealed.len() + 9];
    let mut writer = Writer::new(&mut payload);
    TlvWriter::new(&mut writer).record(4, &sealed).expect("nine bytes are enough for type and length");
    let payload = writer.into_written();
    wrapped(payload, Place::Before);
    wrapped(payload, Place::Last);

    let Ok(read) = EncryptedData::decode(data) else { return };
    let len = read.encoded_len();
    let mut again = vec![0; len];
    read.encode(&mut Writer::new(&mut again), len).expect("it has said how long it is");
    assert_eq!(EncryptedData::decode(&again), Ok(read));
}

fn path(data: &[u8]) {
    let Ok(path) = BlindedPath::decode(data) else { return };
    assert_eq!(path.hops().count(), path.hop_count());
    let mut again = vec![0; path.encoded_len()];
    path.encode(&mut Writer::new(&mut again)).expect("it has said how long it is");
    assert_eq!(again, data);
}

/// How many hops, at which one it arises, whether and where it is damaged on its way back, and what it says.
fn error(script: &mut Script<'_>) {
    let (hops, at) = (usize::from(script.byte()) % 27 + 1, usize::from(script.byte()));
    let (place, change) = (usize::from(script.number()), script.byte());
    let message = script.rest();
    let at = at % hops;

    let route = vec![Hop { node: us().node_id(), payload: &[1, 0] }; hops];
    let mut secrets: Vec<SharedSecret> = route.iter().map(|_| SharedSecret::default()).collect();
    let mut onion = vec![0; ONION_OVERHEAD + route.iter().map(Hop::len).sum::<usize>()];
    construct(fresh(3), &route, &[], &mut onion, &mut secrets).expect("a route that fits");

    let mut room = vec![0; failure::packet_len(message.len())];
    let Ok(packet) = failure::create(&secrets[at], message, &mut room) else {
        assert!(message.len() > usize::from(u16::MAX));
        return;
    };
    secrets[..at].iter().rev().for_each(|secret| failure::wrap(secret, packet));
    let place = place % packet.len();
    packet[place] ^= change;
    let mut room = vec![0; packet.len()];
    let read = failure::unwrap(&secrets, packet, &mut room);
    let expected =
        if change == 0 { Ok(Failure { hop: at, message }) } else { Err(UnwrapError::Unattributed) };
    assert_eq!(read, expected);

    // Bytes that nobody has made.
    let mut stranger = message.to_vec();
    let mut room = vec![0; stranger.len()];
    assert!(failure::unwrap(&secrets, &mut stranger, &mut room).is_err());
}
