//! Frames out of bytes as they come from a stream.

use super::long::{Passed, PassedOver, Passing};
use super::{BodyLen, Keystream, OnDemand, OpenError, Opener};
use crate::limits::{FRAME_OVERHEAD, HEADER_LEN, TAG_LEN};

/// Finds and opens the frames in a stream of bytes, however the stream is split.
///
/// The bytes stay in the caller's buffer. The deframer remembers only whether a header was opened whose body
/// has not come, and how far it is with a message that is too long to be kept.
#[derive(Debug)]
pub struct Deframer {
    opener: Opener,
    /// The length of the next body, once its header is consumed.
    announced: Option<BodyLen>,
    /// Frames at the front of what is handed in that are opened already, together with one before them.
    opened: u8,
    /// The length of the body before, in bytes.
    last_body: u16,
    /// The longest message that is wanted, in bytes.
    longest: u16,
    /// A message that is longer, under way.
    passing: Passing,
}

/// What one call of [`Deframer::next`] did.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the consumed bytes must be dropped before the next call"]
pub struct Deframed<'a> {
    /// How many bytes at the front are done with. They must not be handed in again. The message lies among
    /// them, so they may be dropped only after it was handled.
    pub consumed: usize,
    /// The message that is complete now, decrypted, type and payload. It may be empty.
    pub message: Option<&'a [u8]>,
    /// Instead of a message: one that is longer than is wanted has come to its end.
    pub passed_over: Option<PassedOver>,
    /// How many bytes must come, beside those handed in, before another step is possible: the rest of a
    /// header, or of a body with its tag. At most 65,551. Zero with a message: then call again.
    pub wanted: usize,
}

impl Deframed<'_> {
    fn waiting(consumed: usize, wanted: usize) -> Self {
        Self { consumed, message: None, passed_over: None, wanted }
    }
}

impl Deframer {
    /// For a stream that begins at a frame, and with messages of any length.
    pub fn new(opener: Opener) -> Self {
        Self { opener, announced: None, opened: 0, last_body: 0, longest: u16::MAX, passing: Passing::none() }
    }

    /// Passes over messages of more than `longest` bytes from the next header on: they are consumed piece by piece, so
    /// that a buffer of `longest` + 16 bytes (and at least 64) is enough for every peer.
    pub fn set_longest(&mut self, longest: u16) {
        self.longest = longest;
    }

    /// Wipes the keys: nothing more will be opened.
    pub(crate) fn kill(&mut self) {
        self.opener.kill();
        self.opened = 0;
        // What was gathered of a message is worth nothing without them.
        self.passing.forget();
    }

    /// Delivers at most one frame at the front of `bytes`, which are all that was received and not consumed yet.
    ///
    /// A header is consumed as soon as it is whole, so a buffer need not hold header and body together. With
    /// fewer bytes than the next step needs nothing is touched. The work is bounded by one frame; while there
    /// are messages, call again.
    ///
    /// # Errors
    /// [`OpenError::HeaderTag`] or [`OpenError::BodyTag`] for the frame at the front, when all before it was
    /// delivered; [`OpenError::Dead`] from then on. Never [`OpenError::WrongLength`].
    pub fn next<'a>(&mut self, bytes: &'a mut [u8]) -> Result<Deframed<'a>, OpenError> {
        self.next_ahead(&mut OnDemand, bytes)
    }

    /// As [`Self::next`], with keystream out of `ahead`. Lend the same one again while there are frames.
    ///
    /// When nothing is prepared there, it is made for as many frames as `bytes` may hold. A few small frames behind the first
    /// one may be opened with it, where they lie, if the machine has lanes for that; each is delivered by a call of its own,
    /// to which the bytes that were not consumed must come as this one left them.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn next_ahead<'a>(
        &mut self,
        ahead: &mut impl Keystream,
        bytes: &'a mut [u8],
    ) -> Result<Deframed<'a>, OpenError> {
        if self.passing.is_under_way() {
            return self.pass_over(0, bytes);
        }
        if self.opened == 0 && self.announced.is_none() {
            let frames = bytes.len().div_ceil(self.last_frame_len());
            self.opened = self.opener.open_together(ahead, frames, self.longest, bytes);
        }
        if self.opened > 0 {
            return Ok(self.deliver(bytes));
        }
        let (announced, header_len, rest) = if let Some(announced) = self.announced.take() {
            (announced, 0, bytes)
        } else {
            let available = bytes.len();
            let Some((header, rest)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else {
                return Ok(Deframed::waiting(0, HEADER_LEN - available));
            };
            let frames = available.div_ceil(self.last_frame_len());
            (self.opener.open_header_ahead(ahead, frames, header)?, HEADER_LEN, rest)
        };

        if announced.get() > usize::from(self.longest) {
            self.passing.begin(&self.opener, announced)?;
            return self.pass_over(header_len, rest);
        }

        let body_len = announced.with_tag();
        let available = rest.len();
        let Some((body_and_tag, _)) = rest.split_at_mut_checked(body_len) else {
            self.announced = Some(announced);
            return Ok(Deframed::waiting(header_len, body_len - available));
        };
        self.last_body = u16::try_from(announced.get()).unwrap_or(u16::MAX);
        let message = self.opener.open_body_ahead(ahead, announced, body_and_tag)?;
        let consumed = header_len + body_len;
        Ok(Deframed { consumed, message: Some(message), passed_over: None, wanted: 0 })
    }

    /// The first of the frames that were opened together. Its length stands where it was encrypted.
    fn deliver<'a>(&mut self, bytes: &'a [u8]) -> Deframed<'a> {
        let Some(([high, low, ..], rest)) = bytes.split_first_chunk::<HEADER_LEN>() else {
            return Deframed::waiting(0, HEADER_LEN - bytes.len());
        };
        self.last_body = u16::from_be_bytes([*high, *low]);
        let body_len = usize::from(self.last_body);
        let Some((body, _)) = rest.split_at_checked(body_len + TAG_LEN) else {
            return Deframed::waiting(0, body_len + TAG_LEN - rest.len());
        };
        self.opened -= 1;
        let consumed = FRAME_OVERHEAD + body_len;
        Deframed { consumed, message: body.get(..body_len), passed_over: None, wanted: 0 }
    }

    /// Takes the next bytes of a message that is passed over; `before` were consumed in front of them.
    fn pass_over<'a>(&mut self, before: usize, bytes: &[u8]) -> Result<Deframed<'a>, OpenError> {
        let Passed { consumed, wanted } = self.passing.pass(&self.opener, bytes)?;
        let tag = bytes.get(consumed..).unwrap_or_default().first_chunk::<TAG_LEN>();
        let (0, Some(tag)) = (wanted, tag) else {
            return Ok(Deframed::waiting(before + consumed, wanted));
        };
        let passed_over = Some(self.passing.finish(&mut self.opener, tag)?);
        Ok(Deframed { consumed: before + consumed + TAG_LEN, message: None, passed_over, wanted: 0 })
    }

    /// Makes the keystream of the next frames, at most as many as `ahead` has room for, unless some is there already. For an
    /// idle moment; while a body is awaited nothing happens.
    pub fn prepare(&self, ahead: &mut impl Keystream) {
        self.opener.prepare(ahead);
    }

    /// What the next frames are taken to be as long as: messages of a kind come together.
    fn last_frame_len(&self) -> usize {
        FRAME_OVERHEAD + usize::from(self.last_body)
    }
}
