//! Feature bits (BOLT 9): what a node can do (odd bit) or insists on (even bit).
//!
//! [`Feature`] is BOLT 9's table, [`Features`] the bits that a peer sent, borrowed from its message, and [`FeatureSet`]
//! the bits that we send. A bit is named by its place, counted from the lowest bit of the last byte, in a field of any
//! length. Two rules close a connection (BOLT 1, `init`): an even bit that nobody knows, and a known feature without the
//! ones it builds on. This module finds such bits; what is done about them is decided by
//! [`connection`](crate::connection).

use core::fmt;

use self::Context::{ChannelType, Init, Invoice, NodeAnnouncement};
use crate::words::{self, Word, Word::Text};

/// A feature that BOLT 9 assigns a pair of bits, in the order of its table. The value is the even bit.
///
/// Those without a [`Context`] are what BOLT 9 calls ASSUMED: every node has them and may stop saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(missing_docs, reason = "their meaning is BOLT 9's; `name` has it in full")]
#[non_exhaustive]
#[repr(u8)]
pub enum Feature {
    DataLossProtect = 0,
    UpfrontShutdownScript = 4,
    GossipQueries = 6,
    VarOnionOptin = 8,
    GossipQueriesEx = 10,
    StaticRemotekey = 12,
    PaymentSecret = 14,
    BasicMpp = 16,
    SupportLargeChannel = 18,
    Anchors = 22,
    RouteBlinding = 24,
    ShutdownAnysegwit = 26,
    DualFund = 28,
    Quiesce = 34,
    AttributionData = 36,
    OnionMessages = 38,
    ProvideStorage = 42,
    ChannelType = 44,
    ScidAlias = 46,
    PaymentMetadata = 48,
    Zeroconf = 50,
    SimpleClose = 60,
    Splice = 62,
}

impl Feature {
    /// The whole table.
    pub const ALL: [Self; 23] = [
        Self::DataLossProtect,
        Self::UpfrontShutdownScript,
        Self::GossipQueries,
        Self::VarOnionOptin,
        Self::GossipQueriesEx,
        Self::StaticRemotekey,
        Self::PaymentSecret,
        Self::BasicMpp,
        Self::SupportLargeChannel,
        Self::Anchors,
        Self::RouteBlinding,
        Self::ShutdownAnysegwit,
        Self::DualFund,
        Self::Quiesce,
        Self::AttributionData,
        Self::OnionMessages,
        Self::ProvideStorage,
        Self::ChannelType,
        Self::ScidAlias,
        Self::PaymentMetadata,
        Self::Zeroconf,
        Self::SimpleClose,
        Self::Splice,
    ];

    /// The even bit: the sender insists on the feature.
    pub const fn required(self) -> FeatureBit {
        FeatureBit(self as usize)
    }

    /// The odd bit: the sender has the feature.
    pub const fn optional(self) -> FeatureBit {
        FeatureBit(self as usize | 1)
    }

