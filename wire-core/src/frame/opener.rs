//! The receiving direction: a header tells how long the body is, the body follows.

use super::{Keystream, OnDemand, OpenError};
use crate::{
    cipher::CipherState,
    limits::{HEADER_LEN, LENGTH_LEN, TAG_LEN},
};

/// Opens the messages of one direction: header, body, header, body.
///
/// After the first failure the opener is dead: it has wiped its keys and answers [`OpenError::Dead`] to
/// everything.
#[derive(Debug)]
pub struct Opener {
    /// `None`: dead.
    pub(super) cipher: Option<CipherState>,
}

/// How long a body is, according to a header whose tag held. It must be spent on that body.
///
/// A token that is dropped instead leaves the opener waiting for a body: the next header fails its tag.
#[must_use = "the opener waits for the body that this length announces"]
#[derive(Debug, PartialEq, Eq)]
pub struct BodyLen(u16);

impl BodyLen {
    /// The length of the body without its tag, 0 to 65,535 bytes.
    pub fn get(&self) -> usize {
        self.0.into()
    }

    /// As [`get`](Self::get), in the width in which it came.
    pub(super) fn as_u16(&self) -> u16 {
        self.0
    }

    /// The length of body and tag: what must be there before the body can be opened.
    pub fn with_tag(&self) -> usize {
        self.get() + TAG_LEN
    }
}

impl Opener {
    /// A direction at its start. The handshake makes one:
    /// [`Transport::split`](crate::noise::Transport::split).
    pub fn new(cipher: CipherState) -> Self {
        Self { cipher: Some(cipher) }
    }

    /// Opens a header where it lies and tells how long the body is that follows.
    ///
    /// # Errors
    /// [`OpenError::HeaderTag`], and [`OpenError::Dead`] after any failure.
    pub fn open_header(&mut self, header: &mut [u8; HEADER_LEN]) -> Result<BodyLen, OpenError> {
        self.open_header_ahead(&mut OnDemand, 1, header)
    }

    /// Opens a body where it lies, together with its tag, and lends it without the tag.
    ///
    /// # Errors
    /// [`OpenError::BodyTag`], [`OpenError::WrongLength`] if the bytes are not [`BodyLen::with_tag`] long,
    /// and [`OpenError::Dead`] after any failure. The length is spent in each case, so a wrong one is a
    /// failure like the others.
    pub fn open_body<'a>(&mut self, len: BodyLen, body_and_tag: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        self.open_body_ahead(&mut OnDemand, len, body_and_tag)
    }

    /// As [`Self::open_header`], with keystream out of `ahead`. If nothing is prepared there, it is made for this frame and
    /// for those that may follow it, `frames` in all.
    ///
    /// # Errors
    /// As [`Self::open_header`].
    pub fn open_header_ahead(
        &mut self,
        ahead: &mut impl Keystream,
        frames: usize,
        header: &mut [u8; HEADER_LEN],
    ) -> Result<BodyLen, OpenError> {
        let cipher = self.cipher.as_mut().ok_or(OpenError::Dead)?;
        let mut length = [0; LENGTH_LEN];
        let mut tag = [0; TAG_LEN];
        let (length_bytes, tag_bytes) = header.split_at_mut(LENGTH_LEN);
        length.copy_from_slice(length_bytes);
        tag.copy_from_slice(tag_bytes);

        ahead.prepare(cipher, frames);
        let opened = match ahead.for_length(cipher) {
            Some(pad) => cipher.open_with(pad, &mut length, &tag),
            None => cipher.open(&mut length, &tag),
        };
        if opened.is_err() {
            return Err(self.die(OpenError::HeaderTag));
        }
        length_bytes.copy_from_slice(&length);
        Ok(BodyLen(u16::from_be_bytes(length)))
    }

    /// As [`Self::open_body`], with keystream out of `ahead`.
    ///
    /// # Errors
    /// As [`Self::open_body`].
    #[expect(clippy::needless_pass_by_value, reason = "the token is spent: one header, one body")]
    pub fn open_body_ahead<'a>(
        &mut self,
        ahead: &mut impl Keystream,
        len: BodyLen,
        body_and_tag: &'a mut [u8],
    ) -> Result<&'a [u8], OpenError> {
        let (body, tag) = match body_and_tag.split_last_chunk_mut::<TAG_LEN>() {
            Some((body, tag)) if body.len() == len.get() => (body, tag),
            _ => return Err(self.die(OpenError::WrongLength)),
        };
        let cipher = self.cipher.as_mut().ok_or(OpenError::Dead)?;
        let opened = match ahead.for_body(cipher) {
            Some(pad) => {
                let opened = cipher.open_with(pad, body, tag);
                ahead.spend();
                opened
            }
            None => cipher.open(body, tag),
        };
        opened.map_err(|_| self.die(OpenError::BodyTag))?;
        Ok(body)
    }

    /// Makes the keystream of the next frames, at most as many as `ahead` has room for, unless some is there already. For an
    /// idle moment between two frames; in the middle of one, and for a dead opener, nothing happens.
    pub fn prepare(&self, ahead: &mut impl Keystream) {
        if let Some(cipher) = self.cipher.as_ref().filter(|cipher| cipher.nonce().is_multiple_of(2)) {
            ahead.prepare(cipher, usize::MAX);
        }
    }

    /// Wipes the keys; answers with the failure if it is the first.
    pub(super) fn die(&mut self, failure: OpenError) -> OpenError {
        let was_alive = self.cipher.is_some();
        self.kill();
        if was_alive { failure } else { OpenError::Dead }
    }

    /// Wipes the keys where they lie; to take them out would leave their bytes behind.
    pub(crate) fn kill(&mut self) {
        self.cipher = None;
    }
}
