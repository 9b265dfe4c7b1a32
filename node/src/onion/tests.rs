//! What the tests of this folder share.

use crate::{Identity, NodeId, Secret};

/// The id of a node made from one byte.
pub(super) fn node(seed: u8) -> NodeId {
    Identity::from_secret(&Secret::new([seed; 32])).unwrap().node_id()
}
