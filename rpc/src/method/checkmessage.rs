//! `checkmessage`: which node signed a text?

use oddwire_node::RecoverableSignature;

use super::signmessage::RECOVERY_ID_BASE;
use super::{Call, Example, Method, Reply};
use crate::error::{ErrorCode, RpcError};
use crate::json_writer::object;
use crate::params::{Arg, BadParam, Param, parse_node_id, text};
use crate::zbase32;

const PARAMS: &[Param] = &[
    Param::required("message", "string", "The text that was signed."),
    Param::required("zbase", "string", "The signature, as `signmessage` of any node answers it."),
    Param::optional("pubkey", "pubkey", "The node that is said to have signed it."),
];

pub(super) static METHOD: Method = Method {
    name: "checkmessage",
    summary: "Tells whether a text was signed by a node",
    params: PARAMS,
    page: "With `pubkey`, `verified` says whether that node signed it, and `pubkey` which node did. For almost every text and \
signature there is some key that would have made it, so that a `pubkey` alone says nothing.

Without `pubkey`, Core Lightning looks whether the node that signed is in its map of the network. This daemon has no such map: \
the answer is error 1301, whose `data` has the node as `claimed_key`. Whoever knows whom to expect compares it, or calls again with \
`pubkey`.

Error -32602: `zbase` is not a signature; the text says in what way.",
    examples: &[Example {
        about: "A signature of LND",
        params: r#"{"message":"is this compatible?","zbase":"rbgfioj114mh48d8egqx8o9qxqw4fmhe8jbeeabdioxnjk8z3t1ma1hu1fiswpakgucwwzwo6ofycffbsqusqdimugbh41n1g698hr9t","pubkey":"02b80cabdf82638aac86948e4c06e82064f547768dcef977677b9ea931ea75bab5"}"#,
        result: r#"{"pubkey":"02b80cabdf82638aac86948e4c06e82064f547768dcef977677b9ea931ea75bab5","verified":true}"#,
    }],
    handler: checkmessage,
};

fn checkmessage(call: &Call<'_>) -> Result<Reply, RpcError> {
    let mut message = Arg::new(&PARAMS[0], text);
    let mut zbase = Arg::new(&PARAMS[1], text);
    let mut pubkey = Arg::new(&PARAMS[2], |value| {
        parse_node_id(value.raw()).ok_or(BadParam { problem: "should be a compressed pubkey", value }.into())
    });
    call.read(&mut [&mut message, &mut zbase, &mut pubkey])?;
    let (message, signature) = (message.required()?, signature(zbase.required()?)?);
    if call.is_check() {
        return Ok(call.checked());
    }
    let Some(signer) = signature.signer(message.as_bytes()) else {
        return Ok(Reply::Done(r#"{"verified":false}"#.into()));
    };
    let Some(claimed) = pubkey.optional() else {
        let unknown = RpcError::new(ErrorCode::SignerNotFound, "pubkey not found in the graph");
        return Err(unknown.with_data(object(|data| data.string("claimed_key", signer))));
    };
    let result = object(|result| {
        result.string("pubkey", signer);
        result.bare("verified", claimed == signer);
    });
    Ok(Reply::Done(result.into()))
}

/// Recovery id and signature, in one text.
fn signature(zbase: &str) -> Result<RecoverableSignature, RpcError> {
    const LEN: usize = 65;
    let bytes =
        zbase32::decode(zbase).ok_or_else(|| RpcError::invalid_params("zbase is not valid zbase32"))?;
    let Some((&first, compact)) = bytes.split_first().filter(|_| bytes.len() == LEN) else {
        let wrong = if bytes.len() < LEN { "short" } else { "long" };
        return Err(RpcError::invalid_params(format_args!("zbase is too {wrong}")));
    };
    let unreadable = || RpcError::invalid_params("cannot parse zbase signature");
    let recovery_id = first.checked_sub(RECOVERY_ID_BASE).ok_or_else(unreadable)?;
    let compact = compact.try_into().map_err(|_| unreadable())?;
    RecoverableSignature::from_parts(recovery_id, compact).map_err(|_| unreadable())
}
