//! `sendonionmessage`: sends bytes over several nodes and, if asked, waits for the answer. Not a method of Core Lightning.

use core::time::Duration;

use oddwire_node::onion::{OnionDestination, OutgoingOnion, Via};
use oddwire_node::{MessageType, OnionRecord};
use wire_core::message::kind;

use super::{Call, Method, Reply, each};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::limits::MAX_ONION_ANSWER_WAIT;
use crate::onion::{read_path, write_message};
use crate::params::{Arg, BadParam, Param, hex, number, parse_node_id, string, u64};
use crate::tokenizer::Kind;

const PARAMS: &[Param] = &[
    Param::required(
        "destination",
        "pubkey or blinded path",
        "Who gets it: a node id; or a blinded path, in hex or as `reply_blindedpath` shows one.",
    ),
    Param::optional(
        "tlv_type",
        "u64",
        "The type of the record that carries the payload: from 65536 on, odd. With `payload` or `text`.",
    ),
    Param::optional("payload", "hex", "The value of the record."),
    Param::optional("text", "string", "The value of the record, as text."),
    Param::optional(
        "msg",
        "hex",
        "Instead of these three: a custom message, its type in 2 bytes and its payload, as `sendcustommsg` takes it.",
    ),
    Param::optional(
        "hops",
        "pubkey array or \"auto\"",
        "The nodes on the way, the first one first, without the destination. Default: `auto`.",
    ),
    Param::optional(
        "reply_within",
        "u32",
        "Ask for an answer and wait for it so many seconds. Default: no answer is asked for.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "sendonionmessage",
    summary: "Sends bytes over several nodes, and waits for the answer if you like",
    params: PARAMS,
    page: "The bytes travel as an onion message (BOLT 4): the nodes on the way need to understand nothing else, and each learns only \
its neighbours. Neither side needs channels. With `hops` you name the way; the first one must be a peer. With `auto` the message goes \
straight to a destination that is a peer or was connected to before, else over the peer that has been connected for the longest and \
takes onion messages: whether that one knows the next node shows only by an answer.

A payload arrives as a record of the onion message: the far end sees it in the hook `onion_message_recv` and in \
`subscribeonionmessage`. A `msg` arrives as a custom message: in the notification `custommsg` and in `subscribecustommsg`, with `hops` \
in place of `peer_id`. As ever, an even type is taken only by those who allow it.

Without `reply_within` the answer has the `first_hop`, and nothing tells whether the message arrives. With it, the message carries a \
path for one answer, which leads back over the same nodes and expires. The destination learns the node before it by that path, which \
is this node if there is none between. The answer then has `reply`, which looks as in `subscribeonionmessage`. To answer, the far end \
calls `sendonionmessage` with the `reply_blindedpath` that it was shown as `destination`.

Error -1: it was not sent, or no answer came in time; the text says which. Error -32602: a parameter is missing or wrong.",
    examples: &[],
    handler: sendonionmessage,
};

/// The least type of a record that BOLT 4 leaves to everybody.
const FIRST_CUSTOM_RECORD: u64 = 65_536;

fn sendonionmessage(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut destination = Arg::new(&PARAMS[0], |value| {
        let node = parse_node_id(value.raw()).filter(|_| value.kind() != Kind::Object);
        let destination =
            node.map(OnionDestination::Node).or_else(|| read_path(value).map(OnionDestination::Path));
        destination.ok_or(BadParam { problem: "should be a node id or a blinded path", value }.into())
    });
    let mut tlv_type = Arg::new(&PARAMS[1], u64);
    let mut payload = Arg::new(&PARAMS[2], hex);
    let mut text = Arg::new(&PARAMS[3], string);
    let mut msg = Arg::new(&PARAMS[4], hex);
    let mut hops = Arg::new(&PARAMS[5], |value| {
        if value.raw() == "auto" {
            return Ok(Via::Auto);
        }
        let nodes = each(value, |one| parse_node_id(one.raw()));
        nodes
            .map(Via::Nodes)
            .ok_or(BadParam { problem: "should be an array of node ids or 'auto'", value }.into())
    });
    let mut reply_within = Arg::new(&PARAMS[6], number);
    call.read(&mut [
        &mut destination,
        &mut tlv_type,
        &mut payload,
        &mut text,
        &mut msg,
        &mut hops,
        &mut reply_within,
    ])?;
    let value = match (payload.optional(), text.optional()) {
        (None, None) => None,
        (Some(payload), None) => Some(payload),
        (None, Some(text)) => Some(text.into_bytes()),
        (Some(_), Some(_)) => return Err(RpcError::invalid_params("payload and text exclude each other")),
    };
    let record = record(tlv_type.optional(), value, msg.optional())?;
    let wait = reply_within.optional().map(|seconds| Duration::from_secs(seconds.into()));
    if wait.is_some_and(|wait| wait.is_zero() || wait > MAX_ONION_ANSWER_WAIT) {
        return Err(RpcError::invalid_params(format_args!(
            "reply_within: from 1 to {} seconds",
            MAX_ONION_ANSWER_WAIT.as_secs()
        )));
    }
    let via = hops.optional().unwrap_or(Via::Auto);
    let message = OutgoingOnion { to: destination.required()?, via, records: vec![record] };
    if call.is_check() {
        return Ok(call.checked());
    }
    let node = call.service.node.clone();
    Ok(Reply::Later(Box::pin(async move {
        let Some(wait) = wait else {
            let first = node.send_onion_message(&message).await.map_err(RpcError::failed)?;
            return Ok(object(|result| result.string("first_hop", first)));
        };
        let answer = node.ask_over_onion(&message, wait).await.map_err(RpcError::failed)?;
        Ok(object(|result| result.object("reply", |reply| write_message(reply, &answer))))
    })))
}

/// The one record of the message.
fn record(
    tlv_type: Option<u64>,
    value: Option<Vec<u8>>,
    msg: Option<Vec<u8>>,
) -> Result<OnionRecord, RpcError> {
    match (tlv_type, value, msg) {
        (Some(kind), Some(value), None) if kind >= FIRST_CUSTOM_RECORD && !kind.is_multiple_of(2) => {
            Ok(OnionRecord { kind, value: value.into() })
        }
        (Some(_), Some(_), None) => Err(RpcError::invalid_params(format_args!(
            "tlv_type: should be odd and at least {FIRST_CUSTOM_RECORD}: nodes refuse even types that they do not know"
        ))),
        (None, None, Some(msg)) => {
            let (kind, payload) = kind::split(&msg)
                .ok_or_else(|| RpcError::invalid_params("msg: shorter than the 2-byte type"))?;
            refuse_internal(kind)?;
            Ok(OnionRecord::custom_message(kind, payload))
        }
        _ => Err(RpcError::invalid_params("give either tlv_type with payload or text, or msg")),
    }
}

fn refuse_internal(kind: MessageType) -> Result<(), RpcError> {
    if !kind.is_internal() {
        return Ok(());
    }
    Err(RpcError::invalid_request(format_args!(
        "Cannot send messages of type {} ({}): the protocol itself uses it",
        kind.get(),
        kind.name().unwrap_or("unknown")
    )))
}
