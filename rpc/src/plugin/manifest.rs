//! What a plugin says of itself in answer to `getmanifest`, and every way in which it can be wrong.
//!
//! Only the answer itself is judged here; whether a method or an option is taken already is for the
//! [`host`](super::host) to find. Refusals are Core Lightning's words, which authors of plugins and their tests know.

use core::fmt;

use oddwire_node::{FeatureSet, MessageType};
use wire_core::message::features::Features;

use super::hook::{Filters, Hook, HookWish};
use super::topic;
use crate::config::option::{Change, OptionKind, OptionSpec, Standing, Times};
use crate::limits::{MAX_FILTERS, MAX_REGISTRATIONS};
use crate::tokenizer::Kind;
use crate::value::Value;
use crate::version;

#[cfg(test)]
mod tests;

/// A manifest that is right by itself.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// It may be started and stopped while the daemon runs.
    pub(super) is_dynamic: bool,
    /// It answers `check` for its methods.
    pub(super) can_check: bool,
    /// Feature bits for our `init`.
    pub(super) features: Option<FeatureSet>,
    /// Types that it wants to receive though they are even.
    pub(super) custom_messages: Vec<MessageType>,
    /// Topics of its own that it tells others about.
    pub(super) topics: Vec<String>,
    /// Its options.
    pub(super) options: Vec<OptionSpec>,
    /// Its methods.
    pub(super) methods: Vec<PluginMethod>,
    /// Topics that it wants to be told about; `*` is all but `log`.
    pub(super) subscriptions: Vec<String>,
    /// Hooks that it wants to be called for.
    pub(super) hooks: Vec<HookWish>,
}

/// A method that a plugin brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PluginMethod {
    /// Its name on the wire.
    pub(crate) name: String,
    /// Its parameters in one line.
    pub(crate) usage: String,
    /// Refused with `--allow-deprecated-apis=false`.
    pub(crate) is_deprecated: bool,
}

impl PluginMethod {
    /// Name and parameters in one line, as `help` lists it.
    pub(crate) fn usage(&self) -> String {
        format!("{} {}", self.name, self.usage)
    }
}

/// What a plugin answers.
#[derive(Debug)]
pub(super) enum Introduction {
    /// It wants to run.
    Manifest(Box<Manifest>),
    /// It does not, for this reason.
    Disabled(String),
}

/// What is wrong with a manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ManifestError(String);

/// What Core Lightning calls the places that feature bits can stand in. Those but the first mean nothing here.
pub(super) const FEATURE_PLACES: [&str; 8] =
    ["init", "node", "channel", "invoice", "bolt12_offer", "bolt12_invreq", "bolt12_invoice", "channel_type"];

/// Reads the member `result` of an answer to `getmanifest`.
///
/// # Errors
/// The first thing that is wrong, in the order in which Core Lightning looks.
pub(super) fn parse(result: Value<'_>) -> Result<Introduction, ManifestError> {
    if result.kind() != Kind::Object {
        return refuse(format_args!("Invalid/missing result tok in '{}'", result.quoted()));
    }
    if let Some(reason) = result.get("disable") {
        return Ok(Introduction::Disabled(reason.text()));
    }
    let mut manifest =
        Manifest { is_dynamic: flag("getmanifest", result, "dynamic")?, ..Manifest::default() };
    if let Some(bits) = result.get("featurebits") {
        manifest.features = features(bits, manifest.is_dynamic)?;
    }
    if let Some(types) = result.get("custommessages") {
        manifest.custom_messages = custom_messages(types)?;
    }
    if let Some(non_numeric) = result.get("nonnumericids") {
        match non_numeric.as_bool() {
            Some(true) => {}
            Some(false) => return refuse(format_args!("Plugin does not allow nonnumericids")),
            None => return refuse(format_args!("Invalid nonnumericids: {}", non_numeric.quoted())),
        }
    }
    if let Some(can_check) = result.get("cancheck") {
        let wrong = || error(format_args!("Invalid cancheck: {}", can_check.quoted()));
        manifest.can_check = can_check.as_bool().ok_or_else(wrong)?;
    }
    if let Some(topics) = result.get("notifications") {
        manifest.topics = topics_of_its_own(topics)?;
    }
    manifest.options = options(result)?;
    manifest.methods = methods(result)?;
    if let Some(subscriptions) = result.get("subscriptions") {
        manifest.subscriptions = subscriptions_to(subscriptions)?;
    }
    if let Some(hooks) = result.get("hooks") {
        manifest.hooks = hook_wishes(hooks)?;
    }
    Ok(Introduction::Manifest(Box::new(manifest)))
}

