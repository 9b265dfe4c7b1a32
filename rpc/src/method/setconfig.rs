//! `setconfig`: changes an option while the daemon runs.
//!
//! Only options of plugins can be changed so, those that their plugin calls dynamic. The plugin is asked first; what it agrees to
//! is written to a configuration file, unless it is meant to be forgotten.

use std::sync::Arc;

use super::{Call, Method, Reply};
use crate::config::option::{OptionKind, OptionSpec, OptionValue, Times};
use crate::config::saved::{SaveError, is_writable};
use crate::config::table::{Dynamic, Lasting};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, BadParam, Param, boolean};
use crate::tokenizer::Kind;
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::required("config", "string", "The option."),
    Param::optional(
        "val",
        "any",
        "Its value; for an option that may be given more than once, an array of all its values. A flag takes none.",
    ),
    Param::optional("transient", "boolean", "true: not to be saved in a configuration file. Default: false."),
];

pub(super) static METHOD: Method = Method {
    name: "setconfig",
    summary: "Changes an option while the daemon runs",
    params: PARAMS,
    page: "Only options that `listconfigs` shows with `dynamic` can be changed, which are options of plugins. The plugin is asked, \
and may refuse. Then the value is written to the file `config.setconfig` beside the configuration file, which includes it from then \
on, and what it overrides in other files is commented out. With `transient` it is forgotten when the daemon ends.

The answer has one member, `config`: the option's name in `config`, and what `listconfigs` shows of it.

Error -32602: there is no such option, it cannot be changed, the value is wrong, or a file cannot be written or was changed \
meanwhile; the text says whether the plugin uses the new value all the same. Other errors are the plugin's.",
    examples: &[],
    handler: setconfig,
};

fn setconfig(call: &Call<'_>) -> Result<Reply, RpcError> {
    let options = &call.service.options;
    let mut config = Arg::new(&PARAMS[0], |value| match options.dynamic(value.raw()) {
        Ok(dynamic) => Ok(dynamic),
        Err(error) => Err(BadParam { problem: error.problem(), value }.into()),
    });
    let mut val = Arg::new(&PARAMS[1], Ok);
    let mut transient = Arg::new(&PARAMS[2], boolean);
    call.read(&mut [&mut config, &mut val, &mut transient])?;
    let Dynamic { spec, plugin } = config.required()?;
    let values = values(&spec, val.optional())?;
    let lasting = if transient.optional() == Some(true) { Lasting::UntilRestart } else { Lasting::Saved };
    // Before the plugin is asked: it would agree to what then cannot be saved.
    if lasting == Lasting::Saved && !values.iter().flatten().all(|value| is_writable(value)) {
        let (name, problem) = (&spec.name, SaveError::Unwritable);
        return Err(RpcError::invalid_params(format_args!("Error setting {name}: {problem}")));
    }

    let host = call.service.plugins.clone();
    let asked_by = call.id.to_owned();
    if call.is_check() {
        let checked = call.checked_result();
        let params = params_for(&spec, &values, Some("setconfig"));
        return Ok(Reply::Later(Box::pin(async move {
            if host.can_check(&plugin) {
                host.set_option(&plugin, "check", &asked_by, &params).await?;
            }
            Ok(checked)
        })));
    }
    let options = Arc::clone(options);
    Ok(Reply::Later(Box::pin(async move {
        let params = params_for(&spec, &values, None);
        host.set_option(&plugin, "setconfig", &asked_by, &params).await?;
        let name = spec.name;
        let work = move || {
            let changed = options.change(&name, values, lasting);
            changed.map(|()| options.listing_of_change(&name)).map_err(|error| {
                RpcError::invalid_params(format_args!(
                    "{error}. The plugin uses the new value, but only until it ends"
                ))
            })
        };
        // Files are written, which may take as long as a disk does.
        tokio::task::spawn_blocking(work).await.map_err(RpcError::failed)?
    })))
}

/// The values as they would be written in a file: one for each time that the option is given.
fn values(spec: &OptionSpec, val: Option<Value<'_>>) -> Result<Vec<Option<String>>, RpcError> {
    let name = &spec.name;
    let is_list = val.is_some_and(|val| val.kind() == Kind::Array);
    let values: Vec<Option<String>> = match (spec.times, spec.kind, val) {
        (Times::Many, _, Some(_)) if !is_list => {
            return Err(RpcError::invalid_params(format_args!(
                "{name} is a multi option: val must be an array"
            )));
        }
        (Times::Many, _, val) => {
            val.into_iter().flat_map(|val| val.items()).map(|one| Some(one.text())).collect()
        }
        (Times::Once, ..) if is_list => {
            return Err(RpcError::invalid_params(format_args!(
                "{name} is not a multi option: val must not be an array"
            )));
        }
        (Times::Once, OptionKind::Flag, Some(_)) => {
            return Err(RpcError::invalid_params(format_args!("{name} does not take a value")));
        }
        (Times::Once, OptionKind::Flag, None) => vec![None],
        (Times::Once, _, None) => {
            return Err(RpcError::invalid_params(format_args!("{name} requires a value")));
        }
        (Times::Once, _, Some(val)) => vec![Some(val.text())],
    };
    for value in &values {
        // What the next start could not read is not to be saved.
        spec.kind
            .read(value.as_deref())
            .map_err(|error| RpcError::invalid_params(format_args!("Error setting {name}: {error}")))?;
    }
    Ok(values)
}

/// What the plugin is asked: every value as a string, as Core Lightning sends it.
fn params_for(spec: &OptionSpec, values: &[Option<String>], checked: Option<&str>) -> String {
    object(|params| {
        if let Some(method) = checked {
            params.string("command_to_check", method);
        }
        params.string("config", &spec.name);
        match (spec.times, values) {
            (Times::Many, values) => {
                let values = values.iter().flatten().cloned().map(OptionValue::Text).collect();
                params.bare("val", OptionValue::Many(values));
            }
            (Times::Once, [Some(value)]) => params.string("val", value),
            (Times::Once, _) => {}
        }
    })
}
