//! `plugin`: starts and stops plugins while the daemon runs.

use core::future::Future;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, BadParam, Extra, Param, Slot, text};
use crate::plugin::StartOptions;
use crate::tokenizer::Kind;
use crate::value::Value;

const SUBCOMMAND: Param =
    Param::required("subcommand", "string", "`start`, `stop`, `startdir`, `rescan` or `list`.");
const PLUGIN: Param = Param::required("plugin", "string", "The plugin: its path, or its file's name.");
const DIRECTORY: Param = Param::required("directory", "string", "The directory whose plugins to start.");
const OPTIONS: Param =
    Param::optional("options", "string array", "The plugin's options, each as NAME=VALUE.");

static WITH_NOTHING: [Param; 1] = [SUBCOMMAND];
static WITH_PLUGIN: [Param; 2] = [SUBCOMMAND, PLUGIN];
static WITH_DIRECTORY: [Param; 2] = [SUBCOMMAND, DIRECTORY];
static TO_START: [Param; 3] = [SUBCOMMAND, PLUGIN, OPTIONS];

const PARAMS: &[Param] = &[
    SUBCOMMAND,
    Param::optional(
        "plugin",
        "string",
        "For `start` and `stop`: the plugin, by its path or its file's name.",
    ),
    Param::optional("options", "string array", "For `start`: the plugin's options, each as NAME=VALUE."),
    Param::optional("directory", "string", "For `startdir`: the directory whose plugins to start."),
];

pub(super) static METHOD: Method = Method {
    name: "plugin",
    summary: "Starts, stops and lists plugins",
    params: PARAMS,
    page: "`start PLUGIN` starts one; a relative path that leads nowhere is looked for in the directory `plugins` of the lightning \
directory. Its options follow as an array of NAME=VALUE (NAME alone for a flag), or by name beside the other parameters. `stop PLUGIN` \
stops one: at once, or, if it has subscribed to `shutdown`, when it has ended by itself or 30 seconds have passed. `startdir \
DIRECTORY` starts all that do not run yet; `rescan` does so with the directory `plugins`. A plugin \
that runs and whose program has changed since is stopped and started anew by these, if it is dynamic. `list` only lists.

All but `stop` answer with `plugins`: of each its path (`name`), whether it runs (`active`), and whether it may be started and \
stopped like this (`dynamic`). `startdir` and `rescan` wait until every plugin runs or has failed; the log says why one has failed.

Error -3: the plugin did not start, and why. Error -32602: there is no such plugin or program, it runs already, or it is not one that \
may be stopped while the daemon runs.",
    examples: &[Example {
        about: "Which plugins are there?",
        params: r#"{"subcommand":"list"}"#,
        result: r#"{"command":"list","plugins":[]}"#,
    }],
    handler: plugin,
};

fn plugin(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut subcommand = Arg::new(&WITH_NOTHING[0], text);
    call.params.read(&mut [&mut subcommand], Extra::Ignored, |name, bad| call.bad_param(name, bad))?;
    match subcommand.required()? {
        "start" => start(call),
        "stop" => stop(call),
        "startdir" => start_directory(call),
        "rescan" => {
            call.read(&mut [&mut Arg::new(&WITH_NOTHING[0], text)])?;
            let host = call.service.plugins.clone();
            let asked_by = call.id.to_owned();
            Ok(later(call, "rescan", async move {
                host.rescan(&asked_by).await;
                Ok(())
            }))
        }
        "list" => {
            call.read(&mut [&mut Arg::new(&WITH_NOTHING[0], text)])?;
            Ok(later(call, "list", async { Ok(()) }))
        }
        other => Err(RpcError::invalid_params(format_args!("Unknown subcommand '{other}'"))),
    }
}

