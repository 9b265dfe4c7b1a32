//! `subscribecustommsg`: shows the messages that peers send, as they arrive. Not a method of Core Lightning.

use oddwire_node::{EventFilter, MessageType};

use super::{Call, Example, Method, Reply, each};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, BadParam, Param, parse_node_id};

const PARAMS: &[Param] = &[
    Param::optional("types", "u16 array", "Only messages of these types. Default: of every type."),
    Param::optional("peers", "pubkey array", "Only messages of these peers. Default: of every peer."),
];

pub(super) static METHOD: Method = Method {
    name: "subscribecustommsg",
    summary: "Shows the messages that peers send, as they arrive",
    params: PARAMS,
    page: "After the answer the connection carries one notification `custommsg` for each message: `number` (running number of \
this subscription's messages, from 1), `peer_id`, `type`, `payload` (hex, with the type, as Core Lightning's hook has it) and \
`time` (UTC, RFC 3339). Answers to further requests stand between them. It ends when the client closes the connection, or its own \
half of it; a new subscription starts at 1 again and is not told what came in between.

A client that reads too slowly delays nobody else. What it misses is counted: `custommsg_gap` with `missed` stands where messages \
are missing, and their numbers are missing too.

Subscribing changes nothing about which messages are accepted from peers.

Error -32600: this connection has a subscription already; open another one. Error -1: there are as many subscriptions as the \
daemon keeps.",
    examples: &[Example {
        about: "Messages of type 30583 (0x7777)",
        params: r#"{"types":[30583]}"#,
        result: r#"{"subscription":"custommsg"}"#,
    }],
    handler: subscribecustommsg,
};

fn subscribecustommsg(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut types = Arg::new(&PARAMS[0], |value| {
        let types = each(value, |one| {
            one.as_u64().and_then(|number| u16::try_from(number).ok()).map(MessageType::new)
        });
        types.ok_or(BadParam { problem: "should be an array of message types from 0 to 65535", value }.into())
    });
    let mut peers = Arg::new(&PARAMS[1], |value| {
        let peers = each(value, |one| parse_node_id(one.raw()));
        peers.ok_or(BadParam { problem: "should be an array of node ids", value }.into())
    });
    call.read(&mut [&mut types, &mut peers])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let mut filter = EventFilter::messages();
    if let Some(types) = types.optional() {
        filter = filter.of_types(types);
    }
    if let Some(peers) = peers.optional() {
        filter = filter.from_peers(peers);
    }
    let result = object(|result| result.string("subscription", "custommsg"));
    Ok(Reply::Subscribed(result, call.service.node.subscribe(filter)))
}
