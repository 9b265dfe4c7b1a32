//! A connection that has its keys: both directions, how far it is, and its last word.
//!
//! Everything lies where it was put until the end, so that there is one place to wipe. A connection reads until it owes a
//! last word, and never again: so the word lies where the keys for reading were, which makes every connection smaller.

use zeroize::Zeroize as _;

use super::close::Farewell;
use super::liveness::Liveness;
use crate::frame::{Deframer, Sealer};

/// Both directions of an encrypted connection.
pub(super) struct Link {
    pub(super) sealer: Sealer,
    pub(super) input: Input,
}

/// Whether the peer is still listened to.
pub(super) enum Input {
    /// Only the stage changes.
    Read(Deframer, Stage),
    /// A last word is owed, or was; input is not looked at any more, and the key for it is gone: the last word takes its
    /// place. The rest of that is initialized, for the same reason as in `State::take`.
    Closing(Option<Farewell>, [u8; Input::ROOM]),
}

/// How far a connection is that reads.
pub(super) enum Stage {
    AwaitInit,
    Open(Liveness),
    Draining(Liveness),
}

impl Input {
    /// What a deframer takes and a last word does not.
    const ROOM: usize =
        (size_of::<Deframer>() + size_of::<Stage>()).saturating_sub(size_of::<Option<Farewell>>());

    /// Puts the last word where the keys were, which are wiped.
    pub(super) fn close(&mut self, farewell: Option<Farewell>) {
        if let Self::Read(deframer, _) = self {
            deframer.kill();
        }
        *self = Self::Closing(farewell, [0; Self::ROOM]);
        if let Self::Closing(_, room) = self {
            // Again, in a way that no optimizer leaves out.
            room.zeroize();
        }
    }
}

impl Link {
    pub(super) fn new(sealer: Sealer, deframer: Deframer) -> Self {
        Self { sealer, input: Input::Read(deframer, Stage::AwaitInit) }
    }
}
