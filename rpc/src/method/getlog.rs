//! `getlog`: the newest part of the daemon's log.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::log::Level;
use crate::params::{Arg, BadParam, Param};

const PARAMS: &[Param] = &[Param::optional(
    "level",
    "string",
    "Lines of this level and above: broken, unusual, info (the default), debug, trace or io.",
)];

pub(super) static METHOD: Method = Method {
    name: "getlog",
    summary: "Shows the newest part of the daemon's log",
    params: PARAMS,
    page: "The daemon keeps its newest lines in memory: those of level debug and above, and what `--log-level` wants besides. \
`created_at` says when it began (seconds since 1970), `bytes_used` and `bytes_max` how much is kept and how much can be. `log` has \
an object for each line: `type` (BROKEN, UNUSUAL, INFO, DEBUG, TRACE, IO_IN, IO_OUT), `time` (seconds since `created_at`), `source`, \
`log` (the text), `node_id` if it is about a peer, and for IO_IN and IO_OUT `data`: the message in hex. An object of `type` SKIPPED \
with `num_skipped` stands for lines that are not shown or not kept any more.",
    examples: &[Example {
        about: "What should not have happened",
        params: r#"{"level":"broken"}"#,
        result: r#"{"created_at":"1795222923.004000000","bytes_used":0,"bytes_max":2097152,"log":[]}"#,
    }],
    handler: getlog,
};

fn getlog(call: &Call<'_>) -> Result<Reply, RpcError> {
    const PROBLEM: &str = "should be 'io', 'debug', 'info', or 'unusual'";
    let mut level = Arg::new(&PARAMS[0], |value| {
        value.raw().parse::<Level>().map_err(|_| BadParam { problem: PROBLEM, value }.into())
    });
    call.read(&mut [&mut level])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    Ok(Reply::Done(call.service.log_book.listing(level.optional().unwrap_or(Level::Info)).into()))
}
