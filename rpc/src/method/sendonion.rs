//! `sendonion`: Core Lightning's call for payments. It is here for programs that try it first; it can never succeed.

use wire_core::limits::{ONION_OVERHEAD, ONION_VERSION, PUBLIC_KEY_LEN};

use super::createonion::secret;
use super::{Call, Method, Reply};
use crate::error::{ErrorCode, RpcError};
use crate::json_writer::object;
use crate::onion::ShortChannelId;
use crate::params::{Arg, BadParam, Param, Refused, hex, node_id, parse_node_id, text, u64, unescaped};
use crate::tokenizer::Kind;
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::required("onion", "hex", "The onion, as `createonion` makes it."),
    Param::required(
        "first_hop",
        "object",
        "`amount_msat` and `delay`, and `id` or `channel`: where it would go first.",
    ),
    Param::required("payment_hash", "hash", "The hash of the payment, 32 bytes."),
    Param::optional("label", "string", "Looked at for its form only, like all that follow."),
    Param::optional("shared_secrets", "secret array", "As `createonion` answers them."),
    Param::optional("partid", "u64", "Which part of a payment in parts it is."),
    Param::optional("bolt11", "string", "The invoice that it would pay."),
    Param::optional("amount_msat", "msat", "What the last node would get."),
    Param::optional("destination", "pubkey", "The last node."),
    Param::optional("localinvreqid", "hash", "The invoice request that it belongs to."),
    Param::optional("groupid", "u64", "Which attempt to pay it belongs to."),
    Param::optional("description", "string", "What the payment is for."),
    Param::optional("total_amount_msat", "msat", "What all parts together come to."),
];

pub(super) static METHOD: Method = Method {
    name: "sendonion",
    summary: "Refuses to send a payment: this node has no channels",
    params: PARAMS,
    page: "An onion of a payment travels over channels, and this node has none: after its parameters are found to be right, the call is \
always refused as Core Lightning refuses it when no channel leads to the first hop, with error 204 and a `data` that programs for Core \
Lightning understand (`erring_index` 0, `failcode` 16394, `failcodename`, `erring_node`). To send bytes over several nodes without \
channels, call `sendonionmessage`.

Error 204: always, if nothing else is wrong. Error -32602: a parameter is missing or wrong, or the onion is none.",
    examples: &[],
    handler: sendonion,
};

/// `unknown_next_peer` of BOLT 4, PERM|10.
const UNKNOWN_NEXT_PEER: u16 = 0x400a;

fn sendonion(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut onion = Arg::new(&PARAMS[0], hex);
    let mut first_hop = Arg::new(&PARAMS[1], first_hop);
    let mut payment_hash = Arg::new(&PARAMS[2], secret);
    let mut label = Arg::new(&PARAMS[3], unescaped);
    let mut shared_secrets = Arg::new(&PARAMS[4], secrets);
    let mut partid = Arg::new(&PARAMS[5], u64);
    let mut bolt11 = Arg::new(&PARAMS[6], text);
    let mut amount_msat = Arg::new(&PARAMS[7], millisatoshis);
    let mut destination = Arg::new(&PARAMS[8], node_id);
    let mut localinvreqid = Arg::new(&PARAMS[9], secret);
    let mut groupid = Arg::new(&PARAMS[10], u64);
    let mut description = Arg::new(&PARAMS[11], text);
    let mut total_amount_msat = Arg::new(&PARAMS[12], millisatoshis);
    call.read(&mut [
        &mut onion,
        &mut first_hop,
        &mut payment_hash,
        &mut label,
        &mut shared_secrets,
        &mut partid,
        &mut bolt11,
        &mut amount_msat,
        &mut destination,
        &mut localinvreqid,
        &mut groupid,
        &mut description,
        &mut total_amount_msat,
    ])?;
    if let Some(failcode) = failcode(&onion.required()?) {
        return Err(RpcError::invalid_params(format_args!(
            "Could not parse the onion. Parsing failed with failcode={failcode}"
        )));
    }
    if call.is_check() {
        return Ok(call.checked());
    }
    let data = object(|data| {
        data.bare("erring_index", 0);
        data.bare("failcode", UNKNOWN_NEXT_PEER);
        data.string("failcodename", "WIRE_UNKNOWN_NEXT_PEER");
        data.string("erring_node", call.service.node.id());
    });
    Err(RpcError::new(ErrorCode::TryOtherRoute, "No connection to first peer found").with_data(data))
}

