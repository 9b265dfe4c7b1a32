//! `datastore`: keeps a value under a key.

use super::{Call, Example, Method, Reply};
use crate::datastore::entries::{Change, Entry, Mode};
use crate::datastore::key::Key;
use crate::error::RpcError;
use crate::json_writer::{ObjectWriter, object};
use crate::params::{Arg, BadParam, Param, Refused, hex, u64, unescaped};
use crate::value::Value;

const PARAMS: &[Param] = &[
    Param::required("key", "string array", "The key: its parts, or a single part as it is."),
    Param::optional("string", "string", "The value, as text without \\u escapes."),
    Param::optional("hex", "hex", "The value, as bytes. Instead of `string`."),
    Param::optional(
        "mode",
        "string",
        "`must-create`, `must-replace`, `create-or-replace`, `must-append` or `create-or-append`. Default: must-create.",
    ),
    Param::optional(
        "generation",
        "u64",
        "Only if the value is of this generation; with must-replace and must-append.",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "datastore",
    summary: "Keeps a value under a key, for plugins",
    params: PARAMS,
    page: "The answer has the `key`, its `generation` (0 for a new one, one more with each change), and the value: as `hex`, and as \
`string` if it is text. It comes when the value is on disk.

A key has one part or several, like a path. By convention the first is the plugin's name. A key that has a value has none below it, \
and the other way round. What several calls do at the same time they do one after the other, so that `generation` makes a safe \
read and change.

Error 1202: there is a value, and `mode` says that there must be none. Error 1203: there is none, and there must be one. Error 1204: \
it is of another generation. Error 1205: there are values below the key. Error 1206: there is a value above it. Error -32602: \
neither `string` nor `hex` is given, or both are. Error -1: the value or the whole store would be larger than it may be, or the file \
cannot be written.",
    examples: &[
        Example {
            about: "A new value",
            params: r#"{"key":["my-plugin","greeting"],"string":"hello"}"#,
            result: r#"{"key":["my-plugin","greeting"],"generation":0,"hex":"68656c6c6f","string":"hello"}"#,
        },
        Example {
            about: "More of a value, whether there is one or not",
            params: r#"{"key":["my-plugin","log"],"hex":"01ff","mode":"create-or-append"}"#,
            result: r#"{"key":["my-plugin","log"],"generation":0,"hex":"01ff"}"#,
        },
    ],
    handler: datastore,
};

fn datastore(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut key = Arg::new(&PARAMS[0], Key::read);
    let mut string = Arg::new(&PARAMS[1], unescaped);
    let mut bytes = Arg::new(&PARAMS[2], hex);
    let mut mode = Arg::new(&PARAMS[3], read_mode);
    let mut generation = Arg::new(&PARAMS[4], u64);
    call.read(&mut [&mut key, &mut string, &mut bytes, &mut mode, &mut generation])?;
    let key = key.required()?;
    let data = match (string.optional(), bytes.optional()) {
        (Some(_), Some(_)) => return Err(RpcError::invalid_params("Cannot have both hex and string")),
        (None, None) => return Err(RpcError::invalid_params("Must have either hex or string")),
        (Some(string), None) => string.into_bytes(),
        (None, Some(bytes)) => bytes,
    };
    let (mode, generation) = (mode.optional().unwrap_or(Mode::MustCreate), generation.optional());
    if generation.is_some() && !mode.must_exist() {
        let senseless = "generation only valid with must-replace or must-append";
        return Err(RpcError::invalid_params(senseless));
    }
    let change = Change { key, data, mode, generation };
    if call.is_check() {
        let checked = call.checked_result();
        return Ok(call.in_datastore(Box::new(move |entries| {
            entries.before(&change)?;
            Ok(checked)
        })));
    }
    Ok(call.in_datastore(Box::new(move |entries| {
        let key = change.key.clone();
        let entry = entries.change(change)?;
        Ok(object(|result| write_entry(result, &key, Some(&entry))))
    })))
}

fn read_mode(value: Value<'_>) -> Result<Mode, Refused<'_>> {
    Ok(match value.raw() {
        "must-create" => Mode::MustCreate,
        "must-replace" => Mode::MustReplace,
        "create-or-replace" => Mode::CreateOrReplace,
        "must-append" => Mode::MustAppend,
        "create-or-append" => Mode::CreateOrAppend,
        _ => {
            let problem = "should be 'must-create', 'must-replace', 'create-or-replace', 'must-append', or \
                           'create-or-append'";
            return Err(BadParam { problem, value }.into());
        }
    })
}

/// A key with its value, or a key that stands for those below it.
pub(super) fn write_entry(result: &mut ObjectWriter<'_>, key: &Key, entry: Option<&Entry>) {
    key.write(result);
    let Some(Entry { generation, data }) = entry else { return };
    result.bare("generation", generation);
    result.hex("hex", data);
    // A zero byte ends a text in C, and is no text to Core Lightning.
    if let Some(text) = core::str::from_utf8(data).ok().filter(|_| !data.contains(&0)) {
        result.string("string", text);
    }
}
