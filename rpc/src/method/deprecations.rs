//! `deprecations`: may this connection use what is deprecated? Here that can only be something of a plugin's.

use std::sync::atomic::Ordering;

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, boolean};

const PARAMS: &[Param] = &[Param::required("enable", "boolean", "Whether what is deprecated is wanted.")];

pub(super) static METHOD: Method = Method {
    name: "deprecations",
    summary: "Says whether this connection may use what is deprecated",
    params: PARAMS,
    page: "Methods of plugins may be deprecated; then they are refused to those who do not want such things, and a plugin that \
has subscribed to `deprecated_oneshot` is told before a call if its client wants otherwise than the daemon's own user. Nothing else \
is deprecated here. The answer is an empty object.",
    examples: &[Example {
        about: "What careful clients begin with",
        params: r#"{"enable":true}"#,
        result: "{}",
    }],
    handler: deprecations,
};

fn deprecations(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut enable = Arg::new(&PARAMS[0], boolean);
    call.read(&mut [&mut enable])?;
    let enable = enable.required()?;
    if call.is_check() {
        return Ok(call.checked());
    }
    call.caller.refuses_deprecated.store(!enable, Ordering::Relaxed);
    Ok(Reply::Done("{}".into()))
}
