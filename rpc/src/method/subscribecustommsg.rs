//! `subscribecustommsg`: shows the messages that peers send, as they arrive. Not a method of Core Lightning.

use oddwire_node::{Epoch, EventFilter, MessageType, ResumeError};

use super::{Call, Example, Method, Reply, each};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, BadParam, Param, boolean, parse_node_id, u64};

const PARAMS: &[Param] = &[
    Param::optional("types", "u16 array", "Only messages of these types. Default: of every type."),
    Param::optional("peers", "pubkey array", "Only messages of these peers. Default: of every peer."),
    Param::optional(
        "from",
        "u64",
        "Begin with the message of this number. Default: with the next that arrives.",
    ),
    Param::optional(
        "epoch",
        "string",
        "What the number belongs to, as an earlier answer named it. Default: not looked at.",
    ),
    Param::optional("unsent", "boolean", "Also messages of our own that did not go out. Default: false."),
];

pub(super) static METHOD: Method = Method {
    name: "subscribecustommsg",
    summary: "Shows the messages that peers send, as they arrive",
    params: PARAMS,
    page: "After the answer the connection carries one notification `custommsg` for each message: `number` (the message's running \
number at this daemon, the same for all subscriptions), `peer_id`, `type`, `payload` (hex, with the type, as Core Lightning's hook \
has it) and `time` (UTC, RFC 3339). A message that came over several hops has no `peer_id`, since nobody knows who sent it, but \
`hops`, an object with what is known of its way: `pathsecret` (what the path that it came over was called) and `reply_blindedpath` \
(where an answer goes, for `sendonionmessage`), each if there is one. `peers` leaves such messages out. Answers to further requests \
stand between them. It ends when the client closes the connection, or its own half of it.

The last messages are kept (4096 of them, and 2 MiB), also while nobody is subscribed: a client that saw number 7 last and was away \
begins again with `from` 8. The answer names the `epoch`, which another start of the daemon changes, and with it all numbers; give \
it along with `from`, and a daemon that was started anew refuses instead of showing other messages. `next` is the number of the \
first message that arrives after the answer. Numbers are given from the first subscription on; nothing is kept from before it.

A client that reads too slowly delays nobody else. What it misses is counted: `custommsg_gap` with `missed` stands where messages \
are missing. It also stands at the beginning when messages since `from` are not kept any more; then `missed` counts those as well \
that the client would not have wanted.

With `unsent` it is also told what becomes of messages that `sendcustommsg` has accepted: when a connection ends before they \
went out, one notification `custommsg_unsent` for each, in their order: `peer_id`, `type`, `length` (bytes, with the type), \
`payload` (as above; missing where the message had been encrypted in place already) and `reason`. All others were handed to the \
system; whether a peer that has ended had read them, nobody can know. `types` does not hold for these.

Subscribing changes nothing about which messages are accepted from peers.

Error -32600: this connection has a subscription already; open another one. Error -1: the epoch is over, or there are as many \
subscriptions as the daemon keeps. Error -32602: `from` is above the number of the next message.",
    examples: &[
        Example {
            about: "Messages of type 30583 (0x7777)",
            params: r#"{"types":[30583]}"#,
            result: r#"{"subscription":"custommsg","epoch":"1879f2a3c05e4b17","next":1}"#,
        },
        Example {
            about: "All messages that are kept, and those that come",
            params: r#"{"from":1}"#,
            result: r#"{"subscription":"custommsg","epoch":"1879f2a3c05e4b17","next":1}"#,
        },
    ],
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
    let mut from = Arg::new(&PARAMS[2], u64);
    let mut epoch = Arg::new(&PARAMS[3], |value| {
        let bad = BadParam { problem: "should be an epoch as an answer names it", value };
        value.raw().parse::<Epoch>().map_err(|_| bad.into())
    });
    let mut unsent = Arg::new(&PARAMS[4], boolean);
    call.read(&mut [&mut types, &mut peers, &mut from, &mut epoch, &mut unsent])?;
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
    if unsent.optional() == Some(true) {
        filter = filter.and_unsent();
    }
    let node = &call.service.node;
    let subscription = match (from.optional(), epoch.optional()) {
        (Some(from), epoch) => node.resume(filter, epoch, from).map_err(|error| refusal(&error))?,
        (None, None) => node.subscribe(filter),
        (None, Some(_)) => return Err(RpcError::invalid_params("epoch only valid with from")),
    };
    let result = object(|result| {
        result.string("subscription", "custommsg");
        result.string("epoch", subscription.epoch());
        result.bare("next", subscription.next_number());
    });
    Ok(Reply::Subscribed(result, subscription, "custommsg_gap"))
}

fn refusal(error: &ResumeError) -> RpcError {
    match error {
        ResumeError::NotYet { .. } => RpcError::invalid_params(format_args!("from: {error}")),
        _ => RpcError::failed(error),
    }
}
