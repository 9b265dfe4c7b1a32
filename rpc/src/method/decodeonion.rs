//! `decodeonion`: takes layers off an onion and shows what lies in them. Not a method of Core Lightning.

use oddwire_node::Secret;
use wire_core::message::tlv::{TlvRecord, TlvStream};
use wire_core::onion::{BlindedIdentity, Packet, Peeled, SharedSecret};

use super::createonion::secret;
use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::{ObjectWriter, object};
use crate::params::{Arg, BadParam, Param, Refused, hex, parse_node_id};
use crate::tokenizer::Kind;
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::required("onion", "hex", "The onion, as `createonion` makes it or as a peer sent it."),
    Param::optional(
        "assocdata",
        "hex",
        "What the HMACs also cover; for a payment, its hash. Default: nothing.",
    ),
    Param::optional(
        "shared_secrets",
        "secret array",
        "As `createonion` answers them: so many layers are taken off. Default: this node's layer is.",
    ),
    Param::optional(
        "path_key",
        "pubkey",
        "The path key that came with it, if this node is a hop of a blinded path. Not with `shared_secrets`.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "decodeonion",
    summary: "Takes layers off an onion and shows what lies in them",
    params: PARAMS,
    page: "For those who make onions and want to see what each hop will get, or what a hop has got. Nothing is sent and nothing is \
remembered.

The answer has `layers`, one for each layer that was taken off: `payload` (hex), its `records` if it is a stream of them (`number` and \
`value`), and with `path_key` the data that the path's creator encrypted to this node, `decrypted`, and the `next_path_key` that \
follows from ours. `next_onion` is what the next hop gets; there is none behind the last.

Error -32602: it is no onion, its HMAC is wrong (it was altered, or is for another node, or `assocdata` is another), or its payload is \
longer than it; the text says at which layer.",
    examples: &[Example {
        about: "An onion of `createonion` for one hop, and the secret shared with it",
        params: r#"{"onion":"0002eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f2836866190f7bff9ac2df62a4874d26c8853ab57f22cd21dd759a1251d359b24cf6e8ac9a790c33245bd3b1dc521488966e242b3b86ba25bf3df6c635494b2d6f693d6690ab9ac2e3a3151708","shared_secrets":["2d7581974cde41b42da1d0a3147704aae5a71e8987fa30dc920c8cdf784b661d"]}"#,
        result: r#"{"layers":[{"payload":"0100","records":[{"number":1,"value":""}]}]}"#,
    }],
    handler: decodeonion,
};

/// Where a payment's and a message's payload have what the path's creator encrypted (BOLT 4).
const ENCRYPTED_DATA: [u64; 2] = [10, 4];

fn decodeonion(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut onion = Arg::new(&PARAMS[0], hex);
    let mut assocdata = Arg::new(&PARAMS[1], hex);
    let mut shared_secrets = Arg::new(&PARAMS[2], secrets);
    let mut path_key = Arg::new(&PARAMS[3], |value| {
        parse_node_id(value.raw()).ok_or(BadParam { problem: "should be a pubkey", value }.into())
    });
    call.read(&mut [&mut onion, &mut assocdata, &mut shared_secrets, &mut path_key])?;
    let (onion, assocdata) = (onion.required()?, assocdata.optional().unwrap_or_default());
    let keys = match (shared_secrets.optional(), path_key.optional()) {
        (Some(_), Some(_)) => {
            return Err(RpcError::invalid_params("shared_secrets and path_key exclude each other"));
        }
        (Some(secrets), None) => Keys::Shared(secrets),
        (None, Some(path_key)) => {
            let identity = call.service.node.blinded_identity(&path_key);
            Keys::Blinded(identity.ok_or_else(|| RpcError::invalid_params("path_key: cannot be used"))?)
        }
        (None, None) => Keys::Own,
    };
    let opened = keys.open(call, onion, &assocdata)?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let result = object(|result| {
        result.array("layers", |list| {
            for payload in &opened.payloads {
                list.object(|layer| write_layer(layer, payload, keys.identity()));
            }
        });
        if let Some(next) = &opened.next {
            result.hex("next_onion", next);
        }
    });
    Ok(Reply::Done(result.into()))
}

