//! The four calls around the datastore, in Core Lightning's rules, codes and words.

use serde_json::{Value as Json, json};

use crate::fixture::{Daemon, request};

async fn result(at: &Daemon, method: &str, params: Json) -> Json {
    let answer: Json = serde_json::from_str(&at.call(method, &params.to_string()).await).unwrap();
    assert!(answer["error"].is_null(), "{method} {params}: {answer}");
    answer["result"].clone()
}

async fn refused(at: &Daemon, method: &str, params: Json, code: i64, message: &str) {
    for checked in [false, true] {
        let mut params = params.clone();
        let asked = if checked {
            params["command_to_check"] = method.into();
            "check"
        } else {
            method
        };
        let answer: Json = serde_json::from_str(&at.call(asked, &params.to_string()).await).unwrap();
        assert_eq!(answer["error"], json!({"code": code, "message": message}), "{asked} {params}");
    }
}

#[tokio::test]
async fn modes_and_generations() {
    let l1 = Daemon::start("lightning-1").await;
    let some = json!({"key": ["somekey"], "generation": 0, "hex": "736f6d6564617461", "string": "somedata"});
    assert_eq!(result(&l1, "listdatastore", json!({})).await, json!({"datastore": []}));
    assert_eq!(result(&l1, "listdatastore", json!(["somekey"])).await, json!({"datastore": []}));
    let checked = result(&l1, "check", json!(["datastore", "somekey", "somedata"])).await;
    assert_eq!(checked, json!({"command_to_check": "datastore"}));
    assert_eq!(result(&l1, "listdatastore", json!({})).await, json!({"datastore": []}), "only checked");

    assert_eq!(result(&l1, "datastore", json!(["somekey", "somedata"])).await, some);
    assert_eq!(result(&l1, "listdatastore", json!(["somekey"])).await, json!({"datastore": [some]}));
    refused(&l1, "datastore", json!({"key": "somekey", "hex": "00"}), 1202, "Key already exists").await;
    let missing = "Key does not exist";
    for mode in ["must-replace", "must-append"] {
        let params = json!({"key": "otherkey", "hex": "00", "mode": mode});
        refused(&l1, "datastore", params, 1203, missing).await;
    }
    let wrong = json!({"key": "somekey", "hex": "00", "mode": "must-replace", "generation": 1});
    refused(&l1, "datastore", wrong, 1204, "generation is different").await;
    let replaced = json!({"key": "somekey", "hex": "00ff", "mode": "must-replace", "generation": 0});
    // No text, so no `string`.
    let expected = json!({"key": ["somekey"], "generation": 1, "hex": "00ff"});
    assert_eq!(result(&l1, "datastore", replaced).await, expected);
    let appended = json!({"key": "somekey", "string": "x", "mode": "create-or-append"});
    let expected = json!({"key": ["somekey"], "generation": 2, "hex": "00ff78"});
    assert_eq!(result(&l1, "datastore", appended).await, expected);
    let created = json!({"key": "a", "string": "", "mode": "create-or-replace"});
    let expected = json!({"key": ["a"], "generation": 0, "hex": "", "string": ""});
    assert_eq!(result(&l1, "datastore", created).await, expected);

    refused(&l1, "deldatastore", json!({"key": "none"}), 1200, missing).await;
    let other = json!({"key": "somekey", "generation": 9});
    refused(&l1, "deldatastore", other, 1201, "generation is different").await;
    let deleted = result(&l1, "deldatastore", json!({"key": "somekey", "generation": 2})).await;
    assert_eq!(deleted, json!({"key": ["somekey"], "generation": 2, "hex": "00ff78"}));
    refused(&l1, "deldatastore", json!({"key": "somekey"}), 1200, missing).await;
}

