//! `batching`: acknowledged, since what is answered is on disk here.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, boolean};

const PARAMS: &[Param] =
    &[Param::required("enable", "boolean", "Whether calls that follow may be written to disk together.")];

pub(super) static METHOD: Method = Method {
    name: "batching",
    summary: "Says whether the calls that follow on this connection may be written to disk together",
    params: PARAMS,
    page: "Core Lightning answers calls before it has written them to disk if it is told so. This daemon writes together what arrives \
together anyway, and never answers before it is written, so that either choice is only acknowledged, with an empty object.",
    examples: &[Example {
        about: "What clients send before many calls",
        params: r#"{"enable":true}"#,
        result: "{}",
    }],
    handler: batching,
};

fn batching(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut enable = Arg::new(&PARAMS[0], boolean);
    call.read(&mut [&mut enable])?;
    Ok(if call.is_check() { call.checked() } else { Reply::Done("{}".into()) })
}
