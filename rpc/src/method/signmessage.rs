//! `signmessage`: signs a text with the node's key.

use super::{Call, Example, Method, Reply};
use crate::error::RpcError;
use crate::json_writer::object;
use crate::params::{Arg, Param, text};
use crate::zbase32;

/// Longest message in bytes, as in Core Lightning, whose signing process takes it as a field with a length of 16 bits.
const MAX_LEN: usize = 65_535;

/// Added to the recovery id in the first byte of the zbase32 form: 27 for a signature of this kind and 4 for a compressed key.
pub(super) const RECOVERY_ID_BASE: u8 = 31;

const PARAMS: &[Param] = &[Param::required("message", "string", "The text, at most 65535 bytes.")];

pub(super) static METHOD: Method = Method {
    name: "signmessage",
    summary: "Signs a text with this node's key, so that others can tell that it comes from this node",
    params: PARAMS,
    page: "`signature` is the signature's two numbers in hex, `recid` its recovery id, `zbase` both together in the form that \
`checkmessage` here, in Core Lightning and in LND takes. `Lightning Signed Message:` is put before the text, so that no message of \
the protocol can be forged with it. The same text always gets the same signature.

The text is taken as it stands in the request: escapes in it are not resolved, as Core Lightning does not resolve them.

Error -32602: the text is too long.",
    examples: &[Example {
        about: "Proof that this node is ours",
        params: r#"{"message":"this is a test!"}"#,
        result: r#"{"signature":"a2ec227012795f9d6b80a3f5ea98374c6d2886917517c05336799923fcf37caf08344c0431275e1a8189da01b444ae978007fe70f0cc9009f38cabe074ade87d","recid":"00","zbase":"d6tqaeuonjhi98mmont9m4wag7gg4krg1f4txonug3h31e9h6p6k6nbwjondnj46dkyausobstnk7fhyy998bhgc1yr98dfmhb4k54d7"}"#,
    }],
    handler: signmessage,
};

fn signmessage(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut message = Arg::new(&PARAMS[0], text);
    call.read(&mut [&mut message])?;
    let message = message.required()?;
    if message.len() > MAX_LEN {
        return Err(RpcError::invalid_params("Message must be < 64k"));
    }
    if call.is_check() {
        return Ok(call.checked());
    }
    let signature = call.service.node.sign_message(message.as_bytes());
    let recovery_id = signature.recovery_id();
    let mut whole = vec![RECOVERY_ID_BASE.saturating_add(recovery_id)];
    whole.extend_from_slice(signature.compact());
    let result = object(|result| {
        result.hex("signature", signature.compact());
        result.hex("recid", &[recovery_id]);
        result.string("zbase", zbase32::encode(&whole));
    });
    Ok(Reply::Done(result.into()))
}
