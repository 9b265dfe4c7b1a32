use super::*;

/// Kind, text and number of children of every token.
fn tokens(text: &str) -> Result<Vec<(Kind, &str, usize)>, Malformed> {
    let mut tokenizer = Tokenizer::new(100_000);
    let complete = tokenizer.advance(text.as_bytes())?;
    assert!(complete.is_some(), "incomplete: {text}");
    Ok(tokenizer
        .tokens()
        .iter()
        .map(|token| (token.kind, &text[token.place.clone()], token.children))
        .collect())
}

fn is_refused(text: &str) -> bool {
    Tokenizer::new(100).advance(text.as_bytes()) == Err(Malformed::NotJson)
}

fn is_incomplete(text: &str) -> bool {
    Tokenizer::new(100).advance(text.as_bytes()) == Ok(None)
}

#[test]
fn tokens_are_raw_and_in_the_order_of_the_text() {
    use Kind::{Array, Object, Primitive, String};
    let text = r#"{"a": [1, "x\"y", {}], "b":-1.5e3}"#;
    let expected = [
        (Object, text, 2),
        (String, "a", 1),
        (Array, r#"[1, "x\"y", {}]"#, 3),
        (Primitive, "1", 0),
        (String, r#"x\"y"#, 0),
        (Object, "{}", 0),
        (String, "b", 1),
        (Primitive, "-1.5e3", 0),
    ];
    assert_eq!(tokens(text).unwrap(), expected);
}

#[test]
fn spans_count_the_whole_subtree() {
    let mut tokenizer = Tokenizer::new(100);
    tokenizer.advance(br#"{"a":[1,[2,3]],"b":4}"#).unwrap();
    let spans: Vec<usize> = tokenizer.tokens().iter().map(|token| token.span).collect();
    assert_eq!(spans, [9, 6, 5, 1, 3, 1, 1, 2, 1]);
}

#[test]
fn what_the_reference_lets_through() {
    for text in [
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a":1,,"b":2}"#,
        r#"{:"a"::1}"#,
        "[1 2 3]",
        "[,1,,2,]",
        r#"{"a":007}"#,
        r#"{"a":1:2}"#,
        r#"{"a":nonsense}"#,
        r#"{"a":tru-fals_}"#,
        "{\"a\":\"\u{1}\n\"}",
        r#"{"a":"\u12aF"}"#,
        ",:{}",
        r#"{"a":"b":}"#,
    ] {
        assert!(tokens(text).is_ok(), "{text}");
    }
}

#[test]
fn what_the_reference_refuses() {
    for text in [
        "}",
        "]",
        "{]",
        "[}",
        "hello",
        "'a'",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a" "b"}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1 2}"#,
        r#"{"a":"b" "c":1}"#,
        r#"{"a","b":1}"#,
        r"{1:2}",
        r"{[]:2}",
        r"{{}}",
        r#"["a":1]"#,
        r#"{"a":"b":"c"}"#,
        r#"{"a":+1}"#,
        r#"{"a":True}"#,
        "[1\u{1}]",
        "[1é]",
        r#"["\x"]"#,
        r#"["\u12g4"]"#,
    ] {
        assert!(is_refused(text), "{text}");
    }
}

#[test]
fn what_needs_more() {
    for text in [
        "",
        " ",
        "{",
        "[[]",
        "12",
        "tru",
        r#"""#,
        r#""a\"#,
        r#""a\u12"#,
        r#"{"a":1"#,
        "\0{}",
        "\"a\0b\"",
        "[1\0]",
    ] {
        assert!(is_incomplete(text), "{text}");
    }
}

#[test]
fn a_root_that_is_no_container_ends_where_it_ends() {
    assert_eq!(Tokenizer::new(9).advance(b" \"ab\" {"), Ok(Some(5)));
    assert_eq!(Tokenizer::new(9).advance(b" 12 {"), Ok(Some(3)));
    assert_eq!(Tokenizer::new(9).advance(b"{}{}"), Ok(Some(2)));
}

#[test]
fn nesting_costs_no_stack() {
    let depth = 1_000_000;
    let text = "[".repeat(depth) + &"]".repeat(depth);
    let mut tokenizer = Tokenizer::new(depth);
    assert_eq!(tokenizer.advance(text.as_bytes()), Ok(Some(2 * depth)));
    assert_eq!(tokenizer.tokens()[0].span, depth);
}

#[test]
fn too_many_tokens_are_refused() {
    assert_eq!(Tokenizer::new(3).advance(b"[1,2]"), Ok(Some(5)));
    assert_eq!(Tokenizer::new(2).advance(b"[1,2]"), Err(Malformed::TooManyTokens));
}

#[test]
fn the_pieces_do_not_matter() {
    let text = br#" {"jsonrpc":"2.0","id":"a\u0041\\\"","params":[1.5, null,{"x":[]}]} "#;
    let mut whole = Tokenizer::new(100);
    let end = whole.advance(text).unwrap();
    let mut bytewise = Tokenizer::new(100);
    let mut found = None;
    for len in 0..=text.len() {
        if found.is_none() {
            found = bytewise.advance(&text[..len]).unwrap();
        }
    }
    assert_eq!(found, end);
    assert_eq!(format!("{:?}", bytewise.tokens()), format!("{:?}", whole.tokens()));
}
