//! `deprecations`: acknowledged, since nothing is deprecated here.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, boolean};

const PARAMS: &[Param] = &[Param::required("enable", "boolean", "Whether what is deprecated is wanted.")];

pub(super) static METHOD: Method = Method {
    name: "deprecations",
    summary: "Says whether this connection may use what is deprecated",
    params: PARAMS,
    page: "Nothing is deprecated here yet: no parameter and no member of an answer depends on it, and either choice is only \
acknowledged, with an empty object.",
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
    Ok(if call.is_check() { call.checked() } else { Reply::Done("{}".into()) })
}
