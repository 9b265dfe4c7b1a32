//! `injectonionmessage`: does with an onion what would be done had a peer sent it.

use wire_core::limits::MAX_MESSAGE_LEN;

use super::{Call, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, BadParam, Param, hex, parse_node_id};

const PARAMS: &[Param] = &[
    Param::required("path_key", "pubkey", "The path key that goes with the onion."),
    Param::required("message", "hex", "The onion, whose first layer is for this node."),
];

pub(super) static METHOD: Method = Method {
    name: "injectonionmessage",
    summary: "Peels an onion message of your own making and sends it on",
    params: PARAMS,
    page: "For programs that make their onions themselves (`createonion`): the onion is treated as if a peer had sent it, so its first \
layer must be for this node. It is sent on to the next node, or delivered here. To have a message made and sent in one call, use \
`sendonionmessage`.

The answer is an empty object; it says that the next node's queue has it, or that a connection to that node is being made.

Error -1: it goes no further; the text says why. Error -32602: a parameter is missing or wrong.",
    examples: &[],
    handler: injectonionmessage,
};

fn injectonionmessage(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut path_key = Arg::new(&PARAMS[0], |value| {
        parse_node_id(value.raw()).ok_or(BadParam { problem: "should be a pubkey", value }.into())
    });
    let mut message = Arg::new(&PARAMS[1], hex);
    call.read(&mut [&mut path_key, &mut message])?;
    let (path_key, message) = (path_key.required()?, message.required()?);
    if message.len() > MAX_MESSAGE_LEN {
        return Err(RpcError::invalid_params("onion message too long"));
    }
    if call.is_check() {
        return Ok(call.checked());
    }
    call.service.node.inject_onion_message(&path_key, &message).map_err(RpcError::failed)?;
    Ok(Reply::Done("{}".into()))
}