/// Who opens.
enum Keys {
    Own,
    Blinded(BlindedIdentity),
    Shared(Vec<Secret<32>>),
}

/// What was found.
struct Opened {
    payloads: Vec<Vec<u8>>,
    next: Option<Vec<u8>>,
}

impl Keys {
    fn identity(&self) -> Option<&BlindedIdentity> {
        match self {
            Keys::Blinded(identity) => Some(identity),
            Keys::Own | Keys::Shared(_) => None,
        }
    }

    fn layers(&self) -> usize {
        match self {
            Keys::Own | Keys::Blinded(_) => 1,
            Keys::Shared(secrets) => secrets.len(),
        }
    }

    fn secret(&self, call: &Call<'_>, packet: &Packet<'_>, layer: usize) -> SharedSecret {
        match self {
            Keys::Own => call.service.node.onion_secret(packet),
            Keys::Blinded(identity) => packet.blinded_shared_secret(identity),
            Keys::Shared(secrets) => secrets.get(layer).map_or_else(SharedSecret::default, |secret| {
                SharedSecret::new(Secret::new(*secret.expose()))
            }),
        }
    }

    fn open(&self, call: &Call<'_>, onion: Vec<u8>, assocdata: &[u8]) -> Result<Opened, RpcError> {
        let mut opened = Opened { payloads: Vec::new(), next: Some(onion) };
        for layer in 0..self.layers() {
            let refused = |what: &dyn core::fmt::Display| {
                RpcError::invalid_params(format_args!("onion, layer {layer}: {what}"))
            };
            let mut bytes = opened.next.take().ok_or_else(|| refused(&"the layer before is the last"))?;
            let packet = Packet::parse(&mut bytes).map_err(|error| refused(&error))?;
            let secret = self.secret(call, &packet, layer);
            match packet.peel(secret, assocdata).map_err(|error| refused(&error))? {
                Peeled::Deliver(mut deliver) => opened.payloads.push(deliver.payload().to_vec()),
                Peeled::Forward(mut forward) => {
                    opened.payloads.push(forward.payload().to_vec());
                    opened.next = Some(forward.into_next().to_vec());
                }
            }
        }
        Ok(opened)
    }
}

fn write_layer(layer: &mut ObjectWriter<'_>, payload: &[u8], identity: Option<&BlindedIdentity>) {
    layer.hex("payload", payload);
    let Ok(records) = TlvStream::new(payload).collect::<Result<Vec<TlvRecord<'_>>, _>>() else { return };
    layer.array("records", |list| {
        for record in &records {
            list.object(|field| {
                field.bare("number", record.kind);
                field.hex("value", record.value);
            });
        }
    });
    let Some(identity) = identity else { return };
    for record in records.iter().filter(|record| ENCRYPTED_DATA.contains(&record.kind)) {
        if let Ok(text) = identity.open(&mut record.value.to_vec()) {
            layer.hex("decrypted", text);
            layer.string("next_path_key", identity.next_path_key());
            return;
        }
    }
}

/// At least one, since without any nothing would be looked at.
fn secrets(value: Value<'_>) -> Result<Vec<Secret<32>>, Refused<'_>> {
    if value.kind() != Kind::Array || value.is_empty() {
        return Err(BadParam { problem: "should be an array of secrets", value }.into());
    }
    let mut secrets = Vec::with_capacity(value.len());
    for (index, one) in value.items().enumerate() {
        // Not quoted: it may be a secret that is one digit too long.
        secrets.push(secret(one).map_err(|_| {
            RpcError::invalid_params(format_args!("'shared_secrets[{index}]' should be a 32 byte hex value"))
        })?);
    }
    Ok(secrets)
}
