//! `deldatastore`: forgets what is kept under a key.

use super::datastore::write_entry;
use super::{Call, Example, Method, Reply};
use crate::datastore::key::Key;
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param, u64};

const PARAMS: &[Param] = &[
    Param::required("key", "string array", "The key: its parts, or a single part as it is."),
    Param::optional("generation", "u64", "Only if the value is of this generation."),
];

pub(super) static METHOD: Method = Method {
    name: "deldatastore",
    summary: "Forgets the value under a key, for plugins",
    params: PARAMS,
    page: "The answer is the key with the value that it had, as `datastore` answers it. It comes when the value is gone from the disk.

Error 1200: there is no value under the key. Error 1201: it is of another generation. Error -1: the file cannot be written.",
    examples: &[Example {
        about: "The value is not needed any more",
        params: r#"{"key":["my-plugin","greeting"]}"#,
        result: r#"{"key":["my-plugin","greeting"],"generation":0,"hex":"68656c6c6f","string":"hello"}"#,
    }],
    handler: deldatastore,
};

fn deldatastore(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut key = Arg::new(&PARAMS[0], Key::read);
    let mut generation = Arg::new(&PARAMS[1], u64);
    call.read(&mut [&mut key, &mut generation])?;
    let (key, generation) = (key.required()?, generation.optional());
    if call.is_check() {
        let checked = call.checked_result();
        return Ok(call.in_datastore(Box::new(move |entries| {
            entries.deletable(&key, generation)?;
            Ok(checked)
        })));
    }
    Ok(call.in_datastore(Box::new(move |entries| {
        let entry = entries.delete(&key, generation)?;
        Ok(object(|result| write_entry(result, &key, Some(&entry))))
    })))
}
