//! One message on the wire: sealed and opened where it lies, and found in a stream of bytes in any split.
//!
//! ```text
//!  0        2                 18                         18 + n           34 + n
//!  | length | tag of length   | body: type and payload   | tag of body    |
//!  |<------ header ---------->|<-------- n bytes ------->|<-- 16 bytes -->|
//!     2 + 16 bytes               0 to 65,535 bytes
//! ```
//!
//! Length (big endian, the body alone) and body are two texts with a nonce each: BOLT 8, "Encrypting and
//! Sending Messages".
//!
//! - [`Sealer`] takes a buffer with the body in its place and room around it, and makes it the frame.
//! - [`Opener`] opens a header, then the body that the header has announced. [`BodyLen`] is the proof that a
//!   length came from a header whose tag held, and is spent on the body.
//! - [`Deframer`] is an opener for bytes as they come: any split, one frame per call. A message longer than its owner
//!   wants it reads through, checks and drops: [`PassedOver`].
//! - [`Ahead`] holds keystream for frames that are still to come, for several of one run or for one that is waited for;
//!   the driver owns it and lends it. [`SealRun`] seals a run with it, and makes the tags of several small frames at once
//!   if they are handed in together.
//!
//! None of them has a buffer, keeps a body or knows what it means: an empty body is a frame like any other
//! here. They may be moved and kept apart, as the two directions share nothing.
//!
//! Constant time: all but lengths, and whether a tag held. Wiping: keys when replaced, when dropped, and in
//! an [`Opener`] also at the first failure. Bodies lie in the caller's buffers, before and after.

mod ahead;
mod deframer;
pub(crate) mod long;
mod opener;
mod sealer;
mod together;

use core::fmt;

pub use ahead::{Ahead, Keystream, OnDemand};
pub use deframer::{Deframed, Deframer};
pub use long::PassedOver;
pub use opener::{BodyLen, Opener};
pub use sealer::{SealManyError, SealRun, Sealer};
pub use together::TOGETHER;

use crate::limits::{FRAME_OVERHEAD, MAX_MESSAGE_LEN};

/// Why a buffer was not sealed. It is as it was, and no nonce was used up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SealError {
    /// The buffer has no room for header and tag: less than 34 bytes.
    TooShort,
    /// The body is longer than 65,535 bytes; a length of two bytes cannot say that.
    TooLong,
    /// The frame before is being sealed in pieces and has not come to its end.
    Unfinished,
}

/// Why bytes were not opened. From then on there is only [`OpenError::Dead`]: close the connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenError {
    /// The tag of a length does not hold: the bytes were altered, lost or repeated, or the peer is out of
    /// step.
    HeaderTag,
    /// The tag of a body does not hold, though its header was good.
    BodyTag,
    /// The caller handed in a body whose length is not the announced one with the tag.
    WrongLength,
    /// An earlier frame failed. The keys are gone.
    Dead,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => {
                write!(
                    f,
                    "a frame needs {FRAME_OVERHEAD} bytes of room beside its message: hand in a longer buffer"
                )
            }
            Self::TooLong => {
                write!(f, "a message has at most {MAX_MESSAGE_LEN} bytes, type included: send less")
            }
            Self::Unfinished => {
                f.write_str("the frame before has not been written to its end: transmit what is owed first")
            }
        }
    }
}

impl core::error::Error for SealError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderTag => "the length of a message does not decrypt: close the connection",
            Self::BodyTag => "the body of a message does not decrypt: close the connection",
            Self::WrongLength => {
                "a body was handed in that is not as long as its header says: close the connection"
            }
            Self::Dead => "an earlier message did not decrypt, so nothing after it can: close the connection",
        })
    }
}

impl core::error::Error for OpenError {}

#[cfg(test)]
mod tests;
