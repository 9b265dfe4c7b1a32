//! `listconfigs`: the options, what they are set to, and where.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::params::{Arg, BadParam, Param};

const PARAMS: &[Param] = &[Param::optional("config", "string", "Only this option.")];

pub(super) static METHOD: Method = Method {
    name: "listconfigs",
    summary: "Lists the options of the daemon and its plugins",
    params: PARAMS,
    page: "The answer has one member, `configs`, with a member for each option: the option's name. Its value is in `set` (flags), \
`value_bool`, `value_int` or `value_str`; of an option that may be given more than once, in `values_int` or `values_str`. \
`source` says where it comes from: `cmdline`, FILE:LINE, `default`, `pluginstart` or `setconfig transient`; of several values, \
`sources`. `plugin` is the plugin that it belongs to. `dynamic` is there, and true, if `setconfig` can change it.

An option that has neither a value nor a default is left out; so are those for developers, deprecated ones, and those of Core \
Lightning that mean nothing here, unless they are set. Asked for by name, each of them is shown.

Error -32602: there is no option of this name.",
    examples: &[Example {
        about: "Where was the alias set?",
        params: r#"{"config":"alias"}"#,
        result: r#"{"configs":{"alias":{"value_str":"bob","source":"cmdline"}}}"#,
    }],
    handler: listconfigs,
};

fn listconfigs(call: &Call<'_>) -> Result<Reply, RpcError> {
    let options = &call.service.options;
    let mut config = Arg::new(&PARAMS[0], |value| {
        let is_known = options.knows(value.raw());
        if is_known {
            Ok(value.raw())
        } else {
            Err(BadParam { problem: "Unknown config option", value }.into())
        }
    });
    call.read(&mut [&mut config])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    Ok(Reply::Done(options.listing(config.optional()).into()))
}
