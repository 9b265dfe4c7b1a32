//! What a client writes to the JSON-RPC socket, in any split.
//!
//! Held: the same requests come out however the bytes were cut, at least until the first refusal; none is longer than what
//! was written; a codec with nothing to say takes more. What a strict parser takes for requests are the same requests for us, with
//! the same values in them (we take more than is JSON, see `rpc/src/tokenizer.rs`).

use oddwire_rpc::codec::Codec;
use oddwire_rpc::tokenizer::Kind;
use oddwire_rpc::value::Value;
use serde_json::Value as Strict;

use crate::script::Script;

/// The number of pieces and their sizes, then the bytes themselves.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let cuts: Vec<usize> = (0..script.byte() & 0x0f).map(|_| usize::from(script.byte())).collect();
    let stream = script.rest();

    let (whole, whole_refused) = requests([stream].into_iter());
    let mut rest = stream;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    let (cut, cut_refused) = requests(pieces.into_iter());

    assert!(whole.iter().map(String::len).sum::<usize>() <= stream.len());
    if whole_refused {
        // What stands right behind a request is looked at only if it has come: in pieces the request may pass.
        assert!(cut.starts_with(&whole));
    } else {
        assert_eq!((cut, cut_refused), (whole, false));
    }
    strictly(stream);
}

/// The requests in their order, and whether the client was refused in the end.
fn requests<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let mut codec = Codec::default();
    let mut requests = Vec::new();
    for piece in pieces {
        codec.room().extend_from_slice(piece);
        loop {
            match codec.next_request() {
                Ok(Some(request)) => requests.push(request.raw().to_owned()),
                Ok(None) => break,
                Err(refusal) => {
                    assert!(!refusal.text.is_empty());
                    return (requests, true);
                }
            }
        }
    }
    (requests, false)
}

/// Compares with a strict parser, if that one takes all of it for requests.
fn strictly(stream: &[u8]) {
    let strict: Result<Vec<Strict>, _> =
        serde_json::Deserializer::from_slice(stream).into_iter::<Strict>().collect();
    let Ok(strict) = strict else { return };
    if !strict.iter().all(|value| value.get("jsonrpc").is_some()) {
        return;
    }
    let mut codec = Codec::default();
    codec.room().extend_from_slice(stream);
    for strict in &strict {
        match codec.next_request() {
            Ok(ours) => is_same(ours.expect("it is complete"), strict),
            Err(refusal) => {
                // An escaped `jsonrpc` is none for Core Lightning, and so for us.
                let is_missed = refusal.text.starts_with(b"JSON-RPC message does not contain");
                assert!(is_missed && stream.contains(&b'\\'), "{}", String::from_utf8_lossy(&refusal.text));
                return;
            }
        }
    }
    assert!(codec.next_request().is_ok_and(|more| more.is_none()));
}

fn is_same(ours: Value<'_>, strict: &Strict) {
    match strict {
        Strict::Object(members) => {
            assert_eq!(ours.kind(), Kind::Object);
            // Of members that stand twice the strict parser keeps the last one.
            if ours.len() == members.len() {
                for (key, value) in ours.members() {
                    is_same(value, members.get(&key.text()).expect("a member of both"));
                }
            }
        }
        Strict::Array(items) => {
            assert_eq!((ours.kind(), ours.len()), (Kind::Array, items.len()));
            ours.items().zip(items).for_each(|(ours, strict)| is_same(ours, strict));
        }
        Strict::String(text) => assert_eq!((ours.kind(), &ours.text()), (Kind::String, text)),
        Strict::Bool(value) => assert_eq!(ours.as_bool(), Some(*value)),
        Strict::Null => assert!(ours.is_null() && ours.raw() == "null"),
        Strict::Number(number) => {
            assert_eq!(ours.kind(), Kind::Primitive);
            assert_eq!(serde_json::from_str::<Strict>(ours.raw()).ok(), Some(strict.clone()));
            if ours.raw().bytes().all(|byte| byte.is_ascii_digit()) {
                assert_eq!(ours.as_u64(), number.as_u64());
            }
        }
    }
}
