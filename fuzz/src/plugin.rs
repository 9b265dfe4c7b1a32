//! Everything that a plugin says: its manifest, its answers to hooks, and the stream of its standard output; and what is made
//! of the wishes of several plugins.
//!
//! Held: where a strict parser reads the text as well, what is registered is what stands there; what a hook's answer means
//! follows from its members; text of a plugin is passed on as it was; each request is answered once, by the first answer to
//! it; the order of a hook's plugins keeps all their wishes, or they contradict each other.

use oddwire_rpc::fuzzing::{Conversation, Registered, about_call, goes_on, manifest, may_stay, order};
use oddwire_rpc::limits::{MAX_FILTERS, MAX_REGISTRATIONS};
use serde_json::Value;

use crate::script::{Script, spelled};

/// Requests that a plugin has been asked.
const ASKED: [&str; 3] = ["a", "oddwire:getmanifest#1", "oddwire:custommsg#2"];

const WORDS: &[&str] = &[
    "{\"",
    "\":",
    ",\"",
    "\":\"",
    "\",\"",
    "\"}",
    "}",
    "[",
    "]",
    "[{\"",
    "}]",
    "\"options\":[]",
    "\"rpcmethods\":[]",
    "\"options\":[],\"rpcmethods\":[]",
    "dynamic",
    "cancheck",
    "nonnumericids",
    "featurebits",
    "init",
    "node",
    "channel",
    "custommessages",
    "notifications",
    "method",
    "options",
    "name",
    "type",
    "description",
    "default",
    "multi",
    "deprecated",
    "rpcmethods",
    "usage",
    "subscriptions",
    "hooks",
    "before",
    "after",
    "filters",
    "disable",
    "true",
    "false",
    "null",
    "flag",
    "bool",
    "int",
    "string",
    "string-conceal",
    "custommsg",
    "peer_connected",
    "rpc_command",
    "onion_message_recv",
    "htlc_accepted",
    "connect",
    "shutdown",
    "log",
    "*",
    "v24.11",
    "v99.01",
    "65535",
    "65536",
    "18446744073709551616",
    "-1",
    "0200000000",
    "result",
    "continue",
    "disconnect",
    "error_message",
    "replace",
    "return",
    "error",
    "code",
    "message",
    "params",
    "level",
    "info",
    "id",
    "\"jsonrpc\":\"2.0\"",
    "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":",
    "oddwire:custommsg#2",
    "{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":{",
    "progress",
    "\n\n",
    "\\n",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\u{1f600}",
];

/// The first byte chooses.
pub fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => manifests(&spelled(rest, WORDS)),
        1 => answers(&spelled(rest, WORDS)),
        2 => speech(rest),
        _ => wishes(rest),
    }
}

fn manifests(text: &str) {
    match manifest(text) {
        None => {}
        Some(Err(refusal)) => assert!(!refusal.is_empty()),
        Some(Ok(registered)) => {
            is_bounded(&registered);
            // Where a member stands twice the two read different ones.
            if let Ok(strict) = serde_json::from_str::<Value>(text)
                && strict.to_string().matches('"').count() == text.matches('"').count()
                && !text.contains('\\')
            {
                is_what_stands_there(&registered, &strict);
            }
        }
    }
}

fn is_bounded(registered: &Registered) {
    let Registered { types, topics, options, methods, subscriptions, hooks, .. } = registered;
    assert!(types.len() <= MAX_FILTERS);
    for list in [topics.len(), options.len(), methods.len(), subscriptions.len()] {
        assert!(list <= MAX_REGISTRATIONS);
    }
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    assert!(options.iter().all(|name| !name.is_empty() && name.bytes().all(is_plain)));
    assert!(hooks.iter().enumerate().all(|(place, hook)| !hooks[..place].contains(hook)));
    assert!(!registered.is_dynamic || registered.features.is_empty());
}

fn is_what_stands_there(registered: &Registered, strict: &Value) {
    let flag = |name: &str| strict.get(name).and_then(Value::as_bool).unwrap_or_default();
    assert_eq!((registered.is_dynamic, registered.can_check), (flag("dynamic"), flag("cancheck")));
    let list = |name: &str| strict.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let names = |name: &str, member: &str| -> Vec<String> {
        list(name).iter().filter_map(|one| one.get(member)?.as_str().map(str::to_owned)).collect()
    };
    assert_eq!(registered.methods, names("rpcmethods", "name"));
    assert_eq!(registered.topics, names("notifications", "method"));
    let texts = |name: &str| -> Vec<String> {
        list(name).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    };
    assert_eq!(registered.subscriptions, texts("subscriptions"));
    assert_eq!(registered.options.len(), list("options").len());
    assert_eq!(registered.hooks.len(), list("hooks").len());
    assert_eq!(registered.types.len(), list("custommessages").len());
}

