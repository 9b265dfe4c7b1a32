//! `waitblockheight`: refused, since no block ever comes.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, Param, number};

const PARAMS: &[Param] = &[
    Param::required("blockheight", "u32", "The height to wait for."),
    Param::optional(
        "timeout",
        "u32",
        "Seconds to wait for it. Without meaning here, since nothing is waited for.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "waitblockheight",
    summary: "Would wait for a block, but there is no chain here",
    params: PARAMS,
    page: "This daemon follows no chain: its `blockheight` is 0 and stays 0. Height 0 is answered with `blockheight`. For every \
other height a caller would wait in vain, and is told so at once.

Error -1: the height is above 0.",
    examples: &[Example {
        about: "The height that every chain has",
        params: r#"{"blockheight":0}"#,
        result: r#"{"blockheight":0}"#,
    }],
    handler: waitblockheight,
};

fn waitblockheight(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut blockheight = Arg::new(&PARAMS[0], number);
    let mut timeout = Arg::new(&PARAMS[1], number);
    call.read(&mut [&mut blockheight, &mut timeout])?;
    let blockheight = blockheight.required()?;
    if blockheight > 0 {
        return Err(RpcError::failed(format_args!(
            "Block {blockheight} will not come: this daemon follows no chain, and its block height stays 0"
        )));
    }
    Ok(if call.is_check() { call.checked() } else { Reply::Done(r#"{"blockheight":0}"#.into()) })
}
