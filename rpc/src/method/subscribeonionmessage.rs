//! `subscribeonionmessage`: shows the onion messages for this node, as they arrive. Not a method of Core Lightning.

use oddwire_node::EventFilter;

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::Param;

const PARAMS: &[Param] = &[];

pub(super) static METHOD: Method = Method {
    name: "subscribeonionmessage",
    summary: "Shows the onion messages for this node, as they arrive",
    params: PARAMS,
    page: "After the answer the connection carries one notification `onionmessage` for each onion message whose last hop is this node: \
`pathsecret` (what the path that it came over was called, if that is 32 bytes), `reply_blindedpath` (where an answer goes, if one is \
wanted: give it to `sendonionmessage` as `destination`), `invoice_request`, `invoice` and `invoice_error` (if it has them) and \
`unknown_fields` with `number` and `value` of each other record: all as in Core Lightning's hooks. Answers that somebody waits for are \
not among these.

One notification `onionmessage_forward_fail` tells of each message that a peer sent and that went no further here, with the fields of \
Core Lightning's notification and the `reason`; of messages above a peer's share only the first until it has kept still for a while.

Who sent a message nobody can tell. A client that reads too slowly misses some; `onionmessage_gap` with `missed` stands in their place.

Error -32600: this connection has a subscription already; open another one. Error -1: there are as many subscriptions as the daemon \
keeps.",
    examples: &[Example {
        about: "All of them",
        params: r"{}",
        result: r#"{"subscription":"onionmessage"}"#,
    }],
    handler: subscribeonionmessage,
};

fn subscribeonionmessage(call: &Call<'_>) -> Result<Reply, RpcError> {
    call.read(&mut [])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let subscription = call.service.node.subscribe(EventFilter::onions());
    let result = object(|result| result.string("subscription", "onionmessage"));
    Ok(Reply::Subscribed(result, subscription, "onionmessage_gap"))
}
