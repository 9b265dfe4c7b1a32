//! Onion messages from client to client, over daemons that only pass them on.

use oddwire_node::MessageType;
use oddwire_rpc::method::{self, Method};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use crate::fixture::{Client, Daemon, connect, request};

/// Three daemons in a line.
async fn line() -> [Daemon; 3] {
    let [a, b, c] = [
        Daemon::start("lightning-1").await,
        Daemon::start("lightning-2").await,
        Daemon::start("lightning-3").await,
    ];
    connect(&a, &b).await;
    connect(&b, &c).await;
    [a, b, c]
}

async fn subscribed(daemon: &Daemon, method: &str) -> Client {
    let mut client = daemon.client().await;
    client.send(request(1, method, "{}").as_bytes()).await;
    let answer = client.answer().await;
    assert!(answer.contains("subscription"), "{answer}");
    client
}

async fn next(client: &mut Client) -> Json {
    serde_json::from_str(&client.answer().await).unwrap()
}

async fn call(daemon: &Daemon, method: &str, params: &str) -> Json {
    serde_json::from_str(&daemon.call(method, params).await).unwrap()
}

#[tokio::test]
async fn a_question_is_answered_by_another_client() {
    let [a, b, c] = line().await;
    let mut listener = subscribed(&c, "subscribeonionmessage").await;
    let mut asker = a.client().await;
    let params = format!(
        r#"{{"destination":"{}","text":"ping \"me\" \u00eb","tlv_type":65539,"hops":["{}"],"reply_within":20}}"#,
        c.node.id(),
        b.node.id()
    );
    asker.send(request(1, "sendonionmessage", &params).as_bytes()).await;

    let seen = next(&mut listener).await;
    assert_eq!(seen["method"], "onionmessage");
    let fields = &seen["params"]["unknown_fields"];
    assert_eq!(fields[0]["number"], 65539);
    assert_eq!(fields[0]["value"], faster_hex::hex_string(r#"ping "me" ë"#.as_bytes()));
    assert_eq!(seen["params"].get("pathsecret"), None);
    let path = &seen["params"]["reply_blindedpath"];
    assert_eq!(path["first_node_id"], b.node.id().to_string());
    assert_eq!(path["hops"].as_array().unwrap().len(), 2);

    let answer = format!(r#"{{"destination":{path},"payload":"c0ffee","tlv_type":65541}}"#);
    let sent = call(&c, "sendonionmessage", &answer).await;
    assert_eq!(sent["result"]["first_hop"], b.node.id().to_string(), "{sent}");
    let reply = next(&mut asker).await;
    assert_eq!(reply["result"]["reply"]["unknown_fields"][0]["value"], "c0ffee", "{reply}");

    // The same path again leads nowhere.
    let mut at_a = subscribed(&a, "subscribeonionmessage").await;
    call(&c, "sendonionmessage", &answer).await;
    let dropped = next(&mut at_a).await;
    assert_eq!(dropped["method"], "onionmessage_forward_fail");
    assert_eq!(dropped["params"]["source"], b.node.id().to_string());
    assert!(dropped["params"]["reason"].as_str().unwrap().contains("reply path"), "{dropped}");
}

#[tokio::test]
async fn a_custom_message_comes_from_afar() {
    let [a, b, c] = line().await;
    let mut listener = subscribed(&c, "subscribecustommsg").await;
    let send = async |msg: &str| {
        let params =
            format!(r#"{{"destination":"{}","msg":"{msg}","hops":["{}"]}}"#, c.node.id(), b.node.id());
        call(&a, "sendonionmessage", &params).await
    };
    assert_eq!(send("8001aabb").await["result"]["first_hop"], b.node.id().to_string());
    let seen = next(&mut listener).await;
    assert_eq!(seen["method"], "custommsg");
    assert_eq!((&seen["params"]["type"], &seen["params"]["payload"]), (&32769.into(), &"8001aabb".into()));
    assert_eq!(seen["params"].get("peer_id"), None);
    assert!(seen["params"]["hops"].is_object());

    // Even ones are for those who allow them.
    let _allowed = c.node.allow_even_types([MessageType::new(0x8004)]);
    for msg in ["8002", "8004"] {
        assert!(send(msg).await["result"].is_object());
    }
    assert_eq!(next(&mut listener).await["params"]["payload"], "8004");
    assert_eq!(send("0011").await["error"]["code"], -32600);
    assert_eq!(send("80").await["error"]["code"], -32602);
}

#[tokio::test]
async fn what_is_made_by_hand_can_be_injected() {
    let [a, b, _c] = line().await;
    let mut listener = subscribed(&b, "subscribeonionmessage").await;
    let refused = call(&a, "injectonionmessage", &format!(r#"["{}","00"]"#, b.node.id())).await;
    assert_eq!(refused["error"]["code"], -1);
    assert!(refused["error"]["message"].as_str().unwrap().contains("too short"), "{refused}");

    // An onion of `createonion` for `b` that goes in at `b`: the last hop may be told nothing.
    let onion = call(
        &a,
        "createonion",
        &format!(
            r#"{{"hops":[{{"pubkey":"{}","payload":"08fe00010003030102ff"}}],"assocdata":""}}"#,
            b.node.id()
        ),
    )
    .await;
    assert_eq!(onion["error"]["message"], "hops[0] payload is not prefixed with length!");
    let path_key = a.node.id();
    let checked = call(&a, "check", &format!(r#"["injectonionmessage","{path_key}","00"]"#)).await;
    assert_eq!(checked["result"]["command_to_check"], "injectonionmessage", "{checked}");

    // Two of our own hops: `a` peels the first, `b` gets the rest.
    let (bytes, key) = made_by_hand(&a, &b);
    let answer = call(&a, "injectonionmessage", &format!(r#"["{key}","{bytes}"]"#)).await;
    assert_eq!(answer["result"], serde_json::json!({}), "{answer}");
    let seen = next(&mut listener).await;
    assert_eq!(seen["params"]["unknown_fields"][0]["number"], 99);
}

/// An onion message over `first` to `second`, and its path key, in hex.
fn made_by_hand(first: &Daemon, second: &Daemon) -> (String, String) {
    use wire_core::message::tlv::TlvRecord;
    use wire_core::onion::blinded_path::PathNode;
    use wire_core::onion::message::{Contents, Keys, Route, compose};
    let key = || oddwire_node::onion::session_key().unwrap();
    let nodes = [PathNode::new(first.node.id()), PathNode::new(second.node.id())];
    let records = [TlvRecord { kind: 99, value: b"x" }];
    let (mut scratch, mut packet) = (vec![0; 2000], vec![0; 2000]);
    let keys = Keys { onion: key(), path: key() };
    let route = Route { nodes: &nodes, path: None };
    let contents = Contents { reply_path: None, records: &records };
    let composed = compose(keys, &route, &contents, &mut scratch, &mut packet).unwrap();
    (faster_hex::hex_string(composed.packet), composed.path_key.to_string())
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused() {
    let a = Daemon::start("lightning-1").await;
    let far = Daemon::start("lightning-3").await.node.id();
    for (params, code) in [
        (format!(r#"{{"destination":"{far}","payload":"00","tlv_type":65538}}"#), -32602),
        (format!(r#"{{"destination":"{far}","payload":"00","tlv_type":65535}}"#), -32602),
        (format!(r#"{{"destination":"{far}","payload":"00","text":"0","tlv_type":65537}}"#), -32602),
        (format!(r#"{{"destination":"{far}","payload":"00"}}"#), -32602),
        (format!(r#"{{"destination":"{far}"}}"#), -32602),
        (format!(r#"{{"destination":"{far}","payload":"00","tlv_type":65537,"reply_within":0}}"#), -32602),
        (r#"{"destination":"00","payload":"00","tlv_type":65537}"#.to_owned(), -32602),
        (r#"{"destination":{"hops":[]},"payload":"00","tlv_type":65537}"#.to_owned(), -32602),
        (format!(r#"{{"destination":"{far}","payload":"00","tlv_type":65537,"hops":"far"}}"#), -32602),
        (format!(r#"{{"destination":"{far}","payload":"00","tlv_type":65537}}"#), -1),
        (format!(r#"{{"destination":"{far}","payload":"00","tlv_type":65537,"hops":[]}}"#), -1),
    ] {
        let refused = call(&a, "sendonionmessage", &params).await;
        assert_eq!(refused["error"]["code"], code, "{params}: {refused}");
    }
    let larger =
        format!(r#"{{"hops":[{{"pubkey":"{far}","payload":"020000"}}],"assocdata":"","onion_size":65470}}"#);
    assert_eq!(call(&a, "createonion", &larger).await["error"]["code"], -32602);
}

#[tokio::test]
async fn onions_are_looked_into() {
    let [a, b, _c] = line().await;
    let hops = json!([
        {"pubkey": a.node.id().to_string(), "payload": "03050101"},
        {"pubkey": b.node.id().to_string(), "payload": "0200ff"},
    ]);
    let made =
        call(&a, "createonion", &json!({"hops": hops, "assocdata": "aa", "onion_size": 100}).to_string())
            .await;
    let (onion, secrets) = (&made["result"]["onion"], &made["result"]["shared_secrets"]);
    let decoded = async |daemon: &Daemon, mut params: Json| {
        params["assocdata"] = "aa".into();
        call(daemon, "decodeonion", &params.to_string()).await
    };

    // By those on the way, each its layer.
    let first = json!({"payload": "050101", "records": [{"number": 5, "value": "01"}]});
    let at_a = decoded(&a, json!({"onion": onion})).await;
    assert_eq!(at_a["result"]["layers"], json!([first]), "{at_a}");
    let at_b = decoded(&b, json!({"onion": at_a["result"]["next_onion"]})).await;
    assert_eq!(at_b["result"], json!({"layers": [{"payload": "00ff"}]}), "{at_b}");
    // By its maker, all of them.
    let all = decoded(&b, json!({"onion": onion, "shared_secrets": secrets})).await;
    assert_eq!(all["result"], json!({"layers": [first, {"payload": "00ff"}]}), "{all}");

    for (params, words) in [
        (json!({"onion": at_a["result"]["next_onion"]}), "layer 0: the onion's HMAC is wrong"),
        (
            json!({"onion": onion, "shared_secrets": [secrets[0], secrets[1], secrets[1]]}),
            "layer 2: the layer before",
        ),
        (json!({"onion": onion, "shared_secrets": [secrets[1]]}), "layer 0: the onion's HMAC"),
        (json!({"onion": onion, "shared_secrets": []}), "should be an array of secrets"),
        (
            json!({"onion": onion, "shared_secrets": secrets, "path_key": a.node.id().to_string()}),
            "exclude each other",
        ),
        (json!({"onion": "00"}), "too short"),
    ] {
        let refused = decoded(&a, params).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(words), "{refused}");
    }

    // An onion message, with what the maker of the path told this hop.
    let (onion, path_key) = made_by_hand(&a, &b);
    let told = call(&a, "decodeonion", &json!({"onion": onion, "path_key": path_key}).to_string()).await;
    let layer = &told["result"]["layers"][0];
    assert_eq!(layer["records"][0]["number"], 4, "{told}");
    assert!(layer["decrypted"].as_str().unwrap().contains(&b.node.id().to_string()), "{told}");
    let next = json!({"onion": told["result"]["next_onion"], "path_key": layer["next_path_key"]});
    let last = call(&b, "decodeonion", &next.to_string()).await;
    assert_eq!(last["result"]["layers"][0]["records"][1]["number"], 99, "{last}");
}

/// Values of all kinds, among them those that some parameter takes.
fn values() -> impl Strategy<Value = Json> {
    let id = "022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59";
    let one = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (0..200_000_u64).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        "([0-9a-fA-F]{2}){0,200}".prop_map(Json::from),
        "[0-9a-fx]{0,70}".prop_map(Json::from),
        Just(json!(id)),
        Just(json!("41".repeat(32))),
        Just(json!("auto")),
        Just(json!(format!("00{id}{}", "00".repeat(100)))),
    ];
    one.prop_recursive(3, 16, 4, |inner| {
        let name = prop_oneof![
            Just("pubkey"),
            Just("payload"),
            Just("first_node_id"),
            Just("first_path_key"),
            Just("hops"),
            Just("blinded_node_id"),
            Just("encrypted_recipient_data"),
            Just("id"),
            Just("channel"),
            Just("delay"),
            Just("amount_msat"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((name, inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// A call of a method about onions, its parameters by name or by position.
fn calls() -> impl Strategy<Value = (&'static Method, Json)> {
    let methods: Vec<_> = [
        "createonion",
        "decodeonion",
        "injectonionmessage",
        "sendonion",
        "sendonionmessage",
        "subscribeonionmessage",
    ]
    .map(|name| method::find(name).unwrap())
    .into();
    let given = proptest::collection::vec(proptest::option::weighted(0.8, values()), 14);
    (proptest::sample::select(methods), given, any::<bool>()).prop_map(|(method, given, by_name)| {
        let params = if by_name {
            let named = method.params.iter().zip(given);
            named.filter_map(|(param, value)| Some((param.name.to_owned(), value?))).collect()
        } else {
            given
                .into_iter()
                .take(method.params.len())
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>()
                .into()
        };
        (method, params)
    })
}

#[test]
fn parameters_of_any_kind_are_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Without a peer nothing is sent, so no answer is waited for.
    let daemon = runtime.block_on(Daemon::start("lightning-1"));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    let outcome = runner.run(&calls(), |(method, params)| {
        let answer = runtime.block_on(call(&daemon, method.name, &params.to_string()));
        let code = answer["error"]["code"].as_i64();
        prop_assert!(
            answer["result"].is_object() || matches!(code, Some(-32602 | -32600 | -1 | 204)),
            "{}",
            answer
        );
        Ok(())
    });
    outcome.unwrap();
}
