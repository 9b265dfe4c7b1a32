//! The outside of requests and answers: `jsonrpc`, `id`, `method`, `params`, `filter`; `result`, `error`, a blank line.
//!
//! An id is echoed as the text it was, so that `007`, `1.5` and thirty digits come back unchanged. An answer to what has no
//! usable id carries `null`; since the client cannot tell what it belongs to, the connection ends with it.

use bytes::BytesMut;

use crate::error::{ErrorCode, RpcError};
use crate::json_writer::quote_bytes;
use crate::limits::MAX_ERROR_TEXT;
use crate::tokenizer::Kind;
use crate::value::Value;

/// A request that can be answered: it has an id.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    /// As it came, with its quotes if it is a string.
    pub id: &'a str,
    /// All of it.
    value: Value<'a>,
    /// Bytes of its text.
    pub len: usize,
    method: Option<Value<'a>>,
    params: Option<Value<'a>>,
    /// Which members of the result the client wants.
    pub filter: Option<Value<'a>>,
}

/// Why a JSON value is no request.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    /// There is no `id`.
    #[error("No id")]
    NoId,
    /// The id is an object or an array.
    #[error("Expected string/primitive for id")]
    BadId,
    /// `jsonrpc` is not the string `2.0`.
    #[error("jsonrpc: \"2.0\" must be specified in the request")]
    BadVersion,
}

impl<'a> Request<'a> {
    /// Takes a value for a request.
    ///
    /// # Errors
    /// [`NoRequest`], in the order in which Core Lightning looks.
    pub fn parse(value: Value<'a>) -> Result<Request<'a>, NoRequest> {
        let (mut id, mut version, mut method, mut params, mut filter) = (None, None, None, None, None);
        for (key, value) in value.members() {
            let member = match key.raw() {
                "id" => &mut id,
                "jsonrpc" => &mut version,
                "method" => &mut method,
                "params" => &mut params,
                "filter" => &mut filter,
                _ => continue,
            };
            // Of several with one name the first counts.
            member.get_or_insert(value);
        }
        let id = id.ok_or(NoRequest::NoId)?;
        if matches!(id.kind(), Kind::Object | Kind::Array) {
            return Err(NoRequest::BadId);
        }
        if version.is_none_or(|version| version.quoted() != "\"2.0\"") {
            return Err(NoRequest::BadVersion);
        }
        Ok(Request { id: id.quoted(), value, len: value.raw().len(), method, params, filter })
    }

    /// Its text.
    pub(crate) fn text(&self) -> &'a str {
        self.value.raw()
    }

    /// Its text with another id, which is JSON.
    pub(crate) fn with_id(&self, id: &str) -> String {
        let text = self.value.raw();
        let place = self.value.get("id").map(|old| self.value.place_of(old)).unwrap_or_default();
        let (before, after) = (text.get(..place.start), text.get(place.end..));
        [before.unwrap_or_default(), id, after.unwrap_or_default()].concat()
    }

    /// The method's name, raw, and the parameters.
    ///
    /// # Errors
    /// One of them is missing, or the name is not a string.
    pub fn call(&self) -> Result<(&'a str, Value<'a>), RpcError> {
        let method = self.method.ok_or_else(|| RpcError::invalid_request("No method"))?;
        let params = self.params.ok_or_else(|| RpcError::invalid_request("No params"))?;
        if method.kind() != Kind::String {
            return Err(RpcError::invalid_request("Expected string for method"));
        }
        Ok((method.raw(), params))
    }
}

/// Appends the answer to a request that succeeded; `result` is JSON.
pub(crate) fn push_result(out: &mut BytesMut, id: &str, result: &str) {
    push(
        out,
        &[b"{\"jsonrpc\":\"2.0\",\"id\":", id.as_bytes(), b",\"result\":", result.as_bytes(), b"}\n\n"],
    );
}

/// Appends the answer to a request that failed.
pub(crate) fn push_error(out: &mut BytesMut, id: &str, error: &RpcError) {
    if let Some(verbatim) = &error.verbatim {
        return push(
            out,
            &[b"{\"jsonrpc\":\"2.0\",\"id\":", id.as_bytes(), b",\"error\":", verbatim.as_bytes(), b"}\n\n"],
        );
    }
    let text = error.message.as_bytes();
    let text = if text.len() <= MAX_ERROR_TEXT {
        quote_bytes(text)
    } else {
        quote_bytes(&[shortened(&error.message).as_bytes(), b"..."].concat())
    };
    push_raw_error(out, id, error.code, &text, error.data.as_deref());
}

/// Appends the answer to what is no request.
pub(crate) fn push_malformed(out: &mut BytesMut, text: &[u8]) {
    let text = match text.get(..MAX_ERROR_TEXT) {
        Some(beginning) if text.len() > MAX_ERROR_TEXT => quote_bytes(&[beginning, b"..."].concat()),
        _ => quote_bytes(text),
    };
    push_raw_error(out, "null", ErrorCode::InvalidRequest, &text, None);
}

/// Appends a notification; `params` is JSON.
pub(crate) fn push_notification(out: &mut BytesMut, method: &str, params: &str) {
    push(
        out,
        &[
            b"{\"jsonrpc\":\"2.0\",\"method\":\"",
            method.as_bytes(),
            b"\",\"params\":",
            params.as_bytes(),
            b"}\n\n",
        ],
    );
}

fn push_raw_error(out: &mut BytesMut, id: &str, code: ErrorCode, quoted_text: &[u8], data: Option<&str>) {
    let code = code.number().to_string();
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    push(
        out,
        &[
            b"{\"jsonrpc\":\"2.0\",\"id\":",
            id.as_bytes(),
            b",\"error\":{\"code\":",
            code.as_bytes(),
            b",\"message\":",
            quoted_text,
            data.as_bytes(),
            b"}}\n\n",
        ],
    );
}

fn push(out: &mut BytesMut, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// As many whole characters as the limit allows.
fn shortened(text: &str) -> &str {
    let mut end = MAX_ERROR_TEXT;
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}
