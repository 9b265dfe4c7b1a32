//! Methods of plugins: passed through as they came, listed, checked, with words about their progress.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::fixture::{Home, Plugins, option, refusal};

/// What comes back for these bytes, up to so many messages.
fn exchange(home: &Home, bytes: &str, messages: usize) -> Vec<Value> {
    let mut stream = UnixStream::connect(home.daemon.dir.join("regtest/lightning-rpc")).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while answer.windows(2).filter(|pair| pair == b"\n\n").count() < messages {
        let mut more = [0; 4096];
        let len = stream.read(&mut more).unwrap();
        assert_ne!(len, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&more[..len]);
    }
    let stream = serde_json::Deserializer::from_slice(&answer).into_iter();
    stream.map(Result::unwrap).collect()
}

fn home(on: &Value, manifest: &Value) -> (Plugins, Home) {
    let plugins = Plugins::new();
    let path = plugins.add("worker", manifest, on);
    let home = Home::start(&[&option("plugin", &path)]);
    (plugins, home)
}

#[test]
fn a_call_is_passed_through_with_an_id_of_our_own() {
    let manifest = json!({"rpcmethods": [{"name": "work", "usage": "what [how]", "description": ""},
        {"name": "fail", "usage": "", "description": ""}]});
    let (_plugins, home) = home(&json!({"work": "params", "fail": "error"}), &manifest);
    let answers = exchange(
        &home,
        r#"{"jsonrpc":"2.0","id":"my\/id","method":"work","params":{"a":[1,{}]}}{"jsonrpc":"2.0","id":77,"method":"work","params":["x"]}"#,
        2,
    );
    let by_id =
        |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{answers:?}"));
    let first = &by_id(json!("my/id"))["result"];
    assert_eq!((&first["params"], &first["method"]), (&json!({"a": [1, {}]}), &json!("work")));
    assert!(first["id"].as_str().unwrap().contains("/cln:work#"), "{first}");
    let second = &by_id(json!(77))["result"];
    assert!(second["id"].as_str().unwrap().starts_with("77/cln:work#"), "{second}");
    // Its error as it wrote it.
    let answers = exchange(&home, r#"{"jsonrpc":"2.0","id":1,"method":"fail","params":{}}"#, 1);
    assert_eq!(answers[0]["error"], json!({"code": -7, "message": "cannot", "data": {"why": [1]}}));
    // A filter is ours to apply.
    let filtered = r#"{"jsonrpc":"2.0","id":1,"method":"work","params":{},"filter":{"method":true}}"#;
    assert_eq!(exchange(&home, filtered, 1)[0]["result"], json!({"method": "work"}));
}

#[test]
fn help_lists_it_and_check_asks_it() {
    let manifest =
        json!({"cancheck": true, "rpcmethods": [{"name": "work", "usage": "what [how]", "description": ""}]});
    let (plugins, home) = home(&json!({"check": [{"command_to_check": "work"}, "error"]}), &manifest);
    let help = home.call(&["-J", "help", "work"]);
    assert_eq!(help["help"], json!([{"command": "work what [how]"}]));
    let all = home.call(&["-J", "help"]);
    let names: Vec<_> =
        all["help"].as_array().unwrap().iter().map(|one| one["command"].as_str().unwrap()).collect();
    assert!(names.contains(&"work what [how]"), "{names:?}");
    assert_eq!(home.call(&["check", "work", "1"]), json!({"command_to_check": "work"}));
    assert_eq!(refusal(&home.daemon, &["check", "work"]), (-7, "cannot".to_owned()));

    let simple = json!({"rpcmethods": [{"name": "simple", "usage": "", "description": ""}]});
    let path = plugins.add("cannot-check", &simple, &json!({}));
    home.start_plugin(&path);
    assert_eq!(home.call(&["check", "simple"]), json!({"command_to_check": "simple"}));
    home.line("plugin-cannot-check: Plugin does not support check command for simple (id ");
}

#[test]
fn whoever_wants_it_hears_of_a_calls_progress() {
    let manifest = json!({"rpcmethods": [{"name": "work", "usage": "", "description": ""}]});
    let (_plugins, home) = home(&json!({"work": "progress"}), &manifest);
    let work = r#"{"jsonrpc":"2.0","id":"w","method":"work","params":{}}"#;
    assert_eq!(
        exchange(&home, work, 1),
        [json!({"jsonrpc": "2.0", "id": "w", "result": {}})],
        "nobody asked for it"
    );
    let wanting = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"notifications","params":[true]}}{work}"#);
    let message = json!({"jsonrpc": "2.0", "method": "message",
        "params": {"id": "w", "level": "info", "message": "half way"}});
    assert_eq!(
        exchange(&home, &wanting, 3)[1..],
        [message, json!({"jsonrpc": "2.0", "id": "w", "result": {}})]
    );
}

#[test]
fn what_is_deprecated_is_refused_to_those_who_do_not_want_it() {
    let manifest = json!({"rpcmethods": [{"name": "old", "usage": "", "description": "", "deprecated": true}],
        "subscriptions": ["deprecated_oneshot"]});
    let (_plugins, home) = home(&json!({"old": "params", "deprecated_oneshot": "log"}), &manifest);
    assert_eq!(home.call(&["old"])["method"], "old");
    let not_wanting = r#"{"jsonrpc":"2.0","id":1,"method":"deprecations","params":[false]}{"jsonrpc":"2.0","id":2,"method":"old","params":[]}"#;
    let answers = exchange(&home, not_wanting, 2);
    assert_eq!(answers[1]["error"]["message"], "Command old is deprecated");
}

#[test]
fn what_cannot_be_saved_is_refused_before_the_plugin_is_asked() {
    let manifest =
        json!({"options": [{"name": "word", "type": "string", "description": "", "dynamic": true}]});
    let (_plugins, home) = home(&json!({"setconfig": "error"}), &manifest);
    let (code, said) = refusal(&home.daemon, &["setconfig", "word", "a "]);
    assert_eq!(code, -32602);
    assert!(said.starts_with("Error setting word: a value in a configuration file cannot"), "{said}");
    // What need not be saved is the plugin's to judge.
    let transient = ["-k", "setconfig", "config=word", "val=a ", "transient=true"];
    assert_eq!(refusal(&home.daemon, &transient), (-7, "cannot".to_owned()));
}
