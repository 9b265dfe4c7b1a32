//! `listnodes`: the nodes of the network that we heard of by gossip, which are none.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, node_id};

const PARAMS: &[Param] = &[Param::optional("id", "pubkey", "Only this node.")];

pub(super) static METHOD: Method = Method {
    name: "listnodes",
    summary: "Lists the nodes known by gossip: none",
    params: PARAMS,
    page: "This daemon ignores gossip and keeps no map of the network, so that `nodes` is always empty. It is here for clients \
that call it when they start. Connected peers are listed by `listpeers`.",
    examples: &[Example { about: "Everything", params: "{}", result: r#"{"nodes":[]}"# }],
    handler: listnodes,
};

fn listnodes(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut id = Arg::new(&PARAMS[0], node_id);
    call.read(&mut [&mut id])?;
    Ok(if call.is_check() { call.checked() } else { Reply::Done(r#"{"nodes":[]}"#.into()) })
}