#[tokio::test]
async fn keys_of_several_parts() {
    let l1 = Daemon::start("lightning-1").await;
    let entry = |key: Json, text: &str| json!({"key": key, "generation": 0, "hex": faster_hex::hex_string(text.as_bytes()), "string": text});
    result(&l1, "datastore", json!(["a", "aval"])).await;
    let below = json!({"key": ["a", "b"], "string": "abval", "mode": "create-or-replace"});
    refused(&l1, "datastore", below, 1206, "Parent key [a] exists").await;
    assert_eq!(result(&l1, "listdatastore", json!([["a", "b"]])).await, json!({"datastore": []}));
    result(&l1, "deldatastore", json!([["a"]])).await;

    for (key, text) in [
        (json!(["a", "b"]), "abval"),
        (json!(["a", "b2"]), "ab2val"),
        (json!(["a", "b3", "c"]), "x"),
        (json!(["a", "b3", "d"]), "y"),
        (json!(["a!"]), "z"),
    ] {
        result(&l1, "datastore", json!({"key": key, "string": text})).await;
    }
    let above = json!({"key": "a", "string": "aval", "mode": "create-or-replace"});
    refused(&l1, "datastore", above, 1205, "Key has children already").await;
    assert_eq!(
        result(&l1, "listdatastore", json!({})).await,
        json!({"datastore": [{"key": ["a"]}, entry(json!(["a!"]), "z")]})
    );
    assert_eq!(
        result(&l1, "listdatastore", json!(["a"])).await,
        json!({"datastore": [
            entry(json!(["a", "b"]), "abval"),
            entry(json!(["a", "b2"]), "ab2val"),
            {"key": ["a", "b3"]}
        ]})
    );
    assert_eq!(
        result(&l1, "listdatastore", json!([["a", "b3", "d"]])).await,
        json!({"datastore": [entry(json!(["a", "b3", "d"]), "y")]})
    );
    let usage = |key: &str, bytes: u64| json!({"datastoreusage": {"key": key, "total_bytes": bytes}});
    assert_eq!(result(&l1, "datastoreusage", json!([["a", "b3"]])).await, usage("[a,b3]", 14));
    assert_eq!(result(&l1, "datastoreusage", json!(["a"])).await, usage("[a]", 8 + 10 + 14));
    for everything in [json!({}), json!([""]), json!([[""]])] {
        assert_eq!(result(&l1, "datastoreusage", everything).await, usage("[]", 8 + 10 + 14 + 3));
    }
}

#[tokio::test]
async fn parameters_are_refused_in_core_lightnings_words() {
    let l1 = Daemon::start("lightning-1").await;
    let bad = |name: &str, problem: &str, token: &str| format!("{name}: {problem}: invalid token '{token}'");
    let modes =
        "should be 'must-create', 'must-replace', 'create-or-replace', 'must-append', or 'create-or-append'";
    for (params, message) in [
        (json!({"key": "k"}), "Must have either hex or string".to_owned()),
        (json!({"key": "k", "hex": "00", "string": ""}), "Cannot have both hex and string".to_owned()),
        (json!({"key": [], "hex": "00"}), bad("key", "should not be empty", "[]")),
        (json!({"key": ["a", {}], "hex": "00"}), bad("key", "should be string", "{}")),
        (json!({"key": {}, "hex": "00"}), bad("key", "should be string or array", "{}")),
        (json!({"key": "k", "hex": "0"}), bad("hex", "should be a hex value", "\"0\"")),
        (json!({"key": "k", "string": 5}), bad("string", "should be a string (without \\u)", "5")),
        (
            json!({"key": "k", "string": "\u{1}"}),
            bad("string", "should be a string (without \\u)", r#""\u0001""#),
        ),
        (json!({"key": "k", "hex": "00", "mode": "x"}), bad("mode", modes, "\"x\"")),
        (
            json!({"key": "k", "hex": "00", "generation": -1}),
            bad("generation", "should be an unsigned 64 bit integer", "-1"),
        ),
        (
            json!({"key": "k", "hex": "00", "generation": 0}),
            "generation only valid with must-replace or must-append".to_owned(),
        ),
    ] {
        refused(&l1, "datastore", params, -32602, &message).await;
    }
    let long = json!({"key": "k".repeat(65_537), "hex": ""});
    let answer = l1.call("datastore", &long.to_string()).await;
    assert!(answer.contains("key: should have at most 65536 bytes"), "{}", &answer[..200]);
}

/// Escapes of a value are resolved, those of a key are not: Core Lightning's way, on which plugins' keys rest.
#[tokio::test]
async fn escapes() {
    let l1 = Daemon::start("lightning-1").await;
    let text = "{\"foo\": \"b\\/\nr\t\"}";
    let kept = result(&l1, "datastore", json!({"key": "k", "string": text})).await;
    assert_eq!(
        (&kept["string"], &kept["hex"]),
        (&text.into(), &faster_hex::hex_string(text.as_bytes()).into())
    );
    let kept = result(&l1, "datastore", json!({"key": "a\"b", "string": "x"})).await;
    assert_eq!(kept["key"], json!(["a\\\"b"]));
}

/// Calls that follow each other without waiting are done one after the other, also from other connections.
#[tokio::test]
async fn pipelined_writes_keep_their_order() {
    let l1 = Daemon::start("lightning-1").await;
    let mut client = l1.client().await;
    let mut requests = request(0, "datastore", r#"{"key":"k","string":""}"#);
    for number in 1..300 {
        let mode = r#""mode":"must-replace""#;
        let generation = number - 1;
        let params = format!(r#"{{"key":"k","string":"{number}",{mode},"generation":{generation}}}"#);
        requests.push_str(&request(number, "datastore", &params));
    }
    client.send(requests.as_bytes()).await;
    for _ in 0..300 {
        let answer = client.answer().await;
        assert!(answer.contains("\"result\""), "{answer}");
    }
    assert_eq!(result(&l1, "listdatastore", json!(["k"])).await["datastore"][0]["string"], "299");
}
