//! Onion messages at plugins: the two hooks, what went no further, and custom messages from afar.

use oddwire_node::onion::{OnionDestination, OutgoingOnion, Via, session_key};
use oddwire_node::{Identity, MessageType, Node, NodeId, OnionRecord, ReplyPath, Secret};
use serde_json::json;
use wire_core::cursor::Writer;
use wire_core::onion::blinded_path::{self, PathNode};

use crate::fixture::{Home, Plugins, option};
use crate::peer_of;

async fn send(node: &Node, to: OnionDestination, via: &[NodeId], record: OnionRecord) {
    let message = OutgoingOnion { to, via: Via::Nodes(via.to_vec()), records: vec![record] };
    node.send_onion_message(&message).await.unwrap();
}

/// A path to `id` that was made by its owner, who called it so.
fn path_to(id: NodeId, name: &[u8]) -> ReplyPath {
    let mut nodes = [PathNode::new(id)];
    nodes[0].data.path_id = Some(name);
    let mut room = [0; 300];
    let path = blinded_path::create(session_key().unwrap(), &nodes, &mut room).unwrap();
    let mut bytes = vec![0; path.encoded_len()];
    path.encode(&mut Writer::new(&mut bytes)).unwrap();
    ReplyPath::from_bytes(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_see_onion_messages() {
    let plugins = Plugins::new();
    let manifest = json!({
        "hooks": ["onion_message_recv", "onion_message_recv_secret"],
        "subscriptions": ["custommsg", "onionmessage_forward_fail"],
    });
    let on = json!({
        "onion_message_recv": "seen",
        "onion_message_recv_secret": "seen",
        "custommsg": "log",
        "onionmessage_forward_fail": "log",
    });
    let first = plugins.add("first", &manifest, &on);
    // It keeps what came over its own path; nobody after it is asked.
    let keeper = json!({"onion_message_recv": "seen", "onion_message_recv_secret": {"result": "resolve"}});
    let hooks = json!({"hooks": [
        {"name": "onion_message_recv", "before": ["first"]},
        {"name": "onion_message_recv_secret", "after": ["first"]},
    ]});
    let second = plugins.add("second", &hooks, &keeper);
    let home = Home::start(&[&option("plugin", &first), &option("plugin", &second)]);
    let (peer, id) = peer_of(&home).await;

    let record = |kind: u64, value: &[u8]| OnionRecord { kind, value: value.to_vec().into() };
    send(&peer, OnionDestination::Node(id), &[], record(65_539, b"hello")).await;
    let shown = r#"{"onion_message":{"unknown_fields":[{"number":65539,"value":"68656c6c6f"}]}}"#;
    home.line(&format!("plugin-second: asked onion_message_recv: {shown}"));
    home.line(&format!("plugin-first: asked onion_message_recv: {shown}"));

    let path = OnionDestination::Path(path_to(id, &[7; 32]));
    send(&peer, path, &[], record(64, b"\x01")).await;
    let secret = "07".repeat(32);
    home.line(&format!(
        r#"plugin-first: asked onion_message_recv_secret: {{"onion_message":{{"invoice_request":"01","pathsecret":"{secret}","unknown_fields":[]}}}}"#
    ));
    home.line("plugin-second: has handled an onion message");

    let nobody = Identity::from_secret(&Secret::new([9; 32])).unwrap().node_id();
    send(&peer, OnionDestination::Node(nobody), &[id], record(65_539, b"hello")).await;
    let failed = home.line("told onionmessage_forward_fail: ");
    assert!(failed.contains(&format!(r#""next_node_id":"{nobody}""#)), "{failed}");
    assert!(failed.contains(&format!(r#""source":"{}""#, peer.id())), "{failed}");

    let custom = OnionRecord::custom_message(MessageType::new(32_769), b"\xaa");
    send(&peer, OnionDestination::Node(id), &[], custom).await;
    home.line(r#"plugin-first: told custommsg: {"custommsg":{"hops":{},"payload":"8001aa"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_wants_nothing_else_sees_them_too() {
    let plugins = Plugins::new();
    let hook = json!({"hooks": ["onion_message_recv"]});
    let hook = plugins.add("hook", &hook, &json!({"onion_message_recv": "seen"}));
    let topic = json!({"subscriptions": ["onionmessage_forward_fail"]});
    let topic = plugins.add("topic", &topic, &json!({"onionmessage_forward_fail": "log"}));
    let home = Home::start(&[]);
    let (peer, id) = peer_of(&home).await;
    let record = || OnionRecord { kind: 65_539, value: b"hello".to_vec().into() };
    home.start_plugin(&hook);
    send(&peer, OnionDestination::Node(id), &[], record()).await;
    let shown = r#"{"onion_message":{"unknown_fields":[{"number":65539,"value":"68656c6c6f"}]}}"#;
    home.line(&format!("plugin-hook: asked onion_message_recv: {shown}"));
    // Core Lightning's paths have names of 32 bytes; a message over one with another name comes as if over none.
    send(&peer, OnionDestination::Path(path_to(id, b"short")), &[], record()).await;
    home.line(&format!("plugin-hook: asked onion_message_recv: {shown}"));
    home.call(&["plugin", "stop", "hook"]);
    home.start_plugin(&topic);
    let nobody = Identity::from_secret(&Secret::new([9; 32])).unwrap().node_id();
    send(&peer, OnionDestination::Node(nobody), &[id], record()).await;
    home.line("plugin-topic: told onionmessage_forward_fail: ");
}
