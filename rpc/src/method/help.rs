//! `help`: the methods and their parameters.

use super::{Call, Example, METHODS, Method, Reply, find};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param, text};

const PARAMS: &[Param] = &[Param::optional("command", "string", "Only this method.")];

pub(super) static METHOD: Method = Method {
    name: "help",
    summary: "Lists the methods and their parameters",
    params: PARAMS,
    page: "Each element of `help` has the member `command`: a method's name and its parameters, those in brackets optional. \
`format-hint` tells a command line client how to print it.

Of a name that is no method: error -32601.",
    examples: &[Example {
        about: "One method",
        params: r#"{"command":"connect"}"#,
        result: r#"{"help":[{"command":"connect id [host] [port]"}],"format-hint":"simple"}"#,
    }],
    handler: help,
};

fn help(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut command = Arg::new(&PARAMS[0], text);
    call.read(&mut [&mut command])?;
    let only = match command.optional() {
        Some(name) => Some(
            find(name).ok_or_else(|| RpcError::method_not_found(format_args!("Unknown command {name}")))?,
        ),
        None => None,
    };
    if call.is_check() {
        return Ok(call.checked());
    }
    let result = object(|result| {
        result.array("help", |methods| {
            for method in METHODS.iter().filter(|method| only.is_none_or(|only| only.name == method.name)) {
                methods.object(|entry| entry.string("command", method.usage()));
            }
        });
        result.string("format-hint", "simple");
    });
    Ok(Reply::Done(result.into()))
}