    /// Its name in BOLT 9.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Where BOLT 9 wants its bit to be shown.
    pub const fn contexts(self) -> &'static [Context] {
        self.row().1
    }

    /// The features that have to be set wherever this one is. What those need in turn is their own entry's business.
    pub const fn dependencies(self) -> &'static [Self] {
        self.row().2
    }

    /// The table of BOLT 9: name, contexts, dependencies.
    const fn row(self) -> (&'static str, &'static [Context], &'static [Self]) {
        const ASSUMED: &[Context] = &[];
        const IN: &[Context] = &[Init, NodeAnnouncement];
        const IN9: &[Context] = &[Init, NodeAnnouncement, Invoice];
        const INT: &[Context] = &[Init, NodeAnnouncement, ChannelType];
        match self {
            Self::DataLossProtect => ("option_data_loss_protect", ASSUMED, &[]),
            Self::UpfrontShutdownScript => ("option_upfront_shutdown_script", IN, &[]),
            Self::GossipQueries => ("gossip_queries", ASSUMED, &[]),
            Self::VarOnionOptin => ("var_onion_optin", ASSUMED, &[]),
            Self::GossipQueriesEx => ("gossip_queries_ex", IN, &[]),
            Self::StaticRemotekey => ("option_static_remotekey", ASSUMED, &[]),
            Self::PaymentSecret => ("payment_secret", ASSUMED, &[]),
            Self::BasicMpp => ("basic_mpp", IN9, &[Self::PaymentSecret]),
            Self::SupportLargeChannel => ("option_support_large_channel", IN, &[]),
            Self::Anchors => ("option_anchors", INT, &[]),
            Self::RouteBlinding => ("option_route_blinding", IN9, &[]),
            Self::ShutdownAnysegwit => ("option_shutdown_anysegwit", IN, &[]),
            Self::DualFund => ("option_dual_fund", IN, &[]),
            Self::Quiesce => ("option_quiesce", IN, &[]),
            Self::AttributionData => ("option_attribution_data", IN9, &[]),
            Self::OnionMessages => ("option_onion_messages", IN, &[]),
            Self::ProvideStorage => ("option_provide_storage", IN, &[]),
            Self::ChannelType => ("option_channel_type", ASSUMED, &[]),
            Self::ScidAlias => ("option_scid_alias", INT, &[]),
            Self::PaymentMetadata => ("option_payment_metadata", &[Invoice], &[]),
            Self::Zeroconf => ("option_zeroconf", INT, &[Self::ScidAlias]),
            Self::SimpleClose => ("option_simple_close", IN, &[Self::ShutdownAnysegwit]),
            Self::Splice => ("option_splice", IN, &[]),
        }
    }
}

/// Where a feature bit is shown (BOLT 9, the Context column).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Context {
    /// `I`: in `init`.
    Init,
    /// `N`: in `node_announcement`.
    NodeAnnouncement,
    /// `9`: in BOLT 11 invoices.
    Invoice,
    /// `T`: in `channel_type` when a channel is opened.
    ChannelType,
}

/// The place of a feature bit, 0 for the lowest bit of the last byte.
///
/// Displays as its number, with BOLT 9's name behind it where it has one: `12 (option_static_remotekey)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FeatureBit(usize);

impl FeatureBit {
    /// The bit at this place.
    pub const fn new(place: usize) -> Self {
        Self(place)
    }

    /// Its place.
    pub const fn get(self) -> usize {
        self.0
    }

    /// Whether it is even: a node that does not know it has to close the connection.
    pub const fn is_required(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// What BOLT 9 assigns to it; `None` if it assigns nothing.
    pub fn feature(self) -> Option<Feature> {
        Feature::ALL.into_iter().find(|feature| self == feature.required() || self == feature.optional())
    }
}

impl fmt::Display for FeatureBit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl FeatureBit {
    /// What `Display` shows, without formatting.
    pub(crate) fn say(self, to: &mut impl fmt::Write) -> fmt::Result {
        let number = Word::count(self.0);
        match self.feature() {
            Some(feature) => words::write(to, &[number, Text(" ("), Text(feature.name()), Text(")")]),
            None => words::write(to, &[number]),
        }
    }
}

/// The feature bits that a node set: one bit field, or the two of an `init` message taken together.
///
/// Borrows the fields as they came. Two of them are equal if the same bits are set, whatever zero bytes stand in front.
/// Displays as lower-case hex without those zero bytes, as Core Lightning prints features; nothing if no bit is set.
#[derive(Clone, Copy)]
pub struct Features<'a> {
    first: &'a [u8],
    second: &'a [u8],
}

impl<'a> Features<'a> {
    /// The bits of one field.
    pub const fn new(field: &'a [u8]) -> Self {
        Self { first: field, second: &[] }
    }

    /// The bits that are set in either field, which need not be equally long. Nothing is copied.
    pub const fn union(first: &'a [u8], second: &'a [u8]) -> Self {
        Self { first, second }
    }

