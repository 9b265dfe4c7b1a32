//! `sendcustommsg`: sends a message of the caller's own type to a peer. What the whole daemon is for.
//!
//! The order of the refusals is Core Lightning's: parameters, type, peer. It goes on where Core Lightning stops looking (and
//! then ends, or sends something else): is it hex, is it a length that a message can have. Nothing is queued before all of it
//! is known to be right.

use oddwire_node::{MessageType, NodeId, SendError};
use wire_core::limits::{MAX_MESSAGE_LEN, MESSAGE_TYPE_LEN};

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, BadParam, Param, peer_id};
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::required("node_id", "pubkey", "The peer, which must be connected."),
    Param::required(
        "msg",
        "hex",
        "The message: its type in 2 bytes, big-endian, and its payload. From 2 to 65535 bytes.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "sendcustommsg",
    summary: "Sends a message of your own type to a connected peer",
    params: PARAMS,
    page: "The answer comes as soon as the message is queued for the peer; it says nothing about its arrival. Messages to one \
peer arrive in the order in which they were queued, and each arrives once or, if the connection ends first, not at all.

Choose a type from 32768 on (BOLT 1 leaves these to everybody), and an odd one unless you know that the peer understands it: a \
peer that does not understand an even type closes the connection. Types that the protocol itself uses are refused; 7 and 9 (peer \
storage) are not among these.

Error -32600: the type is used by the protocol, there is no such peer, or its connection is being closed. Error -32602: a \
parameter is missing, is not hex, or the message has less than 2 or more than 65535 bytes. Error -1: so much is queued for this \
peer already that no more is taken; the text says how much and what the limit is. Try again when the peer has read some of it.",
    examples: &[Example {
        about: "Type 30583 (0x7777), payload 0012",
        params: r#"{"node_id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","msg":"77770012"}"#,
        result: r#"{"status":"Message sent to connectd for delivery"}"#,
    }],
    handler: sendcustommsg,
};

fn sendcustommsg(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut id = Arg::new(&PARAMS[0], |value| peer_id(&call.service.node, value));
    let mut msg = Arg::new(&PARAMS[1], Ok);
    call.read(&mut [&mut id, &mut msg])?;
    let (id, msg) = (id.required()?, msg.required()?);

    let message = Message::look_at(msg.raw());
    if let Some(kind) = message.kind() {
        if kind.is_internal() {
            return Err(internal(kind));
        }
        if kind.is_even() {
            tracing::debug!(peer = %id, "sendcustommsg id={} sending a custom even message ({})", call.id, kind.get());
        }
    }
    let node = &call.service.node;
    // The node looks for the peer itself; it is asked beforehand only where nothing is going to be sent.
    let is_sent = matches!(message, Message::Sendable { .. }) && !call.is_check();
    if !is_sent && node.peer(&id).is_none() {
        return Err(refusal(&id, SendError::NotConnected));
    }
    if call.is_check() {
        return Ok(call.checked());
    }
    match message {
        Message::Sendable { kind, payload } => {
            // Into the queue's own room, without a copy in between.
            let decode = |room: &mut [u8]| faster_hex::hex_decode(payload, room).map(|_| ());
            match node.send_custom_message_with(&id, kind, payload.len() / 2, decode) {
                Ok(Ok(())) => {}
                // Cannot be: it was looked at before.
                Ok(Err(_)) => return Err(not_hex(call, msg)),
                Err(error) => return Err(refusal(&id, error)),
            }
            Ok(Reply::Done(r#"{"status":"Message sent to connectd for delivery"}"#.into()))
        }
        Message::NotHex => Err(not_hex(call, msg)),
        Message::TooShort { len } => Err(RpcError::invalid_params(format_args!(
            "msg: length {len} is shorter than the 2-byte type: a message has from {MESSAGE_TYPE_LEN} to {MAX_MESSAGE_LEN} bytes"
        ))),
        Message::TooLong { len, .. } => Err(RpcError::invalid_params(format_args!(
            "msg: length {len} is longer than {MAX_MESSAGE_LEN} bytes: a message has from {MESSAGE_TYPE_LEN} to {MAX_MESSAGE_LEN} bytes"
        ))),
    }
}

/// What the hex of a message is worth.
enum Message<'h> {
    /// The payload still in hex.
    Sendable {
        kind: MessageType,
        payload: &'h [u8],
    },
    NotHex,
    TooShort {
        len: usize,
    },
    TooLong {
        kind: MessageType,
        len: usize,
    },
}

impl<'h> Message<'h> {
    fn look_at(hex: &'h str) -> Message<'h> {
        let hex = hex.as_bytes();
        let len = hex.len() / 2;
        if !hex.len().is_multiple_of(2) || !faster_hex::hex_check(hex) {
            return Message::NotHex;
        }
        let Some((kind_hex, payload)) = hex.split_at_checked(2 * MESSAGE_TYPE_LEN) else {
            return Message::TooShort { len };
        };
        let mut kind = [0; MESSAGE_TYPE_LEN];
        if faster_hex::hex_decode(kind_hex, &mut kind).is_err() {
            return Message::NotHex;
        }
        let kind = MessageType::new(u16::from_be_bytes(kind));
        if len > MAX_MESSAGE_LEN {
            Message::TooLong { kind, len }
        } else {
            Message::Sendable { kind, payload }
        }
    }

    fn kind(&self) -> Option<MessageType> {
        match self {
            Message::Sendable { kind, .. } | Message::TooLong { kind, .. } => Some(*kind),
            Message::NotHex | Message::TooShort { .. } => None,
        }
    }
}

fn not_hex(call: &Call<'_>, msg: Value<'_>) -> RpcError {
    call.bad_param("msg", BadParam { problem: "should be a hex value", value: msg })
}

fn internal(kind: MessageType) -> RpcError {
    RpcError::invalid_request(format_args!(
        "Cannot send messages of type {} ({}). It is not possible to send messages that have a type managed internally since \
         that might cause issues with the internal state tracking.",
        kind.get(),
        kind.name().unwrap_or("unknown")
    ))
}

fn refusal(id: &NodeId, error: SendError) -> RpcError {
    match error {
        SendError::InternalType(kind) => internal(kind),
        SendError::NotConnected => RpcError::invalid_request(format_args!("No such peer: {id}")),
        SendError::Closing => RpcError::invalid_request("Peer is not connected"),
        other => RpcError::failed(other),
    }
}
