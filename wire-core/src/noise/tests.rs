//! Appendix A of BOLT 8 under its own names, and what the vectors do not ask: that every bit of every act
//! counts, and that nobody gets through with another key than the one that was meant.

use std::{string::String, vec, vec::Vec};

use serde_json::Value;

use super::*;
use crate::{
    node_id::NodeId,
    secret::{EphemeralKey, Secret, StaticKey},
};

/// One case of the appendix.
struct Case(Value);

impl Case {
    fn named(name: &str) -> Case {
        Case(
            cases()
                .into_iter()
                .find(|case| case["name"] == name)
                .unwrap_or_else(|| panic!("no vector `{name}`")),
        )
    }

    fn key(&self) -> StaticKey {
        let key = static_key(array(&self.0["ls_priv"]));
        assert_eq!(key.node_id().as_bytes(), &array(&self.0["ls_pub"]));
        key
    }

    fn ephemeral(&self) -> EphemeralKey {
        let key = ephemeral_key(array(&self.0["e_priv"]));
        assert_eq!(key.public().as_bytes(), &array(&self.0["e_pub"]));
        key
    }

    /// The bytes of an act, which has the direction `dir` as seen from the role under test.
    fn act(&self, number: u64, dir: &str) -> Vec<u8> {
        let steps = self.0["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["act"] == number).unwrap();
        assert_eq!(step["dir"], dir);
        bytes(&step["hex"])
    }

    /// The outcome that the appendix names, for an act with this version byte.
    fn expected_error(&self, version: u8) -> Option<HandshakeError> {
        Some(match self.0["result"]["error"].as_str()? {
            "ACT1_BAD_VERSION" => HandshakeError::ActOneBadVersion(version),
            "ACT1_BAD_PUBKEY" => HandshakeError::ActOneBadPublicKey,
            "ACT1_BAD_TAG" => HandshakeError::ActOneBadTag,
            "ACT2_BAD_VERSION" => HandshakeError::ActTwoBadVersion(version),
            "ACT2_BAD_PUBKEY" => HandshakeError::ActTwoBadPublicKey,
            "ACT2_BAD_TAG" => HandshakeError::ActTwoBadTag,
            "ACT3_BAD_VERSION" => HandshakeError::ActThreeBadVersion(version),
            "ACT3_BAD_CIPHERTEXT" => HandshakeError::ActThreeBadCiphertext,
            "ACT3_BAD_PUBKEY" => HandshakeError::ActThreeBadPublicKey,
            "ACT3_BAD_TAG" => HandshakeError::ActThreeBadTag,
            other => panic!("the appendix has an outcome that this test does not know: {other}"),
        })
    }

    /// The appendix calls an act that ends early a failed read. Here it is no act: the bytes do not become
    /// the array that the step takes, and the state goes on waiting until its owner gives up.
    fn is_short_read<const N: usize>(&self, act: u64, bytes: &[u8]) -> bool {
        let expected = std::format!("ACT{act}_READ_FAILED");
        let short = self.0["result"]["error"] == expected.as_str();
        assert_eq!(<&[u8; N]>::try_from(bytes).is_err(), short);
        if short {
            assert_eq!(bytes.len(), N - 1);
        }
        short
    }

    fn check_keys(&self, transport: &Transport) {
        let expected = |name| array::<32>(&self.0["result"][name]);
        assert_eq!(transport.sending.inner(), (&expected("sk"), &expected("ck"), 0));
        assert_eq!(transport.receiving.inner(), (&expected("rk"), &expected("ck"), 0));
    }
}

fn initiator_case(name: &str) {
    let case = Case::named(name);
    assert_eq!(case.0["role"], "initiator");
    let their_id = NodeId::from_bytes(&bytes(&case.0["rs_pub"])).unwrap();
    let (act_one, awaiting) = Initiator::new(&case.key(), their_id, case.ephemeral()).act_one();
    assert_eq!(act_one.as_slice(), case.act(1, "out"));

    let act_two = case.act(2, "in");
    if case.is_short_read::<ACT_TWO_LEN>(2, &act_two) {
        return;
    }
    let result = awaiting.act_two(&case.key(), act_two.as_slice().try_into().unwrap());
    assert_eq!(result.as_ref().err().copied(), case.expected_error(act_two[0]));
    if let Ok((act_three, transport)) = result {
        assert_eq!(act_three.as_slice(), case.act(3, "out"));
        case.check_keys(&transport);
    }
}

fn responder_case(name: &str) {
    let case = Case::named(name);
    assert_eq!(case.0["role"], "responder");
    let awaiting = Responder::new(&case.key(), case.ephemeral());

    let act_one = case.act(1, "in");
    if case.is_short_read::<ACT_ONE_LEN>(1, &act_one) {
        return;
    }
    let (act_two, awaiting) = match awaiting.act_one(&case.key(), act_one.as_slice().try_into().unwrap()) {
        Ok(answer) => answer,
        Err(error) => return assert_eq!(Some(error), case.expected_error(act_one[0])),
    };
    assert_eq!(act_two.as_slice(), case.act(2, "out"));

    let act_three = case.act(3, "in");
    if case.is_short_read::<ACT_THREE_LEN>(3, &act_three) {
        return;
    }
    let result = awaiting.act_three(act_three.as_slice().try_into().unwrap());
    assert_eq!(result.as_ref().err().copied(), case.expected_error(act_three[0]));
    if let Ok((their_id, transport)) = result {
        assert_eq!(their_id, static_key([0x11; 32]).node_id());
        case.check_keys(&transport);
    }
}

macro_rules! appendix_a {
    ($($test:ident = $run:ident($name:literal);)*) => {
        $(#[test] fn $test() { $run($name); })*
        const NAMES: &[&str] = &[$($name),*];
    };
}

appendix_a! {
    transport_initiator_successful_handshake = initiator_case("transport-initiator successful handshake");
    transport_initiator_act2_short_read_test = initiator_case("transport-initiator act2 short read test");
    transport_initiator_act2_bad_version_test = initiator_case("transport-initiator act2 bad version test");
    transport_initiator_act2_bad_key_serialization_test =
        initiator_case("transport-initiator act2 bad key serialization test");
    transport_initiator_act2_bad_mac_test = initiator_case("transport-initiator act2 bad MAC test");
    transport_responder_successful_handshake = responder_case("transport-responder successful handshake");
    transport_responder_act1_short_read_test = responder_case("transport-responder act1 short read test");
    transport_responder_act1_bad_version_test = responder_case("transport-responder act1 bad version test");
    transport_responder_act1_bad_key_serialization_test =
        responder_case("transport-responder act1 bad key serialization test");
    transport_responder_act1_bad_mac_test = responder_case("transport-responder act1 bad MAC test");
    transport_responder_act3_bad_version_test = responder_case("transport-responder act3 bad version test");
    transport_responder_act3_short_read_test = responder_case("transport-responder act3 short read test");
    transport_responder_act3_bad_mac_for_ciphertext_test =
        responder_case("transport-responder act3 bad MAC for ciphertext test");
    transport_responder_act3_bad_rs_test = responder_case("transport-responder act3 bad rs test");
    transport_responder_act3_bad_mac_test = responder_case("transport-responder act3 bad MAC test");
}

#[test]
fn no_vector_is_left_out() {
    let in_file: Vec<Value> = cases().into_iter().map(|case| case["name"].clone()).collect();
    assert_eq!(in_file, NAMES);
}

/// A handshake of two of our own, stopped wherever a test likes.
struct Pair {
    caller: StaticKey,
    called: StaticKey,
}

impl Pair {
    fn new() -> Pair {
        Pair { caller: static_key([0x11; 32]), called: static_key([0x21; 32]) }
    }

    fn act_one(&self) -> ([u8; ACT_ONE_LEN], AwaitActTwo) {
        Initiator::new(&self.caller, self.called.node_id(), ephemeral_key([0x12; 32])).act_one()
    }

    fn act_two(&self, act: &[u8; ACT_ONE_LEN]) -> Result<([u8; ACT_TWO_LEN], AwaitActThree), HandshakeError> {
        Responder::new(&self.called, ephemeral_key([0x22; 32])).act_one(&self.called, act)
    }
}

/// The two ends of a connection just after the handshake: initiator and responder.
pub(crate) fn connected() -> (Transport, Transport) {
    let pair = Pair::new();
    let (act_one, await_act_two) = pair.act_one();
    let (act_two, await_act_three) = pair.act_two(&act_one).unwrap();
    let (act_three, initiator) = await_act_two.act_two(&pair.caller, &act_two).unwrap();
    let (their_id, responder) = await_act_three.act_three(&act_three).unwrap();
    assert_eq!(their_id, pair.caller.node_id());
    (initiator, responder)
}

#[test]
fn the_keys_of_both_sides_cross() {
    let (initiator, responder) = connected();
    assert_eq!(initiator.sending.inner(), responder.receiving.inner());
    assert_eq!(initiator.receiving.inner(), responder.sending.inner());
    assert_ne!(initiator.sending.inner(), initiator.receiving.inner());
}

/// Which errors an act may end with when a bit of its version, its key or a tag is not as sent.
fn assert_refused(
    outcome: Option<HandshakeError>,
    position: usize,
    version: HandshakeError,
    others: &[HandshakeError],
) {
    let outcome = outcome.unwrap_or_else(|| panic!("byte {position} was altered and nobody saw it"));
    if position == VERSION {
        assert_eq!(outcome, version);
    } else {
        assert!(others.contains(&outcome), "byte {position}: {outcome:?}");
    }
}

#[test]
fn every_altered_bit_of_every_act_is_refused() {
    use HandshakeError as E;
    let pair = Pair::new();
    let (act_one, _) = pair.act_one();
    let (act_two, _) = pair.act_two(&act_one).unwrap();
    let (act_three, _) = pair.act_one().1.act_two(&pair.caller, &act_two).unwrap();
    for (position, bit) in
        (0..ACT_THREE_LEN).flat_map(|position| (0..8).map(move |bit| (position, 1_u8 << bit)))
    {
        if position < ACT_ONE_LEN {
            let mut altered = act_one;
            altered[position] ^= bit;
            let outcome = pair.act_two(&altered).err();
            assert_refused(
                outcome,
                position,
                E::ActOneBadVersion(bit),
                &[E::ActOneBadPublicKey, E::ActOneBadTag],
            );

            let mut altered = act_two;
            altered[position] ^= bit;
            let outcome = pair.act_one().1.act_two(&pair.caller, &altered).err();
            assert_refused(
                outcome,
                position,
                E::ActTwoBadVersion(bit),
                &[E::ActTwoBadPublicKey, E::ActTwoBadTag],
            );
        }
        let mut altered = act_three;
        altered[position] ^= bit;
        let outcome = pair.act_two(&act_one).unwrap().1.act_three(&altered).err();
        let expected =
            if FINAL_TAG.contains(&position) { E::ActThreeBadTag } else { E::ActThreeBadCiphertext };
        assert_refused(outcome, position, E::ActThreeBadVersion(bit), &[expected]);
    }
}

#[test]
fn who_means_another_node_is_refused_at_act_one() {
    let pair = Pair::new();
    let other = static_key([0x31; 32]).node_id();
    let (act_one, _) = Initiator::new(&pair.caller, other, ephemeral_key([0x12; 32])).act_one();
    assert_eq!(pair.act_two(&act_one).err(), Some(HandshakeError::ActOneBadTag));
}

#[test]
fn an_answer_to_another_call_is_refused_at_act_two() {
    let pair = Pair::new();
    let (other_act_one, _) =
        Initiator::new(&pair.caller, pair.called.node_id(), ephemeral_key([0x13; 32])).act_one();
    let (act_two, _) = pair.act_two(&other_act_one).unwrap();
    assert_eq!(pair.act_one().1.act_two(&pair.caller, &act_two).err(), Some(HandshakeError::ActTwoBadTag));
}

#[test]
fn nobody_gets_through_with_an_id_that_is_not_theirs() {
    let pair = Pair::new();
    let (act_one, await_act_two) = pair.act_one();
    let (act_two, await_act_three) = pair.act_two(&act_one).unwrap();
    // The handshake was begun as `caller`; whoever goes on with another key cannot prove that id.
    let (act_three, _) = await_act_two.act_two(&static_key([0x31; 32]), &act_two).unwrap();
    assert_eq!(await_act_three.act_three(&act_three).err(), Some(HandshakeError::ActThreeBadTag));
}

#[test]
fn states_are_small_and_print_no_key() {
    assert!(size_of::<AwaitActTwo>() <= 200 && size_of::<AwaitActThree>() <= 200);
    let (transport, _) = connected();
    let printed = std::format!("{transport:?} {:?}", Pair::new().act_one().1);
    let (key, chaining_key, _) = transport.sending.inner();
    for secret in [key, chaining_key] {
        assert!(!printed.contains(std::format!("{:?}", &secret[..4]).trim_matches(['[', ']'])), "{printed}");
    }
}

/// The appendix's notes on intermediate values, in order.
pub(crate) fn handshake_notes() -> Vec<String> {
    let all = cases();
    let notes = all.iter().flat_map(|case| case["debug"].as_array().unwrap());
    notes.map(|note| note["note"].as_str().unwrap().into()).collect()
}

fn cases() -> Vec<Value> {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/bolt08-handshake.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn static_key(bytes: [u8; 32]) -> StaticKey {
    StaticKey::from_bytes(&Secret::new(bytes)).unwrap()
}

fn ephemeral_key(bytes: [u8; 32]) -> EphemeralKey {
    EphemeralKey::from_bytes(Secret::new(bytes)).unwrap()
}

pub(crate) fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    let mut bytes = vec![0; hex.len() / 2];
    faster_hex::hex_decode(hex.as_bytes(), &mut bytes).unwrap();
    bytes
}

pub(crate) fn array<const N: usize>(hex: &Value) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}