/// The elements of a list that is looked through often, and so must not be long.
fn few<'v>(
    list: Value<'v>,
    what: &str,
    most: usize,
) -> Result<impl Iterator<Item = Value<'v>>, ManifestError> {
    if list.len() > most {
        return refuse(format_args!(
            "{what} has {} elements, and {most} is the most that is taken",
            list.len()
        ));
    }
    Ok(list.items())
}

fn error(text: fmt::Arguments<'_>) -> ManifestError {
    ManifestError(text.to_string())
}

fn refuse<T>(text: fmt::Arguments<'_>) -> Result<T, ManifestError> {
    Err(error(text))
}

/// A boolean that is false if it is missing.
fn flag(of: &str, object: Value<'_>, name: &str) -> Result<bool, ManifestError> {
    let Some(value) = object.get(name) else { return Ok(false) };
    value.as_bool().ok_or_else(|| error(format_args!("{of}: invalid \"{name}\" field {}", value.raw())))
}

fn features(bits: Value<'_>, is_dynamic: bool) -> Result<Option<FeatureSet>, ManifestError> {
    let mut init = None;
    let mut has_bits = false;
    for place in FEATURE_PLACES {
        let Some(hex) = bits.get(place) else { continue };
        let digits = hex.raw().as_bytes();
        let mut bytes = vec![0; digits.len() / 2];
        if !digits.len().is_multiple_of(2) || faster_hex::hex_decode(digits, &mut bytes).is_err() {
            return refuse(format_args!(
                "Featurebits returned by plugin is not a valid hexadecimal string: {}",
                hex.raw()
            ));
        }
        has_bits |= !bytes.is_empty();
        if place == "init" {
            let set = FeatureSet::from_features(Features::new(&bytes));
            init = Some(set.map_err(|why| error(format_args!("Custom featurebits: {why}")))?);
        }
    }
    if is_dynamic && has_bits {
        return refuse(format_args!(
            "Custom featurebits only allows for non-dynamic plugins: dynamic=1, featurebits={}",
            bits.raw()
        ));
    }
    Ok(init)
}

fn custom_messages(types: Value<'_>) -> Result<Vec<MessageType>, ManifestError> {
    if types.kind() != Kind::Array {
        return refuse(format_args!("custommessages must be array, not '{}'", types.quoted()));
    }
    let number = |(place, kind): (usize, Value<'_>)| {
        let number = kind.as_u64().and_then(|number| u16::try_from(number).ok());
        number
            .map(MessageType::new)
            .ok_or_else(|| error(format_args!("custommessages {place} not a u16: '{}'", kind.quoted())))
    };
    few(types, "custommessages", MAX_FILTERS)?.enumerate().map(number).collect()
}

fn topics_of_its_own(topics: Value<'_>) -> Result<Vec<String>, ManifestError> {
    if topics.kind() != Kind::Array {
        return refuse(format_args!("\"result.notifications\" is not an array"));
    }
    let mut names = Vec::new();
    for (place, topic) in few(topics, "\"result.notifications\"", MAX_REGISTRATIONS)?.enumerate() {
        if topic.kind() != Kind::Object {
            return refuse(format_args!("\"result.notifications[{place}]\" is not an object"));
        }
        let Some(name) = topic.get("method").filter(|name| name.kind() == Kind::String) else {
            return refuse(format_args!("\"result.notifications[{place}].name\" missing or not a string."));
        };
        let name = name.text();
        if topic::is_native(&name) {
            return refuse(format_args!(
                "plugin attempted to register a native notification topic \"{name}\", these may however only be sent \
                 by lightningd"
            ));
        }
        names.push(name);
    }
    Ok(names)
}

