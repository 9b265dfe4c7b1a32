//! The parameters of every method of the JSON-RPC interface, up to where a call would take time.
//!
//! Held: a call is answered, refused or begun, whatever its parameters; every answer to what a strict parser takes is taken by
//! that parser, and has the id of its request; parameters by position and by name mean the same; what `check` refuses is
//! refused with the same code when it is called; what `createonion` makes for us is read by `decodeonion`.

use std::sync::OnceLock;

use oddwire_node::{Identity, Network, Node, Secret};
use oddwire_rpc::codec::Codec;
use oddwire_rpc::fuzzing::{Desk, Outcome};
use oddwire_rpc::method::{METHODS, Method};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::script::{Script, spelled};

/// Values of one call: one more than any method has parameters.
const VALUES: usize = 15;

/// What can stand in a value as one byte.
const WORDS: &[&str] = &[
    // Ours, of the key of 32 bytes of 1.
    "031b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f",
    "0324653eac434488002cc06bbfb7f10fe18991e35f9fe4302dbea6d2353dc0ab1c",
    "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0101010101010101010101010101010101010101010101010101010101010101",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "[",
    "]",
    "{",
    "}",
    "\":",
    ",\"",
    "\"",
    "null",
    "true",
    "false",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "1.5",
    "1e3",
    "all",
    "auto",
    "@",
    "127.0.0.1",
    "[::1]",
    "::ffff:1.2.3.4",
    "localhost",
    ".onion",
    ":9735",
    "gossip",
    "io",
    "debug",
    "must-create",
    "must-replace",
    "must-append",
    "create-or-append",
    "create-or-replace",
    "start",
    "stop",
    "startdir",
    "rescan",
    "list",
    "/bin/true",
    "pubkey",
    "payload",
    "id",
    "channel",
    "delay",
    "amount_msat",
    "msat",
    "first_node_id",
    "first_scid",
    "first_scid_dir",
    "first_path_key",
    "hops",
    "blinded_node_id",
    "encrypted_recipient_data",
    "103x1x0",
    "sendcustommsg",
    "getinfo",
    "command_to_check",
    "8001616263",
    "0002ffff",
    "\\n",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\\"",
    "\u{e9}",
    "\u{1f600}",
    "d9qw",
    "rdkh",
    "dns:",
    "ws:",
    "autotor:",
    "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion",
    "10msat",
    "1btc",
];

/// A byte for the method, one for the form, then the values, each a byte for its form and up to the next zero byte its text.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let number = usize::from(script.byte());
    let method = METHODS[number % METHODS.len()];
    let form = script.byte();
    let values: Vec<String> = script.rest().split(|byte| *byte == 0).take(VALUES).map(value).collect();

    let by_position = array(&values);
    let called = call(&request(method.name, &by_position, filter(form)));
    match form % 4 {
        0 => named_as_positional(method, &values, called.as_ref()),
        1 => checked(method, &values, called.as_ref()),
        2 => {
            let replaced = desk().replaced(&request(method.name, &by_position, None));
            assert!(replaced != Outcome::NoRequest || called.is_none(), "{replaced:?}, {called:?}");
        }
        _ => read_again(method, called),
    }
}

/// A string, if the first byte is even; else as it stands.
fn value(bytes: &[u8]) -> String {
    match bytes.split_first() {
        Some((form, text)) if form % 2 == 0 => format!("\"{}\"", spelled(text, WORDS)),
        Some((_, text)) => spelled(text, WORDS),
        None => "\"\"".to_owned(),
    }
}

fn array(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}

