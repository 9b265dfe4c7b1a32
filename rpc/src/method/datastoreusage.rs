//! `datastoreusage`: how much is kept.

use super::{Call, Example, Method, Reply};
use crate::datastore::key::Key;
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param};

const PARAMS: &[Param] =
    &[Param::optional("key", "string array", "Only this key and all below it: its parts, or a single part.")];

pub(super) static METHOD: Method = Method {
    name: "datastoreusage",
    summary: "Tells how much is kept under a key, for plugins",
    params: PARAMS,
    page: "`datastoreusage` has the `key` as text and `total_bytes`: the bytes of the keys, of one separator between two parts each, \
and of the values, from the key on down. Without `key`, or with an empty one, of everything.",
    examples: &[Example {
        about: "Of everything",
        params: "{}",
        result: r#"{"datastoreusage":{"key":"[]","total_bytes":23}}"#,
    }],
    handler: datastoreusage,
};

fn datastoreusage(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut key = Arg::new(&PARAMS[0], Key::read);
    call.read(&mut [&mut key])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let key = key.optional().filter(|key| !key.begins_empty());
    Ok(call.in_datastore(Box::new(move |entries| {
        let total = entries.usage(key.as_ref())?;
        Ok(object(|result| {
            result.object("datastoreusage", |usage| {
                match &key {
                    Some(key) => usage.string("key", key),
                    None => usage.string("key", "[]"),
                }
                usage.bare("total_bytes", total);
            });
        }))
    })))
}
