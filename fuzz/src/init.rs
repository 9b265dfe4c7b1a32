//! `init` and its features.
//!
//! Held: what decodes encodes to an `init` with the same features, chains and address; the questions about features
//! agree with a plain list of the set bits.

use wire_core::message::features::{FeatureBit, FeatureSet, Features};
use wire_core::message::init::Init;

use crate::messages::again;

/// The bytes are the payload of an `init`, and also a feature field; the first byte says where a second field begins.
pub fn run(data: &[u8]) {
    decode(data);
    let (first, second) = data.split_at(data.first().map_or(0, |at| usize::from(*at).min(data.len())));
    features(first, second);
}

pub(crate) fn decode(payload: &[u8]) {
    let Ok(init) = Init::decode(payload) else { return };
    features(init.globalfeatures, init.features);
    if let Some(networks) = init.networks {
        assert!(networks.iter().all(|hash| networks.contains(hash)));
        assert_eq!(networks.iter().count() * 32, networks.as_bytes().len());
    }
    again(|writer| init.encode(writer), |payload| assert_eq!(Init::decode(payload), Ok(init)));
}

fn features(first: &[u8], second: &[u8]) {
    // Beyond this length the model takes longer than it is worth; the field may have 65,535 bytes.
    let (first, second) = (&first[..first.len().min(64)], &second[..second.len().min(64)]);
    let features = Features::union(first, second);
    let set = |field: &[u8], bit: usize| {
        field.iter().rev().nth(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    };
    let expected: Vec<FeatureBit> =
        (0..64 * 8).filter(|bit| set(first, *bit) || set(second, *bit)).map(FeatureBit::new).collect();

    assert_eq!(features.bits().collect::<Vec<_>>(), expected);
    assert_eq!(features.is_empty(), expected.is_empty());
    assert_eq!(features, Features::union(second, first));
    assert_eq!(
        features.unknown_even(),
        expected.iter().copied().find(|bit| bit.get() % 2 == 0 && bit.feature().is_none())
    );
    if let Some(missing) = features.missing_dependency() {
        assert!(features.offers(missing.feature) && !features.offers(missing.needs));
    }
    if let Ok(owned) = FeatureSet::from_features(features) {
        assert_eq!(owned.features(), features);
        assert!(owned.as_bytes().iter().copied().eq(features.bytes()));
        assert_ne!(owned.as_bytes().first(), Some(&0));
    }
}
