//! `makesecret`: a secret of this node for a purpose of the caller's.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param, hex, text};

const PARAMS: &[Param] = &[
    Param::optional("hex", "hex", "What the secret is for, as bytes."),
    Param::optional("string", "string", "What the secret is for, as text. Instead of `hex`."),
];

pub(super) static METHOD: Method = Method {
    name: "makesecret",
    summary: "Derives a secret of this node for a purpose that the caller names",
    params: PARAMS,
    page: "The same node gives the same `secret` (32 bytes, hex) for the same purpose, always, and another one for every other \
purpose; nothing about the node's key can be learnt from it. From the same `hsm_secret` file Core Lightning derives the same. A \
plugin encrypts its own data with it, for example.

The text is taken as it stands in the request: escapes in it are not resolved, as Core Lightning does not resolve them.

Error -32602: neither `hex` nor `string` is given, or both are.",
    examples: &[Example {
        about: "The same as the hex 73636220736563726574",
        params: r#"{"string":"scb secret"}"#,
        result: r#"{"secret":"a9a2e742405c28f059349132923a99337ae7f71168b7485496e3365f5bc664ed"}"#,
    }],
    handler: makesecret,
};

fn makesecret(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut bytes = Arg::new(&PARAMS[0], hex);
    let mut string = Arg::new(&PARAMS[1], text);
    call.read(&mut [&mut bytes, &mut string])?;
    let info = match (bytes.optional(), string.optional()) {
        (Some(_), Some(_)) => return Err(RpcError::invalid_params("Cannot have both hex and string")),
        (None, None) => return Err(RpcError::invalid_params("Must have either hex or string")),
        (Some(bytes), None) => bytes,
        (None, Some(string)) => string.as_bytes().to_vec(),
    };
    if call.is_check() {
        return Ok(call.checked());
    }
    let secret = call.service.node.derive_secret(&info);
    Ok(Reply::Done(object(|result| result.hex("secret", secret.expose())).into()))
}
