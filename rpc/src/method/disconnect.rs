//! `disconnect`: ends the connection to a peer.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, BadParam, Param, Refused, boolean, parse_node_id};

const PARAMS: &[Param] = &[
    Param::required("id", "pubkey", "The peer."),
    Param::optional(
        "force",
        "boolean",
        "In Core Lightning: even if there are channels with the peer. Here there are none, and it changes nothing.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "disconnect",
    summary: "Ends the connection to a peer",
    params: PARAMS,
    page: "What is queued for the peer is sent first, for as long as the node's drain limit allows. The answer, an empty object, \
comes when the connection is gone.

Error -32602: no such peer. Error -1: the peer is gone already.",
    examples: &[Example {
        about: "Goodbye",
        params: r#"{"id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59"}"#,
        result: "{}",
    }],
    handler: disconnect,
};

fn disconnect(call: &Call<'_>) -> Result<Reply, RpcError> {
    let node = &call.service.node;
    // A peer that is not there is found out while the parameters are read: it comes before a mistake in a later one.
    let mut id = Arg::new(&PARAMS[0], |value| {
        let id = parse_node_id(value.raw()).ok_or(BadParam { problem: "invalid peer id", value })?;
        if node.peer(&id).is_none() {
            let unknown = format_args!("Unknown peer '{}'", value.raw());
            return Err(Refused::Error(RpcError::invalid_params(unknown)));
        }
        Ok(id)
    });
    let mut force = Arg::new(&PARAMS[1], boolean);
    call.read(&mut [&mut id, &mut force])?;
    let id = id.required()?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let node = node.clone();
    Ok(Reply::Later(Box::pin(async move {
        node.disconnect(&id).await.map_err(|_| RpcError::failed("Peer not connected"))?;
        Ok("{}".to_owned())
    })))
}
