//! Finds where each request of a client begins and ends, however the bytes were split on their way.
//!
//! Requests follow each other without a separator: one ends where its JSON value ends. The codec holds what was received and
//! not yet handled, lends one request after the other out of it, and refuses what cannot become a request, in Core
//! Lightning's words. It knows no method and writes nothing.
//!
//! Two habits of Core Lightning decide when a client is told of its mistake: nothing is looked at before a `}` has arrived
//! (so `hello` waits for more), and what stands right behind a request must look like the next one (so `{...}xyz`, arriving
//! together, is refused whole). A zero byte ends everything: what is behind it waits for ever, up to the limit.

use bytes::{Buf, BytesMut};

use crate::limits::{KEPT_INPUT, MAX_REQUEST_LEN, MAX_TOKENS, READ_CHUNK};
use crate::tokenizer::{Malformed, Tokenizer};
use crate::value::Value;

#[cfg(test)]
mod tests;

/// The bytes that a client sent, on their way to become requests.
#[derive(Debug)]
pub struct Codec {
    received: BytesMut,
    tokenizer: Tokenizer,
    /// Bytes of `received` among which there is no `}`.
    without_brace: usize,
    /// Bytes of the request that was lent last; they go when the next one is asked for.
    lent: usize,
    /// Bytes that one request may have.
    max_len: usize,
}

/// Why the bytes are no request. Nothing more can be had from the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to answer. Bytes, since it quotes what came, which may be no UTF-8.
    pub text: Vec<u8>,
}

impl Default for Codec {
    fn default() -> Codec {
        Codec::for_messages(MAX_REQUEST_LEN, MAX_TOKENS)
    }
}

impl Codec {
    /// A codec for messages of up to so many bytes and JSON tokens.
    pub fn for_messages(max_len: usize, max_tokens: usize) -> Codec {
        Codec {
            received: BytesMut::new(),
            tokenizer: Tokenizer::new(max_tokens),
            without_brace: 0,
            lent: 0,
            max_len,
        }
    }

    /// Where to append what is read next: a buffer with room for one read. Only to be asked for when
    /// [`next_request`](Self::next_request) has nothing.
    pub fn room(&mut self) -> &mut BytesMut {
        self.forget_lent();
        if self.received.is_empty() && self.received.capacity() > KEPT_INPUT {
            self.received = BytesMut::new();
        }
        self.received.reserve(READ_CHUNK);
        &mut self.received
    }

    /// The next complete request, if one is there. It is gone when the next one is asked for.
    ///
    /// # Errors
    /// A [`Refusal`], after which the codec is of no use any more.
    pub fn next_request(&mut self) -> Result<Option<Value<'_>>, Refusal> {
        self.forget_lent();
        if !self.has_brace() {
            return self.nothing_yet();
        }
        let end = match self.tokenizer.advance(&self.received) {
            Ok(Some(end)) => end,
            Ok(None) => return self.nothing_yet(),
            Err(Malformed::NotJson) => return Err(self.not_json()),
            Err(Malformed::TooManyTokens) => {
                let text = format!(
                    "Request has more than {} JSON values: send it in parts",
                    self.tokenizer.max_tokens()
                );
                return Err(Refusal { text: text.into_bytes() });
            }
        };
        let (request, rest) = self.received.split_at_checked(end).unwrap_or((&self.received, &[]));
        let (true, Ok(text)) = (may_follow(rest), core::str::from_utf8(request)) else {
            return Err(self.not_json());
        };
        let request = Value::new(text, self.tokenizer.tokens());
        if request.and_then(|request| request.get("jsonrpc")).is_none() {
            return Err(Refusal {
                text: quoting("JSON-RPC message does not contain \"jsonrpc\" field: ", &self.received),
            });
        }
        self.lent = end;
        Ok(request)
    }

    /// Bytes of memory that what was received takes up.
    pub fn held(&self) -> usize {
        self.received.capacity().saturating_add(self.tokenizer.held())
    }

    /// Something was received that is no complete request.
    pub fn is_mid_request(&self) -> bool {
        self.received.get(self.lent..).is_some_and(|rest| !rest.trim_ascii().is_empty())
    }

    fn forget_lent(&mut self) {
        if self.lent > 0 {
            self.received.advance(self.lent.min(self.received.len()));
            self.tokenizer.reset();
            self.lent = 0;
            self.without_brace = 0;
        }
    }

    /// Without a closing brace no request is complete; looking for one is far cheaper than looking for tokens.
    fn has_brace(&mut self) -> bool {
        let unsearched = self.received.get(self.without_brace..).unwrap_or_default();
        let is_there = memchr::memchr(b'}', unsearched).is_some();
        if !is_there {
            self.without_brace = self.received.len();
        }
        is_there
    }

    fn nothing_yet(&self) -> Result<Option<Value<'_>>, Refusal> {
        if self.received.len() < self.max_len {
            return Ok(None);
        }
        let text = format!("Request is longer than {} bytes", self.max_len);
        Err(Refusal { text: text.into_bytes() })
    }

    fn not_json(&self) -> Refusal {
        Refusal { text: quoting("Failed to parse RPC JSON response ", &self.received) }
    }
}

/// Whether a request, or the beginning of any JSON value, may begin with this.
fn may_follow(rest: &[u8]) -> bool {
    let mut beginning = rest.iter().skip_while(|byte| b" \t\r\n,:".contains(byte));
    beginning.next().is_none_or(|byte| b"{[\"-0123456789tfn\0".contains(byte))
}

fn quoting(what: &str, received: &[u8]) -> Vec<u8> {
    let quoted = received.split(|&byte| byte == 0).next().unwrap_or_default();
    [what.as_bytes(), b"'", quoted, b"'"].concat()
}