fn answers(text: &str) {
    let (goes_on, may_stay, about_call) = (goes_on(text), may_stay(text), about_call(text));
    if let Ok((member, json)) = &about_call {
        assert!(text.contains(json.as_str()), "{json} is not what the plugin wrote");
        assert_eq!(*member == "continue", json.is_empty());
    }
    // They read the same member.
    assert_eq!(goes_on, matches!(about_call, Ok(("continue", _))));
    assert_eq!(goes_on, matches!(may_stay, Some(Ok(()))));
    let Ok(strict) = serde_json::from_str::<Value>(text) else { return };
    if strict.to_string().matches('"').count() != text.matches('"').count() || text.contains('\\') {
        return;
    }
    assert_eq!(goes_on, strict.get("result") == Some(&"continue".into()));
    if let Some(Err(warning)) = may_stay {
        assert_eq!(strict["result"], "disconnect");
        assert_eq!(warning.is_some(), strict.get("error_message").is_some());
    }
    if let Ok(("error", json)) = about_call {
        let error: Value = serde_json::from_str(&json).expect("a part of JSON is JSON");
        assert_eq!(Some(&error), strict["return"].get("error"));
    }
}

/// What it says, in pieces.
fn speech(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let cuts: Vec<usize> = (0..script.byte() & 0x07).map(|_| usize::from(script.byte())).collect();
    let text = spelled(script.rest(), WORDS);

    let mut conversation = Conversation::new(&ASKED);
    let mut rest = text.as_bytes();
    let mut is_over = false;
    for cut in cuts.into_iter().chain([usize::MAX]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        if let Err(why) = conversation.hear(piece) {
            assert!(!why.is_empty());
            is_over = true;
            break;
        }
    }
    let first_answers = strictly(&text);
    for (id, answer) in ASKED.iter().zip(conversation.answers()) {
        if let Some(json) = &answer {
            assert!(text.contains(json.as_str()), "{json} is not what the plugin wrote");
        }
        if let (Some(strict), false) = (&first_answers, is_over) {
            let expected = strict.iter().find(|message| message.get("id") == Some(&(*id).into()));
            assert_eq!(answer.is_some(), expected.is_some(), "the request {id}");
        }
    }
}

/// The messages, if a strict parser finds nothing but objects in the text, without members that stand twice or are escaped.
fn strictly(text: &str) -> Option<Vec<Value>> {
    let messages: Result<Vec<Value>, _> =
        serde_json::Deserializer::from_str(text).into_iter::<Value>().collect();
    let messages = messages.ok().filter(|messages| messages.iter().all(Value::is_object))?;
    let written: usize = messages.iter().map(|message| message.to_string().matches('"').count()).sum();
    (written == text.matches('"').count() && !text.contains('\\')).then_some(messages)
}

/// Up to six plugins, each with bits of whom it wants to be before and after.
fn wishes(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let count = script.byte() % 7;
    let masks: Vec<[u8; 2]> = (0..count).map(|_| [script.byte(), script.byte()]).collect();
    let named =
        |mask: u8| (0..8).filter(|place| mask >> place & 1 == 1).map(|place| place.to_string()).collect();
    let wishes: Vec<(Vec<String>, Vec<String>)> =
        masks.iter().map(|[before, after]| (named(*before), named(*after))).collect();
    // Who must come before whom; those that are not there do not count.
    let mut first: Vec<(usize, usize)> = Vec::new();
    for (place, [before, after]) in masks.iter().enumerate() {
        for other in 0..masks.len() {
            if before >> other & 1 == 1 {
                first.push((place, other));
            }
            if after >> other & 1 == 1 {
                first.push((other, place));
            }
        }
    }
    match order(&wishes) {
        Ok(order) => {
            let place = |one: usize| order.iter().position(|other| *other == one);
            assert_eq!(order.len(), masks.len());
            assert!((0..masks.len()).all(|one| place(one).is_some()));
            assert!(first.iter().all(|(one, other)| place(*one) < place(*other)), "{order:?} of {wishes:?}");
        }
        Err(stuck) => {
            // Each of them waits for another one of them.
            assert!(!stuck.is_empty());
            let waits =
                |one: &usize| first.iter().any(|(before, after)| after == one && stuck.contains(before));
            assert!(stuck.iter().all(waits), "{stuck:?} of {wishes:?}");
        }
    }
}
