//! Each form of output on the same answers.

use serde_json::value::RawValue;

use super::{Form, MAX_PRINTED_DEPTH};

fn print(json: &str, asked: Option<Form>) -> String {
    let mut out = Vec::new();
    super::result(&mut out, &RawValue::from_string(json.to_owned()).unwrap(), asked, false).unwrap();
    String::from_utf8(out).unwrap()
}

const ANSWER: &str = r#"{"id":"02ab","n":1.50,"e":{},"list":[{"a":1},[],"x\ty"],"id":null}"#;

#[test]
fn json_is_indented_by_three_with_every_token_as_it_came() {
    assert_eq!(
        print(ANSWER, None),
        "{\n   \"id\": \"02ab\",\n   \"n\": 1.50,\n   \"e\": {},\n   \"list\": [\n      {\n         \"a\": 1\n      },\n      [],\n      \
         \"x\\ty\"\n   ],\n   \"id\": null\n}\n"
    );
    assert_eq!(print("[]", Some(Form::Json)), "[]\n");
    assert_eq!(print("12345678901234567890123", Some(Form::Json)), "12345678901234567890123\n");
}

#[test]
fn raw_is_what_the_daemon_wrote() {
    assert_eq!(
        print(r#"{ "a" :1,"format-hint":"simple"}"#, Some(Form::Raw)),
        "{ \"a\" :1,\"format-hint\":\"simple\"}\n"
    );
}

#[test]
fn flat_has_a_line_a_value() {
    assert_eq!(print(ANSWER, Some(Form::Flat)), "id=02ab\nn=1.50\nlist[0].a=1\nlist[2]=x\\ty\nid=null\n");
}

#[test]
fn human_leaves_out_quotes_and_the_name_of_an_only_member() {
    assert_eq!(print(ANSWER, Some(Form::Human)), "id=02ab\nn=1.50\ne=list=1\nx\ty\nid=null\n");
    assert_eq!(print(r#"{"a":"b\nc\"d\\"}"#, Some(Form::Human)), "b\nc\"d\\\n");
}

#[test]
fn the_format_hint_is_followed_and_not_shown() {
    let hinted = r#"{"help":[{"command":"ping id [len]"}],"format-hint":"simple"}"#;
    assert_eq!(print(hinted, None), "ping id [len]\n");
    assert_eq!(print(hinted, Some(Form::Human)), "ping id [len]\n");
    assert_eq!(print(r#"{"a":1,"format-hint":"other"}"#, None), "{\n   \"a\": 1\n}\n");
}

#[test]
fn the_list_of_methods_is_sorted_with_developer_ones_last() {
    let list = r#"{"help":[{"command":"stop ","category":"utility"},{"command":"dev-x ","category":"developer"},
        {"command":"check c","category":"utility"},{"command":"connect id","category":"network"}],"format-hint":"simple"}"#;
    let mut out = Vec::new();
    super::result(&mut out, &RawValue::from_string(list.to_owned()).unwrap(), None, true).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("connect id\n\ncheck c\n\nstop \n\ndev-x \n\n---\nrun `oddwire-cli help"),
        "{text}"
    );
}

#[test]
fn nesting_without_end_is_printed_as_it_came() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let printed = print(&deep, None);
    assert!(printed.contains(&"[".repeat(100_000 - MAX_PRINTED_DEPTH)));
}
