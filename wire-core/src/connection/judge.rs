//! What a decrypted message means: handled here, handed to the driver, ignored, or the end.
//!
//! | what came | what is done | why |
//! |---|---|---|
//! | fewer than 2 bytes | warning, close | no type, so no rule of BOLT 1 lets us ignore it |
//! | `warning`, `error` | event, also before `init`; `error` for all channels closes | a peer may refuse us instead of its `init` |
//! | anything else before `init` | warning, close | BOLT 1: `init` comes first |
//! | `init` again | warning, close | features are settled once |
//! | `ping` | pong, unless it asks for none | BOLT 1; at most [`MOST_PONGS`](super::outbox::MOST_PONGS) wait, then reading pauses |
//! | `pong` | event if a ping asked for it, else ignored | BOLT 1 lets us close; a late answer is no attack |
//! | a known message shorter than its fields | warning, close | BOLT 1, "Lightning Message Format" |
//! | a message about a channel | `error` for that channel | BOLT 1, types 32 to 255 of an unknown channel |
//! | `channel_reestablish` | `warning` for that channel | an `error` would make the peer close it by force |
//! | gossip | ignored | no use for it |
//! | onion messages | event | BOLT 4 has them peeled by the driver, who knows other peers |
//! | unknown odd, peer storage, allowed even | event | the driver's |
//! | more than [`Local::longest_message`] | as far as its first bytes tell what to do: see `judge_long` | the rest was dropped |
//! | any other even | warning, close | BOLT 1: it's OK to be odd |
//!
//! A known message is measured by its type's least length and, where it is decoded here, by its own length fields. Those
//! of channel messages and gossip are not decoded, so a wrong length inside them is not noticed. Peer storage is handed
//! on as it came.

use super::event::{EvenTypes, Event};
use super::liveness::Liveness;
use super::outbox::ChannelReply;
use super::time::Timestamp;
use super::{CloseReason, Connection, Local, Stage};
use crate::message::channel::channel_id_of;
use crate::message::error::{ALL_CHANNELS, ErrorMessage, WarningMessage};
use crate::message::init::Init;
use crate::message::kind::{self, MessageType};
use crate::message::ping::{Ping, Pong};

/// What a ping has besides its padding: type, `num_pong_bytes` and length of the padding, in bytes.
pub(super) const PING_FIELDS_LEN: u16 = 6;

/// What a pong has besides its padding: type and length of the padding, in bytes.
pub(super) const PONG_FIELDS_LEN: u16 = 4;

impl<L: AsRef<Local>> Connection<L> {
    /// Decides about one message. A message that breaks the rules begins the end of the connection.
    pub(super) fn judge<'a>(
        &mut self,
        now: Timestamp,
        message: &'a [u8],
        even_types: &(impl EvenTypes + ?Sized),
    ) -> Option<Event<'a>> {
        match self.sort(now, message, even_types) {
            Ok(event) => event,
            Err(reason) => {
                self.misused(now, reason, message);
                None
            }
        }
    }

    fn sort<'a>(
        &mut self,
        now: Timestamp,
        message: &'a [u8],
        even_types: &(impl EvenTypes + ?Sized),
    ) -> Result<Option<Event<'a>>, CloseReason> {
        let Some((kind, payload)) = kind::split(message) else {
            return Err(CloseReason::NoMessageType { len: message.len() });
        };
        let too_short = |_| CloseReason::MessageTooShort(kind);

        // A peer that refuses us may say why before its `init`, or instead of it.
        match kind {
            MessageType::WARNING => {
                let warning = WarningMessage::decode(payload).map_err(too_short)?;
                self.heard(now);
                return Ok(Some(Event::Warning(warning)));
            }
            MessageType::ERROR => {
                let error = ErrorMessage::decode(payload).map_err(too_short)?;
                self.heard(now);
                // BOLT 1, "The `error` and `warning` Messages": all channels fail, and nothing else is left of
                // a connection. We hold no channels, so an error for a single one changes nothing.
                if error.is_for_all_channels() {
                    self.end(CloseReason::PeerError);
                }
                return Ok(Some(Event::Error(error)));
            }
            MessageType::INIT => return self.receive_init(now, payload).map(Some),
            _ => {}
        }

        // BOLT 1, "The `init` Message": it comes first.
        let Some(liveness) = self.heard(now) else {
            return Err(CloseReason::InitNotFirst(kind));
        };
        match kind {
            MessageType::PING => {
                let ping = Ping::decode(payload).map_err(too_short)?;
                if let Some(pong) = ping.reply() {
                    self.outbox.put_pong(pong);
                }
                Ok(None)
            }
            MessageType::PONG => {
                let pong = Pong::decode(payload).map_err(too_short)?;
                let asked_by = liveness.answered(pong.byteslen);
                Ok(asked_by.map(|asked_by| Event::Pong {
                    total_len: pong.byteslen.saturating_add(PONG_FIELDS_LEN),
                    asked_by,
                }))
            }
            MessageType::ONION_MESSAGE => match kind.minimum_payload_len() {
                Some(least) if payload.len() < least => Err(CloseReason::MessageTooShort(kind)),
                _ => Ok(Some(Event::OnionMessage { payload })),
            },
            _ if kind.is_internal() => self.decline(kind, payload, payload.len()).map(Some),
            _ if kind.is_odd() || even_types.allows(kind) => {
                Ok(Some(Event::Message { kind, payload, message }))
            }
            _ => Err(CloseReason::UnknownEvenType(kind)),
        }
    }

    /// Notes a sign of life. `None` while the peer's `init` is still due.
    pub(super) fn heard(&mut self, now: Timestamp) -> Option<&mut Liveness> {
        let Some((_, Stage::Open(liveness) | Stage::Draining(liveness))) = self.state.reading() else {
            return None;
        };
        liveness.heard(now);
        Some(liveness)
    }

    fn receive_init<'a>(&mut self, now: Timestamp, payload: &'a [u8]) -> Result<Event<'a>, CloseReason> {
        let Some((_, stage @ Stage::AwaitInit)) = self.state.reading() else {
            return Err(CloseReason::InitRepeated);
        };
        let init = Init::decode(payload).map_err(CloseReason::InvalidInit)?;
        // BOLT 1, "The `init` Message", and BOLT 9.
        let features = init.combined_features();
        if let Some(bit) = features.unknown_even() {
            return Err(CloseReason::UnknownEvenFeature(bit));
        }
        if let Some(missing) = features.missing_dependency() {
            return Err(CloseReason::MissingFeatureDependency(missing));
        }
        // A peer that names no chains may be on ours.
        if init.networks.is_some_and(|networks| !networks.contains(&self.local.as_ref().chain_hash)) {
            return Err(CloseReason::NoCommonChain);
        }
        *stage = Stage::Open(Liveness::new(now));
        Ok(Event::Open(init))
    }

    /// A message that every node knows and this one, without channels and without gossip, has no use for. Of `payload`,
    /// which has `len` bytes, the front is enough.
    pub(super) fn decline<'a>(
        &mut self,
        kind: MessageType,
        payload: &[u8],
        len: usize,
    ) -> Result<Event<'a>, CloseReason> {
        if kind.minimum_payload_len().is_some_and(|least| len < least) {
            return Err(CloseReason::MessageTooShort(kind));
        }
        // An `error` with the all-zero id would speak of every channel.
        if let Some(channel_id) = channel_id_of(kind, payload).filter(|id| *id != ALL_CHANNELS) {
            self.outbox.put_channel_reply(ChannelReply::new(kind, channel_id));
        }
        Ok(Event::Ignored(kind))
    }
}
