//! Acts one to three as either role: what a stranger sends, and an honest handshake that was damaged on its way.
//!
//! Held: a damaged byte, wherever it is, is noticed in the act that it is in; without damage both sides end with each
//! other's id and with ciphers that fit.

use wire_core::frame::{Opener, Sealer};
use wire_core::limits::FRAME_OVERHEAD;
use wire_core::noise::{HandshakeError, Initiator, Responder, Transport};

use crate::script::{INITIATOR, RESPONDER, Script, ephemeral_key, static_key};

/// The first byte chooses: 0 a stranger answers us, 1 a stranger dials us, else damage; then the acts, or what to damage.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.byte() {
        0 => dialing(script.rest()),
        1 => dialed(script.rest()),
        _ => damaged(&mut script),
    }
}

fn dialing(input: &[u8]) {
    let key = static_key(INITIATOR[0]);
    let their_id = static_key(RESPONDER[0]).node_id();
    let (_, await_act_two) = Initiator::new(&key, their_id, ephemeral_key(INITIATOR[1])).act_one();
    if let Some((act, _)) = input.split_first_chunk() {
        let version = act[0];
        match await_act_two.act_two(&key, act) {
            Err(HandshakeError::ActTwoBadVersion(seen)) => assert_eq!((seen, version != 0), (version, true)),
            Err(HandshakeError::ActTwoBadPublicKey | HandshakeError::ActTwoBadTag) | Ok(_) => {
                assert_eq!(version, 0);
            }
            Err(other) => assert_eq!(Some(other), None, "act two has errors of its own"),
        }
    }
}

fn dialed(input: &[u8]) {
    let key = static_key(RESPONDER[0]);
    let Some((act_one, rest)) = input.split_first_chunk() else { return };
    let Ok((_, await_act_three)) = Responder::new(&key, ephemeral_key(RESPONDER[1])).act_one(&key, act_one)
    else {
        return;
    };
    if let Some((act_three, _)) = rest.split_first_chunk() {
        // The peer is whoever proves it; nobody but the owner of a key can, and the corpus has the one of the BOLT.
        let _ = await_act_three.act_three(act_three);
    }
}

/// Which act, which byte, and what is added to it modulo two: zero is an honest handshake.
fn damaged(script: &mut Script<'_>) {
    let (act, place, change) = (script.byte() % 3 + 1, usize::from(script.byte()), script.byte());
    let hurt = |number: u8, bytes: &mut [u8]| {
        let place = place % bytes.len();
        if number == act {
            bytes[place] ^= change;
        }
        number == act && change != 0
    };
    let (ours, theirs) = (static_key(INITIATOR[0]), static_key(RESPONDER[0]));
    let (mut one, await_two) =
        Initiator::new(&ours, theirs.node_id(), ephemeral_key(script.byte().clamp(1, 0x7f))).act_one();
    let was_hurt = hurt(1, &mut one);
    let answer = Responder::new(&theirs, ephemeral_key(script.byte().clamp(1, 0x7f))).act_one(&theirs, &one);
    assert_eq!(answer.is_err(), was_hurt, "act one");
    let Ok((mut two, await_three)) = answer else { return };

    let was_hurt = hurt(2, &mut two);
    let answer = await_two.act_two(&ours, &two);
    assert_eq!(answer.is_err(), was_hurt, "act two");
    let Ok((mut three, initiator)) = answer else { return };

    let was_hurt = hurt(3, &mut three);
    let answer = await_three.act_three(&three);
    assert_eq!(answer.is_err(), was_hurt, "act three");
    let Ok((id, responder)) = answer else { return };
    assert_eq!(id, ours.node_id());
    fit(initiator, responder);
}

fn fit(one: Transport, other: Transport) {
    let (mut one, mut other) = (one.split(), other.split());
    exchange(&mut one.0, &mut other.1);
    exchange(&mut other.0, &mut one.1);
}

fn exchange(sealer: &mut Sealer, opener: &mut Opener) {
    let mut frame = [7; FRAME_OVERHEAD + 3];
    sealer.seal(&mut frame).expect("there is room");
    let (header, body) = frame.split_first_chunk_mut().expect("a frame has a header");
    let length = opener.open_header(header).expect("the header fits");
    assert_eq!(opener.open_body(length, body), Ok(&[7; 3][..]));
}
