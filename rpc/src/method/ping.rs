//! `ping`: is the peer there?

use oddwire_node::PingError;

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param, number, peer_id};

/// Bytes of padding in a ping and in the pong that it asks for, unless the caller says otherwise.
const DEFAULT_LEN: u32 = 128;
/// A ping is its type, two lengths of 2 bytes each, and the padding (BOLT 1).
const MAX_LEN: u16 = u16::MAX - 2 - 2 - 2;

const PARAMS: &[Param] = &[
    Param::required("id", "pubkey", "The peer."),
    Param::optional("len", "u16", "Bytes of padding in the ping, at most 65529. Default: 128."),
    Param::optional(
        "pongbytes",
        "u16",
        "Bytes of padding that the pong should have. The peer does not answer from 65532 on. Default: 128.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "ping",
    summary: "Sends a ping to a connected peer and waits for the pong",
    params: PARAMS,
    page: "`totlen` is the length of the pong in bytes, its type and its length field included: `pongbytes` and 4. From 65532 \
`pongbytes` on no pong is sent, and the answer comes at once with 0.

Error -1: the peer is not connected, or an earlier ping to it is not answered yet. Error -32602: the ping would not fit into \
one message.",
    examples: &[Example {
        about: "Is it there?",
        params: r#"{"id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","len":128,"pongbytes":128}"#,
        result: r#"{"totlen":132}"#,
    }],
    handler: ping,
};

fn ping(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut id = Arg::new(&PARAMS[0], |value| peer_id(&call.service.node, value));
    let mut len = Arg::new(&PARAMS[1], number);
    let mut pongbytes = Arg::new(&PARAMS[2], number);
    call.read(&mut [&mut id, &mut len, &mut pongbytes])?;
    let id = id.required()?;
    let len = len.optional().unwrap_or(DEFAULT_LEN);
    let oversize = || RpcError::invalid_params(format_args!("{len} would result in oversize ping"));
    let len = u16::try_from(len).ok().filter(|len| *len <= MAX_LEN).ok_or_else(oversize)?;
    let pongbytes = pongbytes.optional().unwrap_or(DEFAULT_LEN);
    let pongbytes = u16::try_from(pongbytes)
        .map_err(|_| RpcError::invalid_params(format_args!("pongbytes {pongbytes} > 65535")))?;

    let node = &call.service.node;
    if node.peer(&id).is_none() {
        return Err(refusal(PingError::NotConnected));
    }
    if call.is_check() {
        return Ok(call.checked());
    }
    let node = node.clone();
    Ok(Reply::Later(Box::pin(async move {
        let pong = node.ping(&id, len, pongbytes).await.map_err(refusal)?;
        Ok(object(|result| result.bare("totlen", pong.totlen)))
    })))
}

fn refusal(error: PingError) -> RpcError {
    match error {
        PingError::NotConnected => RpcError::failed("Peer not connected"),
        PingError::AlreadyPending => RpcError::failed("Ping already pending"),
        other => RpcError::failed(other),
    }
}
