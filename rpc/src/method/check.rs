//! `check`: would this call be refused?

use std::sync::Arc;

use super::{Call, Example, Method, Mode, Reply, Target};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Extra, Param, Refused};
use crate::plugin::Plugin;
use crate::value::Value;

const PARAMS: &[Param] = &[Param::required("command_to_check", "string", "Name of the method.")];

pub(super) static METHOD: Method = Method {
    name: "check",
    summary: "Finds out whether a call would be refused, without making it",
    params: PARAMS,
    page: "The parameters of the method follow the method's name, by position or by name. What the method can know without \
doing anything is checked: its parameters, and for some methods whether the peer is connected.

The answer has one member, `command_to_check`. An error is the one that the method would answer; it always shows the value \
that is wrong.

A call that passes can still fail. `sendcustommsg` does not look at the message here beyond its type, as Core Lightning does \
not.",
    examples: &[Example {
        about: "May an odd message be sent to this peer?",
        params: r#"{"command_to_check":"sendcustommsg","node_id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","msg":"77770012"}"#,
        result: r#"{"command_to_check":"sendcustommsg"}"#,
    }],
    handler: check,
};

fn check(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut name = Arg::new(&PARAMS[0], |value: Value<'_>| {
        Target::find(call.service, value.raw()).map(|target| (target, value.raw())).ok_or_else(|| {
            Refused::Error(RpcError::method_not_found(format_args!("Unknown command '{}'", value.raw())))
        })
    });
    call.params.read(&mut [&mut name], Extra::Ignored, |name, bad| call.bad_param(name, bad))?;
    let method = match name.required()? {
        (Target::Own(method), _) => method,
        (Target::OfPlugin { plugin, can_check, .. }, name) => {
            return Ok(of_plugin(call, &plugin, can_check, name));
        }
    };
    let inner = Call {
        service: call.service,
        method,
        params: call.params.without(PARAMS[0].name),
        mode: Mode::Check,
        id: call.id,
        request: call.request,
        caller: call.caller,
    };
    // `check check sendcustommsg` would go round for ever if `check` only passed itself on.
    if call.is_check() { Ok(inner.checked()) } else { (method.handler)(&inner) }
}

/// A plugin's method: the plugin is asked, if it can answer that.
fn of_plugin(call: &Call<'_>, plugin: &Arc<Plugin>, can_check: bool, name: &str) -> Reply {
    if call.is_check() || !can_check {
        if !can_check {
            plugin.say_cannot_check(name, call.id);
        }
        return Reply::Done(object(|result| result.string("command_to_check", name)).into());
    }
    let progress = call.caller.progress_of(call.id);
    Reply::Later(Box::pin(call.service.plugins.pass_through(plugin, "check", call.request, progress)))
}
