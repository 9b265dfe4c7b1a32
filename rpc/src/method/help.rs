//! `help`: the methods and their parameters.

use super::{Call, Example, METHODS, Method, Reply, find};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param, text};
use crate::plugin::PluginMethod;

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
            usage(call, name)
                .ok_or_else(|| RpcError::method_not_found(format_args!("Unknown command {name}")))?,
        ),
        None => None,
    };
    if call.is_check() {
        return Ok(call.checked());
    }
    let result = object(|result| {
        result.array("help", |methods| {
            for usage in only.map_or_else(|| usages(call), |only| vec![only]) {
                methods.object(|entry| entry.string("command", usage));
            }
        });
        result.string("format-hint", "simple");
    });
    Ok(Reply::Done(result.into()))
}

fn usage(call: &Call<'_>, name: &str) -> Option<String> {
    let of_plugin = || call.service.plugins.method(name).map(|(_, method, _)| method.usage());
    find(name).map(Method::usage).or_else(of_plugin)
}

/// Of all methods, by their names.
fn usages(call: &Call<'_>) -> Vec<String> {
    let own = METHODS.iter().map(|method| method.usage());
    let mut usages: Vec<String> =
        own.chain(call.service.plugins.methods().iter().map(PluginMethod::usage)).collect();
    usages.sort_by(|a, b| a.split(' ').next().cmp(&b.split(' ').next()));
    usages
}
