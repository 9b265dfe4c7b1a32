//! Feature bits against BOLT 9's table.

use crate::vectors::load;
use wire_core::message::features::{
    BitTooHigh, Context, Feature, FeatureBit, FeatureSet, Features, MissingDependency, NotOfferable,
};

#[test]
fn the_table_is_bolt_9s() {
    #[derive(serde::Deserialize)]
    struct Row {
        even: usize,
        odd: usize,
        name: String,
        context: String,
        dependencies: Vec<String>,
    }
    let table = load::<Row>(include_str!("../vectors/bolt09-features.json"));
    assert_eq!(table.len(), Feature::ALL.len());
    for (row, feature) in table.into_iter().zip(Feature::ALL) {
        assert_eq!(feature.name(), row.name);
        assert_eq!(feature.required().get(), row.even, "{}", row.name);
        assert_eq!(feature.optional().get(), row.odd, "{}", row.name);
        let context: String = feature
            .contexts()
            .iter()
            .map(|context| match context {
                Context::Init => 'I',
                Context::NodeAnnouncement => 'N',
                Context::Invoice => '9',
                Context::ChannelType => 'T',
                other => panic!("{other:?} is not in the file"),
            })
            .collect();
        assert_eq!(context, row.context, "{}", row.name);
        let dependencies: Vec<_> = feature.dependencies().iter().map(|needs| needs.name()).collect();
        assert_eq!(dependencies, row.dependencies, "{}", row.name);
    }
}

#[test]
fn bits_count_from_the_end() {
    let features = Features::new(&[0x02, 0x00, 0x81]);
    assert_eq!(features.bits().map(FeatureBit::get).collect::<Vec<_>>(), [0, 7, 17]);
    for bit in 0..64 {
        assert_eq!(features.is_set(FeatureBit::new(bit)), [0, 7, 17].contains(&bit), "{bit}");
    }
    assert!(!features.is_set(FeatureBit::new(usize::MAX)));
    assert!(features.offers(Feature::DataLossProtect));
    assert!(features.offers(Feature::BasicMpp));
    assert!(!features.offers(Feature::UpfrontShutdownScript));
}

#[test]
fn zero_bytes_in_front_mean_nothing() {
    let features = Features::new(&[0, 0, 0x0a, 0x00]);
    assert_eq!(features, Features::new(&[0x0a, 0x00]));
    assert_eq!(features, Features::union(&[0x08, 0x00], &[0, 0x02, 0x00]));
    assert_ne!(features, Features::new(&[0x0a]));
    assert_eq!(features.to_string(), "0a00");
    assert!(Features::new(&[0, 0]).is_empty());
    assert_eq!(Features::new(&[0, 0]).to_string(), "");
}

/// Every even bit that the table lacks is found, and no odd one and no assigned one.
#[test]
fn unknown_even_bits() {
    for bit in 0..1000 {
        let mut field = [0; 125];
        field[124 - bit / 8] |= 1 << (bit % 8);
        let assigned = Feature::ALL.iter().any(|feature| feature.required().get() == bit);
        let expected = (bit % 2 == 0 && !assigned).then_some(FeatureBit::new(bit));
        assert_eq!(Features::new(&field).unknown_even(), expected);
        assert_eq!(Features::union(&[0xff, 0xff], &field).unknown_even(), Some(FeatureBit::new(2)));
    }
}

#[test]
fn dependencies() {
    for feature in Feature::ALL {
        for bit in [feature.required(), feature.optional()] {
            let alone = FeatureSet::EMPTY.with(bit).unwrap();
            let expected = feature.dependencies().first().map(|&needs| MissingDependency { feature, needs });
            assert_eq!(alone.features().missing_dependency(), expected, "{bit}");
            // Either bit of the pair will do.
            for needed in [Feature::required, Feature::optional] {
                let with_all =
                    feature.dependencies().iter().fold(alone, |set, &needs| set.with(needed(needs)).unwrap());
                assert_eq!(with_all.features().missing_dependency(), None, "{bit}");
            }
        }
    }
}

#[test]
fn what_no_node_may_show() {
    let outcome = |bits: &[usize]| {
        let set = bits.iter().fold(FeatureSet::EMPTY, |set, bit| set.with(FeatureBit::new(*bit)).unwrap());
        set.features().offerable()
    };
    for bit in (0..FeatureSet::LEN * 8).step_by(2) {
        let both = NotOfferable::BothBits { required: FeatureBit::new(bit) };
        assert_eq!(outcome(&[bit, bit + 1]), Err(both));
    }
    assert_eq!(outcome(&[]), Ok(()));
    // basic_mpp builds on payment_secret, as whichever of its bits.
    let missing = MissingDependency { feature: Feature::BasicMpp, needs: Feature::PaymentSecret };
    assert_eq!(outcome(&[17]), Err(NotOfferable::MissingDependency(missing)));
    assert_eq!((outcome(&[17, 14]), outcome(&[17, 15])), (Ok(()), Ok(())));
    assert_eq!(FeatureSet::DEFAULT.features().offerable(), Ok(()));
    let said = outcome(&[38, 39]).unwrap_err().to_string();
    assert_eq!(
        said,
        "feature bit 38 (option_onion_messages) is set together with the odd bit of its pair; set one of them"
    );
}

#[test]
fn what_we_offer() {
    let offered: Vec<_> = FeatureSet::DEFAULT.features().bits().map(FeatureBit::get).collect();
    assert_eq!(offered, [1, 9, 13, 15, 45]);
    assert_eq!(FeatureSet::default().to_string(), "20000000a202");
    assert_eq!(FeatureSet::DEFAULT.as_bytes(), [0x20, 0, 0, 0, 0xa2, 0x02]);
    assert_eq!(FeatureSet::DEFAULT.features().missing_dependency(), None);
    assert_eq!(FeatureSet::EMPTY.as_bytes(), [0; 0]);
}

#[test]
fn a_set_has_room_for_the_bits_it_names() {
    for bit in (0..FeatureSet::LEN * 8).map(FeatureBit::new) {
        let set = FeatureSet::EMPTY.with(bit).unwrap();
        assert_eq!(set.features().bits().collect::<Vec<_>>(), [bit]);
        assert_eq!(set.as_bytes().len(), bit.get() / 8 + 1);
        assert_eq!(FeatureSet::from_features(Features::new(set.as_bytes())), Ok(set));
        let both = FeatureSet::DEFAULT.union(&set);
        assert_eq!(both.features(), Features::union(FeatureSet::DEFAULT.as_bytes(), set.as_bytes()));
    }
    for bit in [FeatureSet::LEN * 8, usize::MAX].map(FeatureBit::new) {
        assert_eq!(FeatureSet::EMPTY.with(bit), Err(BitTooHigh { bit }));
        let said = BitTooHigh { bit }.to_string();
        assert!(said.ends_with("the highest that can be offered is 767"), "{said}");
    }
}

#[test]
fn what_a_user_reads() {
    assert_eq!(FeatureBit::new(12).to_string(), "12 (option_static_remotekey)");
    assert_eq!(FeatureBit::new(13).to_string(), "13 (option_static_remotekey)");
    assert_eq!(FeatureBit::new(2).to_string(), "2");
    let missing = MissingDependency { feature: Feature::Zeroconf, needs: Feature::ScidAlias };
    assert_eq!(
        missing.to_string(),
        "feature option_zeroconf is set without option_scid_alias, which it depends on"
    );
}
