//! `notifications`: does this client want to hear of a request's progress?

use std::sync::atomic::Ordering;

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, boolean};

const PARAMS: &[Param] = &[Param::required("enable", "boolean", "Whether notifications are wanted.")];

pub(super) static METHOD: Method = Method {
    name: "notifications",
    summary: "Says whether this connection wants to hear of its requests' progress",
    params: PARAMS,
    page: "Command line clients send it before their request. Methods of plugins may tell of their progress with `message` and \
`progress`, whose `id` is that of the request; the daemon's own methods have none to tell. What `subscribecustommsg` brings does not \
depend on it. The answer is an empty object.",
    examples: &[Example {
        about: "What lightning-cli begins with",
        params: r#"{"enable":true}"#,
        result: "{}",
    }],
    handler: notifications,
};

fn notifications(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut enable = Arg::new(&PARAMS[0], boolean);
    call.read(&mut [&mut enable])?;
    let enable = enable.required()?;
    if call.is_check() {
        return Ok(call.checked());
    }
    call.caller.wants_progress.store(enable, Ordering::Relaxed);
    Ok(Reply::Done("{}".into()))
}