fn filter(form: u8) -> Option<&'static str> {
    match form / 4 % 4 {
        0 => Some(r#"{"id":true,"peers":[{"id":true}],"help":[{}]}"#),
        1 => Some(r#"{"onion":true,"shared_secrets":[true],"version":{"a":true}}"#),
        _ => None,
    }
}

fn request(method: &str, params: &str, filter: Option<&str>) -> String {
    let filter = filter.map(|filter| format!(",\"filter\":{filter}")).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":"fuzz","method":"{method}","params":{params}{filter}}}"#)
}

/// What a request comes to, as a client's; `None` if the codec finds none in it, or another one.
fn call(request: &str) -> Option<Outcome> {
    let mut codec = Codec::default();
    codec.room().extend_from_slice(request.as_bytes());
    let outcome = {
        let parsed = codec.next_request().ok().flatten().filter(|parsed| parsed.raw() == request)?;
        desk().call(parsed)
    };
    if let Outcome::Answered(answer) | Outcome::Refused(_, answer) = &outcome {
        let text = str::from_utf8(answer).expect("an answer to UTF-8 is UTF-8");
        if serde_json::from_str::<Value>(request).is_ok() {
            let answer: Value = serde_json::from_str(text).unwrap_or_else(|error| {
                panic!("{request} is answered with {text}, which is no JSON: {error}")
            });
            assert_eq!((&answer["id"], &answer["jsonrpc"]), (&"fuzz".into(), &"2.0".into()));
        }
    }
    Some(outcome)
}

/// Values by position, and the same by name.
fn named_as_positional(method: &Method, values: &[String], called: Option<&Outcome>) {
    // By position `null` is no value. `check` and `plugin` read their parameters in ways of their own. Text that is no value by
    // itself may become another one beside a name.
    let is_one = |value: &String| serde_json::from_str::<Value>(value).is_ok_and(|value| !value.is_null());
    let is_comparable = values.len() <= method.params.len() && !["check", "plugin"].contains(&method.name);
    if !is_comparable || !values.iter().all(is_one) {
        return;
    }
    let members =
        method.params.iter().zip(values).map(|(param, value)| format!("\"{}\":{value}", param.name));
    let members = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    let named = call(&request(method.name, &members, None));
    assert_eq!(named.as_ref().map(kind), called.map(kind), "{} {members}", method.name);
}

/// What happened, without the answer.
fn kind(outcome: &Outcome) -> (&'static str, i32) {
    match outcome {
        Outcome::NoRequest => ("no request", 0),
        Outcome::Refused(code, _) => ("refused", *code),
        Outcome::Answered(_) => ("answered", 0),
        Outcome::Begun => ("begun", 0),
    }
}

fn checked(method: &Method, values: &[String], called: Option<&Outcome>) {
    let with_name = [&[format!("\"{}\"", method.name)], values].concat();
    let checked = call(&request("check", &array(&with_name), None));
    if let Some(Outcome::Refused(code, answer)) = &checked
        && method.name != "check"
    {
        let called = called.map(kind);
        assert_eq!(called, Some(("refused", *code)), "{}", String::from_utf8_lossy(answer));
    }
}

/// An onion whose first hop is ours can be read by us.
fn read_again(method: &Method, called: Option<Outcome>) {
    if method.name != "createonion" {
        return;
    }
    let Some(Outcome::Answered(answer)) = called else { return };
    let Ok(answer) = serde_json::from_slice::<Value>(&answer) else { return };
    let Some(onion) = answer["result"]["onion"].as_str() else { return };
    match call(&request("decodeonion", &format!("{{\"onion\":\"{onion}\"}}"), None)) {
        Some(Outcome::Answered(_) | Outcome::Refused(..)) => {}
        other => panic!("{other:?} is no answer of decodeonion"),
    }
}

/// One for all inputs: no call changes it.
fn desk() -> &'static Desk {
    static DESK: OnceLock<(Runtime, Desk)> = OnceLock::new();
    let (_, desk) = DESK.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let identity = Identity::from_secret(&Secret::new([1; 32])).expect("a valid key");
        let node = Node::builder().identity(identity).network(Network::Regtest);
        let node = runtime.block_on(node.start()).expect("a node that listens nowhere starts");
        let desk = Desk::new(node).expect("a thread can be started");
        (runtime, desk)
    });
    desk
}
