//! Core Lightning's recorded answers, byte for byte.
//!
//! Every recorded exchange is replayed whose method exists here, in the state of the two nodes that it needs. What a recording
//! says of its own build, ports, features and chain is put in our terms first ([`in_our_terms`]). What is not replayed is
//! listed with its reason ([`left_out`]), and the three counts are asserted.

use oddwire_rpc::method::METHODS;
use oddwire_rpc::service::Audience;
use serde_json::Value as Json;

use crate::fixture::{Client, Daemon, connect, separate, until_apart};

/// Feature bits in the recordings: those that `init` offers there.
const THEIR_FEATURES: &str = "800898880a8a59a1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn developers_get_the_recorded_answers() {
    let cases = load(include_str!("../oracle/rpc.json"));
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start("lightning-2").await;
    let mut replayed = 0;
    let mut ours = 0;
    let mut left = 0;
    // The last one ends a server.
    let (last, others): (Vec<&Json>, Vec<&Json>) = cases.iter().partition(|case| case["name"] == "stop");
    for case in others.into_iter().chain(last) {
        let name = text(&case["name"]);
        if let Some(_reason) = left_out(name, case) {
            left += 1;
            continue;
        }
        bring_about(case, &l1, &l2).await;
        let at = if case["node"] == "l2" { &l2 } else { &l1 };
        if case.get("steps").is_some() {
            replay_steps(name, case, at, &l1, &l2).await;
        } else {
            replay(name, case, at, &l1, &l2).await;
        }
        if case.get("ours").is_some() {
            ours += 1;
        }
        replayed += 1;
        if name.starts_with("scm-even-unknown") {
            // The receiver ends the connection over it, some time after the answer.
            until_apart(&l1, &l2).await;
        }
    }
    l2.server.await.unwrap().expect("stop ends the server");
    assert_eq!((replayed, ours, left), (172, 14, 16));
    assert_eq!(replayed + left, cases.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_not_shown_the_offending_value() {
    let cases = load(include_str!("../oracle/rpc-no-developer.json"));
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start("lightning-2").await;
    let for_users = l1.for_audience(Audience::Users);
    connect(&l1, &l2).await;
    let mut replayed = 0;
    let mut left = 0;
    for case in &cases {
        let name = text(&case["name"]);
        if left_out(name, case).is_some() {
            left += 1;
            continue;
        }
        replay(name, case, &for_users, &l1, &l2).await;
        replayed += 1;
    }
    assert_eq!((replayed, left), (13, 0));

    let refused = for_users.call("sendcustommsg", &format!(r#"["{}","zz01"]"#, l2.node.id())).await;
    assert!(
        refused.contains(r#""message":"msg: should be a hex value: invalid token (see logs for details)""#),
        "{refused}"
    );
    // Whoever checks a call has typed it.
    let checked = for_users.call("check", r#"["ping","zz"]"#).await;
    assert!(checked.contains(r#"id: should be a node id: invalid token '\"zz\"'"#), "{checked}");
}

/// Why a recording cannot be replayed.
fn left_out(name: &str, case: &Json) -> Option<&'static str> {
    const NEEDS_A_CHANNEL: [&str; 7] = [
        "check-scm-peer-is-not-connected",
        "disconnect-known-not-connected",
        "disconnect-known-not-connected-force",
        "disconnect-with-channel-no-force",
        "listpeers-with-channel",
        "ping-known-not-connected",
        "scm-peer-is-not-connected",
    ];
    let request: Json =
        serde_json::from_str(case["request"].as_str().unwrap_or_default()).unwrap_or_default();
    match request["method"].as_str() {
        Some("createonion") if name == "createonion-example1" => Some("made with a random key"),
        Some("waitsendpay" | "plugin") => {
            Some("of a method that is not here, or about plugins that the recording had")
        }
        Some("help") if name == "help-plugin-method" => Some("names a method of the recording's own plugin"),
        _ if NEEDS_A_CHANNEL.contains(&name) => {
            Some("the peer is known without being connected, by its channel")
        }
        _ => None,
    }
}

/// Connects or separates the nodes, whichever the recording was made under.
async fn bring_about(case: &Json, l1: &Daemon, l2: &Daemon) {
    let name = text(&case["name"]);
    let response = case["response"].as_str().unwrap_or_default();
    let needs_peer = response.contains(r#""connected":true"#)
        || response.contains(r#""num_peers":1"#)
        || ["scm-", "check-", "ping-"].iter().any(|group| name.starts_with(group))
        || matches!(
            name,
            "connect-from-acceptor" | "disconnect-ok" | "disconnect-force" | "disconnect-bad-force"
        );
    if needs_peer {
        connect(l1, l2).await;
    } else {
        separate(l1, l2).await;
    }
}

async fn replay(name: &str, case: &Json, at: &Daemon, l1: &Daemon, l2: &Daemon) {
    let mut request = in_our_terms(text(&case["request"]), l1, l2);
    if let Some(len) = case["msg_len"].as_u64() {
        let message = "8001".to_owned() + &"ab".repeat(usize::try_from(len).unwrap() - 2);
        request = request.replace("$MSG", &message);
    }
    let mut client = at.client().await;
    client.send(&unescaped(&request)).await;
    if let Some(ours) = case.get("ours") {
        let answer: Json = serde_json::from_str(&client.answer().await).unwrap();
        assert_eq!(answer["error"]["code"], ours["code"], "{name}: {answer}");
        let message = text(&answer["error"]["message"]);
        assert!(message.contains(text(&ours["about"])), "{name}: {message}");
        return;
    }
    let expected = match name {
        // Recorded is silence: the reference forgets a client that half-closes.
        "rpc-shutdown-after-request" => {
            client.half_close().await;
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"peers\":[]}}\n\n".to_owned()
        }
        "help-all" => return compare_help(text(&case["response"]), &client.answer().await),
        _ => in_our_terms(text(&case["response"]), l1, l2),
    };
    let expected = unescaped(&expected);
    let answer = client.read(expected.len()).await;
    assert_eq!(lossy(&answer), lossy(&expected), "{name}");
    if is_malformed(&expected) {
        // Recorded is a connection that never answers again; ours says goodbye.
        assert_eq!(lossy(&client.rest().await), "", "{name}");
    } else {
        let _ = client.half_close_quietly().await;
        assert_eq!(lossy(&client.rest().await), "", "{name}: more than was recorded");
    }
}

async fn replay_steps(name: &str, case: &Json, at: &Daemon, l1: &Daemon, l2: &Daemon) {
    let mut client = at.client().await;
    for step in case["steps"].as_array().unwrap() {
        if step["send"] == "SHUT" {
            client.half_close().await;
        } else if client.send_quietly(&unescaped(&in_our_terms(text(&step["send"]), l1, l2))).await.is_err() {
            // The server has closed the connection, which `rest` shows below.
            break;
        }
        let expected = unescaped(&in_our_terms(text(&step["got"]), l1, l2));
        let answer = client.read(expected.len()).await;
        assert_eq!(lossy(&answer), lossy(&expected), "{name}");
        if is_malformed(&expected) {
            break;
        }
    }
    let _ = client.half_close_quietly().await;
    assert_eq!(lossy(&client.rest().await), "", "{name}");
}

/// The lines of our methods are those of the recording, in the same order.
fn compare_help(recorded: &str, ours: &str) {
    /// Not Core Lightning's, but for the first, whose line there names a value that it does not take alone.
    const DIFFERENT: [&str; 5] =
        ["decodeonion ", "plugin ", "sendonionmessage ", "subscribecustommsg ", "subscribeonionmessage "];
    let lines = |answer: &str| -> Vec<String> {
        let answer: Json = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["result"]["format-hint"], "simple");
        answer["result"]["help"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| text(&line["command"]).to_owned())
            .collect()
    };
    let ours: Vec<String> =
        lines(ours).into_iter().filter(|line| !DIFFERENT.iter().any(|name| line.starts_with(name))).collect();
    let recorded: Vec<String> = lines(recorded).into_iter().filter(|line| ours.contains(line)).collect();
    assert_eq!(recorded, ours);
    assert_eq!(ours.len(), METHODS.len() - DIFFERENT.len());
}

/// Puts our ids, ports, features and chain where the recording has its own.
fn in_our_terms(recorded: &str, l1: &Daemon, l2: &Daemon) -> String {
    let features = faster_hex::hex_string(l1.node.features().as_bytes());
    let mut text = recorded
        .replace("$L1", &l1.node.id().to_string())
        .replace("$L2", &l2.node.id().to_string())
        .replace("9736", &l1.port().to_string())
        .replace("9737", &l2.port().to_string())
        .replace(
            &format!(r#""our_features":{{"init":"{THEIR_FEATURES}","node":"808898880a8a59a1","channel":"","invoice":"02000002024100"}}"#),
            &format!(r#""our_features":{{"init":"{features}","node":"","channel":"","invoice":""}}"#),
        )
        .replace(THEIR_FEATURES, &features)
        .replace(r#""blockheight":110"#, r#""blockheight":0"#);
    // The port from which the first node connected.
    if let Some(peer) = l2.node.peer(&l1.node.id()) {
        text = text.replace("48072", &peer.address.port().to_string());
    }
    text
}

/// The recordings show bytes that are no UTF-8 as `\xff`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(place) = rest.find("\\xf") {
        bytes.extend_from_slice(&rest.as_bytes()[..place]);
        bytes.push(u8::from_str_radix(&rest[place + 2..place + 4], 16).unwrap());
        rest = &rest[place + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn is_malformed(answer: &[u8]) -> bool {
    answer.starts_with(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"#)
}

impl Client {
    /// The server may have closed already.
    async fn half_close_quietly(&mut self) -> std::io::Result<()> {
        tokio::io::AsyncWriteExt::shutdown(&mut self.stream).await
    }

    async fn send_quietly(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        tokio::io::AsyncWriteExt::write_all(&mut self.stream, bytes).await
    }
}

fn load(cases: &str) -> Vec<Json> {
    serde_json::from_str(cases).unwrap()
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