    /// Whether this very bit is set.
    pub fn is_set(&self, bit: FeatureBit) -> bool {
        self.byte(bit.0 / 8) & (1 << (bit.0 % 8)) != 0
    }

    /// Whether the feature is offered, be it as optional or as required (BOLT 1, `init`).
    pub fn offers(&self, feature: Feature) -> bool {
        self.is_set(feature.required()) || self.is_set(feature.optional())
    }

    /// Whether no bit is set.
    pub fn is_empty(&self) -> bool {
        self.bytes().next().is_none()
    }

    /// The bits that are set, from the lowest up. The work is bounded by the length of the fields.
    pub fn bits(self) -> impl Iterator<Item = FeatureBit> + use<'a> {
        (0..self.len())
            .filter(move |&index| self.byte(index) != 0)
            .flat_map(|index| (0..8).map(move |place| FeatureBit(index * 8 + place)))
            .filter(move |&bit| self.is_set(bit))
    }

    /// The bytes of the shortest field with these bits, as it goes on the wire: the first one is not zero.
    pub fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        (0..self.len()).rev().map(move |index| self.byte(index)).skip_while(|&byte| byte == 0)
    }

    /// The lowest even bit that BOLT 9 does not assign, if one is set: a reason to close the connection (BOLT 1).
    pub fn unknown_even(&self) -> Option<FeatureBit> {
        self.bits().find(|bit| bit.is_required() && bit.feature().is_none())
    }

    /// The first feature that is offered without one that it needs: a reason to close the connection (BOLT 1).
    ///
    /// Every offered feature has its own dependencies looked at, so that a chain of them is followed to its end.
    pub fn missing_dependency(&self) -> Option<MissingDependency> {
        Feature::ALL
            .into_iter()
            .filter(|&feature| self.offers(feature))
            .flat_map(|feature| feature.dependencies().iter().map(move |&needs| (feature, needs)))
            .find(|&(_, needs)| !self.offers(needs))
            .map(|(feature, needs)| MissingDependency { feature, needs })
    }

    /// Whether a node may show these bits as its own.
    ///
    /// # Errors
    /// [`NotOfferable`] names the first rule of BOLT 9 that they break.
    pub fn offerable(&self) -> Result<(), NotOfferable> {
        let both = |bit: &FeatureBit| bit.is_required() && self.is_set(FeatureBit(bit.0 | 1));
        if let Some(required) = self.bits().find(both) {
            return Err(NotOfferable::BothBits { required });
        }
        self.missing_dependency().map_or(Ok(()), |missing| Err(NotOfferable::MissingDependency(missing)))
    }

    /// The byte with the bits from `8 * index` on.
    fn byte(&self, index: usize) -> u8 {
        let of = |field: &[u8]| field.iter().rev().nth(index).copied().unwrap_or(0);
        of(self.first) | of(self.second)
    }

    /// The length of the longer field, in bytes.
    fn len(&self) -> usize {
        self.first.len().max(self.second.len())
    }
}

impl PartialEq for Features<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl Eq for Features<'_> {}

impl fmt::Display for Features<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Features<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Features<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

/// A feature is offered, but not one that it builds on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MissingDependency {
    /// What is offered.
    pub feature: Feature,
    /// What it needs and what is not offered.
    pub needs: Feature,
}

impl fmt::Display for MissingDependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.say(f)
    }
}

impl MissingDependency {
    /// What `Display` shows, without formatting.
    pub(crate) fn say(self, to: &mut impl fmt::Write) -> fmt::Result {
        let (feature, needs) = (Text(self.feature.name()), Text(self.needs.name()));
        words::write(
            to,
            &[Text("feature "), feature, Text(" is set without "), needs, Text(", which it depends on")],
        )
    }
}

impl core::error::Error for MissingDependency {}

