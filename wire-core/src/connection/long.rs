//! What a message means that was too long to be kept: all that its type and its first bytes can tell.
//!
//! The rules are those of `judge`; only what lies in the dropped part is missing. Its tag has held, so it is the peer's
//! word like any other.

use super::event::{EvenTypes, Event};
use super::judge::{PING_FIELDS_LEN, PONG_FIELDS_LEN};
use super::time::Timestamp;
use super::{CloseReason, Connection, Local, Phase};
use crate::cursor::{Reader, Truncated};
use crate::frame::PassedOver;
use crate::limits::CHANNEL_ID_LEN;
use crate::message::error::ALL_CHANNELS;
use crate::message::kind::{self, MessageType};
use crate::message::ping::Ping;

impl<L: AsRef<Local>> Connection<L> {
    /// Decides about one message of which only the front is left. As with a whole one, misuse begins the end.
    pub(super) fn judge_long<'a>(
        &mut self,
        now: Timestamp,
        message: &PassedOver,
        even_types: &(impl EvenTypes + ?Sized),
    ) -> Option<Event<'a>> {
        match self.sort_long(now, message, even_types) {
            Ok(event) => event,
            Err(reason) => {
                self.misused(now, reason, message.head());
                None
            }
        }
    }

    fn sort_long<'a>(
        &mut self,
        now: Timestamp,
        message: &PassedOver,
        even_types: &(impl EvenTypes + ?Sized),
    ) -> Result<Option<Event<'a>>, CloseReason> {
        let len = message.len();
        let Some((kind, payload)) = kind::split(message.head()) else {
            return Err(CloseReason::NoMessageType { len: len.into() });
        };
        let too_long = Event::TooLong { kind, len };
        let too_short = |_: Truncated| CloseReason::MessageTooShort(kind);

        match kind {
            MessageType::WARNING | MessageType::ERROR => {
                let channel_id: [u8; CHANNEL_ID_LEN] =
                    Reader::new(payload).take_array("channel_id").map_err(too_short)?;
                self.heard(now);
                if kind == MessageType::ERROR && channel_id == ALL_CHANNELS {
                    self.end(CloseReason::PeerError);
                }
                return Ok(Some(too_long));
            }
            // Which features the peer requires cannot be known, and without that BOLT 1 allows no connection.
            MessageType::INIT if self.phase() == Phase::AwaitInit => {
                return Err(CloseReason::InitTooLong { len });
            }
            MessageType::INIT => return Err(CloseReason::InitRepeated),
            _ => {}
        }

        let Some(liveness) = self.heard(now) else {
            return Err(CloseReason::InitNotFirst(kind));
        };
        match kind {
            MessageType::PING => {
                let mut fields = Reader::new(payload);
                let num_pong_bytes = fields.u16("num_pong_bytes").map_err(too_short)?;
                let byteslen =
                    padding_len(&mut fields, len.saturating_sub(PING_FIELDS_LEN)).map_err(too_short)?;
                if let Some(pong) = (Ping { num_pong_bytes, byteslen }).reply() {
                    self.outbox.put_pong(pong);
                }
                Ok(None)
            }
            MessageType::PONG => {
                let most = len.saturating_sub(PONG_FIELDS_LEN);
                let byteslen = padding_len(&mut Reader::new(payload), most).map_err(too_short)?;
                let total_len = byteslen.saturating_add(PONG_FIELDS_LEN);
                Ok(liveness.answered(byteslen).map(|asked_by| Event::Pong { total_len, asked_by }))
            }
            _ if kind.is_internal() => {
                let payload_len = usize::from(len) - (message.head().len() - payload.len());
                self.decline(kind, payload, payload_len).map(Some)
            }
            _ if kind.is_odd() || even_types.allows(kind) => Ok(Some(too_long)),
            _ => Err(CloseReason::UnknownEvenType(kind)),
        }
    }
}

/// Reads `byteslen` of a message that has `most` bytes behind it.
fn padding_len(fields: &mut Reader<'_>, most: u16) -> Result<u16, Truncated> {
    let byteslen = fields.u16("byteslen")?;
    if byteslen > most {
        return Err(Truncated { field: "ignored", needed: byteslen.into(), left: most.into() });
    }
    Ok(byteslen)
}