fn options(result: Value<'_>) -> Result<Vec<OptionSpec>, ManifestError> {
    let Some(options) = result.get("options") else {
        return refuse(format_args!("\"result.options\" was not found in the manifest"));
    };
    if options.kind() != Kind::Array {
        return refuse(format_args!("\"result.options\" is not an array"));
    }
    few(options, "\"result.options\"", MAX_REGISTRATIONS)?.map(option).collect()
}

fn option(option: Value<'_>) -> Result<OptionSpec, ManifestError> {
    let (Some(name), Some(kind), Some(help)) =
        (option.get("name"), option.get("type"), option.get("description"))
    else {
        return refuse(format_args!("An option is missing either \"name\", \"description\" or \"type\""));
    };
    let name = name.text();
    let is_plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-');
    if name.is_empty() || !name.bytes().all(is_plain) {
        return refuse(format_args!("Option \"name\" must be lowercase alphanumeric, plus _ or -'"));
    }
    let dashed = format!("--{name}");
    let standing =
        if is_deprecated(option.get("deprecated"))? { Standing::Deprecated } else { Standing::Current };
    let times = if flag(&dashed, option, "multi")? { Times::Many } else { Times::Once };
    let change = if flag(&dashed, option, "dynamic")? { Change::AtAnyTime } else { Change::AtStart };
    let default = option.get("default");
    let kind = match kind.raw() {
        "flag" => OptionKind::Flag,
        "bool" => OptionKind::Bool,
        "int" => OptionKind::Int,
        "string" => OptionKind::Text,
        "string-conceal" => OptionKind::Secret,
        _ => {
            return refuse(format_args!(
                "Only \"string\", \"int\", \"bool\", and \"flag\" options are supported"
            ));
        }
    };
    match (kind, times) {
        (OptionKind::Flag, _) if default.is_some_and(|default| default.as_bool() != Some(false)) => {
            let shown = default.map(|default| default.quoted()).unwrap_or_default();
            return refuse(format_args!("{dashed} type flag default must be 'false' not {shown}"));
        }
        (OptionKind::Flag, Times::Many) => return refuse(format_args!("flag type cannot be multi")),
        (OptionKind::Bool, Times::Many) => return refuse(format_args!("bool type cannot be multi")),
        _ => {}
    }
    let default = default
        .filter(|default| kind != OptionKind::Flag && !default.is_null())
        .map(|default| default.text());
    if let Some(default) = &default
        && let Err(problem) = kind.read(Some(default))
    {
        return refuse(format_args!("Invalid default '{default}': {problem}"));
    }
    Ok(OptionSpec { name, kind, times, change, standing, help: help.text(), default })
}

fn methods(result: Value<'_>) -> Result<Vec<PluginMethod>, ManifestError> {
    let Some(methods) = result.get("rpcmethods") else {
        return refuse(format_args!("\"result.rpcmethods\" missing"));
    };
    if methods.kind() != Kind::Array {
        return refuse(format_args!("\"result.rpcmethods\" is not an array"));
    }
    few(methods, "\"result.rpcmethods\"", MAX_REGISTRATIONS)?.map(method).collect()
}

fn method(method: Value<'_>) -> Result<PluginMethod, ManifestError> {
    let Some(name) = method.get("name").filter(|name| name.kind() == Kind::String) else {
        return refuse(format_args!("rpcmethod does not have a string \"name\": {}", method.raw()));
    };
    let Some(usage) = method.get("usage") else {
        return refuse(format_args!("\"usage\" not provided by plugin"));
    };
    if usage.kind() != Kind::String {
        return refuse(format_args!("\"usage\" is not a string: {}", method.raw()));
    }
    let is_deprecated = is_deprecated(method.get("deprecated"))?;
    Ok(PluginMethod { name: name.text(), usage: usage.text(), is_deprecated })
}

