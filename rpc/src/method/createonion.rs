//! `createonion`: wraps payloads into an onion, byte for byte as Core Lightning does.

use oddwire_node::onion::session_key;
use oddwire_node::{NodeId, Secret};
use wire_core::cursor::Reader;
use wire_core::limits::{ONION_AREA_LEN, ONION_OVERHEAD};
use wire_core::message::bigsize;
use wire_core::onion::{Hop, SharedSecret, construct};
use wire_core::secret::EphemeralKey;

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::limits::MAX_ONION_SIZE;
use crate::params::{Arg, BadParam, Param, Refused, hex, number, parse_node_id};
use crate::tokenizer::Kind;
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::required(
        "hops",
        "array",
        "The nodes on the route, the first one first: objects with `pubkey` and `payload` (hex, its length as BigSize in front).",
    ),
    Param::required("assocdata", "hex", "What the HMACs also cover; for a payment, its hash."),
    Param::optional(
        "session_key",
        "secret",
        "32 bytes, for an onion that comes out the same each time. Default: random.",
    ),
    Param::optional("onion_size", "u32", "The length of the area for payloads, in bytes. Default: 1300."),
];

pub(super) static METHOD: Method = Method {
    name: "createonion",
    summary: "Wraps payloads into an onion for a route",
    params: PARAMS,
    page: "The answer has the `onion` (BOLT 4, hex) and the `shared_secrets`, one for each hop, with which an error that comes back is \
opened. Nothing is sent: `injectonionmessage` takes onions of onion messages, and `sendonionmessage` makes and sends them in one \
call.

Use a session key once. Whoever knows it can read all layers.

Error -32602: there are no hops, a payload is not preceded by its length, the payloads do not fit into the onion, or it would be \
larger than 65469 bytes, which no message can carry. Error -1: the session key is no secret key.",
    examples: &[Example {
        about: "One hop that is told two bytes, in a small onion",
        params: r#"{"hops":[{"pubkey":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","payload":"020100"}],"assocdata":"","session_key":"4141414141414141414141414141414141414141414141414141414141414141","onion_size":40}"#,
        result: r#"{"onion":"00","shared_secrets":["00"]}"#,
    }],
    handler: createonion,
};

/// A hop as it was given: who, and the payload with its length.
type GivenHop = (NodeId, Vec<u8>);

fn createonion(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut hops = Arg::new(&PARAMS[0], hops);
    let mut assocdata = Arg::new(&PARAMS[1], hex);
    let mut session = Arg::new(&PARAMS[2], secret);
    let mut size = Arg::new(&PARAMS[3], number);
    call.read(&mut [&mut hops, &mut assocdata, &mut session, &mut size])?;
    let (given, assocdata) = (hops.required()?, assocdata.required()?);
    let size = match size.optional().map(usize::try_from) {
        None => ONION_AREA_LEN,
        Some(Ok(size)) if size <= MAX_ONION_SIZE => size,
        Some(_) => {
            return Err(RpcError::invalid_params(format_args!(
                "onion_size: no message can carry an onion with more than {MAX_ONION_SIZE} bytes for payloads"
            )));
        }
    };

    let mut hops = Vec::with_capacity(given.len());
    for (index, (node, payload)) in given.iter().enumerate() {
        let payload = without_length(payload).ok_or_else(|| {
            RpcError::invalid_params(format_args!("hops[{index}] payload is not prefixed with length!"))
        })?;
        hops.push(Hop { node: *node, payload });
    }
    if hops.iter().map(Hop::len).sum::<usize>() > size {
        return Err(RpcError::invalid_params("Payloads exceed maximum onion packet size."));
    }
    let failed = || RpcError::failed("Could not create onion packet");
    let session = match session.optional() {
        Some(secret) => EphemeralKey::from_bytes(secret).map_err(|_| failed())?,
        None => session_key().map_err(RpcError::failed)?,
    };
    let mut onion = vec![0; ONION_OVERHEAD.saturating_add(size)];
    let mut secrets: Vec<SharedSecret> = hops.iter().map(|_| SharedSecret::default()).collect();
    construct(session, &hops, &assocdata, &mut onion, &mut secrets).map_err(|_| failed())?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let result = object(|result| {
        result.hex("onion", &onion);
        result.array("shared_secrets", |list| {
            for secret in &secrets {
                list.string(faster_hex::hex_string(secret.expose()));
            }
        });
    });
    Ok(Reply::Done(result.into()))
}

fn hops(value: Value<'_>) -> Result<Vec<GivenHop>, Refused<'_>> {
    if value.kind() != Kind::Array {
        return Err(BadParam { problem: "should be an array of hops", value }.into());
    }
    let mut hops = Vec::with_capacity(value.len());
    for (index, hop) in value.items().enumerate() {
        let missing =
            |what: &str| RpcError::invalid_params(format_args!("Hop {index} does not have a {what}"));
        let pubkey = hop.get("pubkey").ok_or_else(|| missing("pubkey"))?;
        let payload = hop.get("payload").ok_or_else(|| missing("payload"))?;
        let node = parse_node_id(pubkey.raw());
        let node = node.ok_or(BadParam { problem: "should be a pubkey", value: pubkey })?;
        let bytes = hex(payload).map_err(|_| BadParam { problem: "should be hex", value: payload })?;
        hops.push((node, bytes));
    }
    if hops.is_empty() {
        return Err(RpcError::invalid_params("At least one hop must be specified.").into());
    }
    Ok(hops)
}

/// 32 bytes of hex.
pub(super) fn secret(value: Value<'_>) -> Result<Secret<32>, Refused<'_>> {
    let bytes = hex(value).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(Secret::new).ok_or(BadParam { problem: "should be a 32 byte hex value", value }.into())
}

/// The payload behind its length, which must be right.
fn without_length(payload: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(payload);
    let len = bigsize::read(&mut reader).ok()?;
    let payload = reader.rest();
    (usize::try_from(len) == Ok(payload.len())).then_some(payload)
}
