//! Hooks and notifications: who is asked and told, in which order, and what follows from the answers.

use serde_json::json;

use crate::fixture::{Home, Plugins, option, refusal};
use crate::{peer_of, send};

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_through_the_chain_that_the_manifests_ask_for() {
    let plugins = Plugins::new();
    let seen = json!({"custommsg": "seen"});
    let after = json!({"hooks": [{"name": "custommsg", "after": ["second"]}]});
    let third = plugins.add("third", &after, &seen);
    let second = plugins.add("second", &json!({"hooks": ["custommsg"]}), &seen);
    let filtered = json!({"hooks": [{"name": "custommsg", "before": ["second"], "filters": [32771]}]});
    let first = plugins.add("first", &filtered, &seen);
    let paths = [third, second, first].map(|path| option("plugin", &path));
    let home = Home::start(&[&paths[0], &paths[1], &paths[2]]);
    let (peer, id) = peer_of(&home).await;
    send(&peer, &id, 32769, b"\x01").await;
    send(&peer, &id, 32771, b"\x02").await;
    let mut asked = Vec::new();
    while asked.len() < 5 {
        let line = home.line("asked custommsg: ");
        let (before, payload) = line.split_once(": asked custommsg: ").unwrap();
        asked.push(format!("{} {payload}", before.rsplit("plugin-").next().unwrap()));
    }
    for (payload, order) in [("800101", &["second", "third"][..]), ("800302", &["first", "second", "third"])]
    {
        let those: Vec<_> =
            asked.iter().filter_map(|line| line.strip_suffix(payload)).map(str::trim).collect();
        assert_eq!(those, order, "{asked:?}");
    }
    // Each plugin sees them in the order of their arrival.
    let third: Vec<_> = asked.iter().filter(|line| line.starts_with("third")).collect();
    assert_eq!(third, ["third 800101", "third 800302"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn even_types_are_accepted_only_while_a_plugin_wants_them() {
    let plugins = Plugins::new();
    let manifest = json!({"custommessages": [43690], "hooks": ["custommsg"]});
    let even = plugins.add("even", &manifest, &json!({"custommsg": "seen"}));
    let home = Home::start(&[]);
    let (peer, id) = peer_of(&home).await;
    send(&peer, &id, 43690, b"").await;
    home.line("Invalid unknown even msg aaaa");

    home.start_plugin(&even);
    home.line("connectd: Now allowing 1 custom message types");
    drop(peer);
    let (peer, id) = peer_of(&home).await;
    send(&peer, &id, 43690, b"\x01").await;
    home.line("plugin-even: asked custommsg: aaaa01");
    home.line(&format!("{}-connectd: custommsg processing finished", peer.id()));
    home.call(&["plugin", "stop", "even"]);
    home.line("connectd: Now allowing 0 custom message types");
    send(&peer, &id, 43690, b"\x02").await;
    home.line("Invalid unknown even msg aaaa02");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_decide_who_may_stay() {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": ["peer_connected"]});
    // More than a message may have.
    let essay = "no".repeat(40_000);
    let verdicts = json!({"peer_connected": [
        {"result": "disconnect"}, {"result": "disconnect", "error_message": essay},
        {"result": "disconnect", "error_message": "come back \"later\""}, "send-then-continue", "nonsense", "continue",
    ]});
    let gate = plugins.add("gate", &manifest, &verdicts);
    let home = Home::start(&[&option("plugin", &gate)]);
    let other = Home::start(&[]);
    let port = home.call(&["getinfo"])["binding"][0]["port"].to_string();
    let connect = ["connect", &home.daemon.id, "127.0.0.1", &port];

    // Whoever connects to somebody that is turned away is told so.
    let theirs = other.call(&["getinfo"])["binding"][0]["port"].to_string();
    for _ in 0..2 {
        let refused = refusal(&home.daemon, &["connect", &other.daemon.id, "127.0.0.1", &theirs]);
        assert_eq!(refused, (402, "disconnected during connection".to_owned()));
    }
    home.line("it is not told why: ");
    // It is connected to us for a moment, then it hears why it is not any more.
    let _ = other.daemon.cli(&connect);
    home.line("peer_connected hook rejects and says 'come back \"later\"'");
    other.line("Received WIRE_WARNING: come back \"later\"");
    other.line("the peer closed the connection");

    let mut listening = other.listen();
    other.call(&connect);
    assert!(listening.wait_for_line("payload").contains("80010102"), "sent from inside the hook");
    home.line(r"sent: {'jsonrpc': '2.0', 'id': 'scripted', 'result': {'status': 'Message sent to connectd for delivery'}}");
    assert_eq!(home.call(&["listpeers"])["peers"].as_array().unwrap().len(), 1);
    let _ = listening.child.kill();

    other.call(&["disconnect", &home.daemon.id]);
    other.call(&connect);
    home.line("plugin-gate: peer_connected hook: returned an invalid response: {\"result\": \"perhaps\"}: going on without it");
    other.call(&["disconnect", &home.daemon.id]);
    other.call(&connect);
    home.line("plugin-gate: answers hooks again");
}

#[test]
fn plugins_look_at_calls() {
    let plugins = Plugins::new();
    let hook = |methods: &[&str]| json!({"hooks": [{"name": "rpc_command", "filters": methods}]});
    let answers = json!({"rpc_command": [
        {"return": {"result": {"made": "up"}}},
        {"return": {"error": {"code": -99, "message": "not you"}}},
        {"replace": {"jsonrpc": "2.0", "id": 1, "method": "getinfo", "params": {}}},
        {"replace": {"jsonrpc": "2.0", "id": 1, "method": "coffee", "params": {}}},
        "continue",
        {"result": "perhaps"},
        "error",
    ]});
    let path = plugins.add("looker", &hook(&["listpeers", "listen"]), &answers);
    let home = Home::start(&[&option("plugin", &path)]);
    assert_eq!(home.call(&["listpeers"]), json!({"made": "up"}));
    assert_eq!(refusal(&home.daemon, &["listpeers"]), (-99, "not you".to_owned()));
    assert_eq!(home.call(&["listpeers"])["id"], home.daemon.id.as_str());
    let refused = refusal(&home.daemon, &["listpeers"]);
    assert!(
        refused.1.starts_with("Bad response to 'rpc_command' hook: redirected to unknown method 'coffee' ("),
        "{refused:?}"
    );
    for _ in 0..3 {
        assert_eq!(home.call(&["listpeers"]), json!({"peers": []}), "let through");
    }
    home.line(
        "looker: rpc_command hook: Bad response to 'rpc_command' hook. 'result' should only be 'continue'.",
    );
    home.line("looker: rpc_command hook: returned the error {\"code\": -7");
    assert_eq!(home.call(&["getinfo"])["id"], home.daemon.id.as_str(), "not asked about this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_told_what_happens() {
    let plugins = Plugins::new();
    let topics = ["connect", "disconnect", "custommsg", "warning", "mine"];
    let on: serde_json::Map<_, _> = topics.iter().map(|topic| ((*topic).to_owned(), json!("log"))).collect();
    let told = plugins.add("told", &json!({"subscriptions": ["*", "nobody-sends-it"]}), &on.into());
    let manifest =
        json!({"notifications": [{"method": "mine"}], "rpcmethods": [{"name": "tell", "usage": ""}]});
    let teller = plugins.add("teller", &manifest, &json!({"tell": "tell"}));
    let home = Home::start(&[&option("plugin", &told), &option("plugin", &teller)]);
    let (peer, id) = peer_of(&home).await;
    let us = peer.id();
    let connect = home.line("told connect: ");
    assert!(connect.contains(r#"{"connect":{"address":{"address":"127.0.0.1","port":"#), "{connect}");
    assert!(connect.ends_with(&format!(r#","type":"ipv4"}},"direction":"in","id":"{us}"}}}}"#)), "{connect}");
    send(&peer, &id, 0x7777, b"\x00\x12").await;
    home.line(&format!(r#"told custommsg: {{"custommsg":{{"payload":"77770012","peer_id":"{us}"}}}}"#));
    peer.disconnect(&id).await.unwrap();
    home.line(&format!(r#"told disconnect: {{"disconnect":{{"id":"{us}"}}}}"#));
    home.call(&["tell"]);
    home.line(r#"plugin-told: told mine: {"word":"hello"}"#);
    // The same line of the log, as it was told.
    let warning = home.line("plugin-told: told warning: ");
    let attempt =
        r#"attempted to send a notification to topic \"not-mine\" it hasn't declared in its manifest"#;
    assert!(warning.contains(attempt), "{warning}");
    assert!(warning.contains(r#"{"warning":{"level":"warn","log":"#), "{warning}");
    assert!(warning.contains(r#""source":"plugin-teller""#), "{warning}");
}
