use proptest::prelude::*;

use super::*;

/// Everything that comes out of these pieces: the requests' texts, and the refusal if there is one.
fn decode(pieces: &[&[u8]]) -> (Vec<String>, Option<Refusal>) {
    let mut codec = Codec::default();
    let mut requests = Vec::new();
    for piece in pieces {
        codec.room().extend_from_slice(piece);
        loop {
            match codec.next_request() {
                Ok(Some(request)) => requests.push(request.raw().to_owned()),
                Ok(None) => break,
                Err(refusal) => return (requests, Some(refusal)),
            }
        }
    }
    (requests, None)
}

fn refusal(pieces: &[&[u8]]) -> String {
    let (_, refusal) = decode(pieces);
    String::from_utf8(refusal.expect("refused").text).unwrap()
}

const GOOD: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#;

#[test]
fn nothing_is_looked_at_before_a_brace_closes() {
    assert_eq!(decode(&[b"hello\n"]), (vec![], None));
    assert_eq!(refusal(&[b"hello\n", b"{}"]), "Failed to parse RPC JSON response 'hello\n{}'");
    assert_eq!(refusal(&[b"[]", b"{}"]), "JSON-RPC message does not contain \"jsonrpc\" field: '[]{}'");
}

#[test]
fn what_follows_a_request_must_look_like_one() {
    for good in [&b"{"[..], b" \n,:{", b"[", b"\"", b"5", b"t", b"\0"] {
        assert_eq!(
            decode(&[GOOD, good].map(|part| [part, b""].concat()).iter().map(|p| &p[..]).collect::<Vec<_>>())
                .0
                .len(),
            1
        );
        let (requests, refused) = decode(&[&[GOOD, good].concat()]);
        assert_eq!((requests.len(), refused), (1, None), "{good:?}");
    }
    for bad in [&b"xyz"[..], b" }", b"]", b"'", b"\x80"] {
        let (requests, refused) = decode(&[&[GOOD, bad].concat()]);
        assert_eq!(requests.len(), 0, "{bad:?}");
        assert!(refused.is_some());
    }
}

#[test]
fn text_that_is_no_utf_8_is_refused_as_it_came() {
    let text = b"{\"jsonrpc\":\"2.0\",\"id\":\"a\xff\"}";
    let (_, refused) = decode(&[text]);
    assert_eq!(refused.unwrap().text, [b"Failed to parse RPC JSON response '", &text[..], b"'"].concat());
}

#[test]
fn too_long_a_request_is_refused_at_the_limit() {
    let mut codec = Codec::default();
    let chunk = vec![b'x'; READ_CHUNK];
    let mut received = 0;
    let refusal = loop {
        codec.room().extend_from_slice(&chunk);
        received += chunk.len();
        if let Err(refusal) = codec.next_request() {
            break refusal;
        }
    };
    assert_eq!(received, MAX_REQUEST_LEN);
    assert_eq!(refusal.text, b"Request is longer than 4194304 bytes");
}

#[test]
fn too_many_values_are_refused_at_the_limit() {
    let mut text = br#"{"jsonrpc":"2.0","id":1,"method":"m","params":["#.to_vec();
    text.resize(text.len() + MAX_TOKENS, b'[');
    text.push(b'}');
    assert_eq!(refusal(&[&text]), "Request has more than 131072 JSON values: send it in parts");
}

#[test]
fn a_large_request_leaves_no_memory_behind() {
    let mut codec = Codec::default();
    let mut large = br#"{"jsonrpc":"2.0","id":1,"method":"m","params":[""#.to_vec();
    large.resize(2_000_000, b'a');
    large.extend_from_slice(b"\"]}");
    for chunk in large.chunks(READ_CHUNK) {
        codec.room().extend_from_slice(chunk);
    }
    assert_eq!(codec.next_request().unwrap().unwrap().raw().len(), large.len());
    assert!(codec.next_request().unwrap().is_none());
    assert!(codec.room().capacity() <= KEPT_INPUT);
}

/// Requests, mostly well-formed, one after the other.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        Just("{}".to_owned()),
        Just("[1, \"a\\u0041\", null]".to_owned()),
        "\"[ -~&&[^\"\\\\]]{0,20}\"",
        "[1-9][0-9]{0,5}",
    ];
    let request = (value.clone(), value, "[ \n]{0,2}").prop_map(|(id, params, space)| {
        format!("{{\"jsonrpc\":\"2.0\",{space}\"id\":{id},\"params\":{params}}}{space}")
    });
    prop::collection::vec(request, 0..5).prop_map(|requests| requests.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_requests(text in requests(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode(&pieces), decode(&[&text]));
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(
        prop_oneof![3 => prop::sample::select(br#"{}[]":,\ u0n-x"#.to_vec()), 1 => any::<u8>()], 0..60), 0..4)) {
        decode(&pieces.iter().map(|piece| &piece[..]).collect::<Vec<_>>());
    }

    #[test]
    fn garbage_never_hides_the_requests_before_it_that_came_alone(garbage in "[x'}\\]]{1,9}") {
        let (requests, refused) = decode(&[GOOD, GOOD, garbage.as_bytes(), b"}"]);
        prop_assert_eq!(requests.len(), 2);
        prop_assert!(refused.is_some());
    }
}
