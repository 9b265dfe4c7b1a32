//! `subscribecustommsg`: messages of peers on a client's connection.

use oddwire_node::{Limits, MessageType};
use serde_json::Value as Json;

use crate::fixture::{Daemon, connect, request};

async fn subscribed(daemon: &Daemon, params: &str) -> crate::fixture::Client {
    let mut client = daemon.client().await;
    client.send(request(1, "subscribecustommsg", params).as_bytes()).await;
    let answer: Json = serde_json::from_str(&client.answer().await).unwrap();
    assert_eq!(answer["result"]["subscription"], "custommsg");
    assert_eq!(answer["result"]["epoch"], daemon.node.epoch().to_string());
    client
}

#[tokio::test]
async fn messages_come_as_notifications() {
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start("lightning-2").await;
    let mut all = subscribed(&l2, "{}").await;
    let mut some = subscribed(&l2, r#"{"types":[30583,40001]}"#).await;
    let mut none = subscribed(&l2, &format!(r#"{{"peers":["{}"]}}"#, l2.node.id())).await;
    connect(&l1, &l2).await;
    let id = l2.node.id();
    for message in ["8001aabb", "77770012"] {
        let answer = l1.call("sendcustommsg", &format!(r#"["{id}","{message}"]"#)).await;
        assert!(answer.contains("Message sent to connectd for delivery"), "{answer}");
    }
    let first: Json = serde_json::from_str(&all.answer().await).unwrap();
    assert_eq!(first["jsonrpc"], "2.0");
    assert_eq!(first["method"], "custommsg");
    assert_eq!(first["params"]["peer_id"], l1.node.id().to_string());
    assert_eq!(first["params"]["type"], 32769);
    assert_eq!(first["params"]["payload"], "8001aabb");
    assert_eq!(first["params"]["number"], 1);
    assert!(first["params"]["time"].as_str().unwrap().ends_with('Z'), "{first}");
    let second: Json = serde_json::from_str(&all.answer().await).unwrap();
    let chosen: Json = serde_json::from_str(&some.answer().await).unwrap();
    assert_eq!(second["params"]["payload"], "77770012");
    // The number is the message's, whoever is told of it.
    assert_eq!(second["params"]["number"], 2);
    assert_eq!(chosen["params"]["number"], 2);
    assert_eq!(second["params"]["payload"], chosen["params"]["payload"]);

    // Requests are still answered, and a second subscription is not begun.
    for client in [&mut all, &mut none] {
        client.send(request(2, "subscribecustommsg", "{}").as_bytes()).await;
        assert!(client.answer().await.contains("has a subscription already"));
        client.send(request(3, "help", r#"["stop"]"#).as_bytes()).await;
        assert!(client.answer().await.contains(r#""command":"stop "#));
    }
}

#[tokio::test]
async fn a_client_goes_on_where_it_stopped() {
    let mut limits = Limits::default();
    limits.history_messages = 3;
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start_with("lightning-2", limits).await;
    let mut first = subscribed(&l2, "{}").await;
    connect(&l1, &l2).await;
    let send = async |payload: &str| {
        let answer = l1.call("sendcustommsg", &format!(r#"["{}","{payload}"]"#, l2.node.id())).await;
        assert!(answer.contains("Message sent to connectd for delivery"), "{answer}");
    };
    let seen = async |client: &mut crate::fixture::Client| -> (Json, Json) {
        let mut notification: Json = serde_json::from_str(&client.answer().await).unwrap();
        (notification["params"]["number"].take(), notification["params"]["payload"].take())
    };
    send("80010001").await;
    assert_eq!(seen(&mut first).await, (1.into(), "80010001".into()));
    drop(first);
    // Nobody listens; the next subscriber's first message shows that these are in.
    send("80010002").await;
    send("80030003").await;
    let epoch = l2.node.epoch();
    let mut again = subscribed(&l2, &format!(r#"{{"from":2,"epoch":"{epoch}"}}"#)).await;
    for (number, payload) in [(2, "80010002"), (3, "80030003")] {
        assert_eq!(seen(&mut again).await, (number.into(), payload.into()));
    }
    send("80010004").await;
    send("80010005").await;
    for (number, payload) in [(4, "80010004"), (5, "80010005")] {
        assert_eq!(seen(&mut again).await, (number.into(), payload.into()));
    }
    // Three are kept: 3, 4 and 5.
    let mut late = subscribed(&l2, r#"{"from":1,"types":[32769]}"#).await;
    let gap: Json = serde_json::from_str(&late.answer().await).unwrap();
    assert_eq!((&gap["method"], &gap["params"]["missed"]), (&"custommsg_gap".into(), &2.into()));
    for (number, payload) in [(4, "80010004"), (5, "80010005")] {
        assert_eq!(seen(&mut late).await, (number.into(), payload.into()));
    }
}

#[tokio::test]
async fn wrong_filters_are_refused() {
    let l1 = Daemon::start("lightning-1").await;
    for (params, about) in [
        (
            r#"{"types":[65536]}"#,
            "types: should be an array of message types from 0 to 65535: invalid token '[65536]'",
        ),
        (r#"{"types":["x"]}"#, "types: should be an array"),
        (r#"{"peers":["02"]}"#, "peers: should be an array of node ids"),
        (r#"{"from":-1}"#, "from: should be an unsigned 64 bit integer"),
        (r#"{"from":7}"#, "from: there is no message 7 yet: the next one is number 1"),
        (r#"{"epoch":"1"}"#, "epoch only valid with from"),
        (r#"{"from":1,"epoch":"x"}"#, "epoch: should be an epoch as an answer names it"),
        (r#"{"from":1,"epoch":"1"}"#, "epoch 0000000000000001 is over: the node was started anew"),
        (r#"{"unsent":"x"}"#, "unsent: should be"),
        (r#"{"kinds":[]}"#, "unknown parameter: kinds"),
    ] {
        let answer = l1.call("subscribecustommsg", params).await;
        assert!(answer.contains(about), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed() {
    let mut limits = Limits::default();
    limits.backlog_events = 4;
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start_with("lightning-2", limits).await;
    connect(&l1, &l2).await;
    let mut client = subscribed(&l2, "{}").await;
    // More than the socket and the connection's own buffer hold, while the client does not read.
    let payload = vec![7; 60_000];
    let count: u64 = 60;
    let mut last =
        l2.node.subscribe(oddwire_node::EventFilter::messages().of_types([MessageType::new(32771)]));
    for _ in 0..count {
        // Waiting for room in the send queue.
        while l1.node.send_custom_message(&l2.node.id(), MessageType::new(32769), &payload).is_err() {
            tokio::task::yield_now().await;
        }
    }
    while l1.node.send_custom_message(&l2.node.id(), MessageType::new(32771), b"end").is_err() {
        tokio::task::yield_now().await;
    }
    assert!(last.next().await.is_some());
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < count + 1 {
        let line: Json = serde_json::from_str(&client.answer().await).unwrap();
        match line["method"].as_str().unwrap() {
            "custommsg" => seen += 1,
            "custommsg_gap" => missed += line["params"]["missed"].as_u64().unwrap(),
            other => panic!("{other}"),
        }
    }
    assert!(missed > 0, "saw all {seen}");
}
