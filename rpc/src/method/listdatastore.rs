//! `listdatastore`: shows what is kept.

use super::datastore::write_entry;
use super::{Call, Example, Method, Reply};
use crate::datastore::key::Key;
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param};

const PARAMS: &[Param] = &[Param::optional(
    "key",
    "string array",
    "Only this key and what is below it: its parts, or a single part.",
)];

pub(super) static METHOD: Method = Method {
    name: "listdatastore",
    summary: "Shows what is kept under a key, for plugins",
    params: PARAMS,
    page: "Each element of `datastore` is a key with its value, as `datastore` answers it: the key itself and those one part longer, \
in the order of their bytes. Of those that are longer still only the beginning is shown, once, with the member `key` alone: list \
that one to see them. Without `key` it begins at the top.

Error -1: there is more than one answer may carry; list less at once.",
    examples: &[Example {
        about: "Everything at the top",
        params: "{}",
        result: r#"{"datastore":[{"key":["my-plugin"]}]}"#,
    }],
    handler: listdatastore,
};

fn listdatastore(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut key = Arg::new(&PARAMS[0], Key::read);
    call.read(&mut [&mut key])?;
    if call.is_check() {
        return Ok(call.checked());
    }
    let key = key.optional();
    Ok(call.in_datastore(Box::new(move |entries| {
        let mut outcome = Ok(());
        let listing = object(|result| {
            result.array("datastore", |list| {
                outcome = entries.list(key.as_ref(), |key, entry| {
                    list.object(|result| write_entry(result, key, entry));
                });
            });
        });
        outcome.map(|()| listing)
    })))
}