/// `deprecated` is a boolean, or the version in which the deprecation began and perhaps the one in which it ends.
fn is_deprecated(deprecated: Option<Value<'_>>) -> Result<bool, ManifestError> {
    let Some(deprecated) = deprecated else { return Ok(false) };
    if let Some(is_deprecated) = deprecated.as_bool() {
        return Ok(is_deprecated);
    }
    if deprecated.kind() != Kind::Array || !matches!(deprecated.len(), 1 | 2) {
        return refuse(format_args!(
            "\"deprecated\" must be an array of 1 or 2 elements, not {}",
            deprecated.raw()
        ));
    }
    let mut began = None;
    for (place, version) in ["start", "end"].into_iter().zip(deprecated.items()) {
        let Some(number) = version::number(version.raw()) else {
            return refuse(format_args!("invalid \"deprecated\" {place} version {}", version.raw()));
        };
        began.get_or_insert(number);
    }
    Ok(began <= version::number(version::VERSION))
}

fn subscriptions_to(subscriptions: Value<'_>) -> Result<Vec<String>, ManifestError> {
    if subscriptions.kind() != Kind::Array {
        return refuse(format_args!("\"result.subscriptions\" is not an array"));
    }
    let topic = |(place, topic): (usize, Value<'_>)| match topic.kind() {
        Kind::String => Ok(topic.text()),
        _ => refuse(format_args!("result.subscriptions[{place}] is not a string: '{}'", topic.quoted())),
    };
    few(subscriptions, "\"result.subscriptions\"", MAX_REGISTRATIONS)?.enumerate().map(topic).collect()
}

fn hook_wishes(hooks: Value<'_>) -> Result<Vec<HookWish>, ManifestError> {
    if hooks.kind() != Kind::Array {
        return refuse(format_args!("\"result.hooks\" is not an array"));
    }
    let mut wishes: Vec<HookWish> = Vec::new();
    for wish in hooks.items() {
        let (name, details) = match wish.kind() {
            Kind::Object => match wish.get("name") {
                Some(name) => (name.text(), Some(wish)),
                None => return refuse(format_args!("no name in hook obj {}", wish.raw())),
            },
            _ => (wish.text(), None),
        };
        let Some(hook) = Hook::named(&name) else {
            return refuse(format_args!("Unknown hook name {name}"));
        };
        let member = |name| details.and_then(|details: Value<'_>| details.get(name));
        let filters = match member("filters") {
            Some(filters) => filters_of(&hook, filters)?,
            None => Filters::None,
        };
        if wishes.iter().any(|other| other.hook == hook) {
            return refuse(format_args!("Registered for hook {name} multiple times"));
        }
        let names = |neighbours| -> Result<Vec<String>, ManifestError> {
            let Some(names) = member(neighbours) else { return Ok(Vec::new()) };
            Ok(few(names, neighbours, MAX_REGISTRATIONS)?.map(|name| name.text()).collect())
        };
        wishes.push(HookWish { hook, before: names("before")?, after: names("after")?, filters });
    }
    Ok(wishes)
}

fn filters_of(hook: &Hook, filters: Value<'_>) -> Result<Filters, ManifestError> {
    let wanted = match hook {
        Hook::CustomMessage => "unsigned integers",
        Hook::RpcCommand => "strings",
        _ => return refuse(format_args!("Hook {} does not allow filters", hook.name())),
    };
    if filters.kind() != Kind::Array {
        return refuse(format_args!("filters token must be an array"));
    }
    let wrong = |filter: Value<'_>| {
        error(format_args!("filters must be array of {wanted}, not '{}'", filter.quoted()))
    };
    if *hook == Hook::CustomMessage {
        let number = |filter: Value<'_>| {
            let number = filter.as_u64().filter(|_| filter.kind() == Kind::Primitive);
            number.ok_or_else(|| wrong(filter))
        };
        return few(filters, "filters", MAX_FILTERS)?
            .map(number)
            .collect::<Result<_, _>>()
            .map(Filters::Numbers);
    }
    let text = |filter: Value<'_>| match filter.kind() {
        Kind::String => Ok(filter.text()),
        _ => Err(wrong(filter)),
    };
    few(filters, "filters", MAX_FILTERS)?.map(text).collect::<Result<_, _>>().map(Filters::Names)
}