/// The failure code of BOLT 4 for bytes that are no onion, in the order in which Core Lightning looks.
fn failcode(onion: &[u8]) -> Option<u16> {
    const BADONION_PERM: u16 = 0x8000 | 0x4000;
    let mut reader = wire_core::cursor::Reader::new(onion);
    if reader.u8("version").is_ok_and(|version| version != ONION_VERSION) {
        return Some(BADONION_PERM | 4);
    }
    let key = reader.take(PUBLIC_KEY_LEN, "public_key");
    if !key.is_ok_and(|key| oddwire_node::NodeId::from_bytes(key).is_ok()) {
        return Some(BADONION_PERM | 6);
    }
    (onion.len() < ONION_OVERHEAD).then_some(BADONION_PERM | 5)
}

/// Looks whether the first hop has what it needs; what it says makes no difference here.
fn first_hop(value: Value<'_>) -> Result<(), Refused<'_>> {
    let refused = |text: &str| RpcError::invalid_params(text);
    let (id, channel) = (value.get("id"), value.get("channel"));
    if id.is_none() && channel.is_none() {
        return Err(refused("Either 'id' or 'channel' is required for a route_hop").into());
    }
    let amount = value.get("amount_msat").ok_or_else(|| refused("'amount_msat' is required"))?;
    let delay = value.get("delay").ok_or_else(|| refused("'delay' is required"))?;
    if let Some(value) = id.filter(|id| parse_node_id(id.raw()).is_none()) {
        return Err(BadParam { problem: "should be a node_id", value }.into());
    }
    if let Some(value) = channel.filter(|channel| ShortChannelId::parse(channel.raw()).is_none()) {
        return Err(BadParam { problem: "should be a short_channel_id", value }.into());
    }
    if parse_millisatoshis(amount.raw()).is_none() {
        return Err(BadParam { problem: "should be a valid amount_msat", value: amount }.into());
    }
    let is_delay = delay.as_u64().and_then(|delay| u32::try_from(delay).ok()).is_some_and(|delay| delay > 0);
    if !is_delay {
        return Err(BadParam { problem: "should be a positive, non-zero, number", value: delay }.into());
    }
    Ok(())
}

fn secrets(value: Value<'_>) -> Result<(), Refused<'_>> {
    if value.kind() != Kind::Array {
        return Err(BadParam { problem: "should be an array of secrets", value }.into());
    }
    for (index, one) in value.items().enumerate() {
        if secret(one).is_err() {
            // Not quoted, as Core Lightning does: it may be a secret that is one digit too long.
            return Err(RpcError::invalid_params(format_args!(
                "'shared_secrets[{index}]' should be a 32 byte hex value"
            ))
            .into());
        }
    }
    Ok(())
}

fn millisatoshis(value: Value<'_>) -> Result<u64, Refused<'_>> {
    let bad = BadParam { problem: "should be a millisatoshi amount", value };
    parse_millisatoshis(value.raw()).ok_or(Refused::Bad(bad))
}

/// An amount as Core Lightning reads it: `5`, `5msat`, `5sat`, `0.00000005btc`.
fn parse_millisatoshis(text: &str) -> Option<u64> {
    if let Some(number) = text.strip_suffix("msat") {
        return number.parse().ok();
    }
    if let Some(number) = text.strip_suffix("sat") {
        return number.parse::<u64>().ok()?.checked_mul(1_000);
    }
    let Some(number) = text.strip_suffix("btc") else { return text.parse().ok() };
    let (whole, part) = number.split_once('.').unwrap_or((number, "00000000"));
    let scale = match part.len() {
        8 => 1_000,
        11 => 1,
        _ => return None,
    };
    let part = part.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.parse::<u64>().ok()?.checked_mul(100_000_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_in_all_their_units() {
        for (text, msat) in [
            ("5", Some(5)),
            ("5msat", Some(5)),
            ("5sat", Some(5_000)),
            ("0.00000005btc", Some(5_000)),
            ("1.00000000005btc", Some(100_000_000_005)),
            ("2btc", Some(200_000_000_000)),
            ("0.5btc", None),
            ("-5", None),
            ("5bits", None),
            ("18446744073709551615sat", None),
        ] {
            assert_eq!(parse_millisatoshis(text), msat, "{text}");
        }
    }

    #[test]
    fn onions_that_are_none() {
        assert_eq!(failcode(&[]), Some(49_158));
        assert_eq!(failcode(&[1; 100]), Some(49_156));
        assert_eq!(failcode(&[0; 100]), Some(49_158));
        let mut onion = vec![0; 65];
        onion[1..34].copy_from_slice(
            parse_node_id("022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59")
                .unwrap()
                .as_bytes(),
        );
        assert_eq!(failcode(&onion), Some(49_157));
        onion.push(0);
        assert_eq!(failcode(&onion), None);
    }
}