fn start(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut subcommand = Arg::new(&TO_START[0], text);
    let mut plugin = Arg::new(&TO_START[1], text);
    let mut options = Arg::new(&TO_START[2], |value: Value<'_>| match value.kind() {
        Kind::Array => Ok(value),
        _ => Err(BadParam { problem: "should be an array", value }.into()),
    });
    let slots: &mut [&mut dyn Slot<'_>] = &mut [&mut subcommand, &mut plugin, &mut options];
    call.params.read(slots, Extra::Ignored, |name, bad| call.bad_param(name, bad))?;
    let (plugin, listed) = (plugin.required()?, options.optional());
    if listed.is_some_and(|listed| listed.items().any(|one| one.kind() != Kind::String)) {
        return Err(RpcError::invalid_params("options array entries must be strings"));
    }
    let named =
        call.params.named().filter(|(name, _)| !TO_START.iter().any(|param| param.name == name.raw()));
    let mut named: StartOptions = named.map(|(name, value)| (name.text(), Some(value.text()))).collect();
    let most = if listed.is_some() { 3 } else { 2 };
    if call.params.positional_count() > most {
        return Err(RpcError::invalid_params("Extra parameters must be in object"));
    }
    if let Some(listed) = listed {
        if !named.is_empty() {
            return Err(RpcError::invalid_params("Cannot mix 'options' array with keyword options"));
        }
        named.extend(listed.items().map(|one| split(&one.text())));
    }
    let path = program(call, plugin)?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let host = call.service.plugins.clone();
    let asked_by = call.id.to_owned();
    Ok(later(call, "start", async move {
        let started = host.start_plugin(&path, named, &asked_by).await;
        started.map_err(|refused| RpcError::new(refused.code(), refused.to_string()))
    }))
}

fn split(option: &str) -> (String, Option<String>) {
    match option.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (option.to_owned(), Some("true".to_owned())),
    }
}

/// A program that we may execute: as it is named, or in the default directory.
fn program(call: &Call<'_>, name: &str) -> Result<PathBuf, RpcError> {
    let as_named = PathBuf::from(name);
    if access(&as_named, Access::EXEC_OK).is_ok() {
        return Ok(as_named);
    }
    let path = call.service.plugins.default_directory().join(name);
    match access(&path, Access::EXEC_OK) {
        Ok(()) => Ok(path),
        Err(error) => Err(RpcError::invalid_params(format_args!(
            "{} is not executable: {}",
            path.display(),
            std::io::Error::from(error)
        ))),
    }
}

fn stop(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut subcommand = Arg::new(&WITH_PLUGIN[0], text);
    let mut plugin = Arg::new(&WITH_PLUGIN[1], text);
    call.read(&mut [&mut subcommand, &mut plugin])?;
    let plugin = plugin.required()?.to_owned();
    if call.is_check() {
        return Ok(call.checked());
    }
    let host = call.service.plugins.clone();
    Ok(Reply::Later(Box::pin(async move {
        let name = host.stop_plugin(&plugin).await.map_err(RpcError::invalid_params)?;
        Ok(object(|result| {
            result.string("command", "stop");
            result.string("result", format_args!("Successfully stopped {name}."));
        }))
    })))
}

fn start_directory(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut subcommand = Arg::new(&WITH_DIRECTORY[0], text);
    let mut directory = Arg::new(&WITH_DIRECTORY[1], text);
    call.read(&mut [&mut subcommand, &mut directory])?;
    let directory = directory.required()?;
    if !Path::new(directory).exists() {
        return Err(RpcError::invalid_params(format_args!("Could not open {directory}")));
    }
    let (host, directory) = (call.service.plugins.clone(), PathBuf::from(directory));
    let asked_by = call.id.to_owned();
    Ok(later(call, "startdir", async move {
        host.start_directory(&directory, &asked_by).await.map_err(RpcError::invalid_params)
    }))
}

/// Does it, unless it is only being checked, and lists all plugins.
fn later(
    call: &Call<'_>,
    subcommand: &'static str,
    work: impl Future<Output = Result<(), RpcError>> + Send + 'static,
) -> Reply {
    if call.is_check() {
        return call.checked();
    }
    let host = call.service.plugins.clone();
    Reply::Later(Box::pin(async move {
        work.await?;
        Ok(object(|result| {
            result.string("command", subcommand);
            result.array("plugins", |list| {
                for plugin in host.list() {
                    list.object(|entry| {
                        entry.string("name", &plugin.path);
                        entry.bare("active", plugin.is_active);
                        entry.bare("dynamic", plugin.is_dynamic);
                    });
                }
            });
        }))
    }))
}
