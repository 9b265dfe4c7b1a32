//! `listpeers`: who is connected.

use oddwire_node::PeerInfo;

use super::address::is_public;
use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::{ObjectWriter, object};
use crate::log::Level;
use crate::params::{Arg, BadParam, Param, Refused, peer_id};
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::optional("id", "pubkey", "Only this peer."),
    Param::optional(
        "level",
        "string",
        "`io`, `trace`, `debug`, `info`, `unusual` or `broken`: adds the member `log`, which is empty here.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "listpeers",
    summary: "Lists the connected peers",
    params: PARAMS,
    page: "Each element of `peers` has `id`, `connected` (true), `num_channels` (0), `netaddr` (where the peer is), `remote_addr` \
if the peer said at which public address it sees us, and `features` (BOLT 9, hex). Peers are listed in the order of their ids.

Unlike Core Lightning's, this daemon forgets a peer that is gone, and it does not keep its log in memory: with `level` the \
member `log` is there for those who look for it, and empty.",
    examples: &[Example {
        about: "One peer",
        params: r#"{"id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59"}"#,
        result: r#"{"peers":[{"id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","connected":true,"num_channels":0,"netaddr":["127.0.0.1:9736"],"features":"20800000a202"}]}"#,
    }],
    handler: listpeers,
};

/// The member `log` of a peer.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Log {
    Shown,
    Omitted,
}

fn listpeers(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut id = Arg::new(&PARAMS[0], |value| peer_id(&call.service.node, value));
    let mut level = Arg::new(&PARAMS[1], log_level);
    call.read(&mut [&mut id, &mut level])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let node = &call.service.node;
    let mut peers = match id.optional() {
        Some(id) => node.peer(&id).into_iter().collect(),
        None => node.peers(),
    };
    peers.sort_unstable_by_key(|peer| peer.id);
    let log = level.optional().unwrap_or(Log::Omitted);
    let result = object(|result| {
        result.array("peers", |list| {
            for peer in &peers {
                list.object(|entry| write_peer(entry, peer, log));
            }
        });
    });
    Ok(Reply::Done(result.into()))
}

fn write_peer(entry: &mut ObjectWriter<'_>, peer: &PeerInfo, log: Log) {
    entry.string("id", peer.id);
    entry.bare("connected", true);
    entry.bare("num_channels", 0);
    entry.array("netaddr", |addresses| addresses.string(peer.address));
    // BOLT 1 bids us ignore private addresses here.
    if let Some(address) = peer.seen_as.filter(|address| is_public(*address)) {
        entry.string("remote_addr", address);
    }
    entry.hex("features", &peer.features);
    if log == Log::Shown {
        entry.array("log", |_| {});
    }
}

fn log_level(value: Value<'_>) -> Result<Log, Refused<'_>> {
    match value.raw().parse::<Level>() {
        Ok(_) => Ok(Log::Shown),
        Err(_) => Err(BadParam { problem: "should be 'io', 'debug', 'info', or 'unusual'", value }.into()),
    }
}
