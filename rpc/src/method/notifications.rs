//! `notifications`: does this client want to hear of a request's progress?

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, boolean};

const PARAMS: &[Param] = &[Param::required("enable", "boolean", "Whether notifications are wanted.")];

pub(super) static METHOD: Method = Method {
    name: "notifications",
    summary: "Says whether this connection wants to hear of its requests' progress",
    params: PARAMS,
    page: "Command line clients send it before their request. The methods of this daemon have no progress to tell, so that \
either choice is only acknowledged, with an empty object. What `subscribecustommsg` brings does not depend on it.",
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
    Ok(if call.is_check() { call.checked() } else { Reply::Done("{}".into()) })
}