/// Why a node may not show its bits as they are (BOLT 9, "Requirements" of the origin node).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NotOfferable {
    /// A feature is shown as required and as optional.
    BothBits {
        /// The even bit of the pair.
        required: FeatureBit,
    },
    /// A feature is shown without one that it builds on, and peers would hang up.
    MissingDependency(MissingDependency),
}

impl fmt::Display for NotOfferable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BothBits { required } => {
                write!(
                    f,
                    "feature bit {required} is set together with the odd bit of its pair; set one of them"
                )
            }
            Self::MissingDependency(missing) => missing.fmt(f),
        }
    }
}

impl core::error::Error for NotOfferable {}

/// The feature bits that we offer: owned, of fixed size, made at compile time where that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeatureSet([u8; FeatureSet::LEN]);

impl FeatureSet {
    /// Its size in bytes. Room for the bits of BOLT 9 and for those that applications have taken for themselves
    /// (bLIP 2), of which 729 of the LSP protocols is the highest that is common; a higher bit is refused by
    /// [`FeatureSet::with`].
    pub const LEN: usize = 96;

    /// No bit at all.
    pub const EMPTY: Self = Self([0; Self::LEN]);

    /// What a node without channels offers: the features that BOLT 9 takes for granted and that LND and LDK refuse to
    /// do without in a peer. All of them odd, so that we insist on nothing: 1, 9, 13, 15 and 45.
    pub const DEFAULT: Self = Self::EMPTY
        .with_optional(Feature::DataLossProtect)
        .with_optional(Feature::VarOnionOptin)
        .with_optional(Feature::StaticRemotekey)
        .with_optional(Feature::PaymentSecret)
        .with_optional(Feature::ChannelType);

    /// The same set with the odd bit of `feature`.
    #[must_use]
    pub const fn with_optional(self, feature: Feature) -> Self {
        match self.with(feature.optional()) {
            Ok(set) => set,
            // Not reached: the table's bits are below 256, and the set is larger.
            Err(_) => self,
        }
    }

    /// The same set with `bit`, which may be one that BOLT 9 does not know.
    ///
    /// # Errors
    /// [`BitTooHigh`] if the set has no room for it.
    pub const fn with(self, bit: FeatureBit) -> Result<Self, BitTooHigh> {
        let Self(mut bytes) = self;
        let Some(index) = (Self::LEN - 1).checked_sub(bit.0 / 8) else {
            return Err(BitTooHigh { bit });
        };
        match bytes.split_at_mut_checked(index) {
            Some((_, [byte, ..])) => *byte |= 1 << (bit.0 % 8),
            _ => return Err(BitTooHigh { bit }),
        }
        Ok(Self(bytes))
    }

    /// The bits of both sets.
    #[must_use]
    pub fn union(self, other: &Self) -> Self {
        let Self(mut bytes) = self;
        bytes.iter_mut().zip(other.0).for_each(|(byte, more)| *byte |= more);
        Self(bytes)
    }

    /// The set that has the bits of `features`.
    ///
    /// # Errors
    /// [`BitTooHigh`] for the lowest bit that the set has no room for.
    pub fn from_features(features: Features<'_>) -> Result<Self, BitTooHigh> {
        features.bits().try_fold(Self::EMPTY, Self::with)
    }

    /// The shortest field with these bits, big-endian, as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        let zeros = self.0.iter().take_while(|&&byte| byte == 0).count();
        self.0.get(zeros..).unwrap_or_default()
    }

    /// The bits, for questions about them.
    pub fn features(&self) -> Features<'_> {
        Features::new(&self.0)
    }
}

impl Default for FeatureSet {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.features(), f)
    }
}

impl fmt::Debug for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeatureSet({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for FeatureSet {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.features().format(f);
    }
}

/// A [`FeatureSet`] has no room for a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BitTooHigh {
    /// The bit.
    pub bit: FeatureBit,
}

impl fmt::Display for BitTooHigh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "feature bit {} is too high: the highest that can be offered is {}",
            self.bit,
            FeatureSet::LEN * 8 - 1
        )
    }
}

impl core::error::Error for BitTooHigh {}
