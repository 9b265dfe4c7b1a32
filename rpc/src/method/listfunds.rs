//! `listfunds`: the funds of this node, which has none.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, boolean};

const PARAMS: &[Param] = &[Param::optional("spent", "boolean", "Also what is spent. Default: false.")];

pub(super) static METHOD: Method = Method {
    name: "listfunds",
    summary: "Lists the funds of this node: none",
    params: PARAMS,
    page: "This daemon has no wallet and no channels, so that `outputs` and `channels` are always empty. It is here for clients \
that call it when they start.",
    examples: &[Example { about: "Everything", params: "{}", result: r#"{"outputs":[],"channels":[]}"# }],
    handler: listfunds,
};

fn listfunds(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut spent = Arg::new(&PARAMS[0], boolean);
    call.read(&mut [&mut spent])?;
    Ok(if call.is_check() { call.checked() } else { Reply::Done(r#"{"outputs":[],"channels":[]}"#.into()) })
}
