//! `stop`: ends the daemon.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;

pub(super) static METHOD: Method = Method {
    name: "stop",
    summary: "Ends the daemon",
    params: &[],
    page: "The answer comes at once. Then no further request is taken, those that run are given two seconds, what is queued for \
peers is sent for as long as the node's drain limit allows, and the process ends.",
    examples: &[Example { about: "The end", params: "{}", result: r#"{"result":"Shutdown complete"}"# }],
    handler: stop,
};

fn stop(call: &Call<'_>) -> Result<Reply, RpcError> {
    call.read(&mut [])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    tracing::warn!("JSON-RPC shutdown");
    call.service.stop.trigger();
    Ok(Reply::Done(r#"{"result":"Shutdown complete"}"#.into()))
}
