//! Onion messages as JSON: how Core Lightning's hooks show them, and how clients name blinded paths.

use oddwire_node::onion::{BlindedPath, Introduction, NextHop};
use oddwire_node::{NodeId, OnionDropped, OnionMessage, ReplyPath};

use crate::json_writer::ObjectWriter;
use crate::params::parse_node_id;
use crate::tokenizer::Kind;
use crate::value::Value;

/// The records that Core Lightning shows under a name (BOLT 12); all others are `unknown_fields`.
const NAMED: [(u64, &str); 3] = [(64, "invoice_request"), (66, "invoice"), (68, "invoice_error")];

/// The members of `onion_message`, as Core Lightning's hooks have them.
pub(crate) fn write_message(object: &mut ObjectWriter<'_>, message: &OnionMessage) {
    if let Some(secret) = path_secret(message) {
        object.hex("pathsecret", secret);
    }
    if let Some(path) = &message.reply_path {
        write_path(object, "reply_blindedpath", path);
    }
    for record in &message.records {
        if let Some((_, name)) = NAMED.iter().find(|(kind, _)| *kind == record.kind) {
            object.hex(name, &record.value);
        }
    }
    object.array("unknown_fields", |fields| {
        for record in
            message.records.iter().filter(|record| NAMED.iter().all(|(kind, _)| *kind != record.kind))
        {
            fields.object(|field| {
                field.bare("number", record.kind);
                field.hex("value", &record.value);
            });
        }
    });
}

/// What the path is called that a message came over. Core Lightning's paths are called by secrets of 32 bytes, and it shows
/// a message over one that is called otherwise like a message without a path.
pub(crate) fn path_secret(message: &OnionMessage) -> Option<&[u8]> {
    message.path_id.as_deref().filter(|id| id.len() == 32)
}

/// What is known of the way of a custom message over several hops.
pub(crate) fn write_way(object: &mut ObjectWriter<'_>, message: &OnionMessage) {
    if let Some(secret) = path_secret(message) {
        object.hex("pathsecret", secret);
    }
    if let Some(path) = &message.reply_path {
        write_path(object, "reply_blindedpath", path);
    }
}

/// The members of Core Lightning's notification `onionmessage_forward_fail`, and the reason.
pub(crate) fn write_dropped(object: &mut ObjectWriter<'_>, dropped: &OnionDropped) {
    write_forward_fail(object, dropped);
    object.string("reason", dropped.reason);
}

/// The members of Core Lightning's notification `onionmessage_forward_fail`.
pub(crate) fn write_forward_fail(object: &mut ObjectWriter<'_>, dropped: &OnionDropped) {
    object.string("source", dropped.source);
    object.hex("incoming", &dropped.incoming);
    if let Some(key) = dropped.path_key {
        object.string("path_key", key);
    }
    if let Some((next, onion)) = &dropped.outgoing {
        object.hex("outgoing", onion);
        match next {
            NextHop::Node(id) => object.string("next_node_id", id),
            // What a hop is told names no direction; Core Lightning shows it as 0.
            NextHop::Channel(channel) => {
                object.string("next_short_channel_id_dir", format_args!("{}/0", ShortChannelId(*channel)));
            }
        }
    }
}

fn write_path(object: &mut ObjectWriter<'_>, name: &str, path: &ReplyPath) {
    let Some(path) = path.decode() else { return };
    object.object(name, |object| {
        match path.introduction {
            Introduction::Node(id) => object.string("first_node_id", id),
            Introduction::Channel { direction, short_channel_id } => {
                object.string("first_scid", ShortChannelId(short_channel_id));
                object.bare("first_scid_dir", direction);
            }
        }
        object.string("first_path_key", path.first_path_key);
        object.array("hops", |hops| {
            for hop in path.hops() {
                hops.object(|object| {
                    object.string("blinded_node_id", hop.node_id);
                    object.hex("encrypted_recipient_data", hop.encrypted_recipient_data);
                });
            }
        });
    });
}

/// A blinded path: hex as BOLT 4 encodes it, or the object that notifications and hooks show.
pub(crate) fn read_path(value: Value<'_>) -> Option<ReplyPath> {
    let bytes = match value.kind() {
        Kind::Object => encode(value)?,
        _ => unhex(value.raw())?,
    };
    ReplyPath::from_bytes(bytes).ok()
}

fn encode(path: Value<'_>) -> Option<Vec<u8>> {
    let mut bytes = if let Some(id) = path.get("first_node_id") {
        parse_node_id(id.raw())?.as_bytes().to_vec()
    } else {
        let direction = u8::try_from(path.get("first_scid_dir")?.as_u64()?).ok().filter(|bit| *bit <= 1)?;
        let channel = ShortChannelId::parse(path.get("first_scid")?.raw())?;
        [&[direction][..], &channel.0.to_be_bytes()].concat()
    };
    bytes.extend(parse_node_id(path.get("first_path_key")?.raw())?.as_bytes());
    let hops = path.get("hops").filter(|hops| hops.kind() == Kind::Array)?;
    bytes.push(u8::try_from(hops.len()).ok()?);
    for hop in hops.items() {
        let id: NodeId = parse_node_id(hop.get("blinded_node_id")?.raw())?;
        let data = unhex(hop.get("encrypted_recipient_data")?.raw())?;
        bytes.extend(id.as_bytes());
        bytes.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        bytes.extend(data);
    }
    BlindedPath::decode(&bytes).ok()?;
    Some(bytes)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    let is_hex = text.len().is_multiple_of(2) && faster_hex::hex_decode(text.as_bytes(), &mut bytes).is_ok();
    is_hex.then_some(bytes)
}

/// A channel as BOLT 7 numbers it: block, transaction, output; written `1x2x3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortChannelId(pub(crate) u64);

impl ShortChannelId {
    pub(crate) fn parse(text: &str) -> Option<ShortChannelId> {
        let mut parts = text.split('x');
        let mut part = |bits: u32| parts.next()?.parse::<u64>().ok().filter(|part| part >> bits == 0);
        let (block, transaction, output) = (part(24)?, part(24)?, part(16)?);
        parts.next().is_none().then_some(ShortChannelId(block << 40 | transaction << 16 | output))
    }
}

impl core::fmt::Display for ShortChannelId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.0 >> 40, self.0 >> 16 & 0xff_ffff, self.0 & 0xffff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_go_in_and_out() {
        for text in ["1x2x3", "16777215x16777215x65535", "0x0x0"] {
            assert_eq!(ShortChannelId::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1x2", "1x2x3x4", "16777216x0x0", "1x2x65536", "ax2x3", "-1x2x3"] {
            assert_eq!(ShortChannelId::parse(text), None, "{text}");
        }
    }
}
