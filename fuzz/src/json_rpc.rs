//! What a client writes to the JSON-RPC socket, in any split.
//!
//! Held: the same requests come out however the bytes were cut, at least until the first refusal; none is longer than what
//! was written; a codec with nothing to say takes more.

use oddwire_rpc::codec::Codec;

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
