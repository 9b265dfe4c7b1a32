//! `listpeerchannels`: the channels with our peers, which are none.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, BadParam, Param, Refused, hex, node_id};
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::optional("id", "pubkey", "Only channels with this peer."),
    Param::optional(
        "short_channel_id",
        "short_channel_id",
        "Only this channel: block, transaction and output, 1x2x3.",
    ),
    Param::optional("channel_id", "hash", "Only this channel, by its id of 32 bytes in hex."),
];

pub(super) static METHOD: Method = Method {
    name: "listpeerchannels",
    summary: "Lists the channels with peers: none",
    params: PARAMS,
    page: "This daemon opens no channels, so that `channels` is always empty. It is here for clients that call it when they \
start. Connected peers are listed by `listpeers`.

Error -32602: a parameter is wrong, or there is more than one.",
    examples: &[Example { about: "Everything", params: "{}", result: r#"{"channels":[]}"# }],
    handler: listpeerchannels,
};

fn listpeerchannels(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut id = Arg::new(&PARAMS[0], node_id);
    let mut short_channel_id = Arg::new(&PARAMS[1], short_channel_id);
    let mut channel_id = Arg::new(&PARAMS[2], channel_id);
    call.read(&mut [&mut id, &mut short_channel_id, &mut channel_id])?;
    let given =
        [id.optional().is_some(), short_channel_id.optional().is_some(), channel_id.optional().is_some()];
    if given.iter().filter(|is_given| **is_given).count() > 1 {
        let several = "Must not specify more than one of short_channel_id, channel_id or id";
        return Err(RpcError::invalid_params(several));
    }
    Ok(if call.is_check() { call.checked() } else { Reply::Done(r#"{"channels":[]}"#.into()) })
}

/// Block and transaction below 2^24, output below 2^16 (BOLT 7, "Definition of `short_channel_id`").
fn short_channel_id(value: Value<'_>) -> Result<(), Refused<'_>> {
    let below = |text: Option<&str>, bits: u32| {
        let number = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        number.parse::<u32>().ok().filter(|number| number >> bits == 0)
    };
    let mut parts = value.raw().split('x');
    let numbers = (below(parts.next(), 24), below(parts.next(), 24), below(parts.next(), 16));
    match (numbers, parts.next()) {
        ((Some(_), Some(_), Some(_)), None) => Ok(()),
        _ => Err(BadParam { problem: "should be a short_channel_id of form NxNxN", value }.into()),
    }
}

fn channel_id(value: Value<'_>) -> Result<(), Refused<'_>> {
    match hex(value) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        _ => Err(BadParam { problem: "should be a channel id", value }.into()),
    }
}
